"""Closed forms of overlap: what a transfer scheme costs where its assumptions hold.

Times are ticks (picoseconds), as whole numbers or exact fractions, so that a form can be compared with a
simulation to the tick; sizes are bytes, bandwidths bytes per second. Nothing is rounded here: the engine
rounds each service up to a whole tick, so the two agree exactly where every service is a whole number of
ticks. All of them assume one transfer at a time on each lane, served in order, and nothing else on it.
`analysis.run_bounds` holds a finished run against the two laws.
"""

from __future__ import annotations

from fractions import Fraction
from math import isqrt

from kvsim.units import TICKS_PER_SECOND

__all__ = [
    "Time",
    "additive_law",
    "best_chunks",
    "best_near_share",
    "buffered_layers",
    "cached_attention_buffer",
    "cached_attention_exposed",
    "chunked",
    "double_buffered",
    "flexgen_generation",
    "flexgen_prefill",
    "flexgen_throughput",
    "looked_ahead",
    "max_law",
    "mooncake_bandwidth",
    "pipeline",
    "prefetch_exposed",
    "prefetch_is_stall_free",
    "service",
    "two_tiers",
]

Time = int | Fraction
"""Ticks (picoseconds)."""


# --- the two laws ---------------------------------------------------------------------------------------


def additive_law(*parts: Time) -> Time:
    """Time of parts that happen one after another: compute and transfers add up.

    Assumes that nothing overlaps, as in `serial` mode. Measured systems are often closer to it than to
    `max_law`: the throughput of vLLM's offloading against the hit rate follows it within 7.1 %
    (blog.vllm.ai, 2026-01-08).
    """
    return sum(parts, start=0)


def max_law(*parts: Time) -> Time:
    """Time of parts that overlap perfectly: the longest of compute and the work of each lane.

    A lower bound of any schedule of the same work; it is reached only without start-up, without
    dependences and without queues. 0 without parts. The roof of S. Williams et al., "Roofline", CACM
    52(4), 2009.
    """
    return max(parts, default=0)


def service(size: int, bandwidth: int, setup: Time = 0) -> Fraction:
    """Ticks that `size` bytes hold a lane: set-up + size / bandwidth, not rounded."""
    return setup + Fraction(size * TICKS_PER_SECOND, bandwidth)


# --- pipelines of two stages ----------------------------------------------------------------------------


def pipeline(count: int, first: Time, second: Time) -> Time:
    """Time of `count` equal pieces through two stages: t_1 + (n - 1) max(t_1, t_2) + t_2.

    Assumes room between the stages for whatever has passed the first: the last piece leaves after all went
    through the slower stage, and through the other one once. Raises ValueError for a count under 1.
    """
    if count < 1:
        raise ValueError(f"a pipeline needs at least 1 piece, not {count}")
    return first + (count - 1) * max(first, second) + second


def double_buffered(layers: int, transfer: Time, compute: Time) -> Time:
    """Time of a step whose next layer is fetched while one computes: t_x + (L - 1) max(t_x, t_c) + t_c.

    `transfer` is the time of a layer from request to arrival, latency included: with one layer under way
    at a time nothing hides it. Assumes that no layer is there at the start, and that used pages leave for
    free, as from above an inclusive tier. The schedule of FlexGen (Y. Sheng et al., ICML 2023) with one
    batch. Raises ValueError for less than 1 layer.
    """
    return pipeline(layers, transfer, compute)


def chunked(chunks: int, setup: Time, transfer: Time, consume: Time) -> Time:
    """Time of a transfer in K chunks, each consumed while the next one is on its way.

    tau_x + (K - 1) max(tau_x, tau_c) + tau_c with tau_x = a + (S / B) / K and tau_c = T_c / K: `setup` a is
    paid by every chunk, `transfer` S / B and `consume` T_c are those of the whole. Assumes equal chunks and
    latency aside, which adds to it once. The engine's `chunk` pays set-up once for a transfer: take a = 0
    there. Raises ValueError for less than 1 chunk.
    """
    tau_x, tau_c = setup + Fraction(transfer) / max(chunks, 1), Fraction(consume) / max(chunks, 1)
    return pipeline(chunks, tau_x, tau_c)


def best_chunks(setup: Time, transfer: Time, consume: Time, most: int) -> int:
    """The number of chunks, 1 to `most`, for which `chunked` is least; the smallest of equals.

    The time is max(a K + X + T_c / K, a + X / K + T_c) with X = S / B: convex in K. The first falls until
    sqrt(T_c / a), the second always, and they meet at (T_c - X) / a, so the best K is the larger of the two
    (or a neighbour, as K is whole). Raises ValueError for `most` under 1.
    """
    if most < 1:
        raise ValueError(f"there must be at least 1 chunk, not {most}")
    if not setup:
        turning = [most]
    else:
        turning = [isqrt(int(Fraction(consume) / setup)), int(Fraction(consume - transfer) / setup)]
    near = {min(max(turn + step, 1), most) for turn in turning for step in (-1, 0, 1)}
    return min(near | {1, most}, key=lambda chunks: (chunked(chunks, setup, transfer, consume), chunks))


# --- prefetching at a distance --------------------------------------------------------------------------


def prefetch_is_stall_free(depth: int, compute: Time, latency: Time, transfer: Time) -> bool:
    """Whether layers fetched D ahead are always in time: D t_c >= a + S / B and S / B <= t_c.

    The first hides the time of one fetch, the second keeps the lane from falling behind. Assumes that the
    fetch of a layer is issued when the layer D before it begins to compute, over one lane held for
    `transfer` S / B (set-up included) and then `latency` a, in a steady state: the first D layers are there
    at the start. The rule of software prefetching (T. C. Mowry et al., ASPLOS 1992) with a bandwidth.
    Raises ValueError for a depth under 1.
    """
    _check_depth(depth)
    return depth * compute >= latency + transfer and transfer <= compute


def prefetch_exposed(layers: int, depth: int, compute: Time, latency: Time, transfer: Time) -> Time:
    """Ticks that a step of `layers` waits under the assumptions of `prefetch_is_stall_free`.

    The start of layer i is the longest path to it through layers (t_c each), fetches that jump D layers
    (S / B + a) and fetches that queue behind one of them (S / B each, one layer further). With m jumps that
    is m (a + S / B) + (L - 1 - m D) max(t_c, S / B), linear in m: so the longest has none, one, or
    as many as there is room for. Steps that are long grow by max(t_c, S / B, (a + S / B) / D) a layer.
    Raises ValueError for a depth under 1.
    """
    _check_depth(depth)
    gaps = layers - 1
    slower = max(compute, transfer)
    jumps = {1, gaps // depth} if gaps >= depth else set()
    paths = [m * (latency + transfer) + (gaps - m * depth) * slower for m in jumps]
    return max([0, *(path - gaps * compute for path in paths)])


def looked_ahead(layers: int, depth: int, compute: Time, latency: Time, transfer: Time) -> Time:
    """Time of a step that finds nothing and fetches D layers ahead; 0 of them: each when its turn comes.

    As `prefetch_exposed`, but the first layer is fetched first, and the D after it all when it begins to
    compute. So there are longest paths that begin with a fetch of one layer more, from the first to the
    second. With D = 1 it is `double_buffered`, with D = 0 the additive law. Raises ValueError for less than
    1 layer or a depth under 0.
    """
    if layers < 1:
        raise ValueError(f"a step needs at least 1 layer, not {layers}")
    fetch, gaps = latency + transfer, layers - 1
    if not depth:
        return layers * additive_law(fetch, compute)
    exposed = prefetch_exposed(layers, depth, compute, latency, transfer)
    jumps = {0, (gaps - 1) // depth} if gaps else set()
    slower = max(compute, transfer)
    paths = [(1 + m) * fetch + (gaps - 1 - m * depth) * slower for m in jumps]
    return fetch + max([gaps * compute + exposed, *paths]) + compute


def _check_depth(depth: int) -> None:
    if depth < 1:
        raise ValueError(f"a prefetch is at least 1 layer ahead, not {depth}")


# --- two tiers read at once -----------------------------------------------------------------------------


def two_tiers(near_bytes: int, far_bytes: int, near_bandwidth: int, far_bandwidth: int) -> Fraction:
    """Ticks to read from two tiers in parallel: the longer of the two, max(x / B_h, (1 - x) / B_d) of all.

    Assumes a link of its own for each tier and no latency.
    """
    return max(service(near_bytes, near_bandwidth), service(far_bytes, far_bandwidth))


def best_near_share(near_bandwidth: int, far_bandwidth: int) -> Fraction:
    """The share of the bytes for the near tier at which `two_tiers` is least: B_h / (B_h + B_d).

    Both tiers are then done at once, and the read goes at the sum of the bandwidths.
    """
    return Fraction(near_bandwidth, near_bandwidth + far_bandwidth)


# --- published models -----------------------------------------------------------------------------------


def flexgen_generation(ctog: Time, gtoc: Time, dtoc: Time, ctod: Time, comp: Time) -> Time:
    """Ticks of one layer of one decode step: T_gen = ctog + max(gtoc, dtoc, ctod, comp).

    Loads to the GPU (`ctog`) come first; stores to the host (`gtoc`), reads from disk (`dtoc`), writes to
    disk (`ctod`) and compute (`comp`) overlap each other. The cost model that comes with FlexGen's code
    (github.com/FMInference/FlexiGen, experimental/cost_model.py; Y. Sheng et al., ICML 2023), where a
    comment holds the rule with everything overlapped.
    """
    return ctog + max_law(gtoc, dtoc, ctod, comp)


def flexgen_prefill(ctog: Time, gtoc: Time, dtoc: Time, ctod: Time, comp: Time) -> Time:
    """Ticks of one layer of the prefill: T_pre = max(ctog + dtoc, gtoc + ctod, comp).

    Loads share one way and stores another; the two ways and compute overlap. Names and source as for
    `flexgen_generation`.
    """
    return max_law(ctog + dtoc, gtoc + ctod, comp)


def flexgen_throughput(
    prefill: Time, generation: Time, *, layers: int, new_tokens: int, sequences: int
) -> float:
    """Tokens per second of a block of sequences: b n / (L T_pre + L (n - 1) T_gen).

    `prefill` and `generation` are ticks a layer. The first of the `new_tokens` comes from the prefill.
    Source as for `flexgen_generation`.
    """
    ticks = layers * (prefill + (new_tokens - 1) * generation)
    return float(Fraction(sequences * new_tokens * TICKS_PER_SECOND) / ticks)


def cached_attention_exposed(load: Time, prefill: Time, layers: int = 1, buffered: int = 0) -> Time:
    """Ticks of loading history that layer-wise preloading leaves exposed.

    max(0, T_load L_hist - T_prefill L_new): `load` is that of all the history, `prefill` the compute of all
    new tokens. A read buffer holds the first `buffered` of the `layers` before the prefill begins, so that
    only the others are loaded meanwhile. Assumes layers so many that the start-up of the pipeline does not
    count; `buffered_layers` counts it. B. Gao et al., "Cost-Efficient Large Language Model Serving for
    Multi-turn Conversations with CachedAttention", USENIX ATC 2024.
    """
    return max_law(0, Fraction(load * (layers - min(buffered, layers))) / layers - prefill)


def cached_attention_buffer(load: Time, prefill: Time, bandwidth: int) -> Fraction:
    """Bytes of read buffer that hide the loading: B (T_load L_hist - T_prefill L_new), at least 0.

    Source and assumptions as for `cached_attention_exposed`; `bandwidth` is that of the loading.
    """
    return Fraction(max(0, load - prefill)) * bandwidth / TICKS_PER_SECOND


def buffered_layers(layers: int, transfer: Time, compute: Time, buffered: int) -> Time:
    """Time of a step that finds its first b layers and loads the others, in order, from its start on.

    max(L t_c, t_x + (L - b) t_c, (L - b) t_x + t_c), the last two only where b < L: layer b + j is there at
    (j + 1) t_x, after which the layers from it on compute. With b = 0 it is `double_buffered`. Assumes room
    for all that comes early, and no latency, so that the lane rests between no two layers. The exact form
    of `cached_attention_exposed`, compute included.
    """
    rest = layers - min(buffered, layers)
    if not rest:
        return layers * compute
    return max(layers * compute, transfer + rest * compute, rest * transfer + compute)


def mooncake_bandwidth(
    flops: int,
    prefix: int,
    *,
    hidden: int,
    gqa: int,
    bytes_per_scalar: int = 2,
    attention: int = 4,
    linear: int = 22,
) -> Fraction:
    """Bytes per second above which loading a prefix is faster than computing it again.

    B > G 2 d s / (gqa (a p d + b d^2)): `flops` G operations per second compute the (a p d + b d^2)
    operations a token and layer that the prefix of p tokens costs, its cache has 2 d s / gqa bytes a token
    and layer. Assumes that both run at full speed; the width d is `hidden`, `gqa` the query heads a KV
    head. R. Qin et al., "Mooncake: Trading More Storage for Less Computation", FAST 2025, equation 2, with
    its a = 4 and b = 22.
    """
    operations = gqa * (attention * prefix * hidden + linear * hidden**2)
    return Fraction(flops * 2 * hidden * bytes_per_scalar, operations)
