"""API tokens: made, shown once, revoked."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from agents.models import AuthToken, Role
from agents.services import access
from agents.services.errors import ServiceError
from agents.web.forms import TokenForm
from agents.web.place import Place, in_workspace, render


@require_http_methods(["GET", "HEAD", "POST"])
@in_workspace(needs=Role.ADMIN)
def tokens(request: HttpRequest, place: Place) -> HttpResponse:
    """List the workspace's tokens; make one, whose text is in this one answer and nowhere else."""
    form = TokenForm(request.POST or None, role=place.role)
    now = timezone.now()
    made, text, status = None, "", 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                made, text = access.create_token(
                    user=place.user,
                    workspace=place.workspace,
                    scopes=form.cleaned_data["scopes"],
                    expires_at=form.expires_at(now),
                    name=form.cleaned_data["name"],
                )
            except ServiceError as error:
                form.add_error(None, error.message)
            else:
                status, form = 201, TokenForm(role=place.role)
    known = AuthToken.objects.filter(workspace=place.workspace).select_related("user").order_by("-created")
    context = {"form": form, "tokens": known, "made": made, "text": text, "now": now}
    response = render(request, place, "web/tokens.html", context)
    response.status_code = status
    return response


@require_POST
@in_workspace(needs=Role.ADMIN)
def revoke(request: HttpRequest, place: Place, digest: str) -> HttpResponse:
    """End a token. Programs that use it are refused from now on."""
    token = AuthToken.objects.filter(workspace=place.workspace, digest=digest).first()
    if token is None:
        raise Http404
    access.revoke_token(token, by=place.user)
    messages.success(request, f"The token “{token.name or token.token_key}” no longer works.")
    return redirect("web:tokens", place.slug)
