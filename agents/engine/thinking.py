"""Asking a model, as a step: by the agent's wishes, with the models it falls back on, for an answer of a given form.

Each attempt asks one model. When a model has failed for good, by its own fault or its provider's, the next attempt asks
the next one; which one was tried, why that was not enough and which comes next stands with the failed attempt, so that
whichever worker goes on with the step knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from agents.engine.calling import call_info, offered
from agents.engine.canonical import JSON, decode, digest
from agents.engine.conversation import Conversation, stored
from agents.engine.errors import OutputInvalid, Retryable, StepTimeout
from agents.engine.messages import Message, Reply, Summary, user
from agents.engine.outputs import Output, Unfit
from agents.engine.plans import NEXT, Attempt, Plan
from agents.engine.ports import AgentConfig, ModelRequest, ToolSpec
from agents.engine.records import StepRecord
from agents.engine.retry import Retry
from agents.engine.stepping import perform

if TYPE_CHECKING:
    from agents.engine.execution import Execution
    from agents.engine.scope import Scope

RETRY = Retry(max_attempts=5, first=1.0, factor=2.0, max=60.0)
TIMEOUT = 300.0
REPAIRS = 2
OFFLINE = "offline"
LONG_WAIT = 60.0
"""Seconds for which a provider may ask to wait before the next model is asked instead."""
SAMPLING = ("temperature", "top_p", "max_output_tokens", "seed")

MEND = "Your answer does not have the form that was asked for: {}. Answer again, with nothing but the JSON."
CUT = " (it was cut off at the limit of output tokens)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What a workflow wants of one request. What is None, or absent from `sampling`, is as the agent has it.

    `repairs` is how often the model may mend an answer that does not fit `output`; `timeout` is seconds per attempt.
    """

    model: str | None = None
    tools: Sequence[str | ToolSpec] | None = None
    label: str | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    output: Output | None = None
    repairs: int = REPAIRS
    retry: Retry | None = None
    timeout: float = TIMEOUT


def told(
    temperature: float | None, top_p: float | None, max_output_tokens: int | None, seed: int | None
) -> dict[str, Any]:
    """Give what is said about sampling by its names."""
    given = (temperature, top_p, max_output_tokens, seed)
    return {name: value for name, value in zip(SAMPLING, given, strict=True) if value is not None}


async def think(
    x: Execution, scope: Scope, conversation: Conversation, chat: tuple[Message, ...], asking: Asking
) -> Reply:
    """Give the model's answer; one with a form is handed back for repair, each time a step of its own.

    Raises StepFailed when no model can be had or all keep answering nonsense, OutputInvalid after the last repair.
    """
    label = asking.label or ("analyze" if chat and chat[-1].role == "tool" else "think")
    reply = await _ask(x, scope, conversation, chat, replace(asking, label=label))
    left = asking.repairs
    while asking.output is not None and not reply.tool_calls:
        try:
            return replace(reply, output=asking.output.read(reply.text))
        except Unfit as error:
            fault = f"{error}{CUT if reply.finish == 'length' else ''}"
        if left <= 0:
            raise OutputInvalid(f"The answer does not have the form that was asked for: {fault}.", reply.step_key)
        left -= 1
        chat = (*chat, reply, user(MEND.format(fault)))
        reply = await _ask(x, scope, conversation, chat, replace(asking, label="repair"))
    return reply


async def compact(x: Execution, scope: Scope, older: tuple[Message, ...], model: str | None) -> Summary:
    """Have the model summarise a stretch of a conversation, as a step of the kind "compact"."""
    models = models_of(x.agent, model)

    def request(asked: str, attempt: Attempt) -> ModelRequest:
        return _request(x, asked, models, older, attempt, purpose="compact")

    plan = Plan(
        kind="compact",
        name="compact",
        title=models[0],
        digest=digest([[message.identity() for message in older], model]),
        input=lambda: {"messages": [stored(message) for message in older]},
        label="compact",
        retry=_retry(x.agent),
        timeout=TIMEOUT,
    )
    key, outcome = await _perform(x, scope, plan, models, request)
    reply = Reply.from_json(outcome, key)
    return Summary(role="user", text=reply.text, name="summary", citations=reply.citations, step_key=key)


async def _ask(
    x: Execution, scope: Scope, conversation: Conversation, chat: tuple[Message, ...], asking: Asking
) -> Reply:
    agent, output = x.agent, asking.output
    models = models_of(agent, asking.model)
    names = list(asking.tools if asking.tools is not None else (agent.tools if agent else ()))
    wishes = {**(agent.sampling if agent else {}), **asking.sampling}
    sampling = {name: wishes[name] for name in SAMPLING if wishes.get(name) is not None}
    identity = [conversation.digest(chat), asking.model, *([output.schema] if output else ())]

    def request(asked: str, attempt: Attempt) -> ModelRequest:
        tools = offered(x, names)
        schema = output.schema if output else None
        return _request(x, asked, models, chat, attempt, tools=tools, output=schema, **sampling)

    plan = Plan(
        kind="think",
        name="think",
        title=models[0],
        digest=digest(identity),
        input=lambda: conversation.delta(chat),
        label=asking.label or "",
        retry=asking.retry or _retry(agent),
        timeout=asking.timeout,
    )
    key, outcome = await _perform(x, scope, plan, models, request)
    conversation.asked(chat, key)
    return Reply.from_json(outcome, key)


async def _perform(
    x: Execution,
    scope: Scope,
    plan: Plan,
    models: Sequence[str],
    request: Callable[[str, Attempt], ModelRequest],
) -> tuple[str, JSON]:
    async def execute(attempt: Attempt) -> Reply:
        asks = request(_asked_now(x.steps[attempt.key], models), attempt)
        if x.meter is not None:
            await x.meter.think(attempt.key, await x.host.ports.model.at_most(asks))
        reply = await x.host.ports.model.respond(asks, attempt.stream)
        attempt.usage = reply.usage
        return reply

    plan.begins_itself = True
    if len(models) > 1:
        plan.instead = lambda record, error, pause: _instead(models, record, error, pause)
    return await perform(x, scope, plan, execute)


def _request(
    x: Execution,
    asked: str,
    models: Sequence[str],
    messages: tuple[Message, ...],
    attempt: Attempt,
    *,
    purpose: Literal["answer", "compact"] = "answer",
    **more: Any,
) -> ModelRequest:
    return ModelRequest(
        model=asked,
        messages=messages,
        others=tuple(models[models.index(asked) + 1 :]) if asked in models else (),
        purpose=purpose,
        workspace_id=x.claimed.workspace_id,
        run_id=x.id,
        step_key=attempt.key,
        info=call_info(x, attempt),
        **more,
    )


def models_of(agent: AgentConfig | None, named: str | None = None) -> list[str]:
    """Give the model to ask and those to fall back on, each once; a model that the code names stands alone."""
    own = (agent.model if agent else "") or OFFLINE
    fallbacks = agent.fallbacks if agent and named in (None, "", own) else ()
    return list(dict.fromkeys((named or own, *fallbacks)))


def _retry(agent: AgentConfig | None) -> Retry:
    return Retry(**{**asdict(RETRY), **agent.retry}) if agent and agent.retry else RETRY


def _asked_now(record: StepRecord, models: Sequence[str]) -> str:
    """Give the model that the step's present attempt asks."""
    chosen = [entry[NEXT] for entry in decode(record.attempts) or () if NEXT in entry]
    return chosen[-1] if chosen else models[0]


def _instead(
    models: Sequence[str], record: StepRecord, error: Exception, pause: float | None
) -> dict[str, JSON] | None:
    """Say which model was asked and which is asked next, if after this failure it is another one."""
    asked = _asked_now(record, models)
    rest = models[models.index(asked) + 1 :] if asked in models else ()
    # Its time is what a step takes from a model; the model itself does not know of it.
    other = rest[0] if rest and isinstance(error, StepTimeout) else getattr(error, "instead", "")
    is_long = isinstance(error, Retryable) and (error.retry_after or 0.0) > LONG_WAIT
    if not other or other not in rest or not (pause is None or is_long):
        return None
    return {"model": asked, NEXT: other}
