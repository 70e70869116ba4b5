"""What waits for a person: a list, and the decisions."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from agents.models import Approval, Role
from agents.services import approvals as services
from agents.services.policies import set_approval_policy
from agents.web import asked, detail, queries, schema_forms
from agents.web.forms import ApprovalForm, ApprovalPolicyForm
from agents.web.place import Place, act, back, in_workspace, render


@require_safe
@in_workspace()
def approvals(request: HttpRequest, place: Place) -> HttpResponse:
    """Show what waits for a person, and what was decided last."""
    waiting = queries.waiting_approvals(place.workspace)
    space = place.workspace
    context = {
        "cards": asked.cards_of(waiting),
        "decided": queries.decided_approvals(space),
        "policy": ApprovalPolicyForm(initial={"policy": space.approval_policy, "hours": space.approval_hours}),
    }
    return render(request, place, "web/approvals/page.html", context)


@require_POST
@in_workspace(needs=Role.ADMIN)
def policy(request: HttpRequest, place: Place) -> HttpResponse:
    """Set which calls wait for a person."""
    form = ApprovalPolicyForm(request.POST)
    if form.is_valid():
        done = "From now on this holds for each call that is not asked about yet."
        act(request, done, lambda: set_approval_policy(place.workspace, **form.cleaned_data, by=place.user))
    else:
        messages.error(request, " ".join(str(text) for texts in form.errors.values() for text in texts))
    return redirect("web:approvals", place.slug)


@require_POST
@in_workspace(needs=Role.MEMBER)
def decide(request: HttpRequest, place: Place, approval_id: UUID) -> HttpResponse:
    """Take a person's decision."""
    approval = queries.approval_of(place.workspace, approval_id)
    form = ApprovalForm(request.POST)
    if not form.is_valid():
        return HttpResponse("This is no answer to the question.", status=400, content_type="text/plain")
    chosen = form.cleaned_data
    act(
        request,
        "",
        lambda: services.decide_approval(
            approval,
            choice=chosen["choice"],
            value=_value(approval, chosen["choice"], request),
            comment=chosen["comment"],
            by=place.user,
        ),
    )
    if request.headers.get("X-Requested-With") == "fetch" and not request.POST.get("next"):
        step = request.POST.get("step", "")[:500]
        address = reverse("web:run-parts", args=(place.slug, approval.run_id))
        return redirect(f"{address}{detail.step_link(step) if step else ''}")
    return back(request, reverse("web:run", args=(place.slug, approval.run_id)))


def _value(approval: Approval, choice: str, request: HttpRequest) -> Any:
    """Give what the fields of the form say, where there were any."""
    if choice == "reject" or approval.form is None:
        return services.UNCHANGED
    filled = {name: str(value) for name, value in request.POST.items()}
    if not any(name.startswith(schema_forms.WHOLE) for name in filled):
        return services.UNCHANGED
    return schema_forms.read_fields(approval.form, approval.arguments, filled)
