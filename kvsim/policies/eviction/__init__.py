"""The built-in eviction policies, one module each; importing this package registers them."""

from kvsim.policies.eviction.lru import Lru

__all__ = ["Lru"]
