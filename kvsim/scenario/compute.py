"""How long the GPU computes: a given time, or the roofline of the model on the GPU.

The roofline of one decoded token in one layer, for a batch of B sequences with a context of C tokens::

    stream = 2 P/L / (w e_b) + B C s / (r e_b)
    flops  = 2 P/L B + 4 B C h d
    time   = max(stream, flops / (peak e_f))

with w the bandwidth of the GPU's memory, where the weights are, and r the read bandwidth of tier 0, where
attention finds the KV (w, unless the tier says otherwise: on-chip memory is faster); P active parameters (in
fp16) and L layers, s bytes of KV per token and layer in the scenario's scheme (in a mixed one, in the format
of that layer and head group), h query heads of d scalars, and e the efficiencies of `execution`. Attention
costs 2 h d each for the scores and for the weighted sum, hence 4; a prompt attends causally, which halves its
square term.

All arithmetic is rational; each result is rounded up once, to a whole tick.
"""

from collections.abc import Callable
from fractions import Fraction
from math import ceil, floor

from kvsim.scenario.catalog import FormatSpec, LlmSpec
from kvsim.scenario.scenario import Scenario
from kvsim.units import TICKS_PER_SECOND

__all__ = ["ComputeModel", "decode_macs", "prefill_macs", "streamed_layer_bytes"]


class ComputeModel:
    """Compute times of a scenario, in ticks.

    A given `execution.compute_time` is the time of one layer access whatever it works on, so a whole model
    takes that time once per layer (once, without a model). Otherwise the scenario must have a model and a
    GPU, else ValueError.
    """

    def __init__(self, scenario: Scenario) -> None:
        execution, model, gpu = scenario.execution, scenario.model, scenario.gpu
        self._given = execution.compute_time
        self._layers = model.layers if model is not None else 1
        self._scheme = scenario.scheme
        self._beside = execution.in_place == "during"
        self.streamed_bytes = 0
        """Bytes of weights that one layer streams over links: 0 unless `execution.weights` names a tier."""
        if execution.weights is not None and model is not None:
            self.streamed_bytes = streamed_layer_bytes(model)
        if self._given is not None:
            return
        if model is None or gpu is None:
            raise ValueError("compute time needs `execution.compute_time`, or a model and a GPU")
        reached = _decimal(execution.bandwidth_efficiency)
        byte_ticks = TICKS_PER_SECOND / (gpu.bandwidth * reached)
        near = scenario.hierarchy.tiers[0].read_bandwidth or gpu.bandwidth
        flop_ticks = TICKS_PER_SECOND / (gpu.flops * _decimal(execution.flops_efficiency))
        weights = Fraction(model.active, model.layers)
        # Ticks per layer: to stream the weights, to stream one token of KV, to apply the weights to one
        # token, and to attend from one token to one token.
        self._stream_weights = 2 * weights * byte_ticks
        self._stream_scalars = model.kv_scalars_per_token_layer * (  # if one took a byte
            TICKS_PER_SECOND / (near * reached)
        )
        self._stream_token = self._stream_in(scenario.scheme)
        self._apply_weights = 2 * weights * flop_ticks
        self._attend_token = 4 * model.heads * model.head_dim * flop_ticks

    def layer_ticks(
        self,
        batch: int,
        context_tokens: int,
        layer: int | None = None,
        head_group: int = 0,
        elsewhere: Fraction | int = 0,
    ) -> int:
        """One layer of one decode step: one new token for each of `batch` sequences of that context.

        Which layer matters where the scheme has rules; None: they do not count. The KV of so many tokens
        `elsewhere` is not streamed from tier 0.
        """
        if self._given is not None:
            return self._given
        token = self._stream_token
        if layer is not None and self._scheme.mixed:
            token = self._stream_in(self._scheme.format_of(layer, head_group))
        stream = self._stream_weights + (batch * context_tokens - elsewhere) * token
        compute = batch * (self._apply_weights + context_tokens * self._attend_token)
        return ceil(max(stream, compute))

    def step_ticks(self, batch: int, context_tokens: int) -> list[int]:
        """Every layer of one decode step, in order."""
        if self._given is not None or not self._scheme.mixed:
            return [self.layer_ticks(batch, context_tokens)] * self._layers
        known: dict[tuple[float, float], int] = {}
        ticks: list[int] = []
        for layer in range(self._layers):
            format = self._scheme.format_of(layer, 0)
            width = format.bits, format.keep
            if width not in known:
                known[width] = self.layer_ticks(batch, context_tokens, layer)
            ticks.append(known[width])
        return ticks

    def near_ticks(
        self, batch: int, context_tokens: int, page_tokens: int, layer: int
    ) -> Callable[[Fraction], int] | None:
        """Ticks of the layer by its pages that are read elsewhere meanwhile; None where that makes no
        difference, because the time is given or they are read before."""
        if self._given is not None or not self._beside:
            return None
        return lambda pages: self.layer_ticks(batch, context_tokens, layer, elsewhere=pages * page_tokens)

    def whole_model(self) -> tuple[Fraction, Fraction, Fraction, Fraction]:
        """Ticks, for all layers together, to stream the weights, to stream one token of KV, to apply the
        weights to one token, and to attend from one token to one token; with a given time that time first,
        and nothing else."""
        nothing = Fraction(0)
        if self._given is not None:
            return Fraction(self._given * self._layers), nothing, nothing, nothing
        token = self._stream_token * self._layers
        if self._scheme.mixed:
            formats = (self._scheme.format_of(layer, 0) for layer in range(self._layers))
            token = sum(map(self._stream_in, formats), nothing)
        layers = self._layers
        return (
            self._stream_weights * layers,
            token,
            self._apply_weights * layers,
            self._attend_token * layers,
        )

    def _stream_in(self, format: FormatSpec) -> Fraction:
        return format.exact_bytes(1) * self._stream_scalars

    def prefill_ticks(self, new_tokens: int, context_tokens: int = 0) -> int:
        """The whole model over `new_tokens` of a prompt that follow `context_tokens` already cached."""
        if new_tokens <= 0:
            return 0
        if self._given is not None:
            return self._given * self._layers
        pairs = new_tokens * context_tokens + Fraction(new_tokens * (new_tokens + 1), 2)
        stream = self._stream_weights + (context_tokens + new_tokens) * self._stream_token
        compute = new_tokens * self._apply_weights + pairs * self._attend_token
        return ceil(self._layers * max(stream, compute))

    def decode_ticks(self, context_tokens: int, output_tokens: int) -> int:
        """The whole model for `output_tokens` decode steps of one sequence, the context growing by one each.

        The first step sees `context_tokens`. Rounded up once, over all steps.
        """
        if output_tokens <= 0:
            return 0
        if self._given is not None:
            return self._given * self._layers * output_tokens
        last = context_tokens + output_tokens - 1
        if self._stream_token == self._attend_token:
            streamed = last if self._stream_weights >= self._apply_weights else context_tokens - 1
            return self._sum_ticks(context_tokens, last, context_tokens, streamed)
        cross = (self._apply_weights - self._stream_weights) / (self._stream_token - self._attend_token)
        if self._stream_token < self._attend_token:  # streaming bounds the short contexts
            return self._sum_ticks(context_tokens, last, context_tokens, floor(cross))
        return self._sum_ticks(context_tokens, last, ceil(cross), last)

    def _sum_ticks(self, first: int, last: int, streamed_from: int, streamed_to: int) -> int:
        """All layers of the steps at contexts first … last, of which those given are bound by streaming."""
        low, high = max(first, streamed_from), min(last, streamed_to)
        streamed, streamed_contexts = _series(low, high)
        steps, contexts = _series(first, last)
        total = streamed * self._stream_weights + streamed_contexts * self._stream_token
        total += (steps - streamed) * self._apply_weights
        total += (contexts - streamed_contexts) * self._attend_token
        return ceil(self._layers * total)


def streamed_layer_bytes(model: LlmSpec) -> int:
    """Bytes of weights that one layer streams where they come over links."""
    return 2 * model.active // model.layers


def decode_macs(model: LlmSpec, tokens: int, attended_tokens: int) -> int:
    """Multiply-accumulates, half of the roofline's flops, of so many decoded tokens.

    Together they attend to `attended_tokens`: each to its context.
    """
    return tokens * model.active + 2 * model.layers * model.heads * model.head_dim * attended_tokens


def prefill_macs(model: LlmSpec, new_tokens: int, context_tokens: int = 0) -> int:
    """Multiply-accumulates of `new_tokens` of a prompt that follow `context_tokens` already cached."""
    twice_the_pairs = new_tokens * (2 * context_tokens + new_tokens + 1)
    return new_tokens * model.active + model.layers * model.heads * model.head_dim * twice_the_pairs


def _decimal(share: float) -> Fraction:
    """The decimal number a person wrote, not the nearest binary fraction."""
    return Fraction(repr(share))


def _series(first: int, last: int) -> tuple[int, int]:
    """How many numbers from first to last there are, and their sum."""
    if last < first:
        return 0, 0
    return last - first + 1, (first + last) * (last - first + 1) // 2
