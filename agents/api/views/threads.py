"""Threads: conversations with an agent."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from agents.api.pagination import newest
from agents.api.thread_serializers import (
    MessageOut,
    MessagePage,
    NewMessage,
    NewThread,
    ThreadChange,
    ThreadOut,
    ThreadPage,
)
from agents.api.views.base import ApiView
from agents.api.views.runs import KEY_HEADER, find_agent, idempotency_key
from agents.models import Thread, ThreadMessage
from agents.services import threads


class ThreadsView(ApiView):
    """POST begins a thread, GET lists them."""

    @extend_schema(operation_id="create_thread", request=NewThread, responses={201: ThreadOut})
    def post(self, request: Request) -> Response:
        """Begin a conversation with an agent. Nothing runs before something is said."""
        wanted = NewThread.read(request.data)
        agent = find_agent(self.workspace(), wanted.pop("agent"))
        thread = threads.create_thread(workspace=self.workspace(), agent=agent, **wanted, by=self.person())
        address = f"/api/v1/threads/{thread.pk}"
        return Response(ThreadOut(thread).data, status=201, headers={"Location": address})

    @extend_schema(operation_id="list_threads", responses=ThreadPage)
    def get(self, request: Request) -> Response:
        """List the workspace's threads, newest first."""
        rows = Thread.objects.filter(workspace=self.workspace()).select_related("agent", "created_by")
        page, following = newest(request, rows)
        return Response({"items": ThreadOut(page, many=True).data, "next": following})


class ThreadView(ApiView):
    """One thread."""

    @extend_schema(operation_id="get_thread", responses=ThreadOut)
    def get(self, request: Request, thread_id: UUID) -> Response:
        """Give a thread; its messages have an address of their own."""
        return Response(ThreadOut(threads.find_thread(self.workspace(), thread_id)).data)

    @extend_schema(operation_id="change_thread", request=ThreadChange, responses=ThreadOut)
    def patch(self, request: Request, thread_id: UUID) -> Response:
        """Rename a thread, or change what becomes of messages that come while one is at work."""
        thread = threads.find_thread(self.workspace(), thread_id)
        return Response(ThreadOut(threads.change_thread(thread, **ThreadChange.read(request.data))).data)


class MessagesView(ApiView):
    """What is said in a thread."""

    @extend_schema(
        operation_id="post_message",
        request=NewMessage,
        responses={202: MessageOut, 409: OpenApiResponse(description="An earlier message is still at work.")},
        parameters=[KEY_HEADER],
    )
    def post(self, request: Request, thread_id: UUID) -> Response:
        """Say something: a run of the thread's agent that sees what was said before."""
        thread = threads.find_thread(self.workspace(), thread_id)
        said = NewMessage.read(request.data)
        message = threads.post_message(
            thread, text=said["text"], by=self.person(), idempotency_key=idempotency_key(request)
        )
        shown = MessageOut(_messages(thread).get(pk=message.pk)).data
        return Response(shown, status=202, headers={"Location": f"/api/v1/runs/{message.run_id}"})

    @extend_schema(operation_id="list_messages", responses=MessagePage)
    def get(self, request: Request, thread_id: UUID) -> Response:
        """List a thread's messages with their runs and answers, newest first."""
        thread = threads.find_thread(self.workspace(), thread_id)
        page, following = newest(request, _messages(thread))
        return Response({"items": MessageOut(page, many=True).data, "next": following})


def _messages(thread: Thread) -> QuerySet[ThreadMessage]:
    rows = ThreadMessage.objects.filter(thread=thread)
    return rows.select_related("created_by", "run__agent_version__agent")
