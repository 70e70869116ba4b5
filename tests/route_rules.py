"""What becomes of a request to each address, of nobody, of strangers, of those who may only look."""

from __future__ import annotations

from dataclasses import dataclass

LOG_IN = "log in"
"""A redirect to the log-in page."""

Outcome = int | str


@dataclass(frozen=True)
class Rule:
    """What becomes of a request: of nobody, of a member of another workspace, of a viewer of this one.

    Pages know people by session, the API by token: `reader` is a member's token with the scope read alone. Expired
    tokens fare as nobody; sessions get nowhere in the API, tokens nowhere on pages.
    """

    method: str
    nobody: Outcome
    stranger: Outcome
    viewer: Outcome
    reader: Outcome


def api(method: str, *, stranger: Outcome, viewer: Outcome, reader: Outcome) -> Rule:
    return Rule(method, nobody=401, stranger=stranger, viewer=viewer, reader=reader)


def page(method: str, *, stranger: Outcome, viewer: Outcome) -> Rule:
    return Rule(method, nobody=LOG_IN, stranger=stranger, viewer=viewer, reader=LOG_IN)


def public(method: str, outcome: Outcome) -> Rule:
    return Rule(method, outcome, outcome, outcome, outcome)


API_LIST = api("GET", stranger=200, viewer=200, reader=200)
"""A list of the token's own workspace."""
API_ITEM = api("GET", stranger=404, viewer=200, reader=200)
API_ACT = api("POST", stranger=404, viewer=403, reader=403)
API_ADD = api("POST", stranger=400, viewer=403, reader=403)
"""Adds to the token's own workspace; the empty body is what is wrong with the stranger's."""
API_CONFIGURE = api("POST", stranger=403, viewer=403, reader=403)
"""For administrators' tokens; the stranger's has not the scope."""
PAGE = page("GET", stranger=404, viewer=200)
PAGE_ACT = page("POST", stranger=404, viewer=403)

RULES: dict[str, tuple[Rule, ...]] = {
    "healthz": (public("GET", 200),),
    "readyz": (public("GET", 200),),
    "hooks/<str:address>": (public("GET", 405), public("POST", 404)),
    "api/schema": (public("GET", 200),),
    "api/docs": (public("GET", 200),),
    "api/^.*$": (public("GET", 404), public("POST", 404)),
    "api/v1/me": (API_LIST,),
    "api/v1/runs": (API_LIST, API_ADD),
    "api/v1/runs/<uuid:run_id>": (API_ITEM,),
    "api/v1/runs/<uuid:run_id>/steps": (API_ITEM,),
    "api/v1/runs/<uuid:run_id>/steps/<int:step_id>": (API_ITEM,),
    "api/v1/runs/<uuid:run_id>/events": (API_ITEM,),
    "api/v1/runs/<uuid:run_id>/artifacts": (API_ITEM,),
    "api/v1/runs/<uuid:run_id>/artifacts/<uuid:artifact_id>": (API_ITEM,),
    "api/v1/runs/<uuid:run_id>/artifacts/<uuid:artifact_id>/content": (API_ITEM,),
    "api/v1/runs/<uuid:run_id>/results": (API_ITEM,),
    "api/v1/runs/<uuid:run_id>/tree": (API_ITEM,),
    "api/v1/runs/<uuid:run_id>/cancel": (API_ACT,),
    "api/v1/runs/<uuid:run_id>/pause": (API_ACT,),
    "api/v1/runs/<uuid:run_id>/resume": (API_ACT,),
    "api/v1/runs/<uuid:run_id>/retry": (API_ACT,),
    "api/v1/runs/<uuid:run_id>/resume/preview": (API_ITEM,),
    "api/v1/runs/<uuid:run_id>/retry/preview": (api("GET", stranger=404, viewer=409, reader=409),),
    "api/v1/runs/<uuid:run_id>/fork": (API_ACT,),
    "api/v1/runs/<uuid:run_id>/fork/preview": (API_ITEM, API_ACT),
    "api/v1/runs/<uuid:run_id>/decisions": (api("POST", stranger=400, viewer=403, reader=403),),
    "api/v1/runs/<uuid:run_id>/signals/<str:signal>": (API_ACT,),
    "api/v1/events": (API_LIST, API_ADD),
    "api/v1/events/replay": (API_ADD,),
    "api/v1/events/<int:event_id>": (API_ITEM,),
    "api/v1/events/<int:event_id>/replay": (API_ACT,),
    "api/v1/subscriptions": (API_LIST, API_CONFIGURE),
    "api/v1/subscriptions/would-match": (API_ADD,),
    "api/v1/subscriptions/<slug:name>": (
        API_ITEM,
        api("PUT", stranger=403, viewer=403, reader=403),
        api("DELETE", stranger=403, viewer=403, reader=403),
    ),
    "api/v1/subscriptions/<slug:name>/state": (API_CONFIGURE,),
    "api/v1/threads": (API_LIST, API_ADD),
    "api/v1/threads/<uuid:thread_id>": (API_ITEM, api("PATCH", stranger=404, viewer=403, reader=403)),
    "api/v1/threads/<uuid:thread_id>/messages": (API_ITEM, API_ACT),
    "api/v1/caps": (API_LIST, api("PUT", stranger=403, viewer=403, reader=403)),
    "api/v1/approvals": (API_LIST,),
    "api/v1/approvals/policy": (API_LIST, api("PUT", stranger=403, viewer=403, reader=403)),
    "api/v1/approvals/<uuid:approval_id>": (API_ITEM,),
    "api/v1/approvals/<uuid:approval_id>/decision": (api("POST", stranger=400, viewer=403, reader=403),),
    "api/v1/agents": (API_LIST, API_CONFIGURE),
    "api/v1/agents/import": (API_CONFIGURE,),
    "api/v1/agents/<slug:name>": (API_ITEM,),
    "api/v1/agents/<slug:name>/draft": (
        API_ITEM,
        api("PATCH", stranger=403, viewer=403, reader=403),
        api("DELETE", stranger=403, viewer=403, reader=403),
    ),
    "api/v1/agents/<slug:name>/publish": (API_CONFIGURE,),
    "api/v1/agents/<slug:name>/versions": (API_ITEM,),
    "api/v1/agents/<slug:name>/versions/<int:number>": (API_ITEM,),
    "api/v1/agents/<slug:name>/diff": (api("GET", stranger=400, viewer=400, reader=400),),
    "api/v1/agents/<slug:name>/rollback": (API_CONFIGURE,),
    "api/v1/agents/<slug:name>/archive": (API_CONFIGURE,),
    "api/v1/agents/<slug:name>/unarchive": (API_CONFIGURE,),
    "api/v1/agents/<slug:name>/export": (API_ITEM,),
    "api/v1/workers": (API_LIST,),
    "api/v1/documents": (API_LIST, API_ADD),
    "api/v1/documents/search": (API_LIST,),
    "api/v1/documents/<int:document_id>": (API_ITEM, api("DELETE", stranger=404, viewer=403, reader=403)),
    "api/v1/secrets": (API_LIST,),
    "api/v1/secrets/<slug:name>": (
        api("PUT", stranger=403, viewer=403, reader=403),
        api("DELETE", stranger=403, viewer=403, reader=403),
    ),
    "api/v1/providers": (API_LIST, api("POST", stranger=403, viewer=403, reader=403)),
    "api/v1/providers/<slug:name>": (
        API_ITEM,
        api("PUT", stranger=403, viewer=403, reader=403),
        api("DELETE", stranger=403, viewer=403, reader=403),
    ),
    "api/v1/providers/<slug:name>/test": (api("POST", stranger=403, viewer=403, reader=403),),
    "api/v1/webhooks/sources": (API_LIST, API_CONFIGURE),
    "api/v1/webhooks/sources/<slug:name>": (
        API_ITEM,
        api("PUT", stranger=403, viewer=403, reader=403),
        api("DELETE", stranger=403, viewer=403, reader=403),
    ),
    "api/v1/webhooks/sources/<slug:name>/rotate": (API_CONFIGURE,),
    "api/v1/webhooks/sources/<slug:name>/test": (API_CONFIGURE,),
    "api/v1/webhooks/endpoints": (API_LIST, API_CONFIGURE),
    "api/v1/webhooks/endpoints/<slug:name>": (
        API_ITEM,
        api("PUT", stranger=403, viewer=403, reader=403),
        api("DELETE", stranger=403, viewer=403, reader=403),
    ),
    **{
        f"api/v1/webhooks/endpoints/<slug:name>/{action}": (API_CONFIGURE,)
        for action in ("rotate", "switch", "test", "replay")
    },
    "api/v1/webhooks/deliveries": (API_LIST,),
    "api/v1/webhooks/deliveries/<uuid:delivery_id>": (API_ITEM,),
    "api/v1/webhooks/deliveries/<uuid:delivery_id>/replay": (API_CONFIGURE,),
    "api/v1/tools": (API_LIST,),
    "api/v1/tools/<slug:tool_name>": (api("GET", stranger=200, viewer=200, reader=200),),
    "api/v1/limits": (API_LIST, api("POST", stranger=403, viewer=403, reader=403)),
    "api/v1/limits/<int:limit_id>": (
        API_ITEM,
        api("PUT", stranger=403, viewer=403, reader=403),
        api("DELETE", stranger=403, viewer=403, reader=403),
    ),
    "api/v1/schedules": (API_LIST, API_CONFIGURE),
    "api/v1/schedules/<slug:name>": (
        API_ITEM,
        api("PUT", stranger=403, viewer=403, reader=403),
        api("DELETE", stranger=403, viewer=403, reader=403),
    ),
    "api/v1/schedules/<slug:name>/pause": (API_ACT,),
    "api/v1/schedules/<slug:name>/resume": (API_ACT,),
    "api/v1/schedules/<slug:name>/run": (API_ACT,),
    "api/v1/schedule-times": (api("POST", stranger=400, viewer=403, reader=403),),
    "api/v1/watchers": (API_LIST, API_CONFIGURE),
    "api/v1/watchers/<slug:name>": (
        API_ITEM,
        api("PUT", stranger=403, viewer=403, reader=403),
        api("DELETE", stranger=403, viewer=403, reader=403),
    ),
    "api/v1/watchers/<slug:name>/pause": (API_ACT,),
    "api/v1/watchers/<slug:name>/resume": (API_ACT,),
    "api/v1/watchers/<slug:name>/look": (API_ACT,),
    "": (page("GET", stranger=302, viewer=302),),
    "login/": (Rule("GET", 200, 302, 302, 200),),
    "logout/": (public("GET", 405),),
    "welcome/<str:token>": (public("GET", 410),),
    "welcome/<str:token>/": (public("GET", 410),),
    "password/": (page("GET", stranger=200, viewer=200),),
    "w/<slug:slug>/": (PAGE,),
    "w/<slug:slug>/start/": (PAGE_ACT,),
    "w/<slug:slug>/runs/": (PAGE,),
    "w/<slug:slug>/runs/rows/": (PAGE,),
    "w/<slug:slug>/runs/<uuid:run_id>/": (PAGE,),
    "w/<slug:slug>/runs/<uuid:run_id>/parts/": (PAGE,),
    "w/<slug:slug>/runs/<uuid:run_id>/files/": (PAGE,),
    "w/<slug:slug>/runs/<uuid:run_id>/files/<uuid:artifact_id>/": (PAGE,),
    "w/<slug:slug>/runs/<uuid:run_id>/results/": (PAGE,),
    "w/<slug:slug>/runs/<uuid:run_id>/decide/": (PAGE_ACT,),
    "w/<slug:slug>/runs/<uuid:run_id>/signal/": (PAGE_ACT,),
    "w/<slug:slug>/runs/<uuid:run_id>/cancel/": (PAGE_ACT,),
    "w/<slug:slug>/runs/<uuid:run_id>/pause/": (PAGE_ACT,),
    "w/<slug:slug>/runs/<uuid:run_id>/resume/": (PAGE_ACT,),
    "w/<slug:slug>/runs/<uuid:run_id>/retry/": (PAGE_ACT,),
    "w/<slug:slug>/runs/<uuid:run_id>/fork/": (page("GET", stranger=404, viewer=403), PAGE_ACT),
    "w/<slug:slug>/runs/<uuid:run_id>/compare/": (PAGE,),
    "w/<slug:slug>/runs/<uuid:run_id>/resume/preview/": (PAGE,),
    "w/<slug:slug>/runs/<uuid:run_id>/retry/preview/": (page("GET", stranger=404, viewer=302),),
    "w/<slug:slug>/agents/": (PAGE,),
    "w/<slug:slug>/agents/new/": (page("GET", stranger=404, viewer=403), PAGE_ACT),
    "w/<slug:slug>/agents/import/": (page("GET", stranger=404, viewer=403), PAGE_ACT),
    "w/<slug:slug>/agents/<slug:name>/": (PAGE,),
    "w/<slug:slug>/agents/<slug:name>/start/": (PAGE_ACT,),
    "w/<slug:slug>/agents/<slug:name>/export/": (PAGE,),
    "w/<slug:slug>/agents/<slug:name>/archive/": (PAGE_ACT,),
    "w/<slug:slug>/agents/<slug:name>/unarchive/": (PAGE_ACT,),
    "w/<slug:slug>/agents/<slug:name>/draft/": (page("GET", stranger=404, viewer=403), PAGE_ACT),
    "w/<slug:slug>/agents/<slug:name>/draft/discard/": (PAGE_ACT,),
    "w/<slug:slug>/agents/<slug:name>/publish/": (PAGE_ACT,),
    "w/<slug:slug>/agents/<slug:name>/versions/": (PAGE,),
    "w/<slug:slug>/agents/<slug:name>/versions/<int:number>/": (PAGE,),
    "w/<slug:slug>/agents/<slug:name>/compare/": (page("GET", stranger=404, viewer=400),),
    "w/<slug:slug>/agents/<slug:name>/rollback/": (PAGE_ACT,),
    "w/<slug:slug>/threads/": (PAGE,),
    "w/<slug:slug>/threads/start/": (PAGE_ACT,),
    "w/<slug:slug>/threads/<uuid:thread_id>/": (PAGE,),
    "w/<slug:slug>/threads/<uuid:thread_id>/say/": (PAGE_ACT,),
    "w/<slug:slug>/threads/<uuid:thread_id>/change/": (PAGE_ACT,),
    "w/<slug:slug>/approvals/": (PAGE,),
    "w/<slug:slug>/approvals/policy/": (PAGE_ACT,),
    "w/<slug:slug>/limits/caps/": (PAGE_ACT,),
    "w/<slug:slug>/approvals/<uuid:approval_id>/decide/": (PAGE_ACT,),
    "w/<slug:slug>/documents/": (PAGE,),
    "w/<slug:slug>/documents/add/": (PAGE_ACT,),
    "w/<slug:slug>/documents/<int:document_id>/": (PAGE,),
    "w/<slug:slug>/documents/<int:document_id>/remove/": (PAGE_ACT,),
    "w/<slug:slug>/tools/": (PAGE,),
    "w/<slug:slug>/tools/<slug:tool_name>/": (PAGE,),
    "w/<slug:slug>/limits/": (PAGE,),
    "w/<slug:slug>/limits/add/": (PAGE_ACT,),
    "w/<slug:slug>/limits/<int:limit_id>/": (page("GET", stranger=404, viewer=403), PAGE_ACT),
    "w/<slug:slug>/limits/<int:limit_id>/remove/": (PAGE_ACT,),
    "w/<slug:slug>/workers/": (PAGE,),
    "w/<slug:slug>/settings/tokens/": (page("GET", stranger=404, viewer=403),),
    "w/<slug:slug>/settings/tokens/<str:digest>/revoke/": (PAGE_ACT,),
    "w/<slug:slug>/events/": (PAGE,),
    "w/<slug:slug>/events/send/": (page("GET", stranger=404, viewer=403), PAGE_ACT),
    "w/<slug:slug>/events/replay/": (page("GET", stranger=404, viewer=403), PAGE_ACT),
    "w/<slug:slug>/events/<int:event_id>/": (PAGE,),
    "w/<slug:slug>/events/<int:event_id>/replay/": (PAGE_ACT,),
    "w/<slug:slug>/subscriptions/": (PAGE,),
    "w/<slug:slug>/subscriptions/new/": (page("GET", stranger=404, viewer=403), PAGE_ACT),
    "w/<slug:slug>/subscriptions/<slug:name>/": (PAGE,),
    "w/<slug:slug>/subscriptions/<slug:name>/edit/": (page("GET", stranger=404, viewer=403), PAGE_ACT),
    **{f"w/<slug:slug>/subscriptions/<slug:name>/{verb}/": (PAGE_ACT,) for verb in ("activate", "pause", "remove")},
    "w/<slug:slug>/webhooks/": (PAGE,),
    "w/<slug:slug>/webhooks/in/add/": (PAGE_ACT,),
    "w/<slug:slug>/webhooks/out/add/": (PAGE_ACT,),
    "w/<slug:slug>/webhooks/in/<slug:name>/": (PAGE, PAGE_ACT),
    "w/<slug:slug>/webhooks/out/<slug:name>/": (PAGE, PAGE_ACT),
    **{f"w/<slug:slug>/webhooks/in/<slug:name>/{action}/": (PAGE_ACT,) for action in ("rotate", "test", "remove")},
    **{
        f"w/<slug:slug>/webhooks/out/<slug:name>/{action}/": (PAGE_ACT,)
        for action in ("rotate", "on", "off", "test", "replay", "remove", "<uuid:delivery_id>/replay")
    },
    "w/<slug:slug>/webhooks/out/<slug:name>/<uuid:delivery_id>/": (PAGE,),
    "w/<slug:slug>/schedules/": (PAGE,),
    "w/<slug:slug>/new-schedule/": (page("GET", stranger=404, viewer=403), PAGE_ACT),
    "w/<slug:slug>/schedules/<slug:name>/": (PAGE,),
    "w/<slug:slug>/schedules/<slug:name>/edit/": (page("GET", stranger=404, viewer=403), PAGE_ACT),
    **{
        f"w/<slug:slug>/schedules/<slug:name>/{action}/": (PAGE_ACT,) for action in ("run", "pause", "resume", "remove")
    },
    "w/<slug:slug>/watchers/": (PAGE,),
    "w/<slug:slug>/new-watcher/": (page("GET", stranger=404, viewer=403), PAGE_ACT),
    "w/<slug:slug>/watchers/<slug:name>/": (PAGE,),
    "w/<slug:slug>/watchers/<slug:name>/edit/": (page("GET", stranger=404, viewer=403), PAGE_ACT),
    **{
        f"w/<slug:slug>/watchers/<slug:name>/{action}/": (PAGE_ACT,) for action in ("look", "pause", "resume", "remove")
    },
    "w/<slug:slug>/settings/providers/": (PAGE,),
    "w/<slug:slug>/settings/providers/add/": (PAGE_ACT,),
    "w/<slug:slug>/settings/providers/<slug:name>/": (page("GET", stranger=404, viewer=403), PAGE_ACT),
    "w/<slug:slug>/settings/providers/<slug:name>/remove/": (PAGE_ACT,),
    "w/<slug:slug>/settings/providers/<slug:name>/test/": (PAGE_ACT,),
    "w/<slug:slug>/settings/secrets/": (page("GET", stranger=404, viewer=403),),
    "w/<slug:slug>/settings/secrets/<slug:name>/remove/": (PAGE_ACT,),
}
ADMIN = public("GET", LOG_IN)
"""The admin site is for staff: none of these people is."""
ADMIN_RULES = {
    "admin/login/": Rule("GET", nobody=LOG_IN, stranger=403, viewer=403, reader=LOG_IN),
    "admin/logout/": public("GET", 302),
}


def rules_of(route: str) -> tuple[Rule, ...]:
    """Give the rules of a route; none if nobody has said what they are."""
    if route.startswith("admin/"):
        return (ADMIN_RULES.get(route, ADMIN),)
    return RULES.get(route, ())
