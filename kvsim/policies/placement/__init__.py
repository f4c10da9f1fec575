"""The built-in placement policies; importing this package registers them."""

from kvsim.policies.placement.fixed import Fill, Last
from kvsim.policies.placement.hot_warm_cold import HotWarmCold

__all__ = ["Fill", "HotWarmCold", "Last"]
