"""What no single field of a study shows: names that occur twice, axes that do not exist, parts that clash."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kvsim.scenario.tree import Path
from kvsim.study.check_measures import (
    RANKED,
    Findings,
    Known,
    check_axis,
    check_factors,
    check_measure,
    check_where,
)
from kvsim.study.grid import label_of, labels
from kvsim.study.scaling import scaling_axis
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
)

__all__ = ["Findings", "check", "named_metrics"]

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
        yield from check_factors(axis, place, known)
    for number, left_out in enumerate(spec.exclude):
        yield from check_where(left_out, ("exclude", number), known)
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


def _check_claim(claim: ClaimSpec, at: Path, known: Known) -> Findings:
    if (claim.value is None) == (claim.than is None):
        yield at, "needs either `value` or `than`"
    yield from check_measure(claim, at, known)
    if claim.than is not None:
        yield from check_where(claim.than.where, (*at, "than", "where"), known)
        if claim.over in claim.than.where:
            yield (*at, "than", "where", claim.over or ""), RANKED
    for number, axis in enumerate(claim.each):
        yield from check_axis(axis, claim, (*at, "each", number), known)


def _check_names(views: Sequence[ViewSpec], key: str) -> Findings:
    for number, view in enumerate(views):
        # Files of names that differ by case alone are one file on some systems.
        if any(view.name.casefold() == other.name.casefold() for other in views[:number]):
            yield (key, number, "name"), f"{view.name!r} names two {key}"


def _check_table(table: TableSpec, at: Path, known: Known) -> Findings:
    yield from check_measure(table, at, known)
    used: list[str] = []
    for number, axis in enumerate(table.rows):
        yield from check_axis(axis, table, (*at, "rows", number), known, used)
        used.append(axis)
    if table.columns is not None:
        yield from check_axis(table.columns, table, (*at, "columns"), known, used)
    if table.spread:
        yield from _check_spread(table, at)


def _check_figure(figure: FigureSpec, at: Path, known: Known) -> Findings:
    yield from check_measure(figure, at, known)
    used: list[str] = []
    for field, axis in figure.axes.items():
        yield from check_axis(axis, figure, (*at, field), known, used)
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


def _check_waterfall(figure: FigureSpec, at: Path, known: Known) -> Findings:
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
        yield from check_where(where, (*at, "reference", "where"), known)
        if len(where.get(figure.x, ())) != 1 or EVERY in where[figure.x]:
            yield (*at, "reference"), f"must name one value of {figure.x} in its `where`"


def _check_spread(view: ViewSpec, at: Path) -> Findings:
    if view.aggregate != "mean" or view.relative_to is not None or view.reach is not None:
        yield (*at, "spread"), "is for plain means only: aggregate mean, no relative_to and no reach"
