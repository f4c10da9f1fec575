"""Made-up request workloads: their block chains, their loops, their distributions against the parameters."""

from __future__ import annotations

import math
import tracemalloc
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workloads.requests.chains import assert_blocks_stand_for_prefixes, everyone, full, loop, made, plain
from workloads.scenarios import scenario

from kvsim.errors import ScenarioError
from kvsim.scenario.checks import cross_check
from kvsim.scenario.loader import loads
from kvsim.workloads.requests import Request, make_requests
from kvsim.workloads.requests.arrivals import limited

S = 10**12
FIXED: dict[str, Any] = {"distribution": "fixed"}
TENANTS: dict[str, Any] = {
    "chat": {"kind": "chat_sessions", "sessions": 20},
    "rag": {"kind": "shared_documents", "requests": 50, "documents": 30},
    "code": {"kind": "agents", "runs": 10, "branches": 2},
    "batch": {"kind": "users", "users": 3, "requests": 40},
}
EVERY = [*TENANTS.values(), {"kind": "multi_tenant", "tenants": TENANTS}]
BY_KIND = pytest.mark.parametrize("workload", EVERY, ids=[each["kind"] for each in EVERY])


def within_four_errors(values: Any, mean: float, deviation: float) -> bool:
    """Whether the mean of independent draws is within four of its standard errors."""
    return bool(abs(np.mean(values) - mean) <= 4 * deviation / math.sqrt(len(values)))


def lognormal_deviation(mean: float, sigma: float) -> float:
    return mean * math.sqrt(math.exp(sigma * sigma) - 1)


# --- all of them ----------------------------------------------------------------------------------------


@BY_KIND
def test_the_same_seed_gives_the_same_requests_and_another_seed_others(workload: dict[str, Any]) -> None:
    requests = make_requests(scenario(workload, 3))
    once = plain(requests.requests())
    assert plain(requests.requests()) == once
    assert plain(made(workload, 3)) == once
    assert plain(made(workload, 4)) != once


@BY_KIND
def test_first_requests_come_in_order_of_arrival(workload: dict[str, Any]) -> None:
    times = [request.arrival_ticks for request in made(workload)]
    assert times == sorted(times)


@BY_KIND
def test_a_total_that_is_told_is_the_number_of_requests(workload: dict[str, Any]) -> None:
    fixed = {"mean": 3.0, **FIXED}
    told = {
        "chat_sessions": {"turns": fixed},
        "agents": {"steps": fixed, "branch_steps": fixed},
        "multi_tenant": {
            "tenants": {
                "a": {"kind": "chat_sessions", "sessions": 5, "turns": fixed},
                "b": {"kind": "users", "users": 2, "requests": 7},
            }
        },
    }
    requests = make_requests(scenario({**workload, **told.get(workload["kind"], {})}))
    assert requests.total_requests == len(list(everyone(requests.requests())))


@pytest.mark.parametrize(
    ("workload", "expected"),
    [
        ({"kind": "agents", "runs": 2, "steps": {"mean": 4.0, **FIXED}}, 8),
        # two steps of its own, three agents of two steps each, and the last step
        (
            {"kind": "agents", "runs": 1, "steps": {"mean": 1.0, **FIXED}, "branches": 3, "branch_after": 2}
            | {"branch_steps": {"mean": 2.0, **FIXED}},
            2 + 6 + 1,
        ),
    ],
)
def test_agents_take_so_many_steps(workload: dict[str, Any], expected: int) -> None:
    assert len(list(everyone(made(workload)))) == expected
    assert make_requests(scenario(workload)).total_requests == expected


@BY_KIND
def test_no_more_requests_are_made_than_asked_for(workload: dict[str, Any]) -> None:
    requests = make_requests(scenario({**workload, "max_requests": 17}))
    assert len(list(everyone(requests.requests()))) == 17
    assert requests.total_requests in (17, None)


@given(st.sampled_from(EVERY[:3]), st.sampled_from([1, 5, 16, 100]), st.integers(0, 40), st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_a_blocks_number_tells_all_that_stands_before_it(
    workload: dict[str, Any], block_tokens: int, system: int, seed: int
) -> None:
    changed = {**workload, "block_tokens": block_tokens, "system_tokens": system}
    small = {"mean": 9, "sigma": 1.0}
    names = {
        "chat_sessions": ("first_tokens", "user_tokens", "output_tokens"),
        "shared_documents": ("document_tokens", "question_tokens", "output_tokens"),
        "agents": ("task_tokens", "tool_tokens", "output_tokens"),
    }
    requests = made({**changed, **dict.fromkeys(names[workload["kind"]], small)}, seed)
    if workload["kind"] == "shared_documents":  # nobody goes on from an answer
        for request in requests:
            assert not request.output_blocks
            request.output_tokens = 0
            request.input_tokens -= request.input_tokens % block_tokens
            request.blocks = request.blocks[: request.input_tokens // block_tokens]
    assert_blocks_stand_for_prefixes(requests, block_tokens)


@pytest.mark.parametrize(
    ("workload", "number"),
    [
        ({"kind": "chat_sessions", "sessions": 2000}, 9000),
        ({"kind": "shared_documents", "requests": 3000}, 3000),
        ({"kind": "agents", "runs": 300, "branches": 2}, 5000),
        ({"kind": "users", "users": 10, "requests": 30000}, 30000),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_requests_stream_in_memory_that_does_not_grow_with_them(
    workload: dict[str, Any], number: int
) -> None:
    requests = make_requests(scenario(workload))
    tracemalloc.start()
    try:
        seen = 0
        for first in requests.requests():
            following: Request | None = first
            del first
            while following is not None:
                seen += 1 + sum(len(list(loop(fork))) for fork in following.forks)
                following = following.follow_up
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert seen >= number
    # One loop or prompt at a time, and numbers drawn ahead; the block numbers of all prompts, 8 bytes each,
    # would be 9 MB or more. `users` keeps three numbers of 8 bytes of each request.
    assert peak < (1_500_000 + 24 * number if workload["kind"] == "users" else 5_000_000)


# --- sessions -------------------------------------------------------------------------------------------

CHAT: dict[str, Any] = {"kind": "chat_sessions", "sessions": 1500}


def test_a_turns_prompt_starts_with_the_blocks_of_the_prompt_and_output_before() -> None:
    for first in made({**CHAT, "sessions": 100}):
        for turn, following in pairwise(loop(first)):
            kept = full(turn, 16)
            assert list(following.blocks[: len(kept)]) == kept
            assert following.input_tokens > turn.input_tokens + turn.output_tokens
            assert following.session == turn.session


def test_conversations_share_the_full_blocks_of_their_system_prompt_only() -> None:
    # 100 tokens are 6 full blocks of 16, and 4 more tokens in a block that no two conversations share
    requests = made({**CHAT, "sessions": 60, "system_tokens": 100, "system_prompts": 2, "alpha": 0.0})
    groups = Counter(tuple(request.blocks[:6]) for request in requests)
    assert len(groups) == 2
    assert len({block for group in groups for block in group}) == 12
    assert len({request.blocks[6] for request in requests}) == 60


def test_numbers_of_turns_are_geometric() -> None:
    lengths = [len(list(loop(first))) for first in made({**CHAT, "turns": {"mean": 4.0}})]
    assert within_four_errors(lengths, 4, math.sqrt(4 * 3))
    # the first turn is the last with probability 1/4
    assert within_four_errors([length == 1 for length in lengths], 0.25, math.sqrt(0.25 * 0.75))


def test_tokens_and_pauses_follow_their_distributions() -> None:
    first, user, output, pauses = [], [], [], []
    for request in made(CHAT):
        first.append(request.input_tokens - 1000)
        for turn, following in pairwise(loop(request)):
            user.append(following.input_tokens - turn.input_tokens - turn.output_tokens)
            pauses.append(following.arrival_ticks)
        output += [turn.output_tokens for turn in loop(request)]
    assert within_four_errors(first, 500, lognormal_deviation(500, 1.0))
    assert within_four_errors(user, 100, lognormal_deviation(100, 1.0))
    assert within_four_errors(output, 250, lognormal_deviation(250, 0.8))
    assert within_four_errors(pauses, 30 * S, 30 * S)
    # the median is exp(-sigma²/2) of the mean; the standard error of its logarithm is 1.2533 sigma/√n
    assert abs(math.log(np.median(user) / 100) + 0.5) <= 4 * 1.2533 / math.sqrt(len(user))
    # P(pause > 2 means) = e⁻²
    assert within_four_errors([p > 60 * S for p in pauses], math.exp(-2), math.sqrt(math.exp(-2)))


def test_fixed_numbers_are_always_the_mean() -> None:
    tokens = {"first_tokens": {"mean": 30}, "user_tokens": {"mean": 20}, "output_tokens": {"mean": 5}}
    turns = {"turns": {"mean": 3.0, **FIXED}, "think": {"mean": "2 s", **FIXED}}
    for first in made({**CHAT, "sessions": 3, "system_tokens": 10, **tokens, **turns}):
        seen = [(turn.input_tokens, turn.output_tokens, turn.arrival_ticks) for turn in loop(first)]
        assert seen == [(40, 5, first.arrival_ticks), (65, 5, 2 * S), (90, 5, 2 * S)]


def test_popularity_of_system_prompts_falls_as_a_power_of_their_rank() -> None:
    requests = made({**CHAT, "system_prompts": 4, "alpha": 1.0})
    shares = sorted(Counter(request.blocks[0] for request in requests).values(), reverse=True)
    total = 1 + 1 / 2 + 1 / 3 + 1 / 4
    for rank, count in enumerate(shares, 1):
        share = 1 / rank / total
        assert abs(count / 1500 - share) <= 4 * math.sqrt(share * (1 - share) / 1500)


def test_open_loops_have_the_same_turns_planned_from_arrival_to_arrival() -> None:
    closed = made({**CHAT, "sessions": 50})
    planned = made({**CHAT, "sessions": 50, "loop": "open"})
    assert all(request.follow_up is None for request in planned)
    times = [request.arrival_ticks for request in planned]
    assert times == sorted(times)
    expected = []
    for first in closed:
        now = 0
        for turn in loop(first):
            now += turn.arrival_ticks
            expected.append((now, turn.session, list(turn.blocks)))
    assert sorted(expected) == sorted((r.arrival_ticks, r.session, list(r.blocks)) for r in planned)


@pytest.mark.parametrize("kind", ["chat_sessions", "agents"])
def test_nothing_exceeds_the_context_limit(kind: str) -> None:
    workload = {"kind": kind, "system_tokens": 1000, "context_limit": 1500}
    branches = {"branches": 2} if kind == "agents" else {}
    requests = list(everyone(made({**workload, **branches})))
    lengths = [request.input_tokens + request.output_tokens for request in requests]
    assert max(lengths) == 1500  # some first requests are cut to it
    assert all(request.input_tokens > 1000 for request in requests)


# --- documents ------------------------------------------------------------------------------------------

RAG: dict[str, Any] = {
    "kind": "shared_documents",
    "system_tokens": 16,
    "document_tokens": {"mean": 32},
    "question_tokens": {"mean": 16},
}


def test_documents_are_shared_behind_the_same_documents_only() -> None:
    requests = made({**RAG, "requests": 400, "documents": 3, "retrieved": 2, "alpha": 0.0})
    # blocks of 16: one of the system, two of each document, one of the question
    assert {len(request.blocks) for request in requests} == {6}
    assert len({request.blocks[0] for request in requests}) == 1
    assert len({tuple(request.blocks[1:3]) for request in requests}) == 3
    assert len({tuple(request.blocks[1:5]) for request in requests}) == 3 * 2  # ordered pairs
    assert (
        len({tuple(request.blocks[3:5]) for request in requests}) == 3 * 2
    )  # none of them without the first
    assert len({request.blocks[5] for request in requests}) == 400


def test_sorted_documents_have_fewer_prefixes() -> None:
    workload = {**RAG, "requests": 400, "documents": 3, "retrieved": 2, "alpha": 0.0, "order": "sorted"}
    assert len({tuple(request.blocks[1:5]) for request in made(workload)}) == 3  # pairs: 3 over 2


def test_all_documents_can_be_retrieved_however_rare_they_are() -> None:
    requests = made({**RAG, "requests": 20, "documents": 5, "retrieved": 5, "alpha": 16.0})
    assert {request.input_tokens for request in requests} == {16 + 5 * 32 + 16}
    # with such weights nearly always in order of rank: the second is drawn before the third but for 2/3**16
    assert Counter(tuple(request.blocks[1:5]) for request in requests).most_common(1)[0][1] >= 19


def test_popularity_of_documents_falls_as_a_power_of_their_rank() -> None:
    workload = {**RAG, "requests": 4000, "documents": 50, "retrieved": 1, "alpha": 1.2}
    counts = Counter(request.blocks[1] for request in made(workload)).most_common()
    weights = [rank**-1.2 for rank in range(1, 51)]
    for place in (0, 1, 2):
        share = weights[place] / sum(weights)
        assert abs(counts[place][1] / 4000 - share) <= 4 * math.sqrt(share * (1 - share) / 4000)


def test_a_document_keeps_its_length() -> None:
    workload = {**RAG, "documents": 40, "document_tokens": {"mean": 300, "sigma": 0.5}, "retrieved": 1}
    lengths: dict[int, set[int]] = {}
    for request in made(workload):
        lengths.setdefault(request.blocks[1], set()).add(request.input_tokens)
    assert all(len(each) == 1 for each in lengths.values())
    assert len({min(each) for each in lengths.values()}) > 10


# --- agents ---------------------------------------------------------------------------------------------


def test_agents_that_are_started_go_on_from_the_context_and_their_results_come_back() -> None:
    workload = {"kind": "agents", "runs": 30, "branches": 3, "branch_after": 2}
    for first in made(workload):
        _, second, *later = loop(first)
        context = full(second, 16)
        assert not first.forks
        assert len(second.forks) == 3
        for fork in second.forks:
            assert list(fork.blocks[: len(context)]) == context
            assert fork.arrival_ticks == 0
        assert len({fork.blocks[len(context)] for fork in second.forks}) == 3
        results = sum(list(loop(fork))[-1].output_tokens for fork in second.forks)
        assert later[0].input_tokens == second.input_tokens + second.output_tokens + results
        assert list(later[0].blocks[: len(context)]) == context
        assert not any(turn.forks for turn in later)


# --- users ----------------------------------------------------------------------------------------------


def test_each_user_asks_again_after_thinking_and_shares_nothing() -> None:
    workload = {"kind": "users", "users": 4, "requests": 10, "think": {"mean": "3 s", **FIXED}}
    requests = made(workload)
    assert [len(list(loop(first))) for first in requests] == [3, 3, 2, 2]
    for user, first in enumerate(requests):
        assert [turn.session for turn in loop(first)] == [user] * len(list(loop(first)))
        assert all(turn.arrival_ticks == 3 * S for turn in loop(first))
        assert all(turn.blocks == () for turn in loop(first))


def test_a_users_follow_up_is_the_same_request_each_time_it_is_asked_for() -> None:
    (first,) = made({"kind": "users", "requests": 3})
    assert first.follow_up is first.follow_up
    assert first.follow_up is not None


def test_users_may_all_begin_at_once() -> None:
    workload = {"kind": "users", "users": 4, "requests": 9, "arrivals": {"process": "together"}}
    requests = made(workload)
    assert [request.arrival_ticks for request in requests] == [0] * 4
    assert len(list(everyone(requests))) == 9


# --- tenants --------------------------------------------------------------------------------------------


def test_tenants_keep_their_requests_whoever_else_is_there() -> None:
    together = made({"kind": "multi_tenant", "tenants": TENANTS})
    for name in TENANTS:
        alone = made({"kind": "multi_tenant", "tenants": {name: TENANTS[name]}})
        mine = [request for request in together if request.tenant == name]
        shape = [
            [(turn.arrival_ticks, turn.input_tokens, turn.output_tokens) for turn in loop(first)]
            for first in alone
        ]
        assert shape == [
            [(turn.arrival_ticks, turn.input_tokens, turn.output_tokens) for turn in loop(first)]
            for first in mine
        ]


def test_tenants_share_neither_blocks_nor_sessions() -> None:
    requests = made({"kind": "multi_tenant", "tenants": TENANTS})
    blocks: dict[str, set[int]] = {}
    sessions: dict[str, set[int]] = {}
    for request in everyone(requests):
        assert request.tenant in TENANTS
        blocks.setdefault(request.tenant, set()).update(request.blocks, request.output_blocks)
        if request.session is not None:
            sessions.setdefault(request.tenant, set()).add(request.session)
    for owned in (blocks, sessions):
        assert sum(map(len, owned.values())) == len(set().union(*owned.values()))


# --- forks ----------------------------------------------------------------------------------------------


def test_a_loop_that_is_cut_loses_its_last_forks_and_turns() -> None:
    def forked() -> Request:
        last = Request(0, 1, 9)
        two = [Request(0, 1, 2, follow_up=Request(0, 1, 3)), Request(0, 1, 4, follow_up=Request(0, 1, 5))]
        return Request(0, 1, 1, forks=two, follow_up=last)

    for most in range(1, 7):
        kept = [each.output_tokens for each in everyone(limited([forked()], most))]
        assert kept == [1, 2, 3, 4, 5, 9][:most]


# --- what does not fit ----------------------------------------------------------------------------------

BLOCKS_64 = {"kind": "chat_sessions", "block_tokens": 64}


@pytest.mark.parametrize(
    ("workload", "field", "message"),
    [
        (
            {"kind": "shared_documents", "documents": 2},
            ("retrieved",),
            "must be at most the number of documents, 2",
        ),
        (
            {"kind": "agents", "context_limit": 4001},
            ("context_limit",),
            "must be at least 4002, two more than `system_tokens`: a prompt and an output of a token",
        ),
        (
            {"kind": "chat_sessions", "arrivals": {"process": "poisson"}},
            ("arrivals", "rate"),
            "the process `poisson` needs it: requests a second on average",
        ),
        (
            {"kind": "multi_tenant", "tenants": {"a": BLOCKS_64, "b": {"kind": "users"}}},
            ("tenants", "b", "block_tokens"),
            "all tenants have blocks of the same size; the first one's have 64 tokens",
        ),
        (
            {"kind": "multi_tenant", "tenants": {"a": {"kind": "users", "block_bytes": "1 MB"}}},
            ("tenants", "a", "block_bytes"),
            "blocks of all tenants have the same size: give `workload.block_bytes`",
        ),
        (
            {"kind": "multi_tenant", "tenants": {"a": {"kind": "shared_documents", "retrieved": 1001}}},
            ("tenants", "a", "retrieved"),
            "must be at most the number of documents, 1000",
        ),
        (
            {"kind": "multi_tenant", "tenants": {"a": {"kind": "users", "arrivals": {"rate": 2.0}}}},
            ("tenants", "a", "arrivals", "rate"),
            "has no effect with the process `trace`, only with `poisson` and `gamma` and `bursts`",
        ),
    ],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_made_is_said(workload: dict[str, Any], field: tuple[str, ...], message: str) -> None:
    assert cross_check(scenario(workload)) == [(("workload", *field), message)]


@pytest.mark.parametrize(
    ("line", "column", "said"),
    [
        ("turns: {mean: 0.5}", 21, "turns.mean: must be 1 or more, not 0.5"),
        ("sesions: 5", 7, "sesions: unknown key; did you mean 'sessions'? (known: arrivals, block_bytes"),
        ("think: {mean: 5}", 21, "think.mean: 5 has no unit"),
    ],
)
def test_a_mistake_in_a_tenants_workload_is_said_at_its_place(line: str, column: int, said: str) -> None:
    text = (
        "name: t\nexecution: {compute_time: 1 us}\nhierarchy: {tiers: [{name: m, capacity: 1 GB}]}\n"
        "workload:\n  kind: multi_tenant\n  block_bytes: 1 MB\n  tenants:\n"
        f"    a:\n      kind: chat_sessions\n      {line}\n"
    )
    with pytest.raises(ScenarioError) as caught:
        loads(text)
    (problem,) = caught.value.problems
    assert (problem.line, problem.column) == (10, column)
    assert f"{problem.field}: {problem.message}".startswith(f"workload.tenants.a.{said}")
