"""What no single field of a measure shows: unknown axes and values, parts that are missing or clash."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kvsim.errors import nearest
from kvsim.scenario.tree import Path
from kvsim.study.grid import label_of
from kvsim.study.scaling import factor_of
from kvsim.study.spec import EVERY, MeasureSpec, Where

__all__ = ["RANKED", "Findings", "Known", "check_axis", "check_factors", "check_measure", "check_where"]

Findings = Iterator[tuple[Path, str]]
"""Paths in the study, each with what is wrong there."""
Known = dict[str, tuple[str, ...]] | None
"""The axes and their labels; None where they are not known, because they are wrong."""


def check_measure(measure: MeasureSpec, at: Path, known: Known) -> Findings:
    """How a number is made of runs."""
    yield from check_where(measure.where, (*at, "where"), known)
    baseline = measure.relative_to
    if baseline is not None:
        yield from check_where(baseline.where, (*at, "relative_to", "where"), known)
        if baseline.previous is not None and known is not None and baseline.previous not in known:
            yield (*at, "relative_to", "previous"), _no_axis(baseline.previous, known)
    yield from _check_reach(measure, at, known)
    if measure.relation == "elasticity":
        yield from _check_elasticity(measure, at, known)
        return
    if measure.relation != "rank_correlation":
        if measure.over is not None:
            yield (*at, "over"), "is for the relation rank_correlation, or elasticity, only"
        return
    if baseline is None:
        yield (*at, "relative_to"), "is required with rank_correlation; it says what to compare with"
    elif measure.over in baseline.where:
        yield (*at, "relative_to", "where", measure.over or ""), RANKED
    if measure.over is None:
        yield (*at, "over"), "is required with rank_correlation; it names the axis whose values are ranked"
    elif known is not None and measure.over not in known:
        yield (*at, "over"), _no_axis(measure.over, known)
    elif known is not None:
        wanted = set(map(label_of, measure.where.get(measure.over, (EVERY,))))
        if len(known[measure.over] if EVERY in wanted else wanted) < 2:
            yield (*at, "over"), f"there must be two or more values of {measure.over} to rank"


def _check_elasticity(measure: MeasureSpec, at: Path, known: Known) -> Findings:
    if measure.relative_to is None or measure.over is None:
        missing = "over" if measure.over is None else "relative_to"
        yield (*at, missing), "is required with elasticity"
        return
    yield from check_factors(measure.over, (*at, "over"), known)
    sides = (measure.where, measure.relative_to.where)
    ends = [[*map(label_of, side.get(measure.over, ()))] for side in sides]
    if any(len(end) != 1 or EVERY in end for end in ends) or ends[0] == ends[1]:
        yield (*at, "over"), f"both sides must name one value of {measure.over}, not the same"


RANKED = "this axis is the one that rank_correlation goes over"


def check_factors(axis: str, at: Path, known: Known) -> Findings:
    """What must be said of an axis whose labels are factors."""
    if known is not None and axis not in known:
        yield at, _no_axis(axis, known)
    elif known is not None:
        wrong = [label for label in known[axis] if factor_of(label) is None]
        if wrong:
            yield at, f"{axis} has the value {wrong[0]!r}; factors are numbers above 0"


def _check_reach(measure: MeasureSpec, at: Path, known: Known) -> Findings:
    reach = measure.reach
    if reach is None:
        return
    if measure.relation == "rank_correlation":
        yield (*at, "reach"), "means nothing with rank_correlation"
    along = (*at, "reach", "along")
    yield from check_factors(reach.along, along, known)
    if known is not None and reach.along in known:
        factors = [factor_of(label) or 0 for label in known[reach.along]]
        if factors != sorted(factors):
            yield along, f"the values of {reach.along} must grow"


def check_axis(axis: str, measure: MeasureSpec, at: Path, known: Known, used: Sequence[str] = ()) -> Findings:
    """An axis that a measure is taken along; `used`: those it cannot be, too."""
    if known is not None and axis not in known:
        yield at, _no_axis(axis, known)
    elif axis == measure.over:
        yield at, RANKED
    elif measure.reach is not None and axis == measure.reach.along:
        yield at, "this axis is the one along which `reach` looks"
    elif axis in used:
        yield at, f"{axis!r} is used twice"


def check_where(where: Where, at: Path, known: Known) -> Findings:
    """A selection of runs."""
    if known is None:
        return
    for axis, values in where.items():
        if axis not in known:
            yield (*at, axis), _no_axis(axis, known)
            continue
        for value in map(label_of, values):
            if value not in known[axis] and value != EVERY:
                close = nearest(value, known[axis])
                hint = f"; did you mean {close!r}?" if close else ""
                yield (*at, axis), f"{axis} has no {value!r}{hint} (known: {', '.join(known[axis])})"


def _no_axis(name: str, known: dict[str, tuple[str, ...]]) -> str:
    close = nearest(name, known)
    hint = f"; did you mean {close!r}?" if close else ""
    return f"{name!r} is no axis of this study{hint} (known: {', '.join(known) or 'none'})"
