"""Judging a draft before it is the answer, by the goal and by the sources: a step labelled `reflect`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field

from agents.engine import Context, workflow
from agents.engine.canonical import JSON
from agents.engine.messages import Citation, Message, Reply, ToolCall, ToolResult, user
from agents.engine.ports import REVIEW_DRAFT
from agents.workflows.findings import as_calls
from agents.workflows.prompts import goal_of, instructions
from agents.workflows.sources import listed

REVIEWER = (
    "You review a draft before it is given to whoever set the goal. Does it answer everything that is asked? Does each "
    "statement stand in the source that is cited for it, and is a source cited for each? Does it say what remained "
    "open? Name what has to be changed in a few points, each such that it can be followed; no matters of taste. If "
    "nothing has to be changed, the draft is ok."
)
JUDGE = "Judge this draft: is it ok, and if it is not, what has to be changed?"


class Verdict(BaseModel):
    """What a reviewer says of a draft."""

    model_config = ConfigDict(extra="forbid", title="Verdict")

    ok: bool = Field(description="Whether the draft can be given as it is.")
    points: list[str] = Field(description="What has to be changed; nothing if the draft is ok.", max_length=20)

    @property
    def sends_back(self) -> bool:
        return not self.ok and any(point.strip() for point in self.points)


@workflow("team.review")
async def review(ctx: Context, input: JSON) -> JSON:
    """Judge a draft of a team: `{"goal": …, "results": […], "draft": {"text": …, "citations": […]}}`."""
    verdict = await judge(ctx, goal_of(input), input["draft"], as_calls(input["results"]), own=True)
    return verdict.model_dump()


async def judge(ctx: Context, goal: str, draft: JSON, found: Sequence[Message] = (), *, own: bool = False) -> Verdict:
    """Judge a draft by the goal and its sources; `found` is what the team has found.

    With `own`, the run's agent is the reviewer, and its instructions are a reviewer's; else they are the author's.
    """
    citations = tuple(Citation.from_json(one) for one in draft["citations"])
    shown = "\n\n".join([draft["text"], *(["\n".join(["Sources:", *listed(citations)])] if citations else [])])
    chat: list[Message] = [
        instructions(ctx, REVIEWER) if own else Message("system", REVIEWER),
        user(goal),
        *found,
        Reply("assistant", shown, citations=citations),
        user(JUDGE),
    ]
    reply = await ctx.think(chat, tools=(), label="reflect", output=Verdict)
    verdict: Verdict = reply.output
    return verdict


class Reflections:
    """Judges the drafts of a run, so many at most."""

    def __init__(self, ctx: Context, goal: str, most: int) -> None:
        self._ctx = ctx
        self._goal = goal
        self._left = most
        self._round = 0

    async def points_on(self, draft: JSON) -> list[str]:
        """Give what has to be changed in a draft; nothing if it is ok, or was sent back often enough."""
        if not self._left:
            return []
        self._left, self._round = self._left - 1, self._round + 1
        verdict = await judge(self._ctx, self._goal, draft)
        points = verdict.points if verdict.sends_back else []
        await self._ctx.emit("review", {"round": self._round, "ok": not points, "points": points})
        return points


def sent_back(text: str, points: Sequence[str], number: int) -> list[Message]:
    """Show a model what the reviewer said of its draft, as the result of a call."""
    call = ToolCall(f"review-{number}", REVIEW_DRAFT, {"draft": text})
    told = "\n".join(
        ["The reviewer sends the draft back:", *(f"- {point}" for point in points), "Write the whole answer anew."]
    )
    data: Mapping[str, JSON] = {"points": list(points)}
    return [
        Message("assistant", "", tool_calls=(call,)),
        ToolResult("tool", told, call_id=call.id, name=REVIEW_DRAFT, data=data),
    ]
