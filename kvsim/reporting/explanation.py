"""An explanation in plain words and two tables, or as JSON: at most a screen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kvsim.reporting.tables import compact_table
from kvsim.reporting.text import cause_title, class_title, count_text, duration_text, percent_text
from kvsim.study.explain import LEAST_GAIN, Explanation, PathPart, SlowStep, Wait
from kvsim.study.whatif import MOST_READS, Change, Effect

_WIDTH = 100
_WAITS = 3
_PARTS = 6
_CHANGES = 10
_NO_DIFFERENCE = 0.0005
_TELLING_SHARE = 0.05
"""Share of a part of the path from which its latency is worth mentioning."""
_BOTTLENECKS = {
    "bandwidth": "the bandwidth of {of}: twice as much",
    "latency": "the latency of {of}: half of it",
    "channels": "how few transfers {of} serves at once: twice as many",
    "depth": "how few layers are fetched ahead: {text}",
    "capacity": "the capacity of {of}: twice as much",
    "copies": "the compute that copies on {of} take: a copy engine, which takes none,",
}
"""What is short, and what the change that showed it makes of it."""


def print_explanation(console: Console, told: Explanation) -> None:
    """Print it: the verdict first, then the slowest steps, the critical path, and what would help."""
    width = min(console.width, _WIDTH)
    console.print(Text(told.scenario, style="bold"), width=width)
    console.print(Text(verdict_of(told)), width=width)
    if told.limit is not None:
        console.print(Text(_limit(told), style="dim"), width=width)
    if not told.mean_step_s:
        return
    console.print()
    for line in _about_steps(told):
        console.print(Text(line), width=width)
    if told.path:
        console.print()
        console.print(_path(told), width=width)
    if told.effects:
        console.print()
        console.print(_changes(told), width=width)
        for line in _rest(told):
            console.print(Text(line, style="dim"), width=width)


def verdict_of(told: Explanation) -> str:
    """The bottleneck in a sentence, and a remedy that does more than widening it."""
    if not told.mean_step_s:
        return "Steps take no time: there is nothing to shorten."
    worst, remedy = told.bottleneck, told.remedy
    if worst is not None:
        what = _BOTTLENECKS[worst.change.kind].format(of=worst.change.of, text=worst.change.text)
        text = f"{_spent(told)} {what} makes the mean step {_shorter(told, worst)}."
    else:
        least = percent_text(LEAST_GAIN)
        text = f"{_nothing(told)}: no single change to the machine makes the mean step even {least} shorter."
    if remedy is not None:
        how = "Narrower pages do more" if worst is not None else "Narrower pages do"
        text += f" {how}: {remedy.change.text} makes it {_shorter(told, remedy)}."
    return text


def _shorter(told: Explanation, effect: Effect) -> str:
    lengths = f"{duration_text(told.mean_step_s)} → {duration_text(effect.mean_step_s)}"
    return f"{percent_text(told.gain(effect))} shorter ({lengths})"


def _spent(told: Explanation) -> str:
    if told.compute_share >= 0.5:
        share = percent_text(told.compute_share)
        return f"Steps compute for {share} of their time; the bottleneck of the rest is"
    return f"Steps wait for {percent_text(1 - told.compute_share)} of their time; the bottleneck is"


def _nothing(told: Explanation) -> str:
    if told.compute_share >= 0.5:
        return f"The bottleneck is compute, {percent_text(told.compute_share)} of the time of steps"
    waiting = percent_text(1 - told.compute_share)
    return f"Steps wait for {waiting} of their time, for several things alike"


def _limit(told: Explanation) -> str:
    return (
        f"The scenario is long: all of this is about its first {count_text(told.limit)} steps "
        f"({count_text(MOST_READS)} page reads or a little more)."
    )


def _about_steps(told: Explanation) -> Iterator[str]:
    """A paragraph on the first step, a line on each of the others."""
    first, *others = told.slowest
    which = f"the slowest of {count_text(told.steps)}" if others else f"one of {count_text(told.steps)}"
    yield (
        f"Step {first.step}, {'the only one' if told.steps == 1 else which}, took "
        f"{duration_text(first.latency_s)}, of which it computed for {duration_text(first.compute_s)} "
        f"({_share(first, first.compute_s)}) and waited for"
    )
    rest = sum(wait.exposed_s for wait in first.waits[_WAITS:])
    waits = [(wait.exposed_s, _wait(wait)) for wait in first.waits[:_WAITS]]
    for time_s, what in [*waits, (rest, "other things")] if rest else waits or [(0.0, "nothing")]:
        yield f"  {duration_text(time_s):>8}  {_share(first, time_s):>7}  {what}"
    for other in others:
        most = f", most of the rest {_wait(other.waits[0])}" if other.waits else ""
        computed = _share(other, other.compute_s)
        yield f"Step {other.step}: {duration_text(other.latency_s)}, {computed} compute{most}"


def _share(step: SlowStep, part_s: float) -> str:
    return percent_text(part_s / step.latency_s if step.latency_s else 0.0)


def _wait(wait: Wait) -> str:
    """Cause, lane and class; the class only where the cause does not say it."""
    title = cause_title(wait.cause).removeprefix("waiting for ")
    where = f" on {wait.lane}" if wait.lane else ""
    if wait.cause == "copy_kernel":
        return f"compute that copies{where} took"
    if wait.cause == "decision":
        return title
    if wait.issued_class is None:
        return f"{title}{where}, for a new page"
    named = class_title(wait.issued_class)
    return f"{title}{where}" + ("" if named in title else f", for a {named} transfer")


def _path(told: Explanation) -> Table:
    """What the end of the step hung on, in order of time or, where that is long, in sum."""
    ordered = told.path[0].start_s is not None
    step = told.slowest[0].step
    order = "in order of time" if ordered else "what is alike summed up, the largest first"
    table = compact_table(
        f"critical path of step {step} ({order})", "from" if ordered else "", "time", "share", ""
    )
    table.columns[3].justify, table.columns[3].no_wrap = "left", False
    whole = told.slowest[0].latency_s
    shown, rest = told.path[:_PARTS], told.path[_PARTS:]
    for part in shown:
        begin = "" if part.start_s is None else duration_text(part.start_s)
        table.add_row(begin, duration_text(part.time_s), percent_text(part.time_s / whole), _link(part))
    if rest:
        left = sum(part.time_s for part in rest)
        table.add_row("", duration_text(left), percent_text(left / whole), "other links")
    return table


def _link(part: PathPart) -> str:
    words = {
        "compute": "compute",
        "transfer": f"transfer: {part.what}",
        "queue": f"queueing: {part.what}",
        "room": f"waiting for room: {part.what}",
        "wait": f"waiting: {part.what}",
    }[part.kind]
    times = [f"× {count_text(part.links)}"] if part.links > 1 else []
    share = part.latency_s / part.time_s if part.time_s else 0.0
    slow = [f"{duration_text(part.latency_s)} of it latency"] if share >= _TELLING_SHARE else []
    notes = ", ".join(times + slow)
    return f"{words} ({notes})" if notes else words


def _changes(told: Explanation) -> Table:
    table = compact_table(
        "single changes, each found by running again", "change", "mean step", "", "makespan", ""
    )
    table.add_row("(as it is)", duration_text(told.mean_step_s), "", duration_text(told.makespan_s), "")
    for effect in _telling(told)[:_CHANGES]:
        table.add_row(
            effect.change.text,
            duration_text(effect.mean_step_s),
            _difference(effect.mean_step_s, told.mean_step_s),
            duration_text(effect.makespan_s),
            _difference(effect.makespan_s, told.makespan_s),
        )
    return table


def _telling(told: Explanation) -> list[Effect]:
    return [effect for effect in told.effects if abs(told.gain(effect)) >= _NO_DIFFERENCE]


def _rest(told: Explanation) -> Iterator[str]:
    """The changes that the table leaves out."""
    telling = _telling(told)
    if telling[_CHANGES:]:
        yield f"{len(telling) - _CHANGES} more make a smaller difference; --json has them all"
    idle = [effect.change for effect in told.effects if effect not in telling]
    if idle:
        yield f"no difference to the mean step: {'; '.join(change.text for change in idle)}"


def _difference(now: float, before: float) -> str:
    share = now / before - 1 if before else 0.0
    if abs(share) < _NO_DIFFERENCE:
        return "same"
    return f"{'−' if share < 0 else '+'}{percent_text(abs(share)) if abs(share) < 1 else f'{abs(share):.0%}'}"


def explanation_data(told: Explanation) -> dict[str, Any]:
    """All of it as plain dicts, lists, numbers and texts; times in seconds."""
    return {
        "scenario": told.scenario,
        "verdict": verdict_of(told),
        "bottleneck": None if told.bottleneck is None else _change(told.bottleneck.change),
        "steps": told.steps,
        "step_limit": told.limit,
        "mean_step_s": told.mean_step_s,
        "makespan_s": told.makespan_s,
        "compute_share": told.compute_share,
        "slowest": [_step(step) for step in told.slowest],
        "critical_path": [_fields(part) for part in told.path],
        "changes": [
            _change(effect.change) | {"mean_step_s": effect.mean_step_s, "makespan_s": effect.makespan_s}
            for effect in told.effects
        ],
    }


def _change(change: Change) -> dict[str, Any]:
    return {"kind": change.kind, "of": change.of, "change": change.text}


def _step(step: SlowStep) -> dict[str, Any]:
    return _fields(step) | {"waits": [_fields(wait) for wait in step.waits]}


def _fields(row: SlowStep | Wait | PathPart) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__slots__}
