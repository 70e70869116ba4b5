"""The API's addresses, below /api/."""

from django.urls import include, path, re_path

from agents.api import problems, schema
from agents.api.views import (
    agents,
    approvals,
    forks,
    logs,
    providers,
    resources,
    results,
    runs,
    secrets,
    threads,
    tools,
)

app_name = "api"

v1 = [
    path("me", resources.MeView.as_view(), name="me"),
    path("runs", runs.RunsView.as_view(), name="runs"),
    path("runs/<uuid:run_id>", runs.RunView.as_view(), name="run"),
    path("runs/<uuid:run_id>/steps", logs.StepsView.as_view(), name="steps"),
    path("runs/<uuid:run_id>/steps/<int:step_id>", logs.StepView.as_view(), name="step"),
    path("runs/<uuid:run_id>/events", logs.EventsView.as_view(), name="events"),
    path("runs/<uuid:run_id>/results", results.ResultsView.as_view(), name="results"),
    path("runs/<uuid:run_id>/tree", runs.TreeView.as_view(), name="tree"),
    path("runs/<uuid:run_id>/cancel", runs.CancelView.as_view(), name="cancel"),
    path("runs/<uuid:run_id>/pause", runs.PauseView.as_view(), name="pause"),
    path("runs/<uuid:run_id>/resume", runs.ResumeView.as_view(), name="resume"),
    path("runs/<uuid:run_id>/retry", runs.RetryView.as_view(), name="retry"),
    path("runs/<uuid:run_id>/resume/preview", forks.ResumePreviewView.as_view(), name="resume-preview"),
    path("runs/<uuid:run_id>/retry/preview", forks.RetryPreviewView.as_view(), name="retry-preview"),
    path("runs/<uuid:run_id>/fork", forks.ForkView.as_view(), name="fork"),
    path("runs/<uuid:run_id>/fork/preview", forks.ForkPreviewView.as_view(), name="fork-preview"),
    path("runs/<uuid:run_id>/decisions", runs.DecisionsView.as_view(), name="decisions"),
    path("threads", threads.ThreadsView.as_view(), name="threads"),
    path("threads/<uuid:thread_id>", threads.ThreadView.as_view(), name="thread"),
    path("threads/<uuid:thread_id>/messages", threads.MessagesView.as_view(), name="messages"),
    path("approvals", approvals.ApprovalsView.as_view(), name="approvals"),
    path("approvals/policy", approvals.ApprovalPolicyView.as_view(), name="approval-policy"),
    path("approvals/<uuid:approval_id>", approvals.ApprovalView.as_view(), name="approval"),
    path("approvals/<uuid:approval_id>/decision", approvals.ApprovalDecisionView.as_view(), name="approval-decision"),
    path("agents", agents.AgentsView.as_view(), name="agents"),
    path("agents/import", agents.ImportView.as_view(), name="agent-import"),
    path("agents/<slug:name>", agents.AgentView.as_view(), name="agent"),
    path("agents/<slug:name>/draft", agents.AgentDraftView.as_view(), name="agent-draft"),
    path("agents/<slug:name>/publish", agents.PublishView.as_view(), name="agent-publish"),
    path("agents/<slug:name>/versions", agents.VersionsView.as_view(), name="agent-versions"),
    path("agents/<slug:name>/versions/<int:number>", agents.VersionView.as_view(), name="agent-version"),
    path("agents/<slug:name>/diff", agents.DiffView.as_view(), name="agent-diff"),
    path("agents/<slug:name>/rollback", agents.RollBackView.as_view(), name="agent-rollback"),
    path("agents/<slug:name>/archive", agents.ArchiveView.as_view(), name="agent-archive"),
    path("agents/<slug:name>/unarchive", agents.UnarchiveView.as_view(), name="agent-unarchive"),
    path("agents/<slug:name>/export", agents.ExportView.as_view(), name="agent-export"),
    path("workers", resources.WorkersView.as_view(), name="workers"),
    path("documents", resources.DocumentsView.as_view(), name="documents"),
    path("documents/search", resources.DocumentSearchView.as_view(), name="search"),
    path("documents/<int:document_id>", resources.DocumentView.as_view(), name="document"),
    path("secrets", secrets.SecretsView.as_view(), name="secrets"),
    path("secrets/<slug:name>", secrets.SecretView.as_view(), name="secret"),
    path("providers", providers.ProvidersView.as_view(), name="providers"),
    path("providers/<slug:name>", providers.ProviderView.as_view(), name="provider"),
    path("providers/<slug:name>/test", providers.ProviderTestView.as_view(), name="provider-test"),
    path("tools", tools.ToolsView.as_view(), name="tools"),
    path("tools/<slug:tool_name>", tools.ToolView.as_view(), name="tool"),
    path("limits", tools.LimitsView.as_view(), name="limits"),
    path("limits/<int:limit_id>", tools.LimitView.as_view(), name="limit"),
]

urlpatterns = [
    path("v1/", include(v1)),
    path("schema", schema.SchemaView.as_view(), name="schema"),
    path("docs", schema.docs, name="docs"),
    # Everything else below /api/ is a problem too, not an HTML page.
    re_path(r"^.*$", problems.not_found, name="not_found"),
]
