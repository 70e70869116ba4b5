"""Where a request is: a workspace, and what the person may do in it.

Every page below `/w/<slug>/` is a view wrapped by `in_workspace`, which finds the membership or answers 404: a
workspace that is not yours does not exist for you.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render as render_template
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme

from agents.models import Membership, Role, User, Workspace
from agents.services.errors import NotAllowed, NotFound, ServiceError
from agents.web.queries import count_approvals
from agents.web.zones import zone_of

P = ParamSpec("P")

_RANKS = {Role.VIEWER: 0, Role.MEMBER: 1, Role.ADMIN: 2}


@dataclass(frozen=True, slots=True)
class Place:
    """A workspace as one member sees it."""

    workspace: Workspace
    role: Role
    user: User

    @property
    def slug(self) -> str:
        return self.workspace.slug

    @property
    def can_write(self) -> bool:
        """May start and stop runs, add and remove documents."""
        return self.has(Role.MEMBER)

    @property
    def can_manage(self) -> bool:
        """May manage API tokens."""
        return self.has(Role.ADMIN)

    def has(self, role: Role) -> bool:
        return _RANKS[self.role] >= _RANKS[role]


View = Callable[Concatenate[HttpRequest, Place, P], HttpResponseBase]


def place_of(user: User, slug: str) -> Place | None:
    """Give the workspace of that name as the user sees it, None if it is not theirs."""
    found = Membership.objects.select_related("workspace").filter(user=user, workspace__slug=slug).first()
    return Place(found.workspace, Role(found.role), user) if found else None


def in_workspace(needs: Role = Role.VIEWER) -> Callable[[View[P]], Callable[..., HttpResponseBase]]:
    """Let only members with this role in; hand the view the place, with times in the person's zone."""

    def decorate(view: View[P]) -> Callable[..., HttpResponseBase]:
        @functools.wraps(view)
        def enter(request: HttpRequest, slug: str, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            user = request.user
            if not isinstance(user, User):
                return redirect_to_login(request.get_full_path())
            place = place_of(user, slug)
            if place is None:
                raise Http404
            if not place.has(needs):
                raise PermissionDenied
            with timezone.override(zone_of(request, user)):
                try:
                    response = view(request, place, *args, **kwargs)
                except NotFound as error:
                    raise Http404(error.message) from error
                except NotAllowed as error:
                    raise PermissionDenied(error.message) from error
            # A page of one person is no business of a shared cache, nor of the back button after a log-out.
            response.headers.setdefault("Cache-Control", "private, no-store")
            return response

        return enter

    return decorate


def render(request: HttpRequest, place: Place, template: str, context: dict[str, Any]) -> HttpResponse:
    """Render a page of a workspace with what its frame shows."""
    others = Workspace.objects.filter(memberships__user=place.user).exclude(pk=place.workspace.pk)
    frame = {"place": place, "other_workspaces": others, "open_approvals": count_approvals(place.workspace)}
    return render_template(request, template, {**frame, **context})


def render_part(request: HttpRequest, place: Place, template: str, context: dict[str, Any]) -> HttpResponse:
    """Render a part of a page, without the frame."""
    return render_template(request, template, {"place": place, **context})


def act(request: HttpRequest, done: str, action: Callable[[], object]) -> bool:
    """Call a service for a form; tell the person what came of it. True when it was done."""
    try:
        action()
    except (NotFound, NotAllowed):
        raise
    except ServiceError as error:
        messages.error(request, error.message)
        return False
    if done:
        messages.success(request, done)
    return True


def back(request: HttpRequest, fallback: str) -> HttpResponse:
    """Return to the page that the form stands on, if it is one of ours."""
    return HttpResponseRedirect(own_address(request, request.POST.get("next", "")) or fallback)


def own_address(request: HttpRequest, target: str) -> str:
    """Give an address that came with a request if it leads to a page of ours, else nothing."""
    is_ours = url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure())
    return target if is_ours and target.startswith("/") else ""
