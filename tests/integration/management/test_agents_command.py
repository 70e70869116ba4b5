"""`agentsite agents`: out as YAML, and in again elsewhere."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from agents.models import Workspace
from agents.services.drafts import draft_of, get_agent, save_draft
from tests.factories import make_agent, make_workspace

pytestmark = pytest.mark.django_db


def said(*arguments: str, **options: Any) -> str:
    out = StringIO()
    call_command("agents", *arguments, stdout=out, stderr=StringIO(), **options)
    return out.getvalue()


def test_an_agent_is_carried_by_a_file(tmp_path: Path) -> None:
    home, abroad = make_workspace("home"), make_workspace("abroad")
    make_agent(home, "reader", instructions="Read.\nTell.\n", tools=["web_fetch"])
    assert said("list", "--workspace", "home") == "reader\t1\t\n"
    text, file = said("export", "reader", "--workspace", "home"), tmp_path / "reader.yaml"
    file.write_text(text)
    assert said("import", str(file), "--workspace", "abroad") == "reader: draft\n"
    taken = get_agent(abroad, "reader")
    assert taken.current is None
    with pytest.raises(CommandError, match="--replace-draft"):
        said("import", str(file), "--workspace", "abroad")
    assert said("import", str(file), "--workspace", "abroad", "--replace-draft", "--publish") == "reader@1\n"
    assert said("export", "reader", "--workspace", "abroad") == text
    # What is there already makes no version.
    assert said("import", str(file), "--workspace", "abroad", "--publish") == "reader: as published\n"


def test_what_can_not_be_used_is_refused(tmp_path: Path) -> None:
    home: Workspace = make_workspace("home")
    agent, file = make_agent(home, "reader"), tmp_path / "reader.yaml"
    for content, told in (
        ("agentsite: agent/1\nname: reader\ntools: [rm]\n", "no tool named 'rm'"),
        ("agentsite: agent/1\nname: reader\nmodle: x\n", "modle: There is no such field"),
        ("x: !!python/object:os.system y", "tag"),
    ):
        file.write_text(content)
        with pytest.raises(CommandError, match=told):
            said("import", str(file), "--workspace", "home", "--publish")
    assert not draft_of(agent).is_changed
    save_draft(agent, {"description": "Mine."}, revision=0, by=None)
    file.write_text("agentsite: agent/1\nname: reader\n")
    with pytest.raises(CommandError, match="not published"):
        said("import", str(file), "--workspace", "home")
    for arguments in (("export", "nobody"), ("export", "reader", "--version", "7"), ("import", "/nowhere")):
        with pytest.raises(CommandError):
            said(*arguments, "--workspace", "home")
    with pytest.raises(CommandError, match="no workspace"):
        said("list", "--workspace", "nowhere")
