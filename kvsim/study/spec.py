"""What a study file holds: what is run, what is claimed about it and what is shown. Data only, no code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from kvsim.scenario.base import Flag, Index, Name, Spec

__all__ = [
    "DEFAULT_METRICS",
    "EVERY",
    "Aggregate",
    "AxisSpec",
    "ClaimSpec",
    "FigureSpec",
    "MeasureSpec",
    "ReachSpec",
    "Relation",
    "SelectionSpec",
    "StudySpec",
    "TableSpec",
    "ViewSpec",
    "Where",
]

EVERY = "*"
"""In a selection: every value of the axis."""

DEFAULT_METRICS = (
    "step_latency_s.mean",
    "exposed_s.total",
    "hidden_s",
    "hit_rate",
    "bytes_by_class.total",
    "makespan_s",
)


def _single(value: Any) -> Any:
    if isinstance(value, (str, int, float, bool)):
        return value
    what = "empty" if value is None else "a mapping" if isinstance(value, dict) else "a list"
    raise ValueError(f"must be a single value, not {what}; a variant can set anything")


def _one_or_several(value: Any) -> tuple[Any, ...]:
    values = value if isinstance(value, (list, tuple)) else (value,)
    if not values:
        raise ValueError("must name one or more values of the axis")
    return tuple(_single(each) for each in values)


def _name_or_names(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _file_name(value: str) -> str:
    if not _OF_A_FILE.fullmatch(value):
        raise ValueError(
            f"{value!r} becomes the name of a file: letters, digits, '-' and '_' only, the first no '-'"
        )
    return value


_OF_A_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")

FileName = Annotated[str, AfterValidator(_file_name)]
"""A name that is good for a file on every system."""

Names = Annotated[tuple[Name, ...], BeforeValidator(_name_or_names), Field(min_length=1)]
"""One name, or a list of them."""

Listed = Annotated[tuple[Name, ...], BeforeValidator(_name_or_names)]
"""The same, or none."""

Scalar = Annotated[Any, AfterValidator(_single)]
"""Text, a number, true or false, kept as it is."""

Where = dict[str, Annotated[tuple[Any, ...], BeforeValidator(_one_or_several)]]
"""Axis (or `base`, `seed`) and the value or values that it must have."""

Overrides = dict[str, Any]
"""Dotted path and value, as with `--set`. The value `{times: AXIS}` multiplies what is there, after all that
is set, by the number that labels the run's value of that axis; what is unset stays unset."""

Aggregate = Literal["mean", "min", "max", "median", "sum", "std", "count"]
Relation = Literal["change", "ratio", "difference", "rank_correlation", "elasticity"]
Slack = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]


class AxisSpec(Spec):
    """One thing that is varied: a path with values, or named variants."""

    name: Name
    """What the axis is called, in the results and in claims."""
    path: Name | None = None
    """The dotted path that takes the `values`, such as `execution.overlap`."""
    values: tuple[Scalar, ...] = ()
    """The values of `path`, one after another."""
    variants: dict[str, Overrides] = Field(default_factory=dict)
    """Instead of `path` and `values`: name and overrides (dotted path: value), any number of them."""


class SelectionSpec(Spec):
    """Runs to compare with. What is not said is as in the measure."""

    metric: Name | None = None
    """Default: the measure's metric."""
    where: Where = Field(default_factory=dict)
    """Laid over the measure's `where`; the value `*` frees an axis."""
    aggregate: Aggregate | None = None
    """Default: the measure's aggregate."""
    previous: Name | None = None
    """An axis: the runs at the value that comes before the measure's own, in the order of the study. The
    first value has none before it. Default: none."""


class ReachSpec(Spec):
    """How far an axis can be followed before a number passes a bound."""

    along: Name
    """The axis; its labels are numbers above 0, and grow."""
    at_most: Annotated[float, Field(strict=True, allow_inf_nan=False)]
    """The bound."""


class MeasureSpec(Spec):
    """How runs become one number: select them, aggregate a figure of theirs, relate it to a baseline."""

    metric: Name
    """What is measured, such as `exposed_s.total`."""
    where: Where = Field(default_factory=dict)
    """Which runs: axis and value, or list of values. Default: all."""
    aggregate: Aggregate = "mean"
    """How several runs become one number; `std` is that of a sample. Default mean."""
    reach: ReachSpec | None = None
    """Instead of that number: the last label of an axis up to which the number keeps a bound, 0 if it does at
    none; such as the longest context whose slowest step takes at most 0.1 s. Default: the number."""
    relative_to: SelectionSpec | None = None
    """Measure relative to these runs. Default: the number itself."""
    relation: Relation = "change"
    """With `relative_to`: `change` is measured / baseline - 1, `ratio` measured / baseline, `difference`
    measured - baseline, `rank_correlation` how alike both order the values of the axis `over` (Spearman),
    `elasticity` the change in percent for one percent more along the axis `over`, whose labels are numbers:
    ln(measured / baseline) / ln(factor / baseline's factor). Default change."""
    over: Name | None = None
    """The axis whose values a `rank_correlation` ranks, or along which an `elasticity` is taken."""


class ClaimSpec(MeasureSpec):
    """A statement about the results that can be checked: measured number, operator, expected number."""

    name: Name
    """Short name, unique in the study."""
    text: str = ""
    """The statement in words."""
    source: str = ""
    """Who says so, and where."""
    each: tuple[Name, ...] = ()
    """Axes: the claim is about every value (or combination) of them by itself. Default: about all runs
    together."""
    operator: Literal["<", "<=", ">", ">=", "==", "!="]
    """How the measured number is to compare."""
    value: Annotated[float, Field(strict=True, allow_inf_nan=False)] | None = None
    """The number to compare with."""
    than: SelectionSpec | None = None
    """Instead of `value`: the runs to compare with, by their own number."""
    tolerance: Slack = 0.0
    """How much may be missing, in the unit of the measured number. Default 0."""
    relative_tolerance: Slack = 0.0
    """The same as a share of the expected number; the larger of the two counts. Default 0."""
    question: Flag = False
    """An open question: its answer is the finding, and either is fine. Default false."""
    note: str = ""
    """What a reader should know, such as where a published statement contradicts the published table.
    Default empty."""


class ViewSpec(MeasureSpec):
    """A measure taken at every combination of some axes, and shown."""

    name: FileName
    """Short name, unique among the tables or figures of the study; an image is called so."""
    title: Name
    """What it says, in words."""


class TableSpec(ViewSpec):
    """A measure as a table of numbers."""

    rows: Names
    """The axis, or axes, that go down."""
    columns: Name | None = None
    """The axis that goes across. Default: one column."""
    spread: Flag = False
    """Show `mean ± std` over the runs of a cell, the standard deviation that of a sample. Default false."""


class FigureSpec(ViewSpec):
    """A measure as a figure."""

    kind: Literal["bars", "lines", "heat", "ranks", "waterfall", "tornado"]
    """`heat` writes its numbers into coloured cells; `ranks` joins the rank (1 = least) that each value of
    `colour` has along `x`; `waterfall` begins with the number of the first value of `x`, adds for each
    following one its difference from the one before, and ends with the total;
    `tornado` has horizontal bars from the base case in the middle, one for every value of `x` in each row of
    `y`, and the row with the longest bar on top."""
    x: Name
    """The axis that goes across; in a `tornado` that of the bars in a row, such as half and twice."""
    y: Name | None = None
    """The axis that goes down in a `heat` or `tornado`."""
    colour: Name | None = None
    """The axis told apart by colour; `ranks` needs it, `heat` and `tornado` have none.
    Default: one colour."""
    panels: Name | None = None
    """The axis with a panel of its own for every value. Default: one panel."""
    spread: Literal["none", "std", "range"] = "none"
    """Whiskers of bars and lines over the runs behind a mean: the standard deviation of the sample to both
    sides, or from the least to the greatest. Default none."""
    scale: Literal["linear", "log"] = "linear"
    """How the numbers of `lines` are laid out; `log` for what grows by factors, all above 0. Default
    linear."""
    also: Listed = ()
    """In a `waterfall`: further metrics, each with panels and a scale of its own. Default none."""
    more_is_better: Listed = ()
    """In a `waterfall` or `tornado`: those of its metrics of which more is better, for the colours. Default
    none: less is better."""
    reference: SelectionSpec | None = None
    """In a `waterfall`: a line at the number of these runs, such as those of a baseline, laid over the
    figure's `where`; names one value of `x`. Default no line."""

    @property
    def parts(self) -> tuple[FigureSpec, ...]:
        """The figure for each of its metrics by itself."""
        return tuple(self.model_copy(update={"metric": name}) for name in (self.metric, *self.also))

    @property
    def axes(self) -> dict[str, str]:
        """The axes that it is drawn along, by the field that names each."""
        named = {"panels": self.panels, "colour": self.colour, "y": self.y, "x": self.x}
        return {field: axis for field, axis in named.items() if axis is not None}


class StudySpec(Spec):
    """A study: every combination of base, axes and seeds is one run."""

    name: Name
    """Name of the study. Default the file's name."""
    description: str = ""
    """What it asks. Default empty."""
    source: str = ""
    """Where the question and its numbers come from. Default empty."""
    base: Name | None = None
    """The scenario that is varied: a shipped one's name, or a file, relative to the study's."""
    bases: dict[str, Name] = Field(default_factory=dict)
    """Instead of `base`: several of them by name; the name is a column of the results."""
    set: Overrides = Field(default_factory=dict)
    """Overrides of every run (dotted path: value)."""
    axes: tuple[AxisSpec, ...] = ()
    """What is varied; later axes vary faster."""
    exclude: tuple[Where, ...] = ()
    """Combinations that are left out."""
    seeds: tuple[Index, ...] = ()
    """Seeds; each run is repeated with every one. Default: the scenario's own."""
    metrics: tuple[Name, ...] = DEFAULT_METRICS
    """Figures of a run to keep, as dotted paths into its summary. What claims, tables and
    figures need is kept besides."""
    claims: tuple[ClaimSpec, ...] = ()
    """What is claimed about the results."""
    tables: tuple[TableSpec, ...] = ()
    """Tables of the reports."""
    figures: tuple[FigureSpec, ...] = ()
    """Figures of the reports. Default: one for each of the `metrics`."""

    @property
    def measures(self) -> Iterator[MeasureSpec]:
        """Every measure taken of the results."""
        yield from self.claims
        yield from self.tables
        yield from self.figures

    @property
    def kept_metrics(self) -> tuple[str, ...]:
        """The metrics of the results: those listed, then those that only measures need."""
        needed = list(self.metrics)
        for measure in self.measures:
            needed.append(measure.metric)
            parts = [measure.relative_to]
            if isinstance(measure, ClaimSpec):
                parts.append(measure.than)
            if isinstance(measure, FigureSpec):
                needed += measure.also
                parts.append(measure.reference)
            needed += [part.metric for part in parts if part and part.metric]
        return tuple(dict.fromkeys(needed))
