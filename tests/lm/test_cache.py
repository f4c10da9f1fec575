"""The paged cache: what a sequence still sees, what is told of it, and what it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from lm import plain

from kvsim.errors import RegistryError, SimulationError
from kvsim.lm.cache import KvCache, LayerRead, Selection
from kvsim.lm.decoder import Decoder
from kvsim.lm.tables import Eviction
from kvsim.lm.weights import LmShape, random_weights

SHAPE = plain.TINY
WEIGHTS = random_weights(SHAPE, seed=3, scale=1.0)
DECODER = Decoder(WEIGHTS)
TOKENS = np.random.default_rng(5).integers(0, SHAPE.vocab_size, (2, 29))


def narrow(layers: int) -> LmShape:
    """One KV head of one query head, so many layers."""
    return LmShape(8, layers, 1, 1, 4, 8, vocab_size=19)


def fed(shape: LmShape, tokens: int, chunk: int = 1, **options: Any) -> tuple[KvCache, list[LayerRead]]:
    """A cache of pages of two tokens, after so many tokens, and what was read."""
    reads: list[LayerRead] = []
    cache = KvCache(shape, 1, page_tokens=2, observe=reads.append, **options)
    Decoder(random_weights(shape)).run(TOKENS[:1, :tokens], cache, chunk=chunk)
    return cache, reads


def pages_read(reads: list[LayerRead], layer: int = 0) -> list[list[int]]:
    return [read.pages[read.read[0]].tolist() for read in reads if read.layer == layer]


def keep(policy: str, tokens: int, **more: Any) -> Eviction:
    return Eviction(policy=policy, budget_tokens=tokens, **more)


# -- which pages are there -----------------------------------------------------------------


def test_first_in_first_out_is_a_window_of_whole_pages() -> None:
    # Two pages of two tokens. That of tokens 4 and 5 is born when token 3 is done, in step 3: page 0 goes.
    cache, reads = fed(narrow(1), 8, eviction=keep("fifo", 4))
    assert pages_read(reads) == [[0], [0], [0, 1], [0, 1], [1, 2], [1, 2], [2, 3], [2, 3]]
    assert cache.tables[0].evictions == [(3, 0), (5, 1), (7, 2)]
    assert [read.created.tolist() for read in reads] == [[], [1], [], [2], [], [3], [], [4]]


def test_a_page_given_up_unfinished_is_seen_until_it_would_be_full() -> None:
    # Least frequently used, two layers, room for two pages: at first 0 of layer 0 and 1 of layer 1.
    # Step 1, layer 0 ends: 2 is born for its tokens 2 and 3. 0 has been read twice, 1 once: 1 goes, but its
    # token 1 is still to come, so layer 1 reads it in this step. It ends: 3 is born; 2, never read, goes.
    # Steps 2 and 3: layer 0 reads 0, and of 2 what is at hand; layer 1 reads 3. Step 3: 4 is born, and 3,
    # read once so far, goes; layer 1 still reads it. Then 5 is born, and 4, never read, goes.
    cache, reads = fed(narrow(2), 6, eviction=keep("lfu", 2))
    assert pages_read(reads, 0) == [[0], [0], [0, 2], [0, 2], [0, 4], [0, 4]]
    assert pages_read(reads, 1) == [[1], [1], [3], [3], [5], [5]]
    assert cache.tables[0].evictions[:4] == [(1, 1), (1, 2), (3, 3), (3, 4)]


@pytest.mark.parametrize("policy", ["fifo", "lfu", "regret_aware"])
@pytest.mark.parametrize("chunk", [1, 5])
def test_what_is_not_there_is_not_seen(policy: str, chunk: int) -> None:
    """Answers are those of the plain loops, told what each layer and head reads in each step."""
    reads: list[LayerRead] = []
    options = {"page_tokens": 4, "eviction": keep(policy, 12), "observe": reads.append}
    cache = KvCache(SHAPE, 2, **options)  # type: ignore[arg-type]
    found = DECODER.run(TOKENS, cache, chunk=chunk)
    assert cache.tables[0].evictions
    for sequence in range(2):
        visible = {
            (read.layer, cache.pages.place(page)[1], read.step, cache.pages.place(page)[2])
            for read in reads
            for page in read.pages[read.read[sequence]].tolist()
        }

        def seen(layer: int, head: int, position: int, token: int, visible: Any = visible) -> bool:
            return (layer, head, position // chunk, token // 4) in visible

        right = plain.logits(WEIGHTS, TOKENS[sequence].tolist(), seen)
        np.testing.assert_allclose(found[sequence], right, atol=2e-5)


def test_a_prompt_kept_whole_is_cut_at_its_end() -> None:
    # 9 tokens fill four pages and begin a fifth; the next token finds it. Cut to two: the first three go.
    cache, reads = fed(narrow(1), 9, chunk=9, eviction=keep("fifo", 4, after_prompt=True))
    assert pages_read(reads) == [[0, 1, 2, 3, 4]]
    cache.end_prompt()
    assert [page for _, page in cache.tables[0].evictions] == [0, 1, 2]


def test_a_budget_that_holds_everything_changes_nothing() -> None:
    cache = KvCache(SHAPE, 2, page_tokens=4, eviction=keep("lru", 32))
    np.testing.assert_array_equal(DECODER.run(TOKENS, cache, chunk=4), DECODER.run(TOKENS, chunk=4))


# -- attention mass ------------------------------------------------------------------------


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("chunk", [1, 7])
@pytest.mark.parametrize("kind", ["full", "lfu", "select"])
def test_attention_on_pages_adds_up_to_one(groups: int, chunk: int, kind: str) -> None:
    kinds: Mapping[str, Mapping[str, Any]] = {
        "full": {},
        "lfu": {"eviction": keep("lfu", 12)},
        "select": {"selection": Selection(pages=2)},
    }
    reads: list[LayerRead] = []
    cache = KvCache(SHAPE, 2, page_tokens=4, head_groups=groups, observe=reads.append, **kinds[kind])
    DECODER.run(TOKENS, cache, chunk=chunk)
    assert len(reads) == SHAPE.num_hidden_layers * -(-29 // chunk)
    for read in reads:
        np.testing.assert_allclose(read.mass.sum(axis=1), 1, atol=1e-9)
        assert (read.mass[~read.read] == 0).all()


def test_groups_and_heads_are_told_apart() -> None:
    """The mass of a layer's group is the mean of its heads', divided by the number of groups."""
    by_head, together = ([], [])  # type: tuple[list[LayerRead], list[LayerRead]]
    DECODER.run(TOKENS, KvCache(SHAPE, 2, page_tokens=4, observe=by_head.append))
    cache = KvCache(SHAPE, 2, page_tokens=4, head_groups=1, observe=together.append)
    DECODER.run(TOKENS, cache)
    for each, both in zip(by_head, together, strict=True):  # 8 pages of a head, one head after another
        heads = each.mass.reshape(2, 2, 8)
        np.testing.assert_allclose(heads.sum(axis=2), 0.5, atol=1e-6)
        np.testing.assert_allclose(heads.sum(axis=1), both.mass, atol=1e-6)


def test_what_eviction_costs_is_told_where_it_is_asked_for() -> None:
    reads: list[LayerRead] = []
    cache = KvCache(SHAPE, 2, page_tokens=4, eviction=keep("fifo", 8), observe=reads.append, compare=True)
    DECODER.run(TOKENS, cache, chunk=1)
    early, late = reads[0], reads[-1]
    assert early.kept is None
    assert late.kept is not None
    assert late.error is not None
    assert ((late.kept > 0) & (late.kept < 1)).all()
    assert (late.error > 0).all()


# -- selection, sharing --------------------------------------------------------------------


def test_selecting_all_pages_changes_nothing() -> None:
    cache = KvCache(SHAPE, 2, page_tokens=4, selection=Selection(pages=7))
    np.testing.assert_allclose(DECODER.run(TOKENS, cache, chunk=3), DECODER.run(TOKENS), atol=1e-5)


def test_selection_reads_so_many_full_pages_a_query_and_those_being_written() -> None:
    _, reads = fed(narrow(1), 9, selection=Selection(pages=1))
    sizes = [len(pages) for pages in pages_read(reads)]
    # Tokens 0 … 8 in pages of two: before the token there are 0, 0, 1, 1, 2, 2, 3, 3, 4 full pages.
    assert sizes == [1, 1, 2, 2, 2, 2, 2, 2, 2]
    assert all(position // 2 in pages for position, pages in enumerate(pages_read(reads)))


def test_the_first_layers_may_read_everything() -> None:
    _, reads = fed(narrow(2), 9, selection=Selection(pages=1, dense_layers=1))
    assert [len(pages) for pages in pages_read(reads, 0)] == [1, 1, 2, 2, 3, 3, 4, 4, 5]
    assert [len(pages) for pages in pages_read(reads, 1)] == [1, 1, 2, 2, 2, 2, 2, 2, 2]


@pytest.mark.parametrize("owners", [(0, 0, 0), (0, 1, 1), (0, 0, 2)])
def test_a_layer_may_use_keys_and_values_of_an_earlier_one(owners: tuple[int, ...]) -> None:
    found = DECODER.run(TOKENS, KvCache(SHAPE, 2, owners=owners), chunk=3)
    for tokens, row in zip(TOKENS, found, strict=True):
        right = plain.logits(WEIGHTS, tokens.tolist(), owners=owners)
        np.testing.assert_allclose(row, right, atol=2e-5)


# -- what is refused -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"head_groups": 3}, "2 KV heads cannot be split into 3 head groups"),
        ({"eviction": keep("lru", 3)}, "a budget of 3 tokens holds no page of 4"),
        ({"eviction": keep("belady", 8)}, "must know the future"),
        ({"eviction": keep("lru", 8), "selection": Selection(pages=1)}, "not both"),
        ({"owners": (0, 1)}, "must name for each of 3 layers"),
        ({"owners": (1, 1, 2)}, "itself or one before it"),
        ({"owners": (0, 0, 1)}, "that has its own"),
    ],
)
def test_caches_that_cannot_be_are_refused(options: Mapping[str, Any], message: str) -> None:
    with pytest.raises(SimulationError, match=message):
        KvCache(SHAPE, 2, page_tokens=4, **options)


def test_an_unknown_policy_is_refused_with_the_nearest() -> None:
    with pytest.raises(RegistryError, match="did you mean 'lru'"):
        KvCache(SHAPE, 2, eviction=keep("lruu", 32))


def test_a_first_chunk_beyond_the_budget_is_refused() -> None:
    cache = KvCache(SHAPE, 2, page_tokens=4, eviction=keep("lru", 8))
    with pytest.raises(SimulationError, match="the first chunk has 18 pages, the budget 12"):
        DECODER.run(TOKENS, cache, chunk=12)


# -- what a policy sees --------------------------------------------------------------------


def test_a_policy_sees_one_tier_of_the_budgets_size() -> None:
    # 20 % of 64 tokens are 12 whole ones: three pages of four, of each of two heads in three layers.
    eviction = Eviction.of_share("lru", 0.2, 64)
    assert eviction.budget_tokens == 12
    cache = KvCache(SHAPE, 2, page_tokens=4, eviction=eviction)
    DECODER.run(TOKENS, cache, chunk=4)
    table = cache.tables[0]
    page_bytes = 4 * 2 * 6 * 2  # tokens, keys and values, scalars, bytes of one
    assert table.bytes_of(0, 0) == page_bytes
    assert table.capacity_of(0) == 3 * 2 * 3 * page_bytes
    gone = {page for _, page in table.evictions}
    assert [table.tier_of(page) for page in range(cache.pages.count)] == [
        -1 if page in gone else 0 for page in range(cache.pages.count)
    ]
    # The first chunk has a page of each layer and head; then each layer creates two at a time.
    assert [table.group_of(page) for page in range(8)] == [0, 1, 2, 3, 4, 5, 0, 1]
