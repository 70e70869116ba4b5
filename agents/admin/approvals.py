"""What runs ask people, and what was decided."""

from __future__ import annotations

from django.contrib import admin

from agents.admin.base import pretty
from agents.admin.runs import OfRun
from agents.models import Approval


@admin.register(Approval)
class ApprovalAdmin(OfRun):
    """Questions. They are decided on the pages and over the API, by members of the workspace."""

    list_display = ("subject", "kind", "run_link", "workspace", "status", "asked_at", "expires_at", "decided_by")
    list_filter = ("status", "kind", "workspace")
    list_select_related = ("workspace", "decided_by")
    exclude = ("arguments", "form", "decision")
    readonly_fields = ("arguments_json", "form_json", "decision_json")

    @admin.display(description="Arguments")
    def arguments_json(self, approval: Approval) -> str:
        return pretty(approval.arguments)

    @admin.display(description="Form")
    def form_json(self, approval: Approval) -> str:
        return pretty(approval.form)

    @admin.display(description="Decision")
    def decision_json(self, approval: Approval) -> str:
        return pretty(approval.decision)
