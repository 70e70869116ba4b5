"""What the offline model reads out of a goal."""

from __future__ import annotations

import pytest

from agents.llm.offline.goal import read_goal


@pytest.mark.parametrize(
    ("goal", "expressions"),
    [
        ("What is 17 * 23?", ("17 * 23",)),
        ("How much is 15% of 240 and what is the square root of 144?", ("(15 / 100 * 240)", "sqrt(144)")),
        ("Calculate (3+4)*2 - 1", ("(3 + 4) * 2 - 1",)),
        ("What is 12 x 12?", ("12 * 12",)),
        ("the average of 3, 5 and 10", ("(3 + 5 + 10) / 3",)),
        ("what is 1,200 times 3 plus 5?", ("1200 * 3 + 5",)),
        ("Work out 7/8", ("7 / 8",)),
        ("What is max(3, 7) * 2?", ("max(3, 7) * 2",)),
        ("(see page 4) What is 2 + 2 (two)?", ("2 + 2",)),
        ("2 ^ 10", ("2 ** 10",)),
        ("It happened on 2024-01-02 and on 1/2/2024.", ()),
        ("The 2018-2020 plan uses 10/12 gauge wire.", ()),
        ("I have 5 dogs and version 3.2.1", ()),
    ],
)
def test_sums(goal: str, expressions: tuple[str, ...]) -> None:
    assert read_goal(goal).expressions == expressions


@pytest.mark.parametrize(
    ("goal", "seconds", "first"),
    [
        ("Wait 5 seconds and tell me how tall the tower is.", 5.0, True),
        ("Please wait for two minutes, then search the notes.", 120.0, True),
        ("Look up the tower's height and then sleep for 1.5 hours.", 5400.0, False),
        ("What happens after 10 seconds?", None, True),
        ("Why do callers wait for answers?", None, True),
    ],
)
def test_pauses(goal: str, seconds: float | None, first: bool) -> None:
    read = read_goal(goal)
    assert (read.wait_seconds, read.wait_first) == (seconds, first)


def test_addresses_end_where_the_sentence_goes_on() -> None:
    goal = read_goal("Read https://a.example/x_(y), (see http://b.example/z?q=1#f) and <https://a.example/x_(y)>.")
    assert goal.urls == ("https://a.example/x_(y)", "http://b.example/z?q=1#f")


@pytest.mark.parametrize(
    ("goal", "queries"),
    [
        ("When was the bridge opened, and how long is it?", ["bridge opened", "long bridge opened"]),
        ("What is the difference between a lease and a lock?", ["lease", "lock"]),
        ("I am writing about bees. How do they dance?", ["dance bees"]),
        ("Find out who invented the telephone.", ["invented telephone"]),
        ("Explain exponential back-off", ["exponential back-off"]),
        ("leases", ["leases"]),
        ("Thanks!", ["Thanks"]),
        ("What is 2 + 2?", []),
    ],
)
def test_questions(goal: str, queries: list[str]) -> None:
    assert [question.query for question in read_goal(goal).questions] == queries
