"""Coming in and going out: log-in, one-time link, password, log-out."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login, logout, update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from agents.models import User, Workspace
from agents.services import access, logins
from agents.services.errors import NotFound, ServiceError
from agents.web.forms import LoginForm, PasswordForm
from agents.web.place import own_address

BACKEND = "django.contrib.auth.backends.ModelBackend"


@require_safe
def root(request: HttpRequest) -> HttpResponse:
    """Lead to the person's workspace."""
    if not isinstance(request.user, User):
        return redirect("web:login")
    first = Workspace.objects.filter(memberships__user=request.user).order_by("memberships__id").first()
    if first is None:
        return render(request, "web/no_workspace.html", status=403)
    return redirect("web:home", first.slug)


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def log_in(request: HttpRequest) -> HttpResponse:
    """Ask for name and password."""
    target = _target(request)
    if isinstance(request.user, User) and request.method != "POST":
        return HttpResponseRedirect(target)
    form = LoginForm(request.POST or None)
    status = 200
    if request.method == "POST" and form.is_valid():
        try:
            user = logins.log_in(
                username=form.cleaned_data["username"],
                password=form.cleaned_data["password"],
                address=request.META.get("REMOTE_ADDR") or "",
                now=timezone.now(),
            )
        except logins.TooManyAttempts as error:
            form.add_error(None, error.message)
            response = render(request, "web/login.html", {"form": form, "next": target}, status=429)
            response["Retry-After"] = str(max(1, round(error.wait / timedelta(seconds=1))))
            return response
        except ServiceError as error:
            form.add_error(None, error.message)
        else:
            login(request, user, backend=BACKEND)
            return HttpResponseRedirect(target)
    if request.method == "POST":
        status = 422
    return render(request, "web/login.html", {"form": form, "next": target}, status=status)


@require_POST
def log_out(request: HttpRequest) -> HttpResponse:
    """End the session; its live sockets close with it."""
    logout(request)
    return redirect(settings.LOGOUT_REDIRECT_URL)


@never_cache
@require_safe
def use_link(request: HttpRequest, token: str) -> HttpResponse:
    """Log in by a link that works once, then ask for a password."""
    try:
        user = access.use_login_link(token)
    except NotFound as error:
        return render(request, "web/link_used.html", {"message": error.message}, status=410)
    login(request, user, backend=BACKEND)
    return redirect("web:password")


@never_cache
@sensitive_post_parameters("password", "again")
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def choose_password(request: HttpRequest) -> HttpResponse:
    """Let a person choose a password. One they already have is asked for first."""
    user = request.user
    assert isinstance(user, User)  # noqa: S101 (login_required)
    form = PasswordForm(request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        try:
            logins.set_password(user, form.cleaned_data["password"])
        except ServiceError as error:
            form.add_error("password", error.message)
        else:
            # Other sessions of this person end, this one goes on.
            update_session_auth_hash(request, user)
            messages.success(request, "Your password is set.")
            return redirect("web:root")
    status = 422 if request.method == "POST" else 200
    return render(request, "web/password.html", {"form": form}, status=status)


def _target(request: HttpRequest) -> str:
    return own_address(request, request.POST.get("next") or request.GET.get("next") or "") or "/"
