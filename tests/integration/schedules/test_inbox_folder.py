"""The inbox folder: what is put there is taken once, whole, and into its own workspace."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from agents.models import Document, Event, Workspace
from agents.services import inbox_folder
from agents.services.documents import MAX_BYTES
from agents.services.inbox_folder import InboxFolder
from tests.factories import make_workspace

pytestmark = pytest.mark.django_db


@pytest.fixture
def workspace() -> Workspace:
    return make_workspace("home")


@pytest.fixture
def folder(workspace: Workspace, tmp_path: Path) -> Path:
    made = tmp_path / "home"
    made.mkdir()
    return made


def put(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def received() -> list[Any]:
    return list(Event.objects.filter(name="file.received").order_by("id").values_list("data", flat=True))


def look_twice(folder: Path) -> int:
    inbox = InboxFolder(folder.parent)
    return inbox.look() + inbox.look()


def test_a_text_becomes_a_document_and_an_event(workspace: Workspace, folder: Path) -> None:
    put(folder, "Lamps of June.md", "# Lamps\n\nThe red one costs 12 EUR.")
    inbox = InboxFolder(folder.parent)
    assert [inbox.look() for _ in range(4)] == [0, 1, 0, 0]
    document = Document.objects.get()
    assert (document.workspace, document.title, document.media_type) == (workspace, "Lamps of June", "text/markdown")
    (data,) = received()
    assert {name: data[name] for name in ("name", "size", "document", "reason")} == {
        "name": "Lamps of June.md",
        "size": 34,
        "document": document.pk,
        "reason": "",
    }
    event = Event.objects.get(name="file.received")
    assert (event.workspace, event.source, event.tainted) == (workspace, "inbox", True)
    assert [path.name for path in (folder / "taken").iterdir()] == ["Lamps of June.md"]
    assert [path.name for path in folder.iterdir()] == ["taken"]


def test_what_is_being_written_is_not_taken(folder: Path) -> None:
    inbox = InboxFolder(folder.parent)
    path = put(folder, "a.txt", "half of")
    put(folder, "b.txt.part", "half of")
    put(folder, ".c.txt", "half of")
    inbox.look()
    with path.open("a") as file:
        file.write(" a text")
    assert inbox.look() == 0
    assert inbox.look() == 1
    assert Document.objects.get().text == "half of a text"
    assert inbox.look() == 0


def test_what_dies_before_the_file_is_moved_takes_nothing_twice(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(folder, "a.txt", "A text.")

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(inbox_folder, "_move", die)
        with pytest.raises(KeyboardInterrupt):
            look_twice(folder)
    assert path.exists()
    assert look_twice(folder) == 1
    assert (len(received()), Document.objects.count(), path.exists()) == (1, 1, False)


def test_two_workers_take_it_once(folder: Path) -> None:
    put(folder, "a.txt", "A text.")
    one, other = InboxFolder(folder.parent), InboxFolder(folder.parent)
    assert [inbox.look() for inbox in (one, other, one, other)] == [0, 0, 1, 0]
    assert len(received()) == 1


def test_the_same_name_again_is_another_file(folder: Path) -> None:
    for text in ("First.", "Second."):
        put(folder, "a.txt", text)
        assert look_twice(folder) == 1
    assert len(received()) == Document.objects.count() == len(list((folder / "taken").iterdir())) == 2


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("scan.pdf", b"%PDF-1.7", "Documents are made of"),
        ("bad.txt", b"\xff\xfe\xfa", "not written in UTF-8"),
        ("empty.txt", b"", "has no text"),
        ("large.txt", b"x" * (MAX_BYTES + 1), "at most"),
    ],
)
def test_what_is_no_document_is_told_of_all_the_same(folder: Path, name: str, content: bytes, reason: str) -> None:
    put(folder, name, content)
    assert look_twice(folder) == 1
    (data,) = received()
    assert data["document"] is None
    assert reason in data["reason"]
    assert not Document.objects.exists()
    assert (folder / "taken" / name).exists()


def test_only_folders_of_workspaces_and_plain_files_are_looked_at(folder: Path, tmp_path: Path) -> None:
    secret = put(tmp_path, "secret.txt", "not for documents")
    (folder / "link.txt").symlink_to(secret)
    (folder / "below").mkdir()
    put(folder / "below", "a.txt", "A text.")
    os.mkfifo(folder / "pipe.txt")
    (tmp_path / "away").symlink_to(folder)
    other = tmp_path / "nobody"
    other.mkdir()
    put(other, "a.txt", "A text.")
    assert look_twice(folder) == 0
    assert not Event.objects.exists()
    assert InboxFolder(tmp_path / "not-there").look() == 0
    assert InboxFolder().look() == 0, "no setting, no inbox"
