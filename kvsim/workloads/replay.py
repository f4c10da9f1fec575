"""Replay of a page trace: whatever was read elsewhere, against the hierarchy of a scenario."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial
from itertools import groupby
from operator import attrgetter
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from kvsim.scenario.compute import ComputeModel
from kvsim.scenario.geometry import scalars_of
from kvsim.scenario.scenario import Scenario
from kvsim.scenario.workload import Replay as Spec
from kvsim.workloads.base import LayerAccess, Pages, Step
from kvsim.workloads.page_trace import Format, PageId, PageRow, format_of, read_pages, refuse
from kvsim.workloads.registry import register_workload
from kvsim.workloads.synthetic import PAGE_TOKENS

__all__ = ["Replay"]

Key = PageId | tuple[int, PageId | None, PageId]
_MOST_MASS = 1 + 1e-6
CACHED = 1024


@register_workload
class Replay:
    """The page reads of a trace: the rows of one step and layer are one access.

    The layers of a step come in order of appearance; a row without one is of layer 0. Pages are numbered
    in order of first appearance; each appears in the last tier when it is first read. Without `page_bytes`
    the trace is read once before the run, for the sizes of its pages, and once more for each of layer and
    head group that the scheme has rules by; that takes memory for the distinct pages, never for the rows.
    Sizes are rounded up to whole scalars. Compute times are those of the scheme without its rules.
    """

    name: ClassVar[str] = "replay"
    absent: Literal["appear", "compute"] = "appear"
    initial_pages = 0

    def __init__(self, scenario: Scenario) -> None:
        spec = scenario.workload
        assert isinstance(spec, Spec)
        self._path = spec.path
        self._format: Format = format_of(spec.path) if spec.format == "auto" else spec.format
        self._by_layer = spec.page_scope == "layer"
        self._scenario = scenario
        # Both are exact and slow; most traces have few sizes.
        self._scalars = lru_cache(maxsize=CACHED)(partial(scalars_of, scenario))
        self._ticks = lru_cache(maxsize=CACHED)(partial(ComputeModel(scenario).layer_ticks, 1))
        self.total_steps: int | None = None
        self.page_scalars: int | NDArray[np.int64]
        if spec.page_bytes is None:
            self.page_scalars = self._measured()
        else:
            self.page_scalars = self._scalars(spec.page_bytes)
            next(self.steps())  # a trace that cannot be read is refused before the run starts

    def steps(self) -> Iterator[Step]:
        """The steps in the order of the trace. Raises TraceError at the line that cannot be used."""
        numbers: dict[Key, int] = {}
        for _, rows in groupby(self._rows(), attrgetter("step")):
            layers: dict[int, list[tuple[int, PageRow]]] = {}
            for row in rows:
                number = numbers.setdefault(self._key(row), len(numbers))
                layers.setdefault(row.layer or 0, []).append((number, row))
            yield Step([self._access(layer, reads) for layer, reads in layers.items()])

    @property
    def page_layers(self) -> Pages:
        """Layer of each page; reads the trace. Raises TraceError at a row that does not tell it."""
        return self._places("layer")

    @property
    def page_head_groups(self) -> Pages:
        """Head group of each page, a number; as `page_layers`."""
        return self._places("head_group")

    def _places(self, field: Literal["layer", "head_group"]) -> Pages:
        what = field.replace("_", " ")
        numbers: dict[Key, int] = {}
        places: list[int] = []
        for row in self._rows():
            place: PageId | None = getattr(row, field)
            if place is None:
                refuse(self._path, row.line, field, f"is missing, and the scheme has rules by {what}")
            if not isinstance(place, int) or place < 0:
                refuse(self._path, row.line, field, f"must be a number from 0 for rules by it, not {place!r}")
            page = numbers.setdefault(self._key(row), len(numbers))
            if page == len(places):
                places.append(place)
            elif place != places[page]:
                twice = f"page {row.page!r} was of {what} {places[page]}, and the scheme has rules by {what}"
                refuse(self._path, row.line, field, f"{twice}; `page_scope: layer` makes it two pages")
        return np.array(places, dtype=np.int64)

    def _rows(self) -> Iterator[PageRow]:
        return read_pages(self._path, self._format)

    def _key(self, row: PageRow) -> Key:
        return (row.layer or 0, row.head_group, row.page) if self._by_layer else row.page

    def _access(self, layer: int, reads: list[tuple[int, PageRow]]) -> LayerAccess:
        where = f"step {reads[0][1].step}, layer {layer}"
        pages: dict[int, None] = {}
        tokens = 0
        for page, row in reads:
            if page in pages:
                refuse(self._path, row.line, "page", f"{row.page!r} comes twice in {where}")
            pages[page] = None
            tokens += row.tokens or PAGE_TOKENS
        mass = None
        if any(row.mass is not None for _, row in reads):
            mass = np.array([row.mass or 0.0 for _, row in reads])
            if mass.sum() > _MOST_MASS:
                line = reads[-1][1].line
                refuse(self._path, line, "mass", f"adds up to {mass.sum():.6g} in {where}: more than 1")
        ticks = self._ticks(tokens)
        return LayerAccess(np.fromiter(pages, np.int64, len(pages)), ticks, layer=layer, mass=mass)

    def _measured(self) -> NDArray[np.int64]:
        """Scalars of each page, from a first pass over the trace, which counts the steps too."""
        numbers: dict[Key, int] = {}
        scalars: list[int] = []
        steps, last = 0, -1
        for row in self._rows():
            size = self._size(row)
            page = numbers.setdefault(self._key(row), len(numbers))
            if page == len(scalars):
                scalars.append(size)
            elif size > scalars[page]:
                scalars[page] = size
            steps += row.step != last
            last = row.step
        self.total_steps = steps
        return np.array(scalars, dtype=np.int64)

    def _size(self, row: PageRow) -> int:
        if row.bytes is not None:
            return self._scalars(row.bytes)
        model = self._scenario.model
        if model is None:
            message = (
                "is missing, and so is a model to know the size of the page from; give `workload.page_bytes`"
            )
            refuse(self._path, row.line, "bytes", message)
        return (row.tokens or PAGE_TOKENS) * model.kv_scalars_per_token_layer
