"""What a study file holds: base scenarios, axes, seeds, metrics, claims. Data only; nothing in it is code."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from kvsim.scenario.base import Index, Name, Spec

__all__ = ["DEFAULT_METRICS", "EVERY", "Aggregate", "AxisSpec", "ClaimSpec", "SelectionSpec", "StudySpec"]

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


Scalar = Annotated[Any, AfterValidator(_single)]
"""Text, a number, true or false, kept as it is."""

Where = dict[str, Annotated[tuple[Any, ...], BeforeValidator(_one_or_several)]]
"""Axis (or `base`, `seed`) and the value or values that it must have."""

Overrides = dict[str, Any]
"""Dotted path and value, as with `--set`."""

Aggregate = Literal["mean", "min", "max", "median", "sum", "std", "count"]
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
    """Runs to compare with. What is not said is as in the claim."""

    metric: Name | None = None
    """Default: the claim's metric."""
    where: Where = Field(default_factory=dict)
    """Laid over the claim's `where`; the value `*` frees an axis."""
    aggregate: Aggregate | None = None
    """Default: the claim's aggregate."""


class ClaimSpec(Spec):
    """A statement about the results that can be checked: measured number, operator, expected number."""

    name: Name
    """Short name, unique in the study."""
    text: str = ""
    """The statement in words."""
    source: str = ""
    """Who says so, and where."""
    metric: Name
    """What is measured, such as `exposed_s.total`."""
    where: Where = Field(default_factory=dict)
    """Which runs: axis and value, or list of values. Default: all."""
    aggregate: Aggregate = "mean"
    """How several runs become one number; `std` is that of a sample. Default mean."""
    relative_to: SelectionSpec | None = None
    """Measure relative to these runs. Default: the number itself."""
    relation: Literal["change", "ratio", "difference"] = "change"
    """With `relative_to`: `change` is measured / baseline - 1, `ratio` measured / baseline, `difference`
    measured - baseline. Default change."""
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
    """Figures of a run to keep, as dotted paths into its summary. What claims need is kept besides."""
    claims: tuple[ClaimSpec, ...] = ()
    """What is claimed about the results."""

    @property
    def kept_metrics(self) -> tuple[str, ...]:
        """The metrics of the results: those listed, then those that only claims need."""
        needed = list(self.metrics)
        for claim in self.claims:
            needed.append(claim.metric)
            needed += [part.metric for part in (claim.relative_to, claim.than) if part and part.metric]
        return tuple(dict.fromkeys(needed))
