"""Kinds of pages: those that have the same storage format in every tier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

from kvsim.errors import SimulationError
from kvsim.scenario.catalog import FormatSpec
from kvsim.scenario.geometry import tier_scheme
from kvsim.scenario.scenario import Scenario
from kvsim.workloads.base import Pages, Workload, places_of

Formats = tuple[FormatSpec, ...]
"""The format of a page in each tier."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Kinds:
    """The kinds of pages of a run."""

    formats: tuple[Formats, ...]
    """By kind."""
    of_page: Pages | None
    """The kind of each page; None where all are of one, and more pages may come."""

    def by_page(self, values: Sequence[T]) -> tuple[T, list[T] | None]:
        """Of values by kind: that of the first kind, and that of each page unless all kinds have the same."""
        if self.of_page is None or all(other == values[0] for other in values):
            return values[0], None
        return values[0], [values[kind] for kind in self.of_page.tolist()]

    def sizes(self, scalars: int | Pages) -> list[int] | list[list[int]]:
        """Bytes of a page in each tier: one number for all pages, or a list of them."""
        tiers = range(len(self.formats[0]))
        if isinstance(scalars, int) and self.of_page is None:
            return [self.formats[0][tier].bytes(scalars) for tier in tiers]
        tables: dict[Formats, list[int]] = {}
        columns = [tuple(formats[tier] for formats in self.formats) for tier in tiers]
        for column in columns:
            if column not in tables:
                tables[column] = self._table(column, scalars)
        return [tables[column] for column in columns]

    def _table(self, column: Formats, scalars: int | Pages) -> list[int]:
        """Bytes of every page in a tier with these formats, by kind."""
        if self.of_page is None:
            assert not isinstance(scalars, int)
            return column[0].bytes_of_each(scalars.tolist())
        each = np.full(len(self.of_page), scalars) if isinstance(scalars, int) else scalars
        sizes = np.zeros(len(each), dtype=np.int64)
        for kind, format in enumerate(column):
            pages = np.flatnonzero(self.of_page == kind)
            sizes[pages] = format.bytes_of_each(each[pages].tolist())
        table: list[int] = sizes.tolist()
        return table


def page_kinds(scenario: Scenario, workload: Workload) -> Kinds:
    """The kinds of the workload's pages under the rules of the scenario's schemes.

    Raises SimulationError if a rule asks for what the workload does not tell.
    """
    schemes = [tier_scheme(scenario, tier) for tier in range(len(scenario.hierarchy.tiers))]
    rules = [rule for scheme in schemes for rule in scheme.mixed]
    if not rules:
        return Kinds((tuple(schemes),), None)
    by_layer = any(rule.layers is not None for rule in rules)
    by_group = any(rule.head_groups is not None for rule in rules)
    layers = _told(workload, "page_layers", "layer") if by_layer else None
    groups = _told(workload, "page_head_groups", "head group") if by_group else None
    pages = _universe(workload, layers, groups)
    nothing = np.zeros(pages, dtype=np.int64)
    places = np.stack([nothing if layers is None else layers, nothing if groups is None else groups], axis=1)
    distinct, place_of = np.unique(places, axis=0, return_inverse=True)
    found: dict[tuple[object, ...], int] = {}
    formats: list[Formats] = []
    kind_of: list[int] = []
    for layer, group in distinct.tolist():
        these = tuple(scheme.format_of(layer, group) for scheme in schemes)
        kind = found.setdefault(tuple(format.figures for format in these), len(formats))
        if kind == len(formats):
            formats.append(these)
        kind_of.append(kind)
    if len(formats) < 2:
        return Kinds((formats[0] if formats else tuple(schemes),), None)
    return Kinds(tuple(formats), np.array(kind_of, dtype=np.int64)[place_of.reshape(-1)])


def _told(workload: Workload, which: Literal["page_layers", "page_head_groups"], what: str) -> Pages:
    places = places_of(workload, which)
    if places is None:
        raise SimulationError(
            f"the scheme has rules by {what}, but the workload {type(workload).__name__} does not tell the "
            f"{what} of its pages: it has no `{which}`, a number for every page that will ever exist"
        )
    return np.asarray(places, dtype=np.int64)


def _universe(workload: Workload, *told: Pages | None) -> int:
    """The number of pages, on which all that the workload tells of them must agree."""
    counts = {len(places) for places in told if places is not None}
    if not isinstance(workload.page_scalars, int):
        counts.add(len(workload.page_scalars))
    if len(counts) > 1:
        listing = " and ".join(map(str, sorted(counts)))
        name = type(workload).__name__
        raise SimulationError(f"the workload {name} tells of {listing} pages: the numbers must agree")
    return counts.pop()
