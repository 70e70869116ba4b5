"""What a workspace has besides runs and agents: documents, workers, and the caller's own rights."""

from __future__ import annotations

from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from agents.api.pagination import newest, read_limit
from agents.api.parsing import MEBIBYTE
from agents.api.resource_serializers import (
    DocumentFull,
    DocumentOut,
    DocumentPage,
    MeOut,
    NewDocument,
    PassageOut,
    PassagePage,
    WorkerOut,
    WorkerPage,
)
from agents.api.views.base import ApiView
from agents.models import Document, Worker, WorkerState, Workspace
from agents.services import documents as services

FOUND, MOST_FOUND = 8, 50
_CURSOR = OpenApiParameter("cursor", OpenApiTypes.STR, description="Where the next page begins; see `next`.")
_LIMIT = OpenApiParameter("limit", OpenApiTypes.INT, description="How many items a page has at most.")


class WorkersView(ApiView):
    """The workers of the instance."""

    @extend_schema(operation_id="list_workers", responses=WorkerPage)
    def get(self, request: Request) -> Response:
        """List the worker processes that live."""
        living = Worker.objects.filter(state__in=(WorkerState.ALIVE, WorkerState.DRAINING))
        return Response({"items": WorkerOut(living, many=True).data})


class DocumentsView(ApiView):
    """The documents of the workspace."""

    body_limit = 6 * MEBIBYTE

    @extend_schema(operation_id="list_documents", parameters=[_CURSOR, _LIMIT], responses=DocumentPage)
    def get(self, request: Request) -> Response:
        """List documents, newest first."""
        page, following = newest(request, Document.objects.filter(workspace=self.workspace()).defer("text"))
        return Response({"items": DocumentOut(page, many=True).data, "next": following})

    @extend_schema(operation_id="add_document", request=NewDocument, responses={201: DocumentOut})
    def post(self, request: Request) -> Response:
        """Add a text. The same text again gives the document that is already there."""
        form = NewDocument(data=request.data)
        form.is_valid(raise_exception=True)
        document = services.add_document(workspace=self.workspace(), **form.validated_data, by=self.person())
        headers = {"Location": f"/api/v1/documents/{document.pk}"}
        return Response(DocumentOut(document).data, status=201, headers=headers)


class DocumentView(ApiView):
    """One document."""

    @extend_schema(operation_id="get_document", responses=DocumentFull)
    def get(self, request: Request, document_id: int) -> Response:
        """Give a document with its text."""
        return Response(DocumentFull(_document(self.workspace(), document_id)).data)

    @extend_schema(operation_id="remove_document", responses={204: None})
    def delete(self, request: Request, document_id: int) -> Response:
        """Remove a document. Answers that quote it keep their quotes."""
        services.remove_document(_document(self.workspace(), document_id), by=self.person())
        return Response(status=204)


class DocumentSearchView(ApiView):
    """Search in the documents."""

    @extend_schema(
        operation_id="search_documents",
        parameters=[OpenApiParameter("q", OpenApiTypes.STR, required=True), _LIMIT],
        responses=PassagePage,
    )
    def get(self, request: Request) -> Response:
        """Find the passages that fit a query, best first."""
        limit = read_limit(request.query_params, FOUND, MOST_FOUND)
        query = request.query_params.get("q", "")
        found = services.search_documents(workspace=self.workspace(), query=query, limit=limit)
        return Response({"items": PassageOut(found, many=True).data})


class MeView(ApiView):
    """The caller."""

    @extend_schema(operation_id="get_me", responses=MeOut)
    def get(self, request: Request) -> Response:
        """Tell whose token this is and what it may do."""
        token = self.token()
        me = {
            "user": token.user.get_username(),
            "workspace": token.workspace.slug,
            "role": token.role,
            "scopes": token.scopes,
            "expires_at": token.expiry,
        }
        return Response(MeOut(me).data)


def _document(workspace: Workspace, document_id: int) -> Document:
    document = Document.objects.filter(workspace=workspace, pk=document_id).first()
    if document is None:
        raise Http404
    return document
