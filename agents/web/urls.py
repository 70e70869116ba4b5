"""Routes of the pages."""

from django.urls import URLPattern, URLResolver, path

from agents.web.views import (
    account,
    approvals,
    documents,
    forks,
    home,
    limits,
    run,
    runs,
    secrets,
    threads,
    tokens,
    tools,
    workers,
)

app_name = "web"

_RUN = "w/<slug:slug>/runs/<uuid:run_id>/"
_CONTROLS = ("cancel", "pause", "resume", "retry")
_PREVIEWED = ("resume", "retry")

urlpatterns: list[URLPattern | URLResolver] = [
    path("", account.root, name="root"),
    path("login/", account.log_in, name="login"),
    path("logout/", account.log_out, name="logout"),
    path("welcome/<str:token>", account.use_link, name="link"),
    path("welcome/<str:token>/", account.use_link),
    path("password/", account.choose_password, name="password"),
    path("w/<slug:slug>/", home.home, name="home"),
    path("w/<slug:slug>/start/", home.start, name="start"),
    path("w/<slug:slug>/runs/", runs.runs, name="runs"),
    path("w/<slug:slug>/runs/rows/", runs.rows, name="run-rows"),
    path(_RUN, run.run, name="run"),
    path(f"{_RUN}parts/", run.parts, name="run-parts"),
    path(f"{_RUN}decide/", run.decide, name="run-decide"),
    *[path(f"{_RUN}{action}/", run.control, {"action": action}, name=f"run-{action}") for action in _CONTROLS],
    path(f"{_RUN}fork/", forks.fork, name="run-fork"),
    path(f"{_RUN}compare/", forks.compare, name="run-compare"),
    *[path(f"{_RUN}{a}/preview/", forks.preview, {"action": a}, name=f"run-{a}-preview") for a in _PREVIEWED],
    path("w/<slug:slug>/threads/", threads.threads, name="threads"),
    path("w/<slug:slug>/threads/start/", threads.start, name="thread-start"),
    path("w/<slug:slug>/threads/<uuid:thread_id>/", threads.thread, name="thread"),
    path("w/<slug:slug>/threads/<uuid:thread_id>/say/", threads.say, name="thread-say"),
    path("w/<slug:slug>/threads/<uuid:thread_id>/change/", threads.change, name="thread-change"),
    path("w/<slug:slug>/approvals/", approvals.approvals, name="approvals"),
    path("w/<slug:slug>/approvals/policy/", approvals.policy, name="approval-policy"),
    path("w/<slug:slug>/approvals/<uuid:approval_id>/decide/", approvals.decide, name="approval-decide"),
    path("w/<slug:slug>/documents/", documents.documents, name="documents"),
    path("w/<slug:slug>/documents/add/", documents.add, name="document-add"),
    path("w/<slug:slug>/documents/<int:document_id>/", documents.document, name="document"),
    path("w/<slug:slug>/documents/<int:document_id>/remove/", documents.remove, name="document-remove"),
    path("w/<slug:slug>/tools/", tools.tools, name="tools"),
    path("w/<slug:slug>/tools/<slug:tool_name>/", tools.tool, name="tool"),
    path("w/<slug:slug>/limits/", limits.limits, name="limits"),
    path("w/<slug:slug>/limits/add/", limits.add, name="limit-add"),
    path("w/<slug:slug>/limits/<int:limit_id>/", limits.change, name="limit"),
    path("w/<slug:slug>/limits/<int:limit_id>/remove/", limits.remove, name="limit-remove"),
    path("w/<slug:slug>/workers/", workers.workers, name="workers"),
    path("w/<slug:slug>/settings/tokens/", tokens.tokens, name="tokens"),
    path("w/<slug:slug>/settings/tokens/<str:digest>/revoke/", tokens.revoke, name="token-revoke"),
    path("w/<slug:slug>/settings/secrets/", secrets.secrets, name="secrets"),
    path("w/<slug:slug>/settings/secrets/<slug:name>/remove/", secrets.remove, name="secret-remove"),
]
