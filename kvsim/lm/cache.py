"""The KV cache of a batch: everything written is kept, what a sequence may see of it is decided here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kvsim.errors import SimulationError
from kvsim.lm.attention import HIDDEN, Attended, Floats, attend, grouped, select
from kvsim.lm.pages import PageNumbers, Pages
from kvsim.lm.surgery import LayerStore, Surgery
from kvsim.lm.tables import Eviction, PageTable
from kvsim.lm.weights import LmShape

__all__ = ["KvCache", "LayerRead", "Observer", "Selection"]

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Reads few pages and keeps all: each query head the pages that look best to it, see `select`.

    Pages that the chunk writes to are read besides.
    """

    pages: int
    """Pages read of each layer and query head."""
    dense_layers: int = 0
    """The first layers, which read all (Quest: 2)."""


@dataclass(frozen=True, slots=True)
class LayerRead:
    """One layer of one step, of all B sequences."""

    step: int
    """Number of the chunk, from 0."""
    layer: int
    """The layer that reads; its pages may be another one's, if it shares them."""
    tokens: int
    """Tokens of a sequence that the pages hold, those of this chunk included."""
    pages: Pages
    """[P]: pages of the layer that hold tokens, ascending, whether they are there or not."""
    read: Flags
    """[B, P]: whether the sequence reads the page; also one evicted unfinished, while it is at hand."""
    mass: NDArray[np.float64]
    """[B, P]: attention on the page, the mean over queries and heads; adds up to 1 in each sequence."""
    created: Pages
    """Pages that the layer created at its end."""
    kept: Floats | None = None
    """[B]: see `Attended`; None if nobody asked, or everything was seen."""
    error: Floats | None = None
    """[B]: see `Attended`."""


Observer = Callable[[LayerRead], None]


class KvCache:
    """Keys and values of B sequences of one length, fed in chunks.

    `head_groups` of a layer have pages of their own (default: each KV head). Each sequence has its own
    policy object, which decides what of it is there. `owners` names for each layer the layer whose keys and
    values it uses, itself or one before it. `observe` is told of each layer of each step; with `compare`
    also what eviction or selection costs its attention.
    """

    def __init__(
        self,
        shape: LmShape,
        batch: int = 1,
        *,
        page_tokens: int = 16,
        head_groups: int | None = None,
        eviction: Eviction | None = None,
        selection: Selection | None = None,
        surgery: Sequence[Surgery] = (),
        owners: Sequence[int] | None = None,
        observe: Observer | None = None,
        compare: bool = False,
    ) -> None:
        heads, width = shape.num_key_value_heads, shape.head_dim
        groups = heads if head_groups is None else head_groups
        self.owners = _checked_owners(owners, shape.num_hidden_layers)
        if groups < 1 or heads % groups:
            raise SimulationError(f"{heads} KV heads cannot be split into {groups} head groups")
        if eviction is not None and selection is not None:
            raise SimulationError("a cache selects pages or evicts them, not both")
        self.batch = batch
        self.length = 0
        """Tokens of a sequence in the cache."""
        self.step = 0
        """Number of the running or next chunk."""
        own = sorted(set(self.owners))
        self.pages = PageNumbers(own, groups, page_tokens, 2 * page_tokens * (heads // groups) * width)
        self.tables = [] if eviction is None else [PageTable(self.pages, eviction) for _ in range(batch)]
        """The page table of each sequence; none without an eviction policy."""
        self.stores = {layer: LayerStore(batch, heads, width) for layer in own}
        self._selection = selection
        self._surgery = tuple(surgery)
        self._observe = observe
        self._compare = compare
        self._counts = bool(self.tables) or observe is not None
        self._end = 0
        self._coming = 0

    def begin(self, count: int, coming: int) -> None:
        """A chunk of `count` tokens is fed; `coming`: those of the next, for which its layers make room."""
        self._end = self.length + count
        self._coming = coming
        if self._counts:
            self._find_room()
        for table in self.tables:
            table.step = self.step

    def writes(self, layer: int) -> bool:
        """Whether the layer has keys and values of its own."""
        return self.owners[layer] == layer

    def write(self, layer: int, keys: Floats, values: Floats) -> None:
        """The chunk's keys, rotated, and values, [B, KV heads, C, D], of a layer that has its own."""
        self.stores[layer].append(keys, values)

    def attend(self, layer: int, queries: Floats) -> Floats:
        """The output [B, query heads, C, D] for rotated queries of that shape; the layer then has ended."""
        owner = self.owners[layer]
        store = self.stores[owner]
        keys, values = (array[:, :, : store.tokens] for array in (store.keys, store.values))
        selected = self._selected(layer, queries, keys)
        there = self._there(owner)
        bias = self._bias(store, there, selected)
        found = attend(queries, keys, values, bias, weigh=self._counts, compare=self._compare)
        if self._counts:
            self._account(layer, found, there, selected)
        if layer == owner:
            for surgery in self._surgery:
                surgery.operate(layer, store)
        return found.output

    def finish(self) -> None:
        """The chunk has gone through all layers."""
        self.length = self._end
        self.step += 1

    def end_prompt(self) -> None:
        """The prompt is over: a budget that waited for that is enforced."""
        for table in self.tables:
            table.enforce()

    # -- what is seen ------------------------------------------------------------------

    def _open(self) -> int:
        """Index of the first page that was not full when the chunk began."""
        return self.length // self.pages.page_tokens

    def _there(self, owner: int) -> Flags | None:
        """[B, groups, pages]: what a sequence sees of a layer's pages; None: all."""
        if not self.tables:
            return None
        pages = self.pages.of(owner, self._end)
        there = np.stack([table.there(pages) for table in self.tables])
        there[..., self._open() :] = True
        return there

    def _selected(self, layer: int, queries: Floats, keys: Floats) -> Flags | None:
        """[B, KV heads, rows, pages]: what each query reads; None: all."""
        choice = self._selection
        if choice is None or layer < choice.dense_layers:
            return None
        full, size = self._open(), self.pages.page_tokens
        rows = grouped(queries, keys.shape[1])
        selected = np.ones((*rows.shape[:3], -(-self._end // size)), dtype=np.bool_)
        if full > choice.pages:
            selected[..., :full] = select(rows, keys[:, :, : full * size], size, choice.pages)
        return selected

    def _bias(self, store: LayerStore, there: Flags | None, selected: Flags | None) -> Floats | None:
        """[B, KV heads, 1 or rows, T]: what is added to the logits; None: nothing."""
        weight = store.bias()
        if selected is not None:
            seen = selected
        elif there is not None:
            heads = store.keys.shape[1] // self.pages.groups
            seen = np.repeat(there, heads, axis=1)[:, :, None]
        elif weight is None:
            return None
        else:
            return np.broadcast_to(weight, (self.batch, store.keys.shape[1], 1, store.tokens))
        seen = np.repeat(seen, self.pages.page_tokens, axis=3)[..., : store.tokens]
        if weight is None and there is not None and seen.all():
            return None
        return np.where(seen, np.float32(0) if weight is None else weight, HIDDEN)

    # -- what is told ------------------------------------------------------------------

    def _find_room(self) -> None:
        """Pages that the chunk needs and nobody has made room for: those of the first one, or unannounced."""
        for layer in self.pages.layers:
            born = self.pages.grow(layer, self._end)
            if not self.length or not len(born):
                continue
            for table in self.tables:
                table.bear(born)
            if self._observe is not None:
                nothing = np.empty((self.batch, 0))
                none = np.empty(0, dtype=np.int64)
                self._observe(LayerRead(self.step - 1, layer, self.length, none, nothing > 0, nothing, born))
        if not self.length:
            self.pages.initial = self.pages.count
            for table in self.tables:
                table.place(np.arange(self.pages.initial))

    def _account(self, layer: int, found: Attended, there: Flags | None, selected: Flags | None) -> None:
        """Tell the policies what the layer has read, have its next pages born, and report it."""
        owner = self.owners[layer]
        grid = self.pages.of(owner, self._end)
        order = np.argsort(grid, axis=None)
        pages = grid.ravel()[order]
        mass = self._page_mass(found)[:, order]
        created = np.empty(0, dtype=np.int64)
        for table, share in zip(self.tables, mass, strict=False):
            table.read(pages, share)
        if layer == owner:
            created = self.pages.grow(layer, self._end + self._coming)
            for table in self.tables:
                table.bear(created)
        if self._observe is None:
            return
        read = self._read(there, selected, grid.shape)[:, order]
        self._observe(
            LayerRead(
                self.step, layer, self._end, pages, read, mass, created, kept=found.kept, error=found.error
            )
        )

    def _read(self, there: Flags | None, selected: Flags | None, shape: tuple[int, ...]) -> Flags:
        """[B, groups · pages]: which of a layer's pages each sequence reads."""
        read: Flags = np.ones((self.batch, *shape), dtype=np.bool_) if there is None else there
        if selected is not None:
            by_group = selected.reshape(self.batch, shape[0], -1, shape[1])
            read = np.logical_or.reduce(by_group, axis=2)
        return read.reshape(self.batch, -1)

    def _page_mass(self, found: Attended) -> NDArray[np.float64]:
        """[B, groups · pages]: attention on each page, by head group and position; adds up to 1."""
        assert found.mass is not None
        size = self.pages.page_tokens
        batch, heads, tokens = found.mass.shape
        paged = np.zeros((batch, heads, -(-tokens // size) * size))
        paged[..., :tokens] = found.mass
        groups = self.pages.groups
        mass = paged.reshape(batch, groups, heads // groups, -1, size).sum(axis=(2, 4)).reshape(batch, -1)
        share: NDArray[np.float64] = mass / mass.sum(axis=1, keepdims=True)
        return share


def _checked_owners(owners: Sequence[int] | None, layers: int) -> tuple[int, ...]:
    found = tuple(range(layers)) if owners is None else tuple(owners)
    fits = len(found) == layers and all(0 <= s <= n and found[s] == s for n, s in enumerate(found))
    if not fits:
        message = f"must name for each of {layers} layers itself or one before it that has its own"
        raise SimulationError(f"owners {list(found)}: {message}")
    return found
