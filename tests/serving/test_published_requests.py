"""Where loading a prefix begins to beat computing it: Mooncake's equation 2, and the roofline's own."""

from __future__ import annotations

from fractions import Fraction

import pytest

import kvsim
from kvsim.analysis.bounds import mooncake_bandwidth
from kvsim.analysis.serving import ServingSummary

ALONE = ("workload.sessions=1", "workload.block_tokens=512", "serving.reuse.warm={tier: dram}")
NO_SETUP = "hierarchy.links.pcie={name: pcie, between: [hbm, dram], bandwidth: %d B/s}"


def served(*overrides: str) -> ServingSummary:
    """One or more requests of `prefix_requests` over a link without set-up time."""
    summary = kvsim.run("prefix_requests", overrides=overrides).summary
    assert isinstance(summary, ServingSummary)
    return summary


def ttft_s(load: str, *overrides: str) -> float:
    return served(*overrides, f"serving.reuse.load={load}").ttft_s["mean"]


def loaded(*overrides: str) -> int:
    """Tokens that are loaded where it is cheaper."""
    return served(*overrides, "serving.reuse.load=cheaper").tokens["loaded"]


# a = 4 counts every pair of tokens, of which a prompt that attends causally has half: so twice the 64 heads;
# b d^2 operations a token and layer are those of 11 d^2 parameters. No bandwidth of the GPU limits anything.
OF_THE_EQUATION = (
    "model={preset: llama-3-70b, heads: 128, parameters: 59055800320}",
    "execution.flops_efficiency=1.0",
    "hierarchy.tiers.hbm.capacity=200 GB",
    "hierarchy.tiers.hbm.read_bandwidth=100000 TB/s",
    "hierarchy.tiers.dram.read_bandwidth=100 TB/s",
    "hierarchy.tiers.dram.read_latency=0 s",
)


@pytest.mark.parametrize(("tflops", "published"), [(2496, 5.86e9), (7920, 18.6e9)])
@pytest.mark.parametrize("prefix", [2048, 8192])
def test_loading_beats_computing_from_the_bandwidth_of_mooncakes_equation_on(
    tflops: int, published: float, prefix: int
) -> None:
    equation = mooncake_bandwidth(tflops * 10**12, prefix, hidden=8192, gqa=8)
    if prefix == 8192:
        assert float(equation) == pytest.approx(published, rel=0.001)
    machine = (
        *ALONE,
        *OF_THE_EQUATION,
        f"gpu={{preset: a100-80-sxm, bandwidth: 100000 TB/s, flops: {tflops} TFLOP/s}}",
        f"workload.first_tokens.mean={prefix}",
    )
    # what is left between the two: a causal prompt of p tokens has (p + 1) / p of half the pairs, and who
    # loads computes the last token, together less than 1 / 1000 of the work
    below = (*machine, NO_SETUP % int(equation * Fraction(998, 1000)))
    above = (*machine, NO_SETUP % int(equation * Fraction(1002, 1000)))
    assert ttft_s("never", *below) < ttft_s("always", *below)
    assert ttft_s("always", *above) < ttft_s("never", *above)
    assert loaded(*below) == 0
    assert loaded(*above) == prefix - 1  # the last token is computed


# Llama-3.1-8B caches 131,072 bytes a token; prefix_requests computes at 0.64 x 989 TFLOP/s, 2 x 7.505e9
# operations a token and 4 x 32 x 32 x 128 = 524,288 a pair of tokens.
RATE = Fraction(64, 100) * 989 * 10**12


def computing_s(tokens: int, prompts: int = 1) -> Fraction:
    pairs = tokens * (tokens + 1) // 2
    return prompts * (2 * 7_505_000_000 * tokens + 524_288 * pairs) / RATE


def bandwidth_for(tokens: int, seconds: Fraction) -> int:
    """That loads a prompt in such a time."""
    return int(131_072 * tokens / seconds)


@pytest.mark.parametrize("tokens", [512, 4096])
def test_what_is_cheaper_is_told_by_the_roofline(tokens: int) -> None:
    even = computing_s(tokens)
    request = (*ALONE, f"workload.first_tokens.mean={tokens}", "hierarchy.tiers.dram.read_latency=0 s")
    assert loaded(*request, NO_SETUP % bandwidth_for(tokens, even * Fraction(1001, 1000))) == 0
    assert loaded(*request, NO_SETUP % bandwidth_for(tokens, even * Fraction(999, 1000))) == tokens - 1
    never = ttft_s("never", *request)
    assert never == pytest.approx(float(even), rel=1e-9)


def test_prompts_that_arrive_together_share_the_link_and_the_gpu() -> None:
    """A load takes 0.8 of what computing does, T.

    The first loads, 0.8 T; the second would wait for it, until 1.6 T, and computes, T; the third loads until
    1.6 T, rather than to compute until 2 T; the fourth computes until 2 T, rather than to load until 2.4 T.
    """
    tokens = 4096
    speed = bandwidth_for(tokens, computing_s(tokens) * Fraction(8, 10))
    together = (
        "workload.sessions=4",
        "workload.block_tokens=512",
        f"workload.first_tokens.mean={tokens}",
        "serving.reuse.warm={tier: dram}",
        "serving.reuse.loading=whole",
        NO_SETUP % speed,
    )
    summary = served(*together, "serving.reuse.load=cheaper")
    assert summary.tokens["loaded"] == 2 * (tokens - 1)
    always = served(*together, "serving.reuse.load=always").makespan_s
    assert summary.makespan_s == pytest.approx(float(computing_s(tokens, 2)), rel=0.05)  # 2 T, not 3.2 T
    assert always == pytest.approx(float(computing_s(tokens)) * 3.2, rel=0.05)


def test_loads_over_two_links_are_reckoned_as_they_travel() -> None:
    """Eight blocks, one behind the other: over two links of the same speed that takes nine eighths of what
    one link takes, not twice as much."""
    tokens = 4096
    speed = bandwidth_for(tokens, computing_s(tokens) * Fraction(8, 10))
    far = (
        "{tiers: [{name: hbm, capacity: 60 GB}, {name: dram, capacity: 60 GB}, {name: far, capacity: 60 GB}],"
        f" links: [{{name: near, between: [hbm, dram], bandwidth: {speed} B/s}},"
        f" {{name: wide, between: [dram, far], bandwidth: {speed} B/s}}]}}"
    )
    one = ("workload.sessions=1", "workload.block_tokens=512", f"workload.first_tokens.mean={tokens}")
    request = (*one, f"hierarchy={far}", "serving.reuse.warm={tier: far}")
    assert loaded(*request) == tokens - 1  # 0.8 x 9 / 8 = 0.9 of computing, not 1.6
    exposed = served(*request).exposed_s["mean"]
    assert exposed == pytest.approx(float(computing_s(tokens)) * 0.9, rel=1e-6)
