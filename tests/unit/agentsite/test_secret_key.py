import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agentsite.secret_key import load_or_make


def test_key_is_made_once_and_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "var" / "secret_key"
    key = load_or_make(path)
    assert len(key) >= 50
    assert load_or_make(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_rivals_on_an_empty_folder_agree(tmp_path: Path) -> None:
    for number in range(20):
        path = tmp_path / str(number)
        with ThreadPoolExecutor(8) as rivals:
            keys = list(rivals.map(load_or_make, [path] * 8))
        assert len(set(keys)) == 1
    assert not list(tmp_path.glob(".*")), "drafts were left behind"


def test_a_damaged_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret_key"
    path.write_text("short")
    with pytest.raises(ValueError, match="no usable secret key"):
        load_or_make(path)
