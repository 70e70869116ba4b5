"""Documents: what agents can search."""

from __future__ import annotations

from contextlib import suppress

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from agents.models import Role
from agents.services import documents as services
from agents.services.errors import InvalidInput
from agents.web import queries
from agents.web.forms import DocumentForm
from agents.web.place import Place, act, in_workspace, render

RESULTS = 8


@require_safe
@in_workspace()
def documents(request: HttpRequest, place: Place) -> HttpResponse:
    """List the documents; with a question, show what a search finds in them."""
    text = request.GET.get("find", "").strip()[:300]
    before = None
    with suppress(ValueError):
        before = int(request.GET.get("before", ""))
    listed, next_before = queries.documents_of(place.workspace, before)
    found = services.search_documents(workspace=place.workspace, query=text, limit=RESULTS) if text else []
    context = {"documents": listed, "next_before": next_before, "find": text, "found": found}
    return render(request, place, "web/documents/page.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@in_workspace(needs=Role.MEMBER)
def add(request: HttpRequest, place: Place) -> HttpResponse:
    """Add a document from a file or a pasted text."""
    form = DocumentForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            document = services.add_document(
                workspace=place.workspace,
                title=given["title"],
                text=given["content"],
                url=given["url"],
                by=place.user,
            )
        except InvalidInput as error:
            form.add_error(error.field if error.field in form.fields else None, error.message)
        else:
            messages.success(request, f"“{document.title}” is there and can be searched.")
            return redirect("web:documents", place.slug)
    response = render(request, place, "web/documents/add.html", {"form": form, "max_bytes": services.MAX_BYTES})
    response.status_code = 422 if request.method == "POST" else 200
    return response


@require_safe
@in_workspace()
def document(request: HttpRequest, place: Place, document_id: int) -> HttpResponse:
    """Show a document's text."""
    found = queries.document_of(place.workspace, document_id)
    return render(request, place, "web/documents/document.html", {"document": found})


@require_POST
@in_workspace(needs=Role.MEMBER)
def remove(request: HttpRequest, place: Place, document_id: int) -> HttpResponse:
    """Remove a document."""
    found = queries.document_of(place.workspace, document_id)
    title = found.title
    act(request, f"“{title}” was removed.", lambda: services.remove_document(found, by=place.user))
    return redirect("web:documents", place.slug)
