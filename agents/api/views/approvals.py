"""What runs ask people, and what is decided."""

from __future__ import annotations

from uuid import UUID

from django.http import Http404
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from agents.api.approval_serializers import (
    ApprovalDecision,
    ApprovalOut,
    ApprovalPage,
    ApprovalPolicyForm,
    ApprovalQuery,
)
from agents.api.authentication import TokenReadsOrManages
from agents.api.pagination import newest
from agents.api.views.base import ApiView
from agents.models import Approval, ApprovalStatus, Workspace
from agents.services import approvals as services
from agents.services.policies import set_approval_policy


class ApprovalsView(ApiView):
    """The questions of the workspace's runs."""

    @extend_schema(operation_id="list_approvals", parameters=[ApprovalQuery], responses=ApprovalPage)
    def get(self, request: Request) -> Response:
        """List questions, newest first; with `status=open` those that wait for a person now."""
        form = ApprovalQuery(data=request.query_params)
        form.is_valid(raise_exception=True)
        asked = form.validated_data
        approvals = Approval.objects.filter(workspace=self.workspace()).select_related("decided_by")
        if asked.get("status") == ApprovalStatus.OPEN:
            approvals = approvals.waiting()
        elif asked.get("status"):
            approvals = approvals.filter(status=asked["status"])
        if asked.get("run"):
            approvals = approvals.filter(run=asked["run"])
        page, following = newest(request, approvals)
        return Response({"items": ApprovalOut(page, many=True).data, "next": following})


class ApprovalView(ApiView):
    """One question."""

    @extend_schema(operation_id="get_approval", responses=ApprovalOut)
    def get(self, request: Request, approval_id: UUID) -> Response:
        """Give a question with its exact arguments."""
        return Response(ApprovalOut(_approval(self.workspace(), approval_id)).data)


class ApprovalDecisionView(ApiView):
    """The decision on a question."""

    @extend_schema(
        operation_id="decide_approval",
        request=ApprovalDecision,
        responses={200: ApprovalOut, 409: OpenApiResponse(description="It is decided already; by whom, is said.")},
    )
    def post(self, request: Request, approval_id: UUID) -> Response:
        """Approve a call as it is or with edited arguments, reject it, or answer. It is for this one call alone."""
        form = ApprovalDecision(data=request.data)
        form.is_valid(raise_exception=True)
        approval = _approval(self.workspace(), approval_id)
        return Response(ApprovalOut(services.decide_approval(approval, **form.validated_data, by=self.person())).data)


class ApprovalPolicyView(ApiView):
    """What the workspace wants to be asked about."""

    permission_classes = (TokenReadsOrManages,)

    @extend_schema(operation_id="get_approval_policy", responses=ApprovalPolicyForm)
    def get(self, request: Request) -> Response:
        """Tell which calls wait for a person."""
        return Response(ApprovalPolicyForm(self.workspace()).data)

    @extend_schema(operation_id="set_approval_policy", request=ApprovalPolicyForm, responses=ApprovalPolicyForm)
    def put(self, request: Request) -> Response:
        """Say which calls with an effect wait for a person. What a tool itself asks for holds in any case."""
        given = ApprovalPolicyForm.read(request.data)
        workspace = set_approval_policy(
            self.workspace(), policy=given["approval_policy"], hours=given["approval_hours"], by=self.person()
        )
        return Response(ApprovalPolicyForm(workspace).data)


def _approval(workspace: Workspace, approval_id: UUID) -> Approval:
    approvals = Approval.objects.filter(workspace=workspace).select_related("decided_by")
    approval = approvals.filter(pk=approval_id).first()
    if approval is None:
        raise Http404
    return approval
