"""Watchers over the API."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from agents.api.authentication import TokenReadsOrManages
from agents.api.pagination import newest
from agents.api.timed_serializers import NewWatcher, WatcherForm, WatcherOut, WatcherPage
from agents.api.views.base import ApiView
from agents.services import watchers as services


class WatchersView(ApiView):
    """The workspace's watchers."""

    permission_classes = (TokenReadsOrManages,)

    @extend_schema(operation_id="list_watchers", responses=WatcherPage)
    def get(self, request: Request) -> Response:
        """List the watchers, newest first."""
        page, following = newest(request, services.list_watchers(self.workspace()))
        return Response({"items": WatcherOut(page, many=True).data, "next": following})

    @extend_schema(operation_id="create_watcher", request=NewWatcher, responses={201: WatcherOut})
    def post(self, request: Request) -> Response:
        """Make a watcher. It looks at once, to know what is there, and from then on tells what has changed."""
        given = NewWatcher.read(request.data)
        name = given.pop("name")
        watcher = services.create_watcher(self.workspace(), name, services.Wanted(**given), by=self.person())
        address = f"/api/v1/watchers/{watcher.name}"
        return Response(WatcherOut(watcher).data, status=201, headers={"Location": address})


class WatcherView(ApiView):
    """One watcher."""

    permission_classes = (TokenReadsOrManages,)

    @extend_schema(operation_id="get_watcher", responses=WatcherOut)
    def get(self, request: Request, name: str) -> Response:
        """Give a watcher."""
        return Response(WatcherOut(services.get_watcher(self.workspace(), name)).data)

    @extend_schema(operation_id="change_watcher", request=WatcherForm, responses=WatcherOut)
    def put(self, request: Request, name: str) -> Response:
        """Change all of a watcher but its name. With another target it begins anew."""
        wanted = services.Wanted(**WatcherForm.read(request.data))
        watcher = services.get_watcher(self.workspace(), name)
        return Response(WatcherOut(services.change_watcher(watcher, wanted, by=self.person())).data)

    @extend_schema(operation_id="remove_watcher", responses={204: None})
    def delete(self, request: Request, name: str) -> Response:
        """Remove a watcher and what it knows. Runs that it has started go on."""
        services.remove_watcher(services.get_watcher(self.workspace(), name), by=self.person())
        return Response(status=204)


class WatcherPauseView(ApiView):
    """Pausing a watcher."""

    @extend_schema(operation_id="pause_watcher", request=None, responses=WatcherOut)
    def post(self, request: Request, name: str) -> Response:
        """Let a watcher look no more until it is resumed."""
        watcher = services.get_watcher(self.workspace(), name)
        return Response(WatcherOut(services.pause_watcher(watcher, by=self.person())).data)


class WatcherResumeView(ApiView):
    """Resuming a watcher."""

    @extend_schema(operation_id="resume_watcher", request=None, responses=WatcherOut)
    def post(self, request: Request, name: str) -> Response:
        """Let a watcher go on; its next look tells all that has changed meanwhile."""
        watcher = services.get_watcher(self.workspace(), name)
        return Response(WatcherOut(services.resume_watcher(watcher, by=self.person())).data)


class WatcherLookView(ApiView):
    """Having a watcher look."""

    @extend_schema(operation_id="look_now", request=None, responses={202: WatcherOut})
    def post(self, request: Request, name: str) -> Response:
        """Have a worker look within a second or two, paused or not."""
        watcher = services.get_watcher(self.workspace(), name)
        return Response(WatcherOut(services.look_now(watcher, by=self.person())).data, status=202)
