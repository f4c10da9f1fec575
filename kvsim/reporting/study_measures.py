"""How a measure is put in words and its number in a unit; shared by tables, figures and claims."""

from __future__ import annotations

from math import isclose

from kvsim.reporting.study_text import figure_text, kind_of
from kvsim.reporting.text import number_text, significant, time_unit
from kvsim.study.select import describe_where
from kvsim.study.spec import MeasureSpec, SelectionSpec

__all__ = ["against", "axis_title", "describe", "measure_text", "spread_text", "unit_of"]

_BYTES = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))
_AGGREGATES = {
    "mean": "mean",
    "min": "least",
    "max": "greatest",
    "median": "median",
    "sum": "sum",
    "std": "standard deviation",
    "count": "number of runs with",
}
_RELATIONS = {"change": "change against", "ratio": "ratio to", "difference": "difference from"}


def unit_of(measure: MeasureSpec, largest: float) -> tuple[float, str]:
    """The unit for numbers up to `largest`: how much one is, and its name, empty for plain numbers."""
    relation = measure.relation if measure.relative_to is not None else None
    if relation == "change":
        return 0.01, "%"
    if relation in ("ratio", "rank_correlation", "elasticity"):
        return 1.0, ""
    if measure.reach is not None:
        return 1.0, ""
    if measure.aggregate == "count":
        return 1.0, "runs"
    kind = kind_of(measure.metric)
    if kind == "time":
        unit = time_unit(largest)
        return unit.length_s, unit.name
    if kind == "bytes":
        return next(((float(size), name) for size, name in _BYTES if largest >= size), (1.0, "B"))
    if kind == "share":
        return 0.01, "points" if relation == "difference" else "%"
    return 1.0, ""


def measure_text(measure: MeasureSpec, value: float) -> str:
    """The number of a measure with its unit, as a cell of a table."""
    relation = measure.relation if measure.relative_to is not None else None
    if relation == "rank_correlation":
        return f"{round(value, 2) + 0.0:.2f}"
    if relation == "elasticity":
        return f"{round(value, 2) + 0.0:+.2f}"
    if relation == "change":
        return f"{value * 100:+.1f} %"
    if relation == "ratio":
        return number_text(value)
    if measure.reach is not None:
        return f"{value:{'+' if relation == 'difference' else ''},.10g}"
    if measure.aggregate == "count":
        return f"{value:,.0f}"
    if relation == "difference" and kind_of(measure.metric) == "share":
        return f"{value * 100:+.1f} points"
    sign = "+" if relation == "difference" and value > 0 else ""
    whole = kind_of(measure.metric) == "number" and value == int(value)
    return sign + figure_text(measure.metric, int(value) if whole else value)


def spread_text(measure: MeasureSpec, mean: float, std: float) -> str:
    """`1.43 ± 0.05 ms`: both in the unit of the mean, with its decimals unless nothing would be left."""
    length, unit = unit_of(measure, abs(mean))
    shown = number_text(mean / length) if unit != "%" else f"{mean / length:.1f}"
    decimals = len(shown.partition(".")[2]) if "e" not in shown else 3
    beside = f"{std / length:.{decimals}f}"
    if std and isclose(float(beside), 0.0):
        beside = significant(std / length)
    return f"{shown} ± {beside} {unit}".rstrip()


def describe(measure: MeasureSpec) -> str:
    """The measure as a sentence without its full stop."""
    where = describe_where(measure.where)
    text = _of(measure, None) + (f" at {where}" if where else "")
    baseline = measure.relative_to
    if baseline is not None and measure.relation == "rank_correlation":
        text = f"Spearman's rank correlation over {measure.over}: {text}, with {against(measure, baseline)}"
    elif baseline is not None and measure.relation == "elasticity":
        text = f"Elasticity along {measure.over} of the {text}, against {against(measure, baseline)}"
    elif baseline is not None:
        text += f": {_RELATIONS[measure.relation]} {against(measure, baseline)}"
    return text[0].upper() + text[1:]


def axis_title(measure: MeasureSpec, unit: str) -> str:
    """The measure as the title of an axis."""
    plain = measure.aggregate == "mean" and measure.reach is None
    name = measure.metric if plain else _of(measure, None)
    baseline = measure.relative_to
    if baseline is not None and measure.relation == "rank_correlation":
        return f"rank correlation over {measure.over} of {name} with {against(measure, baseline)}"
    if baseline is not None and measure.relation == "elasticity":
        return f"elasticity of {name} along {measure.over}"
    if baseline is not None:
        name += f", {_RELATIONS[measure.relation]} {against(measure, baseline)}"
    return f"{name} ({unit})" if unit else name


def _of(measure: MeasureSpec, part: SelectionSpec | None) -> str:
    aggregate = (part and part.aggregate) or measure.aggregate
    metric = (part and part.metric) or measure.metric
    number = f"{_AGGREGATES[aggregate]}{'' if aggregate == 'count' else ' of'} {metric}"
    if measure.reach is None:
        return number
    bound = figure_text(metric, measure.reach.at_most)
    return f"last {measure.reach.along} with a {number} of at most {bound}"


def against(measure: MeasureSpec, baseline: SelectionSpec) -> str:
    """The baseline by what it says itself."""
    own = _of(measure, baseline) if baseline.metric or baseline.aggregate else ""
    where = describe_where(baseline.where)
    if baseline.previous is not None:
        before = f"the {baseline.previous} before"
        where = f"{where}, {before}" if where else before
    if own and where:
        return f"{own} at {where}"
    return own or where or "all runs"
