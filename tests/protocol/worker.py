"""What a worker's process does by itself: each function one turn of its loop, citing the code it stands for.

`turns` gives what one execution may do next without the journal; what it hands to the journal waits in `gather`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from agents.engine.records import Committed, WaitRecord
from tests.protocol.state import DONE, Change, Exec, Message, Row, put
from tests.protocol.tables import DUE, Flaws, call_key, demand, run_id

Turn: TypeAlias = tuple[str, Exec]
"""In words what happens, and the execution afterwards."""


class Op(NamedTuple):
    """One step of a workflow: safe, unsafe, message, sleep, or join over sub-runs."""

    kind: str
    key: str
    children: tuple[int, ...] = ()


def turns(x: Exec, row: Row, program: tuple[Op, ...], has_lease: bool, flaws: Flaws) -> Iterator[Turn]:
    """Give what the execution may do next: each turn goes on to the next await, as the loop does."""
    if x.phase in ("load", "load2", "read", "read2"):
        yield _reads(x, row, flaws)
    elif not x.awaits:
        if x.phase == "wait":
            yield _rests(x, row, program, flaws)
            return
        if (turn := _supervises(x, program)) is not None:
            yield turn
        # The coroutine may be quicker than its supervisor.
        yield from _executes(x, row, has_lease, flaws)
    if x.news is not None:
        yield "hears what the watch has read", notice(x._replace(news=None), *x.news)


def go_on(x: Exec, row: Row, program: tuple[Op, ...], flaws: Flaws) -> Turn:
    """Move an execution to where it awaits something; says what it does on the way."""
    said = []
    while not x.awaits and x.phase in ("go", "gate", "wait", "end"):
        turn = _supervises(x, program)
        if turn is None and x.phase == "wait" and _lingers(x, program):
            break
        if turn is None:
            turn = _goes_on(x, row, program) if x.phase == "go" else _rests(x, row, program, flaws)
        label, x = turn
        said.append(label)
    return ", ".join(said), x


def _lingers(x: Exec, program: tuple[Op, ...]) -> bool:
    """Patience.is_left: what comes soon is waited for in memory; how soon is left open here"""
    op = _current(x, program)
    return op is not None and op.kind in ("join", "sleep") and not x.hold


def notice(x: Exec, wakes: int, wanted: str) -> Exec:
    """Execution.notice and Gate.heed"""
    if wakes < x.known:
        return x
    x = x._replace(known=wakes)
    if wanted == x.wanted:
        return x
    hold = x.hold if x.hold == "drain" else "pause" if wanted == "pause" else ""
    return x._replace(wanted=wanted, hold=hold)


def _reads(x: Exec, row: Row, flaws: Flaws) -> Turn:
    """PostgresStore.histories and messages: the wakes first, the messages by a later statement."""
    is_first = x.phase in ("load", "read")
    if is_first:
        x = x._replace(phase=x.phase + "2", read=(row.wakes, row.wanted))
        return ("reads the messages", _takes(x, row)) if flaws.messages_before_wakes else ("reads the wakes", x)
    if flaws.messages_before_wakes:
        x = x._replace(read=(row.wakes, row.wanted))
        return "reads the wakes", _has_read(x, row)
    return "reads the messages", _has_read(_takes(x, row), row)


def _takes(x: Exec, row: Row) -> Exec:
    """Waiting.take"""
    new = tuple(message for message in row.inbox if message.token not in x.taken)
    taken = tuple(sorted(message.token for message in row.inbox))
    return x._replace(early=(*x.early, *new), taken=taken)


def _has_read(x: Exec, row: Row) -> Exec:
    """Execution.__init__ after a claim, Execution._read_inbox and _take_messages later"""
    assert x.read is not None
    wakes, wanted = x.read
    is_load = x.phase == "load2"
    x = x._replace(seen=max(x.seen, wakes), read=None, phase="go" if is_load else x.back, back="")
    if is_load:
        hold = x.hold if x.hold == "drain" else "pause" if wanted == "pause" else ""
        return x._replace(known=x.seen, wanted=wanted, hold=hold, steps=row.steps)
    return notice(x._replace(known=max(x.known, x.seen)), wakes, wanted)


def _supervises(x: Exec, program: tuple[Op, ...]) -> Turn | None:
    """Execution._advance, in its order"""
    if x.phase == "end":
        return "ends as cancelled", _submit(x, "finish:cancelled")
    if x.wanted == "cancel":
        if x.known > x.seen:
            return "looks who cancelled", x._replace(phase="read", back="end", gather=_closed(x))
        return "ends as cancelled", _submit(x, "finish:cancelled", steps=_closed(x).steps)
    if _current(x, program) is None or _failed(x, program):
        status = "failed" if _failed(x, program) else "succeeded"
        return f"ends as {status}", _submit(x, f"finish:{status}")
    if x.is_leaving:
        return "gives the run back", _submit(x, "release")
    if x.known > x.seen:
        return "looks into the inbox", x._replace(phase="read", back=x.phase)
    return None


def _closed(x: Exec) -> Change:
    """endings._close_open_steps: the run ends while this step is executed"""
    if x.phase not in ("armed", "act"):
        return x.gather
    return x.gather._replace(steps=put(x.gather.steps, "u", "lost"))


def _current(x: Exec, program: tuple[Op, ...]) -> Op | None:
    steps = dict(x.steps)
    for op in program:
        keys = [call_key(child) for child in op.children] or [op.key]
        if any(steps.get(key) not in DONE for key in keys):
            return op
        if any(steps[key] == "failed" for key in keys):
            return None
    return None


def _failed(x: Exec, program: tuple[Op, ...]) -> bool:
    return _current(x, program) is None and "failed" in dict(x.steps).values()


def _submit(x: Exec, awaits: str, *, steps: tuple[tuple[str, str], ...] | None = None, **fields: object) -> Exec:
    gather = x.gather if steps is None else x.gather._replace(steps=steps)
    if awaits.startswith(("finish", "release")):
        gather = gather._replace(ending=awaits)
    return x._replace(awaits=awaits.partition(":")[0], gather=gather, **fields)  # type: ignore[arg-type]


def _records(x: Exec, key: str, state: str, *consumed: Message, **fields: object) -> Exec:
    """recording.py: put a state of a step into the change that is gathering"""
    gather = x.gather._replace(
        steps=put(x.gather.steps, key, state), consumed=(*x.gather.consumed, *(m.token for m in consumed))
    )
    early = tuple(message for message in x.early if message not in consumed)
    return x._replace(steps=put(x.steps, key, state), gather=gather, early=early, **fields)  # type: ignore[arg-type]


def _executes(x: Exec, row: Row, has_lease: bool, flaws: Flaws) -> Iterator[Turn]:
    """stepping._attempt and what follows it"""
    match x.phase:
        case "work":
            key = next(key for key, state in x.steps if state == "working")
            yield "has executed a safe step", _submit(_records(x, key, "succeeded", phase="go"), "step")
            if key == "fallible":
                yield "has failed for good", _submit(_records(x, key, "failed", phase="go"), "step")
        case "armed":
            # stepping._declare_intent
            if not x.may_act and not flaws.acts_after_cancel:
                yield "does not act: cancelled", x._replace(wanted="cancel", phase="go")
            elif not has_lease or (x.is_late and not flaws.old_intents_act):
                yield "does not act: too late", _records(x, "u", "retrying", phase="go")
            else:
                yield "acts", x._replace(phase="act")
        case "act":
            yield "has acted", _submit(_records(x, "u", "succeeded", phase="go"), "step")
            yield "has failed in acting", _submit(_records(x, "u", "unknown", phase="go", has_asked=True), "step")


def _goes_on(x: Exec, row: Row, program: tuple[Op, ...]) -> tuple[str, Exec]:
    """The workflow's coroutine, as far as its next await"""
    op = _current(x, program)
    assert op is not None
    state = dict(x.steps).get(op.key, "")
    match op.kind:
        case "safe" | "unsafe" if x.hold and not (x.has_asked and state in ("unknown", "lost")):
            return "is held before a step", x._replace(phase="gate")
        case "safe":
            return "starts a safe step", _starts(x, row, op.key)
        case "unsafe":
            return _unsafe(x, row, state)
        case "message":
            return _expects(x, op.key)
        case "sleep" if not state:
            return _held(x) or ("starts a timer", _records(x, op.key, "running"))
        case "sleep":
            return _sleeps(x, row, op.key)
        case _:
            return _joins(x, op)


def _held(x: Exec) -> Turn | None:
    """Execution.gate, Gate.wait"""
    return ("is held before a step", x._replace(phase="gate")) if x.hold else None


def _starts(x: Exec, row: Row, key: str) -> Exec:
    late = x.starts + (row.wanted == "cancel" or row.status == "cancelled")
    demand(late <= 1, "a second step was started after a cancel was committed")
    return x._replace(phase="work", steps=put(x.steps, key, "working"), starts=late)


def _unsafe(x: Exec, row: Row, state: str) -> Turn:
    """stepping._execute and deciding.ask_for_outcome"""
    match state:
        case "" | "retrying":
            return "declares an unsafe step", _submit(_records(x, "u", "running", phase="armed"), "intent")
        case "running":
            return "finds an interrupted unsafe step", _submit(_records(x, "u", "lost", has_asked=True), "step")
        case "lost" if not row.time_came:
            return "waits until the effect is surely over", x._replace(phase="wait", has_asked=True)
        case _:
            decided = next((message for message in x.early if message.name == "decide:u"), None)
            if decided is None:
                return "asks a person for the outcome", x._replace(phase="wait", has_asked=True)
            match decided.data:
                case "done":
                    return "takes the decision: done", _submit(_records(x, "u", "succeeded", decided), "step")
                case "retry":
                    return "takes the decision: retry", _records(x, "u", "retrying", decided, has_asked=False)
                case _:
                    return "takes the decision: give up", _submit(_records(x, "u", "failed", decided), "step")


def _expects(x: Exec, key: str) -> Turn:
    """Execution.message"""
    message = next((message for message in x.early if message.name == key), None)
    if message is None:
        return "waits for a message", x._replace(phase="wait")
    return "takes a message", _submit(_records(x, key, "succeeded", message), "step")


def _sleeps(x: Exec, row: Row, key: str) -> Turn:
    """Context.sleep, Execution.wait_until"""
    if row.time_came:
        return "has slept", _submit(_records(x, key, "succeeded"), "step")
    return "sleeps", x._replace(phase="wait")


def _joins(x: Exec, op: Op) -> Turn:
    """branching.gather over subruns.SubRunCall: each call a branch; one of them is moved at a time"""
    steps = dict(x.steps)
    new = tuple(child for child in op.children if call_key(child) not in steps)
    if new:
        if held := _held(x):
            return held
        for child in new:
            x = _records(x, call_key(child), "running")
        return "calls sub-runs", x._replace(gather=x.gather._replace(children=new))
    for child in op.children:
        message = next((m for m in x.early if m.token == str(run_id(child))), None)
        if message is not None and steps[call_key(child)] not in DONE:
            state = "succeeded" if message.data == "succeeded" else "failed"
            return "records a sub-run's end", _submit(_records(x, call_key(child), state, message), "step")
    return "waits for sub-runs", x._replace(phase="wait")


def waits_of(x: Exec, row: Row, program: tuple[Op, ...]) -> list[WaitRecord]:
    """Waiting.records: what the branches wait for"""
    op = _current(x, program)
    if x.phase != "wait" or op is None:
        return []
    match op.kind:
        case "message":
            return [WaitRecord("event", op.key)]
        case "sleep":
            return [WaitRecord("timer", op.key, due_at=DUE)]
        case "join":
            steps = dict(x.steps)
            open_calls = sum(steps[call_key(child)] not in DONE for child in op.children)
            return [WaitRecord("child", "gather/", needed=open_calls)]
        case _ if dict(x.steps)["u"] == "lost" and not row.time_came:
            return [WaitRecord("timer", "u", "settle", DUE)]
        case _:
            return [WaitRecord("unknown", "decide:u")]


def _rests(x: Exec, row: Row, program: tuple[Op, ...], flaws: Flaws) -> Turn:
    """Execution._rest: nothing of the run is executing"""
    is_pausing = x.hold == "pause" if flaws.drain_forgets_pause else x.wanted == "pause"
    if x.phase == "gate" and not x.hold:
        return "goes on", x._replace(phase="go")
    if x.phase == "gate" and x.hold == "drain" and not is_pausing:
        return "gives the run back", _submit(x, "release")
    waits = waits_of(x, row, program)
    if is_pausing:
        waits.append(WaitRecord("paused"))
    elif _is_met(x, row, program):
        return "goes on", x._replace(phase="go")
    return "wants to park", park(x, waits)


def _is_met(x: Exec, row: Row, program: tuple[Op, ...]) -> bool:
    """Waiting.take and Waiting._timer_due: what a branch waits for came while it was in memory"""
    op = _current(x, program)
    assert op is not None
    match op.kind:
        case "message":
            return any(message.name == op.key for message in x.early)
        case "sleep":
            return row.time_came
        case "join":
            return any(m.token == str(run_id(child)) for child in op.children for m in x.early)
        case _:
            settling = dict(x.steps)["u"] == "lost"
            return any(m.name == "decide:u" for m in x.early) and (not settling or row.time_came)


def park(x: Exec, waits: list[WaitRecord]) -> Exec:
    """endings.parked"""
    gather = x.gather._replace(ending="park", waits=tuple(waits))
    return x._replace(awaits="park", gather=gather)


def answered(x: Exec, answer: Committed) -> Exec | None:
    """Journal._hand_out, then Execution.commit or Execution._leave; None when the run has left this worker"""
    awaited = x.awaits
    x = x._replace(awaits="", gather=Change())
    if awaited in ("finish", "release") or (awaited == "park" and answer.parked):
        return None
    x = notice(x, answer.wakes, answer.wanted)
    if awaited == "intent":
        return x._replace(phase="armed", may_act=answer.wanted != "cancel", is_late=False)
    return x
