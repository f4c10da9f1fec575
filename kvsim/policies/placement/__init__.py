"""The built-in placement policies; importing this package registers them."""

from kvsim.policies.placement.adaptive import Adaptive, Oracle, Predictive
from kvsim.policies.placement.fixed import Fill, Last
from kvsim.policies.placement.hot_warm_cold import HotWarmCold
from kvsim.policies.placement.static import Parallel, Static, StaticSplit
from kvsim.policies.placement.tuned import Tuned

__all__ = [
    "Adaptive",
    "Fill",
    "HotWarmCold",
    "Last",
    "Oracle",
    "Parallel",
    "Predictive",
    "Static",
    "StaticSplit",
    "Tuned",
]
