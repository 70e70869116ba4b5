"""Inputs made from events by a template: values go in once, with their types, and do nothing."""

from __future__ import annotations

from typing import Any

import pytest

from agents.triggers.inputs import BadTemplate, check_template, make_input

EVENT = {"name": "order.paid", "id": 7, "data": {"n": 5, "who": "Ann", "lines": [{"sku": "a"}, {"sku": "b"}]}}
EARLIER = {"name": "order.paid", "id": 6, "data": {"n": 4}}


@pytest.mark.parametrize(
    ("template", "input"),
    [
        (None, {"goal": "Handle the event order.paid.", "event": EVENT}),
        ({"goal": "Pack {{ data.n }} for {{data.who}}"}, {"goal": "Pack 5 for Ann"}),
        ({"n": "{{ data.n }}", "all": "{{ data }}"}, {"n": 5, "all": EVENT["data"]}),
        ({"skus": "{{ data.lines.*.sku }}", "first": "{{ data.lines.0.sku }}"}, {"skus": ["a", "b"], "first": "a"}),
        ({"x": "{{ data.absent }}", "t": "<{{ data.absent }}>"}, {"x": None, "t": "<>"}),
        (["{{ event }}", 1, None, True], [EVENT, 1, None, True]),
        ("{{ data.lines }}!", '[{"sku":"a"},{"sku":"b"}]!'),
        ({"{{ data.n }}": 1}, {"{{ data.n }}": 1}),
        ({"n": "{{ count }}"}, {"n": 1}),
    ],
)
def test_a_template_is_filled(template: Any, input: Any) -> None:
    check_template(template)
    assert make_input(template, [EVENT]) == input


def test_a_batch_has_all_its_events() -> None:
    assert make_input({"n": "{{ count }}", "all": "{{ events }}", "last": "{{ data.n }}"}, [EARLIER, EVENT]) == {
        "n": 2,
        "all": [EARLIER, EVENT],
        "last": 5,
    }
    assert make_input(None, [EARLIER, EVENT])["events"] == [EARLIER, EVENT]


@pytest.mark.fault(39)
@pytest.mark.parametrize(
    "payload", ["{{ data.secret }}", "{{ ''.__class__ }}", "{% for x in y %}", "${7*7}", "{{ data.n }} }}"]
)
def test_what_an_event_says_is_never_looked_at_again(payload: str) -> None:
    event = {"name": "a", "data": {"text": payload, "secret": "no"}}
    assert make_input({"goal": "Say: {{ data.text }}"}, [event]) == {"goal": f"Say: {payload}"}
    assert make_input({"goal": "{{ data.text }}"}, [event]) == {"goal": payload}


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ({"goal": "{{ order }}"}, "goal: A path begins with one of"),
        ({"goal": ["{{ 7*7 }}"]}, "goal.0: "),
        ({"goal": "{{ data.x | upper }} {{"}, "opens a place"),
        ({"goal": "{{ }}"}, "empty"),
        ({"goal": "{{ data.n"}, "opens a place"),
        ({"goal": "x" * 50_001}, "50,000"),
    ],
)
def test_what_is_no_template_is_refused_with_its_place(template: Any, words: str) -> None:
    with pytest.raises(BadTemplate, match=words):
        check_template(template)
