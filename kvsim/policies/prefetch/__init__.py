"""The built-in prefetch policies, one module each; importing this package registers them."""

from kvsim.policies.prefetch.next_layer import NextLayer
from kvsim.policies.prefetch.none import NoPrefetch

__all__ = ["NextLayer", "NoPrefetch"]
