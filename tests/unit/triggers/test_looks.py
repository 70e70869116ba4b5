"""Looking at pages, feeds, folders and databases: the first look tells nothing, later ones what has changed."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from agents.triggers.looks.base import BadTarget, Look, Surroundings
from agents.triggers.looks.feeds import MAX_AT_ONCE
from agents.triggers.looks.folders import SETTLED_SECONDS
from agents.triggers.looks.looking import look, read_target
from tests.unit.tools.local_server import LocalServer, reply
from tools.errors import AddressRefused, ToolFailed, ToolRetry, ToolsError
from tools.http import Outbound

pytestmark = pytest.mark.anyio


def page(body: str, **headers: str) -> bytes:
    head = "<html><head><title>Shop</title></head><body>"
    return reply(f"{head}{body}</body></html>".encode(), content_type="text/html", **headers)


def feed(*entries: tuple[str, str]) -> bytes:
    items = "".join(
        f"<item><guid>{id}</guid><title>{title}</title><link>/news/{id}</link>"
        "<description>&lt;p&gt;Words &amp;amp; &lt;b&gt;more&lt;/b&gt;&lt;/p&gt;</description>"
        "<pubDate>Mon, 01 Jun 2026 10:00:00 +0200</pubDate></item>"
        for id, title in entries
    )
    text = f'<?xml version="1.0"?><rss version="2.0"><channel><title>News</title>{items}</channel></rss>'
    return reply(text.encode(), content_type="application/rss+xml")


class TestPages:
    """Pages of the web."""

    async def test_a_text_that_a_selector_names(self, server: LocalServer, around: Surroundings) -> None:
        target = {"url": server.url("/lamp"), "selector": ".price"}
        server.routes["/lamp"] = page('<p class="price">12 EUR</p><p>Seen 1 time</p>')
        first = await look("url", target, None, around)
        assert first.changes == ()
        server.routes["/lamp"] = page('<p class="price"> 12  EUR</p><p>Seen 2 times</p>')
        same = await look("url", target, first.state, around)
        assert same.changes == ()
        server.routes["/lamp"] = page('<p class="price">11 EUR</p><p>Seen 3 times</p>')
        changed = await look("url", target, same.state, around)
        (change,) = changed.changes
        assert change.data == {
            "url": server.url("/lamp"),
            "title": "Shop",
            "text": "11 EUR",
            "added": ["11 EUR"],
            "removed": ["12 EUR"],
        }
        assert (await look("url", target, changed.state, around)).changes == ()

    async def test_what_a_selector_no_longer_finds_has_changed_and_is_said(
        self, server: LocalServer, around: Surroundings
    ) -> None:
        target = {"url": server.url("/lamp"), "selector": "#sold-out"}
        server.routes["/lamp"] = page('<p id="sold-out">Sold out</p>')
        first = await look("url", target, None, around)
        assert first.note == ""
        server.routes["/lamp"] = page("<p>Buy</p>")
        gone = await look("url", target, first.state, around)
        assert [change.data["removed"] for change in gone.changes] == [["Sold out"]]
        assert gone.note == "The selector selects nothing at present."

    async def test_the_readable_text_of_a_whole_page(self, server: LocalServer, around: Surroundings) -> None:
        target = {"url": server.url("/notes")}
        server.routes["/notes"] = reply(b"one\ntwo\n", content_type="text/plain")
        first = await look("url", target, None, around)
        server.routes["/notes"] = reply(b"one\ntwo\nthree\n", content_type="text/plain")
        (change,) = (await look("url", target, first.state, around)).changes
        assert (change.data["added"], change.data["removed"]) == (["three"], [])

    async def test_a_server_that_knows_says_that_nothing_is_new(
        self, server: LocalServer, around: Surroundings
    ) -> None:
        target = {"url": server.url("/notes")}
        server.routes["/notes"] = reply(b"one", content_type="text/plain", etag='"a1"', last_modified="yesterday")
        first = await look("url", target, None, around)
        server.routes["/notes"] = reply(status="304 Not Modified")
        same = await look("url", target, first.state, around)
        assert (same.state, same.changes) == (first.state, ())
        asked = server.seen[-1][1]
        assert (asked["if-none-match"], asked["if-modified-since"]) == ('"a1"', "yesterday")
        # Another mark with the same text is no change.
        server.routes["/notes"] = reply(b"one", content_type="text/plain", etag='"a2"')
        marked = await look("url", target, same.state, around)
        assert (marked.changes, marked.state["etag"]) == ((), '"a2"')

    async def test_what_is_no_text_is_compared_by_its_bytes(self, server: LocalServer, around: Surroundings) -> None:
        target = {"url": server.url("/a.png")}
        server.routes["/a.png"] = reply(b"\x89PNG\x00a", content_type="image/png")
        first = await look("url", target, None, around)
        assert (await look("url", target, first.state, around)).changes == ()
        server.routes["/a.png"] = reply(b"\x89PNG\x00b", content_type="image/png")
        assert len((await look("url", target, first.state, around)).changes) == 1

    async def test_errors_are_no_changes(self, server: LocalServer, around: Surroundings) -> None:
        for path, status, error in (("/gone", "404 Not Found", ToolFailed), ("/busy", "503 Busy", ToolRetry)):
            server.routes[path] = reply(b"An error", status=status)
            with pytest.raises(error):
                await look("url", {"url": server.url(path)}, {"digest": "d", "text": "t"}, around)

    async def test_only_the_guarded_client_looks_and_sites_are_asked(
        self, server: LocalServer, around: Surroundings
    ) -> None:
        async with Outbound() as guarded:
            nobodys = Surroundings(guarded, 1, around.now)
            for kind in ("url", "feed"):
                with pytest.raises(AddressRefused):
                    await look(kind, {"url": server.url("/x")}, None, nobodys)
        server.routes["/robots.txt"] = reply(b"User-agent: *\nDisallow: /private", content_type="text/plain")
        with pytest.raises(ToolFailed, match=r"robots\.txt"):
            await look("url", {"url": server.url("/private")}, None, around)


class TestFeeds:
    """Feeds."""

    async def test_each_new_entry_is_one_change_oldest_first(self, server: LocalServer, around: Surroundings) -> None:
        target = {"url": server.url("/feed")}
        server.routes["/feed"] = feed(("2", "Two"), ("1", "One"))
        first = await look("feed", target, None, around)
        assert first.changes == ()
        server.routes["/feed"] = feed(("4", "Four"), ("3", "Three &amp; more"), ("2", "Two, edited"))
        second = await look("feed", target, first.state, around)
        assert [change.data["entry"] for change in second.changes] == [
            {
                "id": id,
                "title": title,
                "link": server.url(f"/news/{id}"),
                "summary": "Words & more",
                "author": "",
                "published": "2026-06-01T08:00:00+00:00",
            }
            for id, title in (("3", "Three & more"), ("4", "Four"))
        ]
        assert second.changes[0].data["feed"] == "News"
        assert len({change.key for change in second.changes}) == 2
        # An entry that comes back is not new.
        server.routes["/feed"] = feed(("1", "One"))
        assert (await look("feed", target, second.state, around)).changes == ()

    async def test_of_many_the_rest_is_new_at_the_next_look(self, server: LocalServer, around: Surroundings) -> None:
        target = {"url": server.url("/feed")}
        server.routes["/feed"] = feed()
        state = (await look("feed", target, None, around)).state
        entries = [(str(number), f"N{number}") for number in range(MAX_AT_ONCE + 20, 0, -1)]
        server.routes["/feed"] = feed(*entries).replace(b"\r\n\r\n", b'\r\netag: "a"\r\n\r\n', 1)
        keys: list[str] = []
        for expected in (MAX_AT_ONCE, 20, 0):
            found = await look("feed", target, state, around)
            state = found.state
            assert len(found.changes) == expected
            keys += [change.key for change in found.changes]
        assert len(set(keys)) == MAX_AT_ONCE + 20

    @pytest.mark.parametrize(
        "body",
        [
            b"<html><body>No feed</body></html>",
            b"",
            b'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY f SYSTEM "file:///etc/passwd">]><r>&f;</r>',
        ],
    )
    async def test_what_is_no_feed_says_so(self, body: bytes, server: LocalServer, around: Surroundings) -> None:
        server.routes["/feed"] = reply(body, content_type="text/xml")
        with pytest.raises(ToolFailed, match="is no feed"):
            await look("feed", {"url": server.url("/feed")}, None, around)

    async def test_a_feed_of_strangers_reads_no_file_and_does_no_harm(
        self, server: LocalServer, around: Surroundings, tmp_path: Path
    ) -> None:
        secret = tmp_path / "secret"
        secret.write_text("not for feeds")
        doctype = f'<!DOCTYPE rss [<!ENTITY f SYSTEM "file://{secret}"><!ENTITY a "{"x" * 1000}">'
        doctype += "".join(f'<!ENTITY {b} "{f"&{a};" * 50}">' for a, b in zip("abcde", "bcdeg", strict=True)) + "]>"
        hostile = feed(("1", "T&f;&g;")).partition(b"\r\n\r\n")[2].replace(b"<rss", doctype.encode() + b"<rss")
        server.routes["/feed"] = reply(hostile, content_type="application/rss+xml")
        try:
            found = str(await look("feed", {"url": server.url("/feed")}, {"seen": []}, around))
        except ToolsError as error:
            found = str(error)
        assert "not for feeds" not in found
        assert len(found) < 100_000


class TestFolders:
    """Folders of the server."""

    async def look(self, root: Path, state: Any, around: Surroundings, pattern: str = "") -> Look:
        with override_settings(FOLDERS={"in": {"path": str(root)}}):
            target = {"folder": "in", "pattern": pattern} if pattern else {"folder": "in"}
            return await look("folder", target, state, around)

    @staticmethod
    def write(path: Path, text: str, age: float = 60) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        moment = datetime.now(UTC).timestamp() - age
        os.utime(path, (moment, moment))

    async def test_files_that_come_change_and_go(self, tmp_path: Path, around: Surroundings) -> None:
        for name in ("old.csv", "stays.csv", "goes.csv", "other.txt"):
            self.write(tmp_path / name, "a")
        first = await self.look(tmp_path, None, around, "*.csv")
        assert first.changes == ()
        assert (await self.look(tmp_path, first.state, around, "*.csv")).changes == ()
        self.write(tmp_path / "old.csv", "ab")
        self.write(tmp_path / "below" / "new.csv", "abc")
        self.write(tmp_path / "new.txt", "abc")
        self.write(tmp_path / ".hidden.csv", "abc")
        (tmp_path / "goes.csv").unlink()
        (tmp_path / "link.csv").symlink_to("/etc/passwd")
        (tmp_path / "away").symlink_to("/etc")
        found = await self.look(tmp_path, first.state, around, "*.csv")
        (change,) = found.changes
        assert change.data == {
            "folder": "in",
            "new": [{"name": "below/new.csv", "size": 3}],
            "changed": [{"name": "old.csv", "size": 2}],
            "removed": [{"name": "goes.csv"}],
            "new_count": 1,
            "changed_count": 1,
            "removed_count": 1,
        }
        assert (await self.look(tmp_path, found.state, around, "*.csv")).changes == ()

    async def test_a_file_that_is_being_written_is_waited_for(self, tmp_path: Path, around: Surroundings) -> None:
        self.write(tmp_path / "a.csv", "a")
        state = (await self.look(tmp_path, None, around)).state
        self.write(tmp_path / "b.csv", "half", age=0)
        self.write(tmp_path / "a.csv", "changed", age=0)
        found = await self.look(tmp_path, state, around)
        assert (found.changes, found.state) == ((), state)
        for name in ("a.csv", "b.csv"):
            self.write(tmp_path / name, "whole now", age=SETTLED_SECONDS + 1)
        (change,) = (await self.look(tmp_path, found.state, around)).changes
        assert (change.data["new_count"], change.data["changed_count"]) == (1, 1)

    async def test_a_folder_that_is_away_is_a_failure_and_no_change(self, tmp_path: Path, around: Surroundings) -> None:
        with pytest.raises(ToolRetry, match="can't be read"):
            await self.look(tmp_path / "unmounted", {"files": {"a": [1, 1]}}, around)
        with override_settings(FOLDERS={}), pytest.raises(ToolFailed, match="No folder named"):
            await look("folder", {"folder": "/etc"}, None, around)


async def test_rows_that_come_and_go(tmp_path: Path, around: Surroundings) -> None:
    path = tmp_path / "shop.sqlite3"

    def change(*statements: str) -> None:
        with closing(sqlite3.connect(path)) as file, file:
            for statement in statements:
                file.execute(statement)

    change("CREATE TABLE lamps (name text, price numeric)", "INSERT INTO lamps VALUES ('a', 1), ('b', 2), ('b', 2)")
    target = {"connection": "shop", "sql": "SELECT name, price FROM lamps ORDER BY name"}
    with override_settings(SQL_CONNECTIONS={"shop": {"url": f"sqlite:///{path}"}}):
        first = await look("sql", target, None, around)
        assert first.changes == ()
        for same in (target, {**target, "sql": f"{target['sql']} DESC"}):
            assert (await look("sql", same, first.state, around)).changes == ()
        change("DELETE FROM lamps WHERE rowid = 3", "UPDATE lamps SET price = 3 WHERE name = 'a'")
        (found,) = (await look("sql", target, first.state, around)).changes
        assert found.data == {
            "connection": "shop",
            "columns": ["name", "price"],
            "rows": [["a", 3], ["b", 2]],
            "row_count": 2,
            "is_cut": False,
            "added": [["a", 3]],
            "removed": [["a", 1], ["b", 2]],
        }
        with pytest.raises(ToolFailed, match="refuses"):
            await look("sql", {**target, "sql": "SELECT nothing FROM lamps"}, None, around)


@pytest.mark.parametrize(
    ("kind", "target", "field"),
    [
        ("url", {}, "url"),
        ("url", {"url": "file:///etc/passwd"}, "url"),
        ("url", {"url": "http://user:secret@example.org/"}, "url"),
        ("url", {"url": "https://example.org", "selector": "a[["}, "selector"),
        ("url", {"url": "https://example.org", "nonsense": 1}, "nonsense"),
        ("url", {"url": 7}, "url"),
        ("url", {"url": "https://example.org/\x00"}, "url"),
        ("feed", {"url": "javascript:alert(1)"}, "url"),
        ("folder", {"folder": ""}, "folder"),
        ("folder", {"folder": "in", "pattern": ["*"]}, "pattern"),
        ("sql", {"connection": "shop", "sql": "DELETE FROM lamps"}, "sql"),
        ("sql", {"sql": "SELECT 1"}, "connection"),
        ("smell", {}, "kind"),
    ],
)
def test_what_can_not_be_looked_at_is_refused(kind: str, target: dict[str, Any], field: str) -> None:
    with pytest.raises(BadTarget) as raised:
        read_target(kind, target)
    assert raised.value.field == field
