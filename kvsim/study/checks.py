"""What no single field of a study shows: names that occur twice, axes that do not exist, parts that clash."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kvsim.errors import nearest
from kvsim.scenario.tree import Path
from kvsim.study.grid import label_of, labels
from kvsim.study.scaling import factor_of, scaling_axis
from kvsim.study.spec import (
    EVERY,
    AxisSpec,
    ClaimSpec,
    FigureSpec,
    MeasureSpec,
    Overrides,
    StudySpec,
    TableSpec,
    ViewSpec,
    Where,
)

__all__ = ["Findings", "check", "named_metrics"]

Findings = Iterator[tuple[Path, str]]
"""Paths in the study, each with what is wrong there."""
_Known = dict[str, tuple[str, ...]] | None
"""The axes and their labels; None where they are not known, because they are wrong."""

_RESERVED = ("base", "seed", "error")


def check(spec: StudySpec, whole: bool) -> Findings:
    """Every finding; with `whole` false, axes may be missing and are not asked for."""
    if (spec.base is None) == (not spec.bases):
        yield ("base",), "is required, or else `bases`, and not both"
    yield from _check_axes(spec.axes)
    for number, seed in enumerate(spec.seeds):
        if seed in spec.seeds[:number]:
            yield ("seeds", number), f"{seed} occurs twice"
    known = labels(spec) if whole else None
    for place, axis in _multiplied(spec):
        yield from _check_factors(axis, place, known)
    for number, left_out in enumerate(spec.exclude):
        yield from _check_where(left_out, ("exclude", number), known)
    for number, claim in enumerate(spec.claims):
        at: Path = ("claims", number)
        if any(claim.name == other.name for other in spec.claims[:number]):
            yield (*at, "name"), f"{claim.name!r} names two claims"
        yield from _check_claim(claim, at, known)
    yield from _check_names(spec.tables, "tables")
    for number, table in enumerate(spec.tables):
        yield from _check_table(table, ("tables", number), known)
    yield from _check_names(spec.figures, "figures")
    for number, figure in enumerate(spec.figures):
        yield from _check_figure(figure, ("figures", number), known)


def named_metrics(spec: StudySpec) -> Iterator[tuple[Path, str]]:
    """Every metric that a study names, with its place."""
    for number, name in enumerate(spec.metrics):
        yield ("metrics", number), name
    lists: dict[str, Sequence[MeasureSpec]] = {
        "claims": spec.claims,
        "tables": spec.tables,
        "figures": spec.figures,
    }
    for key, measures in lists.items():
        for number, measure in enumerate(measures):
            yield (key, number, "metric"), measure.metric
            parts = {"relative_to": measure.relative_to}
            if isinstance(measure, ClaimSpec):
                parts["than"] = measure.than
            if isinstance(measure, FigureSpec):
                parts["reference"] = measure.reference
                yield from (((key, number, "also", place), also) for place, also in enumerate(measure.also))
            for field, part in parts.items():
                if part is not None and part.metric is not None:
                    yield (key, number, field, "metric"), part.metric


def _check_axes(axes: Sequence[AxisSpec]) -> Findings:
    names: list[str] = []
    for number, axis in enumerate(axes):
        at: Path = ("axes", number)
        if axis.name in _RESERVED:
            yield (*at, "name"), f"{axis.name!r} is a column of the results; choose another name"
        elif axis.name in names:
            yield (*at, "name"), f"{axis.name!r} names two axes"
        names.append(axis.name)
        if bool(axis.variants) == bool(axis.path or axis.values):
            yield at, "needs either `path` and `values`, or `variants`"
        elif axis.path is None and not axis.variants:
            yield (*at, "path"), "is required with `values`"
        elif axis.path is not None and not axis.values:
            yield (*at, "values"), "is required with `path`"
        said = [label_of(value) for value in axis.values]
        for place, text in enumerate(said):
            if text in said[:place]:
                yield (*at, "values", place), f"{text!r} occurs twice"
            elif text == EVERY:
                yield (*at, "values", place), f"{text!r} means every value in a selection; use a variant"


def _multiplied(spec: StudySpec) -> Iterator[tuple[Path, str]]:
    """Every axis that an override multiplies by, with the override's place."""
    places: list[tuple[Path, Overrides]] = [(("set",), spec.set)]
    for number, axis in enumerate(spec.axes):
        places += [(("axes", number, "variants", name), some) for name, some in axis.variants.items()]
    for at, changes in places:
        for path, value in changes.items():
            named = scaling_axis(value)
            if named is not None:
                yield (*at, path), named


def _check_factors(axis: str, at: Path, known: _Known) -> Findings:
    """What must be said of an axis whose labels are factors."""
    if known is not None and axis not in known:
        yield at, _no_axis(axis, known)
    elif known is not None:
        wrong = [label for label in known[axis] if factor_of(label) is None]
        if wrong:
            yield at, f"{axis} has the value {wrong[0]!r}; factors are numbers above 0"


def _check_claim(claim: ClaimSpec, at: Path, known: _Known) -> Findings:
    if (claim.value is None) == (claim.than is None):
        yield at, "needs either `value` or `than`"
    yield from _check_measure(claim, at, known)
    if claim.than is not None:
        yield from _check_where(claim.than.where, (*at, "than", "where"), known)
        if claim.over in claim.than.where:
            yield (*at, "than", "where", claim.over or ""), _RANKED
    for number, axis in enumerate(claim.each):
        yield from _check_axis(axis, claim, (*at, "each", number), known)


def _check_measure(measure: MeasureSpec, at: Path, known: _Known) -> Findings:
    yield from _check_where(measure.where, (*at, "where"), known)
    baseline = measure.relative_to
    if baseline is not None:
        yield from _check_where(baseline.where, (*at, "relative_to", "where"), known)
        if baseline.previous is not None and known is not None and baseline.previous not in known:
            yield (*at, "relative_to", "previous"), _no_axis(baseline.previous, known)
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
        yield (*at, "relative_to", "where", measure.over or ""), _RANKED
    if measure.over is None:
        yield (*at, "over"), "is required with rank_correlation; it names the axis whose values are ranked"
    elif known is not None and measure.over not in known:
        yield (*at, "over"), _no_axis(measure.over, known)
    elif known is not None:
        wanted = set(map(label_of, measure.where.get(measure.over, (EVERY,))))
        if len(known[measure.over] if EVERY in wanted else wanted) < 2:
            yield (*at, "over"), f"there must be two or more values of {measure.over} to rank"


def _check_elasticity(measure: MeasureSpec, at: Path, known: _Known) -> Findings:
    if measure.relative_to is None or measure.over is None:
        missing = "over" if measure.over is None else "relative_to"
        yield (*at, missing), "is required with elasticity"
        return
    yield from _check_factors(measure.over, (*at, "over"), known)
    sides = (measure.where, measure.relative_to.where)
    ends = [[*map(label_of, side.get(measure.over, ()))] for side in sides]
    if any(len(end) != 1 or EVERY in end for end in ends) or ends[0] == ends[1]:
        yield (*at, "over"), f"both sides must name one value of {measure.over}, not the same"


_RANKED = "this axis is the one that rank_correlation goes over"


def _check_names(views: Sequence[ViewSpec], key: str) -> Findings:
    for number, view in enumerate(views):
        # Files of names that differ by case alone are one file on some systems.
        if any(view.name.casefold() == other.name.casefold() for other in views[:number]):
            yield (key, number, "name"), f"{view.name!r} names two {key}"


def _check_table(table: TableSpec, at: Path, known: _Known) -> Findings:
    yield from _check_measure(table, at, known)
    used: list[str] = []
    for number, axis in enumerate(table.rows):
        yield from _check_axis(axis, table, (*at, "rows", number), known, used)
        used.append(axis)
    if table.columns is not None:
        yield from _check_axis(table.columns, table, (*at, "columns"), known, used)
    if table.spread:
        yield from _check_spread(table, at)


def _check_figure(figure: FigureSpec, at: Path, known: _Known) -> Findings:
    yield from _check_measure(figure, at, known)
    used: list[str] = []
    for field, axis in figure.axes.items():
        yield from _check_axis(axis, figure, (*at, field), known, used)
        used.append(axis)
    needed = {"heat": "y", "tornado": "y", "ranks": "colour"}.get(figure.kind)
    if needed is not None and needed not in figure.axes:
        yield (*at, needed), f"is required with kind {figure.kind}"
    for unused in {"heat": ["colour"], "tornado": ["colour"], "waterfall": ["colour", "y"]}.get(
        figure.kind, ["y"]
    ):
        if unused in figure.axes:
            yield (*at, unused), f"means nothing with kind {figure.kind}"
    if figure.spread != "none":
        if figure.kind in ("heat", "ranks", "waterfall", "tornado"):
            yield (*at, "spread"), f"means nothing with kind {figure.kind}"
        yield from _check_spread(figure, at)
    if figure.scale == "log" and figure.kind != "lines":
        yield (*at, "scale"), "is for kind lines only"
    yield from _check_waterfall(figure, at, known)
    if figure.kind == "tornado":
        relation = figure.relation if figure.relative_to is not None else None
        if relation not in ("change", "difference"):
            yield (*at, "relative_to"), "is required with kind tornado, the relation change or difference"


_DIRECTED = ("waterfall", "tornado")


def _check_waterfall(figure: FigureSpec, at: Path, known: _Known) -> Findings:
    """The fields that only this kind has, and the directions that it shares with a tornado."""
    if figure.kind != "waterfall":
        for field in ("also", "reference"):
            if getattr(figure, field):
                yield (*at, field), "is for kind waterfall only"
    if figure.kind not in _DIRECTED:
        if figure.more_is_better:
            yield (*at, "more_is_better"), "is for the kinds waterfall and tornado only"
        return
    metrics = (figure.metric, *figure.also)
    for number, metric in enumerate(figure.also, 1):
        if metric in metrics[:number]:
            yield (*at, "also", number - 1), f"{metric!r} is named twice"
    for number, metric in enumerate(figure.more_is_better):
        if metric not in metrics:
            yield (*at, "more_is_better", number), f"{metric!r} is none of the figure's: {', '.join(metrics)}"
    if figure.kind == "waterfall" and figure.reference is not None:
        where = figure.reference.where
        yield from _check_where(where, (*at, "reference", "where"), known)
        if len(where.get(figure.x, ())) != 1 or EVERY in where[figure.x]:
            yield (*at, "reference"), f"must name one value of {figure.x} in its `where`"


def _check_spread(view: ViewSpec, at: Path) -> Findings:
    if view.aggregate != "mean" or view.relative_to is not None:
        yield (*at, "spread"), "is for plain means only: aggregate mean, and no relative_to"


def _check_axis(
    axis: str, measure: MeasureSpec, at: Path, known: _Known, used: Sequence[str] = ()
) -> Findings:
    if known is not None and axis not in known:
        yield at, _no_axis(axis, known)
    elif axis == measure.over:
        yield at, _RANKED
    elif axis in used:
        yield at, f"{axis!r} is used twice"


def _check_where(where: Where, at: Path, known: _Known) -> Findings:
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
