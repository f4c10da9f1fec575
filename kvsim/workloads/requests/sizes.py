"""Bytes of a block of a prompt."""

from __future__ import annotations

from kvsim.scenario.scenario import Scenario

__all__ = ["block_bytes"]


def block_bytes(scenario: Scenario, given: int | None, block_tokens: int) -> int:
    """The bytes given, or those of all layers of the model; 0 if there is neither."""
    if given is not None:
        return given
    if scenario.model is None:
        return 0
    token = scenario.model.kv_scalars_per_token_layer * scenario.model.layers
    return scenario.scheme.bytes(block_tokens * token)
