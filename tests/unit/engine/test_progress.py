"""How far a step has come: told often, logged seldom."""

from __future__ import annotations

from itertools import pairwise

from agents.engine.progress import Pace, progress_data


def test_little_is_let_through_and_less_the_longer_it_lasts() -> None:
    now = 0.0
    pace = Pace(lambda: now)
    told = []
    while now < 3_600.0:
        if pace.is_time():
            told.append(now)
        now += 0.25
    gaps = [later - earlier for earlier, later in pairwise(told)]
    assert (told[0], min(gaps)) == (0.0, 1.0)
    assert gaps[-1] > 30.0
    assert len(told) < 500


def test_what_is_logged_is_bounded() -> None:
    data = progress_data("k", 2, "\x00" + "x" * 1_000, 7.0)
    assert (data["key"], data["attempt"], data["done"], len(data["text"])) == ("k", 2, 1.0, 500)
    assert "done" not in progress_data("k", 1, "", float("nan"))
