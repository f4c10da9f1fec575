"""The rules of serving, one small machine each: an iteration takes 1 us, a block 1 us on a link.

Times are in microseconds. Blocks have 1000 bytes, links 1 GB/s in each direction, and every log says for each
request when it was admitted, when it had its first token and when it ended.
"""

from __future__ import annotations

from typing import Any

import pytest
from serving import rig
from serving.rig import US, Given, phases, rows, serve

from kvsim.sim.records import PREFETCH
from kvsim.sim.serving.result import ServingResult
from kvsim.workloads.requests import Request

GB_A_SECOND = 10**9


def hbm(blocks: int = 1000) -> dict[str, Any]:
    return {"name": "hbm", "capacity": f"{blocks} pages"}


def dram(blocks: int = 1000, **fields: Any) -> dict[str, Any]:
    return {"name": "dram", "capacity": f"{blocks} pages", **fields}


def pcie(bandwidth: int = GB_A_SECOND) -> dict[str, Any]:
    return {"name": "pcie", "between": ("hbm", "dram"), "bandwidth": rig.rate(bandwidth)}


def ask(
    at: float,
    prompt: int,
    output: int,
    blocks: tuple[int, ...] = (),
    after: tuple[int, ...] = (),
    **fields: Any,
) -> Request:
    """A request at a time in microseconds."""
    return Request(round(at * US), prompt, output, blocks, after, **fields)


def run(
    requests: list[Request],
    tiers: list[dict[str, Any]] | None = None,
    links: list[dict[str, Any]] | None = None,
    block_tokens: int = 4,
    coalesce: int = 1,
    **serving: Any,
) -> ServingResult:
    """Serve them; the machine has one tier without end, or what is given."""
    scenario = rig.scenario(
        tiers or [hbm()], links or [], serving=serving, execution={"dma": {"coalesce": coalesce}}
    )
    return serve(scenario, Given(requests, block_tokens))


def below(*requests: Request, **serving: Any) -> ServingResult:
    """Serve them with a second tier, where their prompts are when the run starts."""
    reuse = {"warm": {"tier": "dram"}, **serving.pop("reuse", {})}
    return run(list(requests), [hbm(), dram()], [pcie()], reuse=reuse, **serving)


def log(result: ServingResult) -> list[tuple[float, ...]]:
    """When each request was admitted, had its first token and ended."""
    return [tuple(tick / US for tick in row) for row in rows(result, "admitted", "first_token", "end")]


# --- iterations


def test_a_request_alone() -> None:
    result = run([ask(3, 8, 5)])
    # the prompt takes an iteration and brings the first token, each of four others takes one
    assert log(result) == [(3, 4, 8)]
    assert phases(result) == [{"compute": 5}]


def test_a_request_alone_on_the_roofline() -> None:
    # 2 layers, 1000 parameters, 2 heads of 8 scalars, one of them for keys and values; 80 % of 1 GB/s, 60 %
    # of 4 Gflop/s. Streamed: 2000 bytes of weights, 2.5 us, and 2 layers x 16 scalars x 2 bytes of each
    # token, 80 ns. Computed: 2000 flop for each token, 833 1/3 ns, and 2 layers x 4 x 2 heads x 8 for each
    # pair, 53 1/3 ns. The prompt: 8 tokens, 36 pairs, 8 x 833 1/3 + 36 x 53 1/3 = 8586 2/3 ns, bound by
    # compute. Then four tokens after 8, 9, 10 and 11: 4 x 2500 + 38 x 80 = 13040 ns, bound by streaming.
    result = serve(rig.scenario([hbm()], roofline=True), Given([ask(0, 8, 5)], 4))
    assert rows(result, "first_token", "end") == [(8_586_667, 21_626_667)]


def test_who_comes_meanwhile_joins_the_next_iteration() -> None:
    result = run([ask(0, 4, 4), ask(1.5, 4, 2)])
    # 0-1 first prompt | 1-2 decode | 2-3 decode, second prompt | 3-4 both decode
    assert log(result) == [(0, 1, 4), (2, 3, 4)]
    assert phases(result) == [{"compute": 4}, {"turn": 0.5, "compute": 2}]


def test_a_request_that_says_nothing_ends_with_its_prompt() -> None:
    assert log(run([ask(0, 4, 0), ask(0, 4, 1)])) == [(0, 1, 1), (0, 1, 1)]


def test_prompts_are_cut_to_the_tokens_of_an_iteration() -> None:
    result = run([ask(0, 1, 6), ask(0, 7, 1)], block_tokens=16, batch={"max_tokens": 4})
    # tokens of the second prompt: 3 beside the first, 3 beside its second token, 1 beside its third
    assert log(result) == [(0, 1, 6), (0, 3, 3)]
    iterations = result.records.iterations
    assert iterations.column("prompt").tolist() == [4, 3, 1, 0]
    assert iterations.column("iterations").tolist() == [1, 1, 1, 3]


def test_prompts_may_go_first() -> None:
    result = run([ask(0, 1, 3), ask(0.5, 8, 2)], batch={"max_tokens": 4, "first": "prefill"})
    # 0-1 first prompt | 1-2, 2-3 second prompt, the first waits | 3-4 both decode | 4-5 the first decodes
    assert log(result) == [(0, 1, 5), (1, 3, 4)]
    assert phases(result) == [{"batch": 2, "compute": 3}, {"turn": 0.5, "compute": 3}]
    # its second token came 3 us after its first
    assert result.records.gaps.array().tolist() == [[0, 3 * US]]


def test_prompts_may_stay_whole() -> None:
    result = run([ask(0, 1, 4), ask(0, 6, 1), ask(0, 2, 1)], batch={"max_tokens": 4, "chunked": False})
    # 0-1 the first alone: 6 tokens do not fit beside it | 1-2 the second, beyond the limit, beside one that
    # decodes | 2-3 the third
    assert log(result) == [(0, 1, 4), (0, 2, 2), (0, 3, 3)]
    assert phases(result)[1:] == [{"batch": 1, "compute": 1}, {"batch": 2, "compute": 1}]


def test_a_prompt_without_tokens_beside_those_who_decode_waits() -> None:
    result = run([ask(0, 1, 4), ask(0, 1, 4), ask(0, 3, 1)], batch={"max_tokens": 3})
    # 0-1 both, and 1 of 3 tokens | 1-2, 2-3, 3-4 1 token each: two of them, then done at 3
    assert log(result)[2] == (0, 3, 3)
    result = run([ask(0, 1, 4), ask(0, 1, 4), ask(0, 3, 1)], batch={"max_tokens": 2})
    # 0-1 the two prompts | 1-4 they decode | 4-5, 5-6 the third's 2 and 1 tokens
    assert log(result)[2] == (0, 6, 6)
    assert phases(result)[2] == {"batch": 4, "compute": 2}
    result = run([ask(0, 1, 4), ask(0, 1, 4), ask(0.5, 4, 1)], batch={"max_tokens": 3, "chunked": True})
    assert phases(result)[2] == {"turn": 0.5, "compute": 4}


def test_a_prompt_begun_waits_when_others_decode_with_all_tokens() -> None:
    result = run([ask(0, 3, 4), ask(0, 2, 4), ask(0, 3, 1)], batch={"max_tokens": 4})
    # 0-1: 3 + 1 | 1-2: first decodes, 1 of the second, 2 of the third | 2-3: two decode, 1 of the third: done
    assert log(result) == [(0, 1, 4), (0, 2, 5), (0, 3, 3)]
    result = run([ask(0, 1, 3), ask(0, 2, 3), ask(0, 2, 1)], batch={"max_tokens": 2})
    # 0-1: 1 + 1 | 1-2: first decodes, 1 of the second | 2-3: two decode, nothing for the third
    # 3-4: the second's last token, 1 of the third | 4-5: 1 of the third
    assert log(result) == [(0, 1, 3), (0, 2, 4), (0, 5, 5)]
    assert phases(result)[2] == {"batch": 3, "compute": 2}


def test_slots_are_limited() -> None:
    result = run([ask(0, 1, 3), ask(0, 1, 1)], batch={"max_sequences": 1})
    assert log(result) == [(0, 1, 3), (3, 4, 4)]
    assert phases(result)[1] == {"slots": 3, "compute": 1}


def test_overhead_is_added_to_every_iteration() -> None:
    assert log(run([ask(0, 1, 3)], batch={"overhead": "0.5 us"})) == [(0, 1.5, 4.5)]


def test_memory_is_limited() -> None:
    # 5 blocks: 3 for the first prompt; 3 for the second do not fit beside them
    result = run([ask(0, 12, 1), ask(0, 12, 1)], [hbm(5)])
    assert log(result) == [(0, 1, 1), (1, 2, 2)]
    assert phases(result)[1] == {"memory": 1, "compute": 1}


# --- prefixes


def test_what_is_found_in_the_first_tier_is_not_computed() -> None:
    small = {"max_tokens": 4}
    result = run([ask(0, 8, 1, (1, 2)), ask(9, 12, 1, (1, 2, 3)), ask(19, 8, 1, (1, 2))], batch=small)
    # 8 tokens in two iterations, 4 of 12 in one, and one token at least
    assert log(result) == [(0, 2, 2), (9, 10, 10), (19, 20, 20)]
    assert rows(result, "reused", "computed", "found_0") == [(0, 8, 0), (8, 4, 2), (7, 1, 2)]


def test_nothing_is_found_of_prompts_of_which_nothing_is_known_or_if_so_said() -> None:
    assert rows(run([ask(0, 8, 1), ask(9, 8, 1)]), "computed") == [(8,), (8,)]
    twice = [ask(0, 8, 1, (1, 2)), ask(9, 8, 1, (1, 2))]
    assert rows(run(twice, reuse={"match": "none"}), "computed") == [(8,), (8,)]


def test_who_shares_a_prefix_with_one_that_is_computed_leans_on_it() -> None:
    result = run([ask(0, 8, 1, (1, 2)), ask(0, 8, 1, (1, 2))], batch={"max_tokens": 4})
    # the first takes two iterations; then one token of the second
    assert log(result) == [(0, 2, 2), (0, 3, 3)]
    assert phases(result) == [{"compute": 2}, {"prefix": 2, "compute": 1}]


def test_one_leans_only_as_far_as_blocks_are_shared() -> None:
    result = run([ask(0, 12, 1, (1, 2, 3)), ask(0, 8, 1, (1, 4))], batch={"max_tokens": 4})
    # block 1 is there after 1 us; the first, admitted before, takes all tokens until 3 us
    assert log(result) == [(0, 3, 3), (0, 4, 4)]
    assert phases(result)[1] == {"prefix": 1, "batch": 2, "compute": 1}


def test_output_is_found_again_by_who_goes_on() -> None:
    # 6 + 6 tokens fill blocks 1, 3 and 4: the partial block 2 has become 3. The last token is not cached,
    # so the block it is in is there all the same: 11 of 12 tokens are, and it is the block that counts.
    first = ask(0, 6, 6, (1, 2), (3, 4))
    result = run([first, ask(20, 14, 1, (1, 3, 4, 5))])
    assert rows(result, "found_0", "reused", "computed") == [(0, 0, 6), (3, 12, 2)]


# --- tiers below


def test_what_is_found_below_is_loaded() -> None:
    result = below(ask(0, 12, 1, (1, 2, 3)))
    # three blocks one after another, and the token that is computed at least
    assert log(result) == [(0, 4, 4)]
    assert phases(result) == [{"load": 3, "compute": 1}]
    assert rows(result, "reused", "loaded", "computed", "found_0", "found_1") == [(0, 11, 1, 0, 3)]


def test_overhead_of_a_load() -> None:
    result = below(ask(0, 12, 1, (1, 2, 3)), reuse={"overhead": "0.25 us"})
    assert phases(result) == [{"overhead": 0.25, "load": 3, "compute": 1}]


def test_others_are_computed_during_a_whole_load() -> None:
    result = below(ask(0, 4, 6), ask(0.5, 12, 1, (1, 2, 3)))
    # admitted at 1, loaded at 4
    assert log(result) == [(0, 1, 6), (1, 5, 5)]


def test_victims_are_written_back_before_their_room_is_free() -> None:
    both = [ask(0, 12, 1, (1, 2, 3)), ask(10, 12, 1, (4, 5, 6))]
    result = run(both, [hbm(3), dram(6)], [pcie()], reuse={"warm": {"tier": "dram"}})
    # 10-13 the first three go down, then 13-16 the others come up
    assert log(result) == [(0, 4, 4), (10, 17, 17)]
    assert phases(result)[1] == {"room": 3, "load": 3, "compute": 1}
    result = run(both, [hbm(3), dram(6, inclusive=True)], [pcie()], reuse={"warm": {"tier": "dram"}})
    # a copy has stayed below
    assert phases(result)[1] == {"load": 3, "compute": 1}
    result = run(both, [hbm(3), dram(6)], [pcie()], reuse={"warm": {"tier": "dram"}, "write": "none"})
    assert phases(result)[1] == {"load": 3, "compute": 1}
    assert result.tiers[0].discards == 3


@pytest.mark.parametrize(
    ("bandwidth", "exposed"), [(1, 0.75 + 3 * 0.75 + 0.25), (10, 0.075 + 3 * 0.25 + 0.25)]
)
def test_layers_are_computed_while_the_next_are_loaded(bandwidth: int, exposed: float) -> None:
    # L = 4 groups; all of the load takes 3 us over the bandwidth, so t_x = .75 or .075 us each, and an
    # iteration of 1 us is t_c = .25 us each: t_x + (L - 1) max(t_x, t_c) + t_c
    result = run(
        [ask(0, 12, 1, (1, 2, 3))],
        [hbm(), dram()],
        [pcie(bandwidth * GB_A_SECOND)],
        reuse={"warm": {"tier": "dram"}, "loading": "layerwise", "layer_groups": 4},
    )
    assert log(result) == [(0, exposed, exposed)]
    (spent,) = phases(result)
    stall = pytest.approx(exposed - 1 - 0.75 / bandwidth)
    assert spent == {"load": 0.75 / bandwidth, "compute": 1} | ({"stall": stall} if bandwidth == 1 else {})


def test_a_load_may_hold_up_the_batch() -> None:
    result = below(ask(0, 4, 4), ask(0.5, 12, 1, (1, 2, 3)), reuse={"loading": "blocking"})
    # admitted at 1, and the iteration waits until 4 before it computes
    assert log(result) == [(0, 1, 7), (1, 5, 5)]
    assert phases(result) == [{"stall": 3, "compute": 4}, {"turn": 0.5, "stall": 3, "compute": 1}]


def test_a_load_that_is_under_way_serves_others_too() -> None:
    result = below(ask(0, 12, 1, (1, 2, 3)), ask(1, 12, 1, (1, 2, 3)))
    assert log(result) == [(0, 4, 4), (1, 4, 4)]
    assert phases(result)[1] == {"load": 2, "compute": 1}
    assert len(result.records.transfers.array()) == 3


def test_computed_blocks_are_written_through() -> None:
    requests = [ask(0, 8, 1, (1, 2)), ask(10, 8, 1, (3, 4))]
    machine = [hbm(2), dram()], [pcie()]
    result = run(requests, *machine, batch={"max_tokens": 4}, reuse={"write": "through"})
    moved = (result.records.transfers.column(name).tolist() for name in ("page", "requested", "arrived"))
    # each when it is computed, and then they leave for free
    assert list(zip(*moved, strict=True)) == [
        (1, 1 * US, 2 * US), (2, 2 * US, 3 * US), (3, 11 * US, 12 * US), (4, 12 * US, 13 * US),
    ]  # fmt: skip
    assert phases(result)[1] == {"compute": 2}


@pytest.mark.parametrize(("less", "spent"), [(0, {"load": 1, "compute": 1}), (1, {"compute": 1})])
def test_blocks_are_loaded_if_that_takes_no_longer_than_to_compute_them(
    less: int, spent: dict[str, float]
) -> None:
    # 3000 bytes in one transfer take 1 us, as long as an iteration, at just 3 GB/s
    result = run(
        [ask(0, 12, 1, (1, 2, 3))],
        [hbm(), dram()],
        [pcie(3 * GB_A_SECOND - less)],
        coalesce=3,
        reuse={"warm": {"tier": "dram"}, "load": "cheaper"},
    )
    assert phases(result) == [spent]


def test_blocks_may_never_be_loaded() -> None:
    result = below(ask(0, 12, 1, (1, 2, 3)), reuse={"load": "never"})
    assert phases(result) == [{"compute": 1}]
    assert rows(result, "found_1", "computed") == [(3, 12)]


def test_who_waits_is_brought_nearer() -> None:
    requests = [ask(0, 4, 5), ask(0, 8, 1, (1, 2))]
    nvme = {"name": "nvme", "capacity": "1000 pages"}
    disk = {"name": "disk", "between": ("dram", "nvme"), "bandwidth": "1 GB/s"}
    machine = [hbm(), dram(), nvme], [pcie(), disk]
    one = {"max_sequences": 1}
    result = run(requests, *machine, batch=one, reuse={"warm": {"tier": "nvme"}})
    # from 5 us: two blocks over two links, one behind the other, 3 us
    assert phases(result)[1] == {"slots": 5, "load": 3, "compute": 1}
    result = run(requests, *machine, batch=one, reuse={"warm": {"tier": "nvme"}, "lookahead": 1})
    assert phases(result)[1] == {"slots": 5, "load": 2, "compute": 1}
    result = run(
        requests,
        *machine,
        batch=one,
        reuse={"warm": {"tier": "nvme"}, "lookahead": 1, "lookahead_tier": "hbm"},
    )
    assert phases(result)[1] == {"slots": 5, "compute": 1}


def test_who_waits_is_not_brought_nearer_at_the_cost_of_who_waits_before() -> None:
    nvme = {"name": "nvme", "capacity": "1000 pages"}
    disk = {"name": "disk", "between": ("dram", "nvme"), "bandwidth": "1 GB/s"}
    requests = [
        ask(0, 8, 1, (3, 4)), ask(10, 8, 1),  # which pushes them down
        ask(20, 8, 1, (1, 2)), ask(30, 8, 1),  # which pushes these down, and those further
        ask(40, 4, 5), ask(41, 8, 1, (1, 2)), ask(41, 8, 1, (3, 4)),
    ]  # fmt: skip
    result = run(
        requests, [hbm(2), dram(2), nvme], [pcie(), disk], batch={"max_sequences": 1}, reuse={"lookahead": 2}
    )
    # 1 and 2 stay where they are until the sixth has them, at 45; when they are gone, at 47, 3 and 4 come
    assert rows(result, "found_0", "found_1", "found_2")[5:] == [(0, 2, 0), (0, 2, 0)]
    moved = result.records.transfers
    ahead = moved.column("cls") == PREFETCH
    assert moved.column("arrived")[ahead].tolist() == [48 * US, 49 * US]


# --- memory runs out

TIGHT = [(0, 2, 5), (0, 2, 5)]
"""Two requests of 2 tokens that say 5, so that each needs 2 + 4 tokens in the end: 3 blocks of 2."""


def test_decoding_takes_room_block_by_block() -> None:
    def taken(blocks: int) -> list[tuple[float, int]]:
        result = run([ask(0, 2, 8)], block_tokens=2, batch={"growth_blocks": blocks})
        space = result.records.space
        table = zip(space.column("time").tolist(), space.column("delta").tolist(), strict=True)
        return [(tick / US, delta // 1000) for tick, delta in table]

    # 2 + 7 tokens need room: the third when 1 us is over, the fifth at 3, the seventh at 5, the ninth at 7
    assert taken(1) == [(0, 1), (1, 1), (3, 1), (5, 1), (7, 1), (8, -5)]
    assert taken(2) == [(0, 1), (1, 2), (5, 2), (8, -5)]


def test_the_last_admitted_gives_way_and_is_computed_again() -> None:
    result = run([ask(*request) for request in TIGHT], [hbm(4)], block_tokens=2)
    # 0-1 prompts | 1-3 both decode in 4 blocks | at 3 the first needs a third, and the second gives way
    # with 3 tokens | 3-5 the first goes on to its end | 5-6 its 2 + 3 tokens again, which brings the fourth
    # | 6-7 the fifth
    assert log(result) == [(0, 1, 5), (0, 1, 7)]
    assert phases(result) == [{"compute": 5}, {"compute": 5, "preempted": 2}]
    assert rows(result, "computed", "preemptions") == [(2, 0), (7, 1)]
    assert result.records.gaps.array().tolist() == [[1, 3 * US]]


def test_the_last_admitted_gives_way_and_is_moved_back() -> None:
    result = run(
        [ask(*request) for request in TIGHT],
        [hbm(4), dram()],
        [pcie()],
        block_tokens=2,
        batch={"preemption": "swap"},
    )
    # at 3 two blocks go down, for which the first waits until 5; it ends at 7, then they come up until 9
    assert log(result) == [(0, 1, 7), (0, 1, 11)]
    assert phases(result) == [{"room": 2, "compute": 5}, {"preempted": 4, "load": 2, "compute": 5}]
    assert rows(result, "computed", "preemptions") == [(2, 0), (2, 1)]


def test_who_is_moved_has_its_last_token_in_no_cache_yet() -> None:
    # The second, with 2 + 3 tokens, of which 4 are cached, is moved to and fro; the two that it still says
    # fill its 3 blocks, and no fourth is asked for.
    result = run(
        [ask(*request) for request in TIGHT],
        [hbm(4), dram()],
        [pcie()],
        block_tokens=2,
        batch={"preemption": "swap"},
    )
    contexts = result.records.iterations
    of_it = contexts.column("start") >= 9 * US
    assert contexts.column("context")[of_it].tolist() == [4]
    assert contexts.column("iterations")[of_it].tolist() == [2]


def test_who_gives_way_in_the_middle_of_a_prompt_does_not_count_it() -> None:
    # 0-1: 4 tokens of the first, 2 of the second, into 2 + 2 of 4 blocks. The first needs a fifth at once,
    # so the second gives way and waits for the first to end.
    result = run([ask(0, 4, 3), ask(0, 4, 1)], [hbm(4)], block_tokens=2, batch={"max_tokens": 6})
    assert log(result) == [(0, 1, 3), (0, 4, 4)]
    assert rows(result, "computed", "preemptions") == [(4, 0), (2 + 4, 1)]
    assert phases(result)[1] == {"compute": 2, "preempted": 2}


def test_who_lacks_room_gets_that_of_what_was_brought_up_ahead() -> None:
    # 8 blocks. The first request has 7 of 2 tokens and needs an eighth for its second token, when the look-
    # ahead has just taken that for block 8, which the second request shares: it arrives, and can leave
    # again.
    requests = [ask(0, 14, 3), ask(0, 4, 1, (8, 9))]
    result = run(
        requests,
        [hbm(8), dram()],
        [pcie(GB_A_SECOND // 5)],
        block_tokens=2,
        reuse={"warm": {"tier": "dram"}, "lookahead": 1, "lookahead_tier": "hbm"},
        batch={"max_sequences": 1},
    )
    # one of the two blocks has room; it comes until 5, and leaves until 10
    assert log(result)[0] == (0, 1, 12)
    assert phases(result)[0] == {"memory": 4, "room": 5, "compute": 3}


# --- who is next


def test_priority_goes_first() -> None:
    requests = [ask(0, 4, 2), ask(0.1, 4, 1), ask(0.2, 4, 1, priority=1)]
    result = run(requests, order="priority", batch={"max_sequences": 1})
    assert log(result) == [(0, 1, 2), (3, 4, 4), (2, 3, 3)]


def test_tenants_have_their_turns() -> None:
    requests = [ask(0, 4, 1, tenant="a") for _ in range(3)] + [ask(0.5, 4, 1, tenant="b")]
    one = {"max_sequences": 1}
    assert [end for _, _, end in log(run(requests, batch=one))] == [1, 2, 3, 4]
    # after the first of a, b has been given less
    assert [end for _, _, end in log(run(requests, order="fair", batch=one))] == [1, 3, 4, 2]


def test_weights_give_more_turns() -> None:
    requests = [ask(0, 4, 1, tenant=tenant) for tenant in "aaaaabbb"]
    result = run(requests, order="fair", batch={"max_sequences": 1}, tenants={"a": {"weight": 2.0}, "b": {}})
    ends = [end for _, _, end in log(result)]
    # each is charged 5 tokens over its weight: a 2.5, b 5 | a 5 and b 5: who came first | a 7.5, b 5 | ...
    assert sorted(zip(ends, "aaaaabbb", strict=True))[:6] == [
        (1, "a"), (2, "b"), (3, "a"), (4, "a"), (5, "b"), (6, "a"),
    ]  # fmt: skip


def test_a_tenant_may_have_few_slots() -> None:
    requests = [ask(0, 4, 3, tenant="a"), ask(0, 4, 1, tenant="a"), ask(0, 4, 1, tenant="b")]
    result = run(requests, tenants={"a": {"max_sequences": 1}})
    assert log(result) == [(0, 1, 3), (3, 4, 4), (0, 1, 1)]
    assert phases(result)[1] == {"slots": 3, "compute": 1}


# --- what is spared


def spared(pin: str) -> int:
    """Blocks that a session finds when it comes back, in 4 blocks, after others have had 2 twice."""
    requests = [
        ask(0, 8, 1, (1, 2), session=1),
        ask(10, 8, 1, (3, 4)),
        ask(20, 8, 1, (5, 6)),
        ask(30, 8, 1, (1, 2), session=1),
    ]
    result = run(requests, [hbm(4)], reuse={"pin": pin})
    return int(rows(result, "found_0")[3][0])


def test_sessions_are_spared_for_a_time() -> None:
    assert spared("0 s") == 0
    assert spared("18 us") == 0  # until 19: at 20 its blocks are the oldest
    assert spared("25 us") == 2


def test_a_tenant_keeps_its_share() -> None:
    requests = [
        ask(0, 8, 1, (1, 2), tenant="a"),
        ask(10, 8, 1, (3, 4), tenant="b"),
        ask(20, 8, 1, (5, 6), tenant="b"),
        ask(30, 8, 1, (1, 2), tenant="a"),
    ]
    assert rows(run(requests, [hbm(4)]), "found_0")[3] == (0,)
    shared = run(requests, [hbm(4)], tenants={"a": {"cache_share": 0.5}})
    assert rows(shared, "found_0")[3] == (2,)


def test_tenants_may_be_kept_apart() -> None:
    requests = [ask(0, 8, 1, (1, 2), tenant="a"), ask(10, 8, 1, (1, 2), tenant="b")]
    assert rows(run(requests), "found_0") == [(0,), (2,)]
    assert rows(run(requests, isolate_tenants=True), "found_0") == [(0,), (0,)]


def test_the_end_of_a_prompt_leaves_before_its_beginning() -> None:
    # 4 blocks; the second prompt takes 2, for which 3 and 2 of the first leave
    requests = [ask(0, 12, 1, (1, 2, 3)), ask(10, 12, 1, (4, 5, 6)), ask(20, 12, 1, (1, 2, 3))]
    result = run(requests, [hbm(4)])
    assert rows(result, "found_0") == [(0,), (0,), (1,)]


def test_what_is_here_behind_a_gap_is_computed_again_where_it_is() -> None:
    # 2 and 1 come first, then 4 and 3; the third prompt needs 2 of 5 blocks, so fifo lets 2 go. What comes
    # back finds 1 alone, and computes 12 tokens: 3 and 4 keep their room, and just one other block has to
    # leave.
    requests = [
        ask(0, 8, 1, (1, 2)),
        ask(10, 16, 1, (1, 2, 3, 4)),
        ask(20, 8, 1, (5, 6)),
        ask(30, 16, 1, (1, 2, 3, 4)),
    ]
    result = serve(rig.scenario([hbm(5)], eviction="fifo"), Given(requests, 4))
    assert rows(result, "found_0", "computed")[3] == (1, 12)
    assert result.tiers[0].evictions == 2


# --- several instances


def test_instances_have_a_tier_in_common() -> None:
    requests = [ask(0, 12, 1, (1, 2, 3)), ask(0, 4, 1), ask(10, 12, 1, (4, 5, 6)), ask(20, 12, 1, (1, 2, 3))]
    result = run(requests, [hbm(3), dram()], [pcie()], instances={"count": 2})
    # in turn: the third pushes what the first computed down, and the fourth loads it elsewhere
    assert rows(result, "instance", "found_0", "found_1") == [(0, 0, 0), (1, 0, 0), (0, 0, 0), (1, 0, 3)]
    assert phases(result)[2:] == [{"room": 3, "compute": 1}, {"load": 3, "compute": 1}]
    assert [tier.name for tier in result.tiers] == ["hbm/0", "hbm/1", "dram"]


def test_requests_go_where_least_is_to_be_computed() -> None:
    requests = [ask(0, 40, 1), ask(0, 4, 1), ask(0, 8, 1), ask(0, 4, 1)]
    result = run(requests, batch={"max_tokens": 4}, instances={"count": 2, "routing": "least_loaded"})
    # tokens due: 40 and 0, 40 and 4, 40 and 12
    assert rows(result, "instance") == [(0,), (1,), (1,), (1,)]


def test_requests_go_where_their_blocks_are() -> None:
    requests = [ask(0, 8, 1, (1, 2)), ask(10, 40, 1), ask(30, 8, 1, (3, 4)), ask(30, 8, 1, (1, 2))]
    few = {"max_tokens": 4}
    result = run(requests, batch=few, instances={"count": 2, "routing": "cache_aware"})
    # where blocks are found is where there is less to compute: at 30 us both are idle
    assert rows(result, "instance", "found_0") == [(0, 0), (0, 0), (0, 0), (0, 2)]
    in_turn = run(requests, batch=few, instances={"count": 2})
    assert rows(in_turn, "instance", "found_0") == [(0, 0), (1, 0), (0, 0), (1, 0)]


def test_prompts_are_handed_over_to_who_decodes() -> None:
    result = run([ask(0, 8, 3, (1, 2))], [hbm(), dram()], [pcie()], instances={"count": 2, "prefill": 1})
    # 0-1 prompt and first token | two blocks over two links, one behind the other, 3 us | two tokens
    assert log(result) == [(0, 1, 6)]
    assert phases(result) == [{"handover": 3, "compute": 3}]
    assert rows(result, "instance", "reused", "computed") == [(1, 0, 8)]


def test_what_was_handed_over_goes_on_where_it_ended() -> None:
    # 8 + 4 tokens are cached in the end, and fill three blocks just so
    handed = run([ask(0, 8, 5, (1, 2))], [hbm(), dram()], [pcie()], instances={"count": 2, "prefill": 1})
    assert log(handed) == [(0, 1, 8)]
    assert handed.records.iterations.column("context").tolist() == [0, 8]


def test_a_load_does_not_wait_for_who_waits_for_its_room() -> None:
    # Block 1 is in both first tiers. The first request pushes it down there, where the third finds it at
    # 10, and loads it from 12 on; meanwhile the fourth pushes the other copy down, for which there is room
    # at 13.
    requests = [ask(0, 8, 1), ask(0, 4, 1), ask(10, 4, 1, (1,)), ask(11, 8, 1)]
    result = run(
        requests,
        [hbm(2), dram(1)],
        [pcie()],
        reuse={"warm": {"tier": "hbm"}, "overhead": "2 us"},
        instances={"count": 2},
    )
    assert phases(result)[2:] == [{"overhead": 2, "load": 1, "compute": 1}, {"room": 3, "compute": 1}]


def test_a_single_tier_for_each_instance_will_do() -> None:
    result = run([ask(0, 4, 1), ask(0, 4, 1)], instances={"count": 2})
    assert rows(result, "instance", "end") == [(0, US), (1, US)]


# --- conversations


def test_the_next_turn_comes_when_the_last_has_been_thought_about() -> None:
    result = run([ask(0, 4, 2, follow_up=ask(3, 4, 1, follow_up=ask(0, 4, 1)))])
    # ends at 2, thinks until 5; a turn without a thought arrives at the end of the one before
    assert rows(result, "arrival", "end") == [(0, 2 * US), (5 * US, 6 * US), (6 * US, 7 * US)]


def test_forks_come_beside_each_other_and_what_follows_waits_for_all() -> None:
    forks = (ask(1, 4, 1), ask(2, 4, 3))
    result = run([ask(0, 4, 2, forks=forks, follow_up=ask(4, 4, 1))])
    # ends at 2; one from 3 to 4, one from 4 to 7; 4 later the next
    assert log(result) == [(0, 1, 2), (3, 4, 4), (4, 5, 7), (11, 12, 12)]


def test_a_turn_without_a_thought_is_in_time_for_the_next_iteration() -> None:
    # it comes at 2, where the other's iteration ends and the next one begins
    result = run([ask(0, 4, 2, follow_up=ask(0, 4, 1)), ask(0, 4, 5)])
    assert log(result)[2] == (2, 3, 3)
