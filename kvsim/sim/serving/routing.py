"""Which instance a request goes to."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as Numbers
from itertools import count

from kvsim.scenario.serving import InstancesSpec
from kvsim.sim.serving.instance import Instance
from kvsim.sim.serving.sequence import Sequence
from kvsim.sim.serving.store import Store

__all__ = ["Router"]


class Router:
    """Sends requests to the instances that take prompts, and from there to those that decode."""

    def __init__(self, spec: InstancesSpec, instances: Numbers[Instance], block_tokens: int) -> None:
        self._prompts = list(instances[: spec.prefill] if spec.prefill else instances)
        self._decoders = list(instances[spec.prefill :])
        self._block_tokens = block_tokens
        self._turns = count()
        self._choose: Callable[[Sequence], Instance] = {
            "round_robin": self._next,
            "least_loaded": self._least_loaded,
            "cache_aware": self._least_to_compute,
        }[spec.routing]

    def arrived(self, sequence: Sequence) -> None:
        """A request is here: it queues at one of the instances."""
        chosen = self._prompts[0] if len(self._prompts) == 1 else self._choose(sequence)
        chosen.enqueue(sequence)

    def computed(self, sequence: Sequence) -> None:
        """A prompt is computed where nothing is decoded: the sequence goes where there are fewest."""
        chosen = min(self._decoders, key=lambda instance: len(instance.admitted) + len(instance.queue))
        chosen.enqueue(sequence)

    def _next(self, _sequence: Sequence) -> Instance:
        return self._prompts[next(self._turns) % len(self._prompts)]

    def _least_loaded(self, _sequence: Sequence) -> Instance:
        return min(self._prompts, key=_load)

    def _least_to_compute(self, sequence: Sequence) -> Instance:
        def tokens(instance: Instance) -> int:
            found = _found(sequence.blocks, instance.admission.path) * self._block_tokens
            return instance.tokens_due - found

        return min(self._prompts, key=tokens)


def _load(instance: Instance) -> tuple[int, int]:
    return instance.tokens_due, len(instance.admitted)


def _found(blocks: Numbers[int], path: list[Store]) -> int:
    """Blocks at the beginning of a prompt that the first tier holds."""
    held = path[0].pins
    found = 0
    for block in blocks:
        if block not in held:
            break
        found += 1
    return found
