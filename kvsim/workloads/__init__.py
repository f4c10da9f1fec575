"""WHAT is asked for: streams of steps that read pages.

A workload is a class with a `name`, constructed from a frozen scenario; see `kvsim.workloads.base`
for what it yields. A scenario reaches classes from elsewhere by `kind: custom`.
"""

from kvsim.workloads import dense_decode, layers, mooncake, patterns, replay, sparse_decode, zipf
from kvsim.workloads.base import NO_PAGES, LayerAccess, Pages, Step, Workload
from kvsim.workloads.check import check_workload
from kvsim.workloads.registry import make_workload, names, register_workload

__all__ = [
    "NO_PAGES",
    "LayerAccess",
    "Pages",
    "Step",
    "Workload",
    "check_workload",
    "dense_decode",
    "layers",
    "make_workload",
    "mooncake",
    "names",
    "patterns",
    "register_workload",
    "replay",
    "sparse_decode",
    "zipf",
]
