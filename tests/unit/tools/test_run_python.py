"""Code runs in its sandbox or not at all. Faults H 39, H 41."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.unit.tools.fakes import FakeContext
from tools.builtin import run_python as module
from tools.builtin.run_python import run_python
from tools.errors import ToolFailed, ToolRetry

pytestmark = pytest.mark.anyio


async def test_it_prints_and_gives_the_last_value() -> None:
    output = await run_python(FakeContext(), "print(sum(n))\n[x * 2 for x in n]", {"n": [1, 2]})
    assert output.data == {"printed": "3\n", "value": [2, 4]}
    assert output.text == "3\n→ [2, 4]"
    assert (await run_python(FakeContext(), "{1}")).data["value"] == "{1}"
    assert (await run_python(FakeContext(), "x = 1")).text == "It printed nothing."
    assert (await run_python(FakeContext(), "float('nan')")).data["value"] is None


HOSTILE = [
    "import os; os.system('id')",
    "__import__('os').system('id')",
    "open('/etc/passwd').read()",
    "import socket",
    "import subprocess",
    "from pathlib import Path; Path('/etc/passwd').read_text()",
    "import os; os.environ['SECRET_KEY']",
    "().__class__.__bases__[0].__subclasses__()",
    "while True: pass",
    "'a' * 10**12",
    "x = []\nwhile True: x.append('a' * 1000)",
    "def f(): return f()\nf()",
    "while True: print('x' * 1000)",
    "1/0",
    "def (",
]


@pytest.mark.fault(39, 41)
@pytest.mark.parametrize("code", HOSTILE)
async def test_nothing_gets_out_and_nothing_goes_on_for_ever(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.5)
    monkeypatch.setattr(module, "MEMORY", 32 * 1024 * 1024)
    with pytest.raises(ToolFailed) as failed:
        await run_python(FakeContext(), code)
    assert "root:" not in str(failed.value)


@pytest.mark.fault(41)
async def test_without_its_sandbox_nothing_is_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    code = f"open({str(witness)!r}, 'w').write('x')"
    with monkeypatch.context() as gone:
        gone.setitem(sys.modules, "pydantic_monty", None)
        with pytest.raises(ToolFailed, match="no code is run"):
            await run_python(FakeContext(), code)
    monkeypatch.setitem(os.environ, "MONTY_BIN", str(tmp_path / "gone"))
    with pytest.raises(ToolRetry, match="can't be started"):
        await run_python(FakeContext(), code)
    assert not witness.exists()


async def test_inputs_have_names_of_variables() -> None:
    with pytest.raises(ToolFailed, match="name"):
        await run_python(FakeContext(), "1", {"a b": 1})
