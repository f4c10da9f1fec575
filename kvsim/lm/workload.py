"""A language model's page reads as a workload of the simulator."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from kvsim.lm.cache import LayerRead
from kvsim.lm.play import merging_of, play
from kvsim.lm.trace import ModelReads
from kvsim.scenario.compute import ComputeModel
from kvsim.scenario.geometry import page_scalars
from kvsim.scenario.scenario import Scenario
from kvsim.scenario.workload import LanguageModel as Spec
from kvsim.workloads.base import LayerAccess

__all__ = ["LanguageModel"]


class LanguageModel(ModelReads):
    """The first sample's reads, chunk by chunk and then token by token, as `kvsim.lm.play` has made them.

    A layer computes its share of what the scenario's model takes: for a chunk as a prompt does after what its
    cache still holds, for a token as a decode step that attends to the tokens its pages hold. Under a lossy
    policy the simulator decides as the model's own page table did, being told the same.
    """

    name: ClassVar[str] = Spec.model_fields["kind"].default

    def __init__(self, scenario: Scenario) -> None:
        spec = scenario.workload
        assert isinstance(spec, Spec)
        played = play(scenario)
        super().__init__(played.reads, played.numbers, evicted=True)
        scalars = page_scalars(scenario)
        assert scalars is not None
        if spec.merge_tokens is not None:  # of every page the same share, that of a whole sample
            scalars = -(-scalars * merging_of(spec).entries(spec.context_tokens) // spec.context_tokens)
        self.page_scalars = scalars
        self._spec = spec
        self._given = scenario.execution.compute_time
        self._compute = ComputeModel(scenario)
        self._numbers = played.numbers
        self._layers = len({read.layer for read in played.reads})

    def _access(self, read: LayerRead) -> LayerAccess:
        return replace(super()._access(read), compute_ticks=self._ticks_of(read))

    def _ticks_of(self, read: LayerRead) -> int:
        """The layer's share of the model's time, the remainder of a division going to the last ones."""
        if self._given is not None:
            return self._given
        whole = self._whole_ticks(read)
        return whole * (read.layer + 1) // self._layers - whole * read.layer // self._layers

    def _whole_ticks(self, read: LayerRead) -> int:
        """What the scenario's model takes, if all its layers read as much."""
        spec = self._spec
        seen = self._seen(read)
        prompt = spec.context_tokens - spec.decode_tokens
        if read.tokens > prompt:
            return sum(self._compute.step_ticks(1, seen))
        new = (read.tokens - read.step * spec.chunk_tokens) * spec.token_scale
        return self._compute.prefill_ticks(new, max(0, seen - new))

    def _seen(self, read: LayerRead) -> int:
        """Tokens of the scenario's model that the layer attends to: the mean over head groups, rounded up."""
        pages = read.pages[read.read[0]].tolist()
        tokens = sum(self._numbers.tokens_of(page, read.tokens) for page in pages)
        return -(-tokens * self._spec.token_scale // self._spec.head_groups)
