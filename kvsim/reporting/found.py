"""What searches found, in words and a table, or as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kvsim.analysis.cost import Cost
from kvsim.reporting.study_text import figure_text
from kvsim.reporting.tables import compact_table
from kvsim.reporting.text import count_text, number_text, percent_text
from kvsim.study.attempt import Outcome
from kvsim.study.search import Found
from kvsim.study.tune import Trial, Tuned

__all__ = ["found_data", "print_found", "print_tuned", "tuned_data"]

_WIDTH = 100
_TRIALS = 12
_EXCEPTIONS = 3


def print_found(console: Console, found: Found, objective: str) -> None:
    """Print the answer, what it cost to find, what speaks against it, and every value that was tried."""
    width = min(console.width, _WIDTH)
    console.print(Text(found.scenario, style="bold"), width=width)
    answer = "none" if found.answer is None else count_text(found.answer)
    console.print(Text(f"largest {found.path} with {objective.strip()}: {answer}"), width=width)
    for line in _about(found):
        console.print(Text(line, style="dim"), width=width)
    for line in _exceptions(found):
        console.print(Text(line), width=width)
    console.print()
    table = compact_table("values tried", found.path, found.objective.metric, "")
    table.columns[0].justify, table.columns[2].justify = "right", "left"
    table.columns[2].no_wrap = False
    for probe in found.probes:
        mark = " ←" if probe.value == found.answer else ""
        word = f"{_word(probe.outcome)}{mark}"
        table.add_row(
            count_text(probe.value), figure_text(found.objective.metric, probe.outcome.number), word
        )
    console.print(table, width=width)
    if found.cost is not None:
        console.print()
        console.print(_cost(found.cost), width=width)


def _about(found: Found) -> Iterator[str]:
    """How it was found."""
    several = f"{found.runs} run{'' if found.runs == 1 else 's'}"
    if found.short_runs:
        several += f", {found.short_runs} of them of {found.short_steps} steps"
    values = found.range
    one_by_one = (
        1 if found.answer is None else min((found.answer - values.low) // values.step + 1, values.top) + 1
    )
    yield f"{several}; one value after another would have taken {count_text(one_by_one)}"
    if found.at_limit:
        yield f"No larger value was tried: --high is {count_text(values.high)}."
    elif found.answer is None:
        yield f"Not even the least value, {count_text(values.low)}, does."


def _exceptions(found: Found) -> Iterator[str]:
    for text in found.violations[:_EXCEPTIONS]:
        yield f"not monotone: {text}"
    if found.violations[_EXCEPTIONS:]:
        yield f"and {len(found.violations) - _EXCEPTIONS} more such pairs; --json has them all"


def _word(outcome: Outcome) -> str:
    if outcome.met:
        return "holds"
    if outcome.given_up:
        return f"given up after {outcome.steps} step{'' if outcome.steps == 1 else 's'}"
    return f"cannot run: {outcome.reason}" if outcome.reason else "does not hold"


def _cost(cost: Cost) -> Table:
    """In the currency that the prices were in."""
    title = f"cost at {number_text(cost.tokens_per_s)} tokens/s"
    table = compact_table(title, "", "an hour", "a million tokens")
    for part, hour in cost.per_hour.items():
        table.add_row(part, number_text(hour), number_text(cost.per_million_tokens[part]))
    if len(cost.per_hour) > 1:
        whole = sum(cost.per_hour.values())
        table.add_row("together", number_text(whole), number_text(cost.total_per_million_tokens))
    return table


def found_data(found: Found) -> dict[str, Any]:
    """All of it as plain dicts, lists, numbers and texts; figures in seconds and bytes."""
    goal = found.objective
    return {
        "scenario": found.scenario,
        "path": found.path,
        "objective": {"metric": goal.metric, "operator": goal.sign, "value": goal.value},
        "answer": found.answer,
        "at_limit": found.at_limit,
        "low": found.range.low,
        "high": found.range.high,
        "step": found.range.step,
        "runs": found.runs,
        "short_runs": found.short_runs,
        "short_steps": found.short_steps,
        "not_monotone": list(found.violations),
        "values": [
            {"value": probe.value, "holds": probe.outcome.met, **_outcome(probe.outcome)}
            for probe in found.probes
        ],
        "cost": None if found.cost is None else _fields(found.cost),
    }


def print_tuned(console: Console, tuned: Tuned) -> None:
    """Print how much there is to gain, the settings that gain it, and the best of those tried."""
    width = min(console.width, _WIDTH)
    console.print(Text(tuned.scenario, style="bold"), width=width)
    console.print(Text(_verdict(tuned)), width=width)
    for text in tuned.best:
        console.print(Text(f"  --set {quote(text)}"), width=None, soft_wrap=True)
    console.print(Text(_confidence(tuned), style="dim"), width=width)
    console.print()
    ordered = _ordered(tuned)
    console.print(Text("the best settings tried", style="bold"))
    table = compact_table("", "setting", tuned.metric)
    table.title = None
    table.columns[0].no_wrap = False
    for trial in ordered[:_TRIALS]:
        setting = ", ".join(trial.texts) or "(as it is)"
        table.add_row(Text(setting), figure_text(tuned.metric, trial.outcome.number))
    console.print(table, width=width)
    for line in _unfinished(tuned, len(ordered)):
        console.print(Text(line, style="dim"), width=width)


def _verdict(tuned: Tuned) -> str:
    before, after = (figure_text(tuned.metric, number) for number in (tuned.before, tuned.after))
    if not tuned.best:
        return f"{tuned.metric}: {before} as it is, and no setting tried is better"
    gain = tuned.gain
    way = "more" if tuned.greatest else "less"
    share = "" if gain is None else f" ({percent_text(gain) if gain < 1 else f'{gain:.0%}'} {way})"
    return f"{tuned.metric}: {before} as it is, {after}{share} with"


def _confidence(tuned: Tuned) -> str:
    tried, settings = len(tuned.trials), tuned.settings
    if tuned.complete:
        return f"All {count_text(settings)} settings were tried."
    told = f"{count_text(tried)} tried, of {count_text(settings)} settings"
    if tuned.settled:
        return f"{told}: no change of a single field to another of its values makes it better."
    return f"{told}: the budget was spent before it was known whether more can be gained."


def _ordered(tuned: Tuned) -> list[Trial]:
    """The trials that came to their end, the best first."""
    sign = -1 if tuned.greatest else 1
    finished = [trial for trial in tuned.trials if trial.outcome.number is not None]
    return sorted(finished, key=lambda trial: sign * (trial.outcome.number or 0.0))


def _unfinished(tuned: Tuned, finished: int) -> Iterator[str]:
    given_up = sum(trial.outcome.given_up for trial in tuned.trials)
    if finished > _TRIALS:
        yield f"{finished - _TRIALS} more are not as good; --json has them all"
    if given_up:
        yield f"{given_up} given up before their end: they could not become the best"
    refused = [trial for trial in tuned.trials if trial.outcome.reason]
    for trial in refused[:_EXCEPTIONS]:
        yield f"cannot run: {', '.join(trial.texts)}: {trial.outcome.reason}"
    if refused[_EXCEPTIONS:]:
        yield f"nor can {len(refused) - _EXCEPTIONS} more; --json has them all"


def tuned_data(tuned: Tuned) -> dict[str, Any]:
    """All of it as plain dicts, lists, numbers and texts; figures in seconds and bytes."""
    return {
        "scenario": tuned.scenario,
        "metric": tuned.metric,
        "greatest": tuned.greatest,
        "before": tuned.before,
        "after": tuned.after,
        "best": list(tuned.best),
        "settings": tuned.settings,
        "settled": tuned.settled,
        "complete": tuned.complete,
        "trials": [{"set": list(trial.texts), **_outcome(trial.outcome)} for trial in tuned.trials],
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "number": outcome.number,
        "steps": outcome.steps,
        "given_up": outcome.given_up,
        "reason": outcome.reason,
    }


def _fields(cost: Cost) -> dict[str, Any]:
    return {name: getattr(cost, name) for name in cost.__slots__}
