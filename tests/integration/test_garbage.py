"""What no client of ours would send, sent to every address: refused or cleaned, never an error of ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from agents.models import Agent, Document, Listener, Role, Run, Schedule, Scope, Step, Subscription, Wait
from tests.addresses import address, arguments_of, routes
from tests.factories import make_agent, make_client, make_run, make_token, make_user, make_webhooks, make_workspace

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(120)]

TEXTS = [
    b"a\x00b",
    b"\xed\xa0\x80",
    b"\xff\xfe",
    b"NaN",
    b"9" * 40,
    b"9" * 5000,
    "²".encode(),
    b"[" * 3000 + b"]" * 3000,
    b"9999-12-31T23:59:59-23:59",
]
"""NUL, a lone surrogate, no UTF-8, no number, huge ones, a digit that is none, brackets, the end of the calendar."""
FEW = (TEXTS[0], TEXTS[1], TEXTS[5])
HOSTILE = [
    b'"\\u0000"',
    b'{"a\\u0000":1}',
    b'"\\ud800"',
    b"NaN",
    b"-Infinity",
    b"1e400",
    b"9" * 40,
    b"9" * 5000,
    b"[" * 3000 + b"]" * 3000,
    b'{"a":' * 3000 + b"1" + b"}" * 3000,
]
"""The same as JSON: no address takes these, whatever it takes besides."""
VALUES = [*HOSTILE, b"null", b"-1.5", b'[[], {}, "", null]', b'"9999-12-31T23:59:59-23:59"']
RUN = "w/<slug:slug>/runs/<uuid:run_id>/"
PARAMETERS = {
    "api/v1/runs": "cursor limit status agent workflow tag created_after created_before root q",
    "api/v1/runs/<uuid:run_id>/steps": "after limit superseded",
    "api/v1/runs/<uuid:run_id>/events": "after limit",
    "api/v1/runs/<uuid:run_id>/artifacts": "cursor limit tree superseded step",
    "api/v1/documents": "cursor limit",
    "api/v1/webhooks/deliveries": "cursor limit endpoint status",
    "api/v1/events": "cursor limit name source id state after before",
    "api/v1/subscriptions": "cursor limit",
    "api/v1/documents/search": "q limit",
    "login/": "next",
    "w/<slug:slug>/": "goal agent",
    "w/<slug:slug>/runs/": "q status agent tag period before below",
    "w/<slug:slug>/runs/rows/": "ids q agent tag before",
    RUN: "step all",
    f"{RUN}parts/": "step",
    f"{RUN}files/": "after",
    "w/<slug:slug>/documents/": "find before",
    "w/<slug:slug>/webhooks/out/<slug:name>/": "status before",
    "w/<slug:slug>/schedules/": "find state after",
    "w/<slug:slug>/schedules/<slug:name>/": "before",
    "w/<slug:slug>/new-watcher/": "kind",
    "w/<slug:slug>/events/": "name source id state after before older",
    "w/<slug:slug>/events/replay/": "name source state after before",
    "w/<slug:slug>/subscriptions/": "q after",
    "w/<slug:slug>/subscriptions/new/": "pattern",
    "w/<slug:slug>/subscriptions/<slug:name>/": "older",
    "api/v1/agents/<slug:name>/diff": "before after",
    "api/v1/agents/<slug:name>/export": "version",
    "w/<slug:slug>/agents/<slug:name>/compare/": "before after",
    "w/<slug:slug>/agents/<slug:name>/export/": "version",
    "admin/agents/run/": "q p o e id__exact status__exact workspace__id__exact nonsense",
    "admin/agents/step/": "q p o id__exact",
}
BODIES = {
    "api/v1/runs": "agent workflow input priority tags not_before nonsense",
    "api/v1/runs/<uuid:run_id>/decisions": "key choice outcome",
    "api/v1/documents": "title text url",
    "api/v1/events": "name data source id occurred_at tainted",
    "api/v1/events/replay": "name source state after before",
    "api/v1/subscriptions": "name pattern agent version filter input priority flow state note",
    "api/v1/subscriptions/would-match": "pattern agent filter input flow",
    "api/v1/runs/<uuid:run_id>/signals/<str:signal>": "data id",
    "api/v1/agents": "name description workflow options input_schema caps tools",
    "api/v1/agents/import": "yaml preview revision",
    "api/v1/runs/<uuid:run_id>/cancel": "nonsense",
    "api/v1/webhooks/sources": "name scheme secret options tolerance event_name type_from id_from enabled note",
    "api/v1/webhooks/endpoints": "name url events filter secret note",
    "api/v1/webhooks/endpoints/<slug:name>/replay": "since until which",
    "api/v1/webhooks/endpoints/<slug:name>/rotate": "secret hours",
    "api/v1/schedules": "name cron time_zone seconds at agent input",
    "api/v1/schedule-times": "at jitter",
    "api/v1/watchers": "kind target",
}
FORMS = {
    "login/": "username password next",
    "password/": "current password again",
    "w/<slug:slug>/start/": "goal agent",
    f"{RUN}decide/": "key choice outcome step next",
    f"{RUN}signal/": "wait name key value next step",
    f"{RUN}cancel/": "next step",
    "w/<slug:slug>/documents/add/": "title url text",
    "w/<slug:slug>/agents/new/": "name description",
    "w/<slug:slug>/agents/import/": "yaml revision",
    "w/<slug:slug>/agents/<slug:name>/draft/": "revision instructions options caps__steps caps__usd tools",
    "w/<slug:slug>/agents/<slug:name>/publish/": "revision note",
    "w/<slug:slug>/agents/<slug:name>/start/": "version value-goal",
    "w/<slug:slug>/settings/tokens/": "name scopes days",
    "w/<slug:slug>/events/send/": "name said source event_id tainted key",
    "w/<slug:slug>/events/replay/": "name source state after before key",
    "w/<slug:slug>/subscriptions/new/": "name pattern filter agent version input priority state note key batch__count "
    "batch__seconds debounce__seconds rate__count throttle__seconds overlap try",
    "w/<slug:slug>/webhooks/in/add/": "name scheme secret event_name type_from id_from tolerance header before signed",
    "w/<slug:slug>/webhooks/out/add/": "name url events filter note secret",
    "w/<slug:slug>/webhooks/out/<slug:name>/": "url events filter note",
    "w/<slug:slug>/webhooks/out/<slug:name>/replay/": "which since until",
    "w/<slug:slug>/webhooks/in/<slug:name>/rotate/": "secret hours",
    "w/<slug:slug>/new-schedule/": "name timing cron every at time_zone input",
    "w/<slug:slug>/schedules/<slug:name>/edit/": "at preview",
    "w/<slug:slug>/schedules/<slug:name>/run/": "key",
    "w/<slug:slug>/new-watcher/": "kind url selector",
}
VALID = {
    "timing": '"once"',
    "at": '"2100-01-01T00:00:00Z"',
    "time_zone": '"Europe/Berlin"',
    "overlap": '"skip"',
    "catch_up": '"one"',
    "unit": "1",
    "kind": '"url"',
    "url": '"https://example.org/"',
    "workflow": '"react"',
    "key": '"s#0"',
    "choice": '"done"',
    "text": '"words"',
    "wait": "1",
}
HEADERS = (
    *("Accept", "Accept-Language", "Authorization", "Content-Type", "Cookie", "Host", "HX-Target", "Idempotency-Key"),
    *("If-Modified-Since", "Last-Event-ID", "Origin", "Range", "Referer", "X-Correlation-ID", "X-Forwarded-For"),
    *("X-Request-ID", "X-Requested-With"),
)


class Site:
    """Somebody who may do everything, and what answered with an error of ours."""

    def __init__(self) -> None:
        home = make_workspace("home")
        person = make_user(home, Role.ADMIN, is_staff=True, is_superuser=True)
        self.run = make_run(home)
        now = timezone.now()
        step = Step.objects.create(run=self.run, key="s#0", kind="step", name="s", status="unknown", started_at=now)
        Wait.objects.create(run=self.run, kind="unknown", key="decide:s#0", name="s#0")
        # Under the number that a form names if it is not about this.
        Listener.objects.create(pk=1, workspace=home, run=self.run, key="s#0", pattern="*")
        document = Document.objects.create(workspace=home, title="A text", text="Words.", size=6, digest="d")
        make_agent(home, "helper")
        Subscription.objects.create(workspace=home, name="helper", pattern="*", agent=Agent.objects.get())
        delivery = make_webhooks(home)
        Schedule.objects.create(workspace=home, name="helper", timing="interval", seconds=600, anchor=now)
        self.arguments = {
            "slug": home.slug,
            "run_id": str(self.run.pk),
            "step_id": str(step.pk),
            "document_id": str(document.pk),
            "name": "helper",
            "delivery_id": str(delivery.pk),
        }
        self.pages = Client(raise_request_exception=False)
        self.pages.force_login(person)
        self.api = make_client(make_token(home, person, scopes=Scope.values))
        self.errors: list[str] = []

    def client(self, path: str) -> Client:
        return self.api if path.startswith("/api/") else self.pages

    def send(self, method: str, path: str, **options: Any) -> int:
        answer = self.client(path).generic(method, path, **options)
        if answer.status_code >= 500:
            self.errors.append(f"{answer.status_code} {method} {path[:150]} {options}"[:300])
        return int(answer.status_code)


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    assert made.errors == []


@pytest.mark.fault(47)
def test_ids_in_addresses(site: Site) -> None:
    for route in routes():
        for name in arguments_of(route):
            for text in FEW if route.startswith("admin/") else TEXTS:
                path = address(route, {**site.arguments, name: quote(text)})
                assert site.send("GET", path) in (302, 400, 403, 404, 405, 410), path[:100]


@pytest.mark.fault(47)
@pytest.mark.parametrize("route", PARAMETERS)
def test_parameters(site: Site, route: str) -> None:
    path = address(route, site.arguments)
    for name in PARAMETERS[route].split():
        texts = TEXTS if path.startswith("/api/") else FEW
        statuses = [site.send("GET", f"{path}?{name}={quote(text)}") for text in texts]
        # What one database would refuse or cut off is refused before either sees it.
        assert statuses[0] == 400
    for text in FEW:
        site.send("GET", f"{path}?{quote(text)}=1")


@pytest.mark.fault(47)
@pytest.mark.parametrize("route", BODIES)
def test_json_bodies(site: Site, route: str) -> None:
    path = address(route, site.arguments)
    names = BODIES[route].split()
    for name in names:
        for value in VALUES:
            given = {other: VALID[other].encode() for other in names if other in VALID} | {name: value}
            body = b"{" + b",".join(b'"%s":%s' % (other.encode(), given[other]) for other in given) + b"}"
            status = site.send("POST", path, data=body, content_type="application/json")
            # A verb without a body never reads one.
            assert value not in HOSTILE or status == (202 if route.endswith("cancel") else 400), (name, value[:50])
    for value in (*VALUES, b"", b"{", b"\xff"):
        site.send("POST", path, data=value, content_type="application/json")


@pytest.mark.fault(47)
@pytest.mark.parametrize("route", FORMS)
def test_forms(site: Site, route: str) -> None:
    path = address(route, site.arguments)
    names = FORMS[route].split()
    for name in names:
        for text in FEW if route == "login/" else TEXTS:
            given: dict[str, str | bytes] = {other: VALID.get(other, "x").strip('"') for other in names}
            content = urlencode(given | {name: text})
            site.send("POST", path, data=content, content_type="application/x-www-form-urlencoded")
    for raw in (b"\x00", b"--x\r\n", b"a=b&" * 2000):
        for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "multipart/form-data"):
            site.send("POST", path, data=raw, content_type=kind)


@pytest.mark.fault(47)
def test_files(site: Site) -> None:
    path = address("w/<slug:slug>/documents/add/", site.arguments)
    for text in TEXTS:
        file = SimpleUploadedFile("a\x00/../b.txt", text)
        answer = site.pages.post(path, {"file": file, "title": "", "url": ""})
        assert answer.status_code in (302, 400, 422)


@pytest.mark.fault(47)
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/api/v1/runs"), ("GET", "/w/home/workers/"), ("GET", "/static/admin/css/base.css")],
)
def test_headers(site: Site, method: str, path: str) -> None:
    for name in HEADERS:
        for text in FEW:
            site.send(method, path, headers={name: text.decode("latin-1")}, data=b'{"workflow":"react"}')
    spelled = [f'{settings.SESSION_COOKIE_NAME}="aaaaaaaa\\{code}"' for code in ("000", "377", "12")]
    others = ["tz=../../etc/passwd", 'tz="a\\000"', f'{settings.CSRF_COOKIE_NAME}="\\000"', "=;=;", "a" * 5000]
    for cookie in (*spelled, *others):
        anybody = Client(raise_request_exception=False)
        assert anybody.generic(method, path, headers={"Cookie": cookie}).status_code in (200, 302, 401)


@pytest.mark.fault(47)
def test_methods(site: Site) -> None:
    for route in routes():
        if not route.startswith("admin/"):
            for method in ("PUT", "OPTIONS", "TRACE", "x" * 100):
                site.send(method, address(route, site.arguments), data=b"\x00", content_type="application/json")
    assert Run.objects.filter(pk=site.run.pk, status="waiting").exists()
