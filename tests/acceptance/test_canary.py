"""A secret is used in every way, by a tool that spills it and a provider that quotes it, and is found nowhere."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
import zstandard
from cryptography.fernet import Fernet

from tests.clients import log_in
from tests.instance import Instance, wait_until
from tests.leaks import SECRET, WAYS
from tests.model_server import ModelServer, Status

CANARY = "C4NARY-0123456789abcdef"
# What JSON, URLs and HTML write otherwise.
VALUE = f'sk-"{CANARY}"/+&<>'
# Its middle in Base64, wherever it stands within what is encoded.
SPELLINGS = [CANARY, *(base64.b64encode(bytes(n) + CANARY.encode())[4:-4].decode() for n in range(3))]
ENVIRONMENT = {
    "TOOL_MODULES": "tests.leaks",
    "WORKFLOW_MODULES": "tests.leaks",
    "OPENAI_API_KEY": f"secret:{SECRET}",
    "GRACE_SECONDS": "3",
}


def found_in(text: str | bytes) -> list[str]:
    raw = text if isinstance(text, bytes) else text.encode()
    return [spelling for spelling in SPELLINGS if spelling.encode() in raw]


def tables(instance: Instance) -> Iterator[tuple[str, bytes]]:
    """Give each table as the database writes it out, and the files of SQLite as they are."""
    url = instance.database_url
    if url.startswith("sqlite"):
        path = Path(urlsplit(url).path[1:])
        yield from ((file.name, file.read_bytes()) for file in path.parent.glob(f"{path.name}*"))
        with closing(sqlite3.connect(path)) as connection:
            names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for name in names:
                yield name, str(connection.execute(f'SELECT * FROM "{name}"').fetchall()).encode()  # noqa: S608
            larges = connection.execute("SELECT data FROM agents_largeoutcome").fetchall()
    else:
        with psycopg.connect(url, autocommit=True) as server:
            rows = server.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            for (name,) in rows:
                with server.cursor().copy(f'COPY "{name}" TO STDOUT'.encode()) as copied:
                    yield name, b"".join(bytes(part) for part in copied)
            larges = server.execute("SELECT data FROM agents_largeoutcome").fetchall()
    assert larges, "a large outcome was to be looked at too"
    yield from (("large", zstandard.ZstdDecompressor().decompress(bytes(data))) for (data,) in larges)


def kept_and_refused(api: httpx.Client) -> list[httpx.Response]:
    """Keep the secret; what is refused is not quoted."""
    answers = [
        api.put(f"secrets/{SECRET}", json={"value": VALUE, "note": "a canary"}),
        api.put(f"secrets/{SECRET}", json={"value": VALUE, "hosts": ["no host"]}),
        api.put(f"secrets/{SECRET}", json={"value": [VALUE]}),
        api.put("secrets/-", json={"value": VALUE}),
    ]
    assert [answer.status_code for answer in answers] == [200, 400, 400, 400]
    return answers


def is_in_no_table_and_no_log(instance: Instance) -> None:
    assert {name: found_in(content) for name, content in tables(instance) if found_in(content)} == {}
    logs = {process.name: process.log.read_bytes() for process in instance.processes}
    assert "[secret shop]" in str(logs), "the tool was to write it into the log"
    assert {name: found_in(log) for name, log in logs.items() if found_in(log)} == {}


@pytest.mark.fault(45)
def test_a_secret_is_found_nowhere_while_its_keys_are_changed(instance: Instance, tmp_path: Path) -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    changed = tmp_path / "changed"
    with ModelServer(key=VALUE) as server, ExitStack() as clients:
        server.script(Status(400, f"{VALUE} is no key of ours"))
        instance.environment |= ENVIRONMENT
        instance.environment |= {"SECRETS_KEYS": old, "KEYS_CHANGED": str(changed), "OPENAI_BASE_URL": server.url}
        instance.start_web()
        worker = instance.start_worker()
        api = clients.enter_context(closing(instance.client(instance.token(scopes=["read", "write", "admin"]))))
        answers = kept_and_refused(api)
        run = str(api.post("runs", json={"workflow": "leaks", "input": {}}).json()["id"])
        told = wait_until(lambda: "progress" in api.get(f"runs/{run}/events").text, 60, "the secret to be used")
        assert told
        # The run is under way. Its next worker knows the new key alone.
        assert "1 of 1" in instance.manage("secrets", "rotate", SECRETS_KEYS=f"{new},{old}")
        worker.stop()
        instance.start_worker(SECRETS_KEYS=new)
        changed.touch()
        wait_until(lambda: api.get(f"runs/{run}").json()["finished_at"], 60, "the run to end")
        shown = api.get(f"runs/{run}")
        assert shown.json()["status"] == "succeeded", shown.text
        output = shown.json()["output"]
        assert len(output) == len(WAYS) + 2
        for text in (output[0], output[2], output[3], output[4], output[5], output[-2], output[-1]):
            assert "[secret shop]" in text, output
        assert server.requests[0].headers["authorization"] == f"Bearer {VALUE}"
        assert found_in(str(server.requests[0].body)) == []
        browser = clients.enter_context(closing(log_in(instance)))
        pages = [
            browser.get(f"/w/default/runs/{run}/"),
            browser.get("/w/default/settings/secrets/"),
            browser.get("/admin/tools/secret/"),
        ]
        answers += [shown, api.get(f"runs/{run}/steps"), api.get(f"runs/{run}/events"), api.get("secrets"), *pages]
        assert [answer.status_code for answer in answers[4:]] == [200] * 7
        assert {str(answer.url): found_in(answer.content) for answer in answers if found_in(answer.content)} == {}
        is_in_no_table_and_no_log(instance)
