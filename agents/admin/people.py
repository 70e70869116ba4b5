"""Workspaces, people and their rights: what an operator does change by hand."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.http import HttpRequest

from agents.admin.base import LookOnly, ModelAdmin, TabularInline
from agents.models import AuthToken, LoginAttempt, LoginLink, Membership, User, Workspace


class MembershipInline(TabularInline[Membership, Workspace]):
    """Who is a member, as what."""

    model = Membership
    extra = 0
    autocomplete_fields = ("user",)


@admin.register(Workspace)
class WorkspaceAdmin(ModelAdmin[Workspace]):
    """Workspaces and their members. Removing one would remove all its runs: not here."""

    list_display = ("slug", "name", "approval_policy", "created_at")
    search_fields = ("slug", "name")
    inlines = (MembershipInline,)

    def has_delete_permission(self, request: HttpRequest, obj: Workspace | None = None) -> bool:
        return False


@admin.register(User)
class UserAdmin(DjangoUserAdmin):  # type: ignore[type-arg]
    """People."""

    list_display = ("username", "email", "is_active", "is_staff", "last_login")
    fieldsets = (*(DjangoUserAdmin.fieldsets or ()), ("Display", {"fields": ("time_zone",)}))


@admin.register(Membership)
class MembershipAdmin(ModelAdmin[Membership]):
    """Roles of people in workspaces."""

    list_display = ("user", "workspace", "role", "created_at")
    list_filter = ("role", "workspace")
    list_select_related = ("user", "workspace")
    autocomplete_fields = ("user", "workspace")


@admin.register(AuthToken)
class AuthTokenAdmin(LookOnly[AuthToken]):
    """API tokens: only their digests are kept. They can be revoked, not made."""

    list_display = ("token_key", "name", "user", "workspace", "scopes", "created", "expiry", "last_used_at")
    list_filter = ("workspace",)
    list_select_related = ("user", "workspace")
    search_fields = ("name", "user__username", "token_key")
    exclude = ("digest",)

    def has_delete_permission(self, request: HttpRequest, obj: AuthToken | None = None) -> bool:
        return request.user.has_perm("agents.delete_authtoken")


@admin.register(LoginLink)
class LoginLinkAdmin(LookOnly[LoginLink]):
    """One-time links: only their digests are kept."""

    list_display = ("user", "created_at", "expires_at", "used_at")
    list_select_related = ("user",)
    exclude = ("digest",)


@admin.register(LoginAttempt)
class LoginAttemptAdmin(LookOnly[LoginAttempt]):
    """Wrong passwords of the last minutes. Removing rows lets somebody try again."""

    list_display = ("at", "address")
    exclude = ("who",)

    def has_delete_permission(self, request: HttpRequest, obj: LoginAttempt | None = None) -> bool:
        return request.user.has_perm("agents.delete_loginattempt")
