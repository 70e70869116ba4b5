"""The websockets and the event stream: who may open them, what ends them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from channels.db import database_sync_to_async
from channels.testing import WebsocketCommunicator
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.db import connections
from django.test import Client
from django.utils import timezone
from knox.crypto import hash_token

from agents.engine.notify import announce
from agents.live import access, sse
from agents.live.consumers import READ_ONLY
from agents.models import Approval, AuthToken, Membership, Role, Run, RunStatus
from tests.factories import add_events, make_approval, make_run, make_token, make_user, make_workspace

pytestmark = [pytest.mark.anyio, pytest.mark.django_db(transaction=True)]

OWN = "http://testserver"
PATIENCE = 5.0


async def apart(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call on a thread that leaves no connection behind."""

    def call() -> Any:
        try:
            return function(*args, **kwargs)
        finally:
            connections.close_all()

    return await asyncio.to_thread(call)


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "CHECK_SECONDS", 0.05)
    monkeypatch.setattr(access, "_REMEMBER_SECONDS", 0.0)


@pytest.fixture
def run() -> Run:
    return make_run(make_workspace())


def session_of(user: Any) -> str:
    client = Client()
    client.force_login(user)
    return str(client.cookies[_cookie()].value)


def _cookie() -> str:
    from django.conf import settings

    return settings.SESSION_COOKIE_NAME


@asynccontextmanager
async def opened(path: str, session: str, origin: str | None = OWN) -> AsyncIterator[tuple[Any, bool]]:
    """Open a socket as a browser does; give it and whether it was accepted."""
    from agentsite.asgi import application

    headers = [(b"host", b"testserver"), (b"cookie", f"{_cookie()}={session}".encode())]
    if origin is not None:
        headers.append((b"origin", origin.encode()))
    socket = WebsocketCommunicator(application, path, headers=headers)
    accepted, _ = await socket.connect(timeout=PATIENCE)
    try:
        yield socket, accepted
    finally:
        await socket.disconnect()
        # Channels looks sessions up on a thread that lasts.
        await database_sync_to_async(connections.close_all)()


async def closed_with(socket: Any) -> int:
    """Read until the socket is closed; give the code."""
    while True:
        message = await socket.receive_output(timeout=PATIENCE)
        if message["type"] == "websocket.close":
            return int(message["code"])


async def test_tells_a_run_to_its_end(run: Run) -> None:
    session = await apart(lambda: session_of(make_user(run.workspace)))
    await apart(add_events, run, "run_queued", "run_started")
    async with opened(f"/ws/runs/{run.pk}?after=1", session) as (socket, accepted):
        assert accepted
        first = await socket.receive_json_from(timeout=PATIENCE)
        assert (first["type"], first["number"], first["kind"]) == ("event", 2, "run_started")
        state = await socket.receive_json_from(timeout=PATIENCE)
        assert (state["type"], state["run"]["status"]) == ("run", "waiting")
        await apart(add_events, run, "run_succeeded", status=RunStatus.SUCCEEDED)
        assert (await socket.receive_json_from(timeout=PATIENCE))["number"] == 3
        assert (await socket.receive_json_from(timeout=PATIENCE))["run"]["status"] == "succeeded"
        assert await closed_with(socket) == 1000


async def test_tells_the_runs_of_a_workspace(run: Run) -> None:
    session = await apart(lambda: session_of(make_user(run.workspace)))
    async with opened(f"/ws/w/{run.workspace.slug}/runs", session) as (socket, _):
        message = await socket.receive_json_from(timeout=PATIENCE)
        assert [line["id"] for line in message["runs"]] == [str(run.pk)]


async def test_tells_how_much_waits_for_a_person(run: Run) -> None:
    session = await apart(lambda: session_of(make_user(run.workspace)))
    other = await apart(make_run)

    def ask() -> None:
        make_approval(other)
        make_approval(run)
        announce(live=True)

    def refuse() -> None:
        Approval.objects.filter(run=run).update(status="rejected")
        announce(live=True)

    async with opened(f"/ws/w/{run.workspace.slug}/approvals", session) as (socket, _):
        told = [await socket.receive_json_from(timeout=PATIENCE)]
        for change in (ask, ask, refuse):
            await apart(change)
            told.append(await socket.receive_json_from(timeout=PATIENCE))
        assert told == [{"type": "approvals", "open": number} for number in (0, 1, 2, 0)]


@pytest.mark.fault(30)
@pytest.mark.parametrize(
    "origin", [None, "", "null", "http://evil.example", "http://testserver:81", "http://testserver.evil.example", "x"]
)
async def test_other_origins_are_refused(run: Run, origin: str | None) -> None:
    session = await apart(lambda: session_of(make_user(run.workspace)))
    async with opened(f"/ws/runs/{run.pk}", session, origin) as (_, accepted):
        assert not accepted


@pytest.mark.fault(34, 47)
async def test_who_may_not_watch_is_told_so(run: Run) -> None:
    stranger = await apart(lambda: session_of(make_user(make_workspace())))
    for session, path, code in (
        ("", f"/ws/runs/{run.pk}", 4401),
        ("made-up", f"/ws/w/{run.workspace.slug}/runs", 4401),
        (r'"nul-in-a-cookie-\000"', f"/ws/runs/{run.pk}", 4401),
        ("x" * 5000, f"/ws/runs/{run.pk}", 4401),
        (stranger, f"/ws/runs/{run.pk}", 4404),
        (stranger, f"/ws/w/{run.workspace.slug}/runs", 4404),
        (stranger, f"/ws/w/{run.workspace.slug}/approvals", 4404),
        (stranger, "/ws/w/nowhere/runs", 4404),
        (stranger, "/ws/runs/00000000-0000-0000-0000-000000000000", 4404),
    ):
        async with opened(path, session) as (socket, _):
            assert await closed_with(socket) == code


async def test_operators_of_the_admin_site_watch_all(run: Run) -> None:
    session = await apart(lambda: session_of(make_user(is_staff=True, is_superuser=True)))
    async with opened(f"/ws/runs/{run.pk}", session) as (socket, _):
        assert (await socket.receive_json_from(timeout=PATIENCE))["type"] == "run"


@pytest.mark.fault(31)
@pytest.mark.parametrize(
    ("what", "code"),
    [
        (lambda: Membership.objects.all().delete(), 4403),
        (lambda: get_user_model().objects.update(is_active=False), 4401),
        (lambda: get_user_model().objects.all().delete(), 4401),
        (lambda: get_user_model().objects.update(password="changed"), 4401),
        (lambda: Session.objects.all().delete(), 4401),
    ],
    ids=["role revoked", "user disabled", "user deleted", "password changed", "logged out"],
)
async def test_a_right_that_ends_ends_the_socket(run: Run, what: Callable[[], object], code: int) -> None:
    session = await apart(lambda: session_of(make_user(run.workspace)))
    async with opened(f"/ws/runs/{run.pk}", session) as (socket, _):
        await socket.receive_json_from(timeout=PATIENCE)
        await apart(what)
        assert await closed_with(socket) == code
        await apart(add_events, run, "progress")
        assert await socket.receive_nothing(timeout=0.2)


@pytest.mark.fault(32, 47)
@pytest.mark.parametrize("role", [Role.VIEWER, Role.ADMIN])
@pytest.mark.parametrize("said", ['{"type": "cancel"}', "null", "{", "\x00", "[" * 3000])
async def test_a_socket_takes_no_commands(run: Run, said: str, role: Role) -> None:
    session = await apart(lambda: session_of(make_user(run.workspace, role)))
    async with opened(f"/ws/runs/{run.pk}", session) as (socket, _):
        await socket.receive_json_from(timeout=PATIENCE)
        await socket.send_to(text_data=said)
        assert await closed_with(socket) == READ_ONLY
    assert (await apart(Run.objects.get, pk=run.pk)).status == RunStatus.WAITING


@pytest.mark.fault(47)
@pytest.mark.parametrize("after", ["x", "-1", "", "1.5", "9" * 40, "9" * 5000, "%00", "%ff", "%D9%A3", "NaN"])
async def test_an_unreadable_number_is_no_error(run: Run, after: str) -> None:
    session = await apart(lambda: session_of(make_user(run.workspace)))
    async with opened(f"/ws/runs/{run.pk}?after={after}", session) as (socket, _):
        assert (await socket.receive_json_from(timeout=PATIENCE))["type"] == "run"


async def test_a_stream_writes_numbered_events(run: Run) -> None:
    token = await apart(make_token, run.workspace)
    await apart(add_events, run, "run_queued", "run_succeeded", status=RunStatus.SUCCEEDED)
    right = access.TokenPass(hash_token(token))
    chunks = [chunk async for chunk in sse.stream(run.pk, after=1, right=right)]
    assert chunks[0].startswith(b"retry: ")
    assert chunks[1].startswith(b'id: 2\nevent: run_succeeded\ndata: {"number":2,')
    assert chunks[2].startswith(b'event: run\ndata: {"status":"succeeded"')
    assert len(chunks) == 3


async def test_a_stream_says_that_it_lives(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT_SECONDS", 0.1)
    right = access.TokenPass(hash_token(await apart(make_token, run.workspace)))
    stream = sse.stream(run.pk, after=0, right=right)
    chunks = [await asyncio.wait_for(anext(stream), PATIENCE) for _ in range(4)]
    assert chunks[2:] == [b": alive\n\n"] * 2
    await stream.aclose()


@pytest.mark.fault(31)
@pytest.mark.parametrize(
    "what",
    [
        lambda: AuthToken.objects.all().delete(),
        lambda: AuthToken.objects.update(expiry=timezone.now()),
        lambda: Membership.objects.all().delete(),
        lambda: get_user_model().objects.all().delete(),
    ],
    ids=["token revoked", "token expired", "role revoked", "user deleted"],
)
async def test_a_right_that_ends_ends_the_stream(run: Run, what: Callable[[], object]) -> None:
    right = access.TokenPass(hash_token(await apart(make_token, run.workspace)))

    async def read_all() -> int:
        return len([chunk async for chunk in sse.stream(run.pk, after=0, right=right)])

    reading = asyncio.create_task(read_all())
    await asyncio.sleep(0.3)
    assert not reading.done()
    await apart(what)
    assert await asyncio.wait_for(reading, PATIENCE) == 2
