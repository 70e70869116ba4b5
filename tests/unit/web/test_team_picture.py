"""Pictures of teams: everybody in a column of their own depth, nobody on top of another, circles too."""

from __future__ import annotations

from itertools import combinations

from agents.web.stages import stages_picture
from agents.web.team_picture import MAX_BOXES, Picture, team_picture


def columns(picture: Picture) -> list[list[str]]:
    """Give the keys of the boxes, column by column."""
    places = sorted({box.x for box in picture.boxes})
    return [[box.key for box in picture.boxes if box.x == place] for place in places]


def check_places(picture: Picture) -> None:
    """Everything is inside the picture, and no box lies on another."""
    for box in picture.boxes:
        assert 0 < box.x < box.x + box.width < picture.width
        assert 0 < box.y < box.y + box.height < picture.height
    for one, other in combinations(picture.boxes, 2):
        apart = one.x + one.width <= other.x or other.x + other.width <= one.x
        assert apart or one.y + one.height <= other.y or other.y + other.height <= one.y, (one, other)


def drawn(below: dict[str, list[str]]) -> Picture:
    picture = team_picture(below, [*below])
    assert picture is not None
    check_places(picture)
    return picture


def test_work_goes_from_left_to_right() -> None:
    picture = drawn({"lead": ["a", "b"], "b": ["c"], "a": [], "c": []})
    assert columns(picture) == [["lead"], ["b", "a"], ["c"]]
    assert len(picture.arrows) == 3
    assert not any(arrow.is_back for arrow in picture.arrows)
    assert picture.words == "lead may give work to a, b; b may give work to c"


def test_circles_and_those_who_are_not_there_are_drawn_too() -> None:
    picture = drawn({"a": ["b"], "b": ["a", "b", "gone"]})
    assert columns(picture) == [["a"], ["b"], ["gone"]]
    assert [arrow.is_back for arrow in picture.arrows] == [False, True, True, False]
    assert [box.key for box in picture.boxes if not box.is_known] == ["gone"]


def test_where_there_is_nothing_to_draw_there_is_no_picture() -> None:
    assert team_picture({"a": [], "b": []}, ["a", "b"]) is None
    assert team_picture({"a": [f"b{n}" for n in range(MAX_BOXES)]}, []) is None


def test_a_teams_stages() -> None:
    definition = {"name": "team", "workflow": "team", "sub_agents": ["planner", "x", "y", "writer"], "options": {}}
    picture = stages_picture(definition)
    assert picture is not None
    check_places(picture)
    assert picture.words == "planner plans, then x works and y works, then writer writes, then team reviews"
    # Sent back at most so often: the way back is drawn, and gone with the review.
    assert [arrow.is_back for arrow in picture.arrows].count(True) == 1
    unreviewed = stages_picture({**definition, "options": {"reflect": 0, "approve_plan": True, "workers": ["y"]}})
    assert unreviewed is not None
    assert unreviewed.words == "planner plans, then a person approves, then y works, then writer writes"
    assert not any(arrow.is_back for arrow in unreviewed.arrows)
    assert stages_picture({**definition, "options": {"width": "wide"}}) is None
    assert stages_picture({**definition, "workflow": "react"}) is None


def test_a_pipelines_stages() -> None:
    stages = [
        {"name": "sheet", "join": "{{ stages.read.text }} {{ stages.find.text }}"},
        {"name": "find", "agent": "x"},
        {"name": "read", "agent": "y", "map": "stages.find.value", "when": {"path": "input.deep", "equals": True}},
        {"name": "other", "agent": "x"},
    ]
    definition = {"name": "line", "workflow": "pipeline", "sub_agents": ["x", "y"], "options": {"stages": stages}}
    picture = stages_picture(definition)
    assert picture is not None
    check_places(picture)
    assert columns(picture) == [["find", "other"], ["read"], ["sheet"]]
    assert picture.words == ("sheet: joins, after read, find; find: x; read: y, for each, if, after find; other: x")
    assert len(picture.arrows) == 3
    assert {box.key: box.note for box in picture.boxes}["read"] == "y, for each, if"
    assert stages_picture({**definition, "options": {"stages": [{"name": "a", "agent": "z"}]}}) is None
    circle = [{"name": "a", "agent": "x", "after": ["b"]}, {"name": "b", "agent": "x", "after": ["a"]}]
    assert stages_picture({**definition, "options": {"stages": circle}}) is None
