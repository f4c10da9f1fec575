"""The built-in eviction policies; importing this package registers them."""

from kvsim.policies.eviction.arc import Arc
from kvsim.policies.eviction.belady import Belady, BeladySize
from kvsim.policies.eviction.cost_aware import CostAware
from kvsim.policies.eviction.fifo import Fifo
from kvsim.policies.eviction.gdsf import Gdsf
from kvsim.policies.eviction.h2o import H2o
from kvsim.policies.eviction.heavy_hitter import HeavyHitter
from kvsim.policies.eviction.learned import Learned
from kvsim.policies.eviction.lecar import Lecar
from kvsim.policies.eviction.length_aware import LengthAware
from kvsim.policies.eviction.lfu import Lfu
from kvsim.policies.eviction.lru import Lru
from kvsim.policies.eviction.lru_k import LruK
from kvsim.policies.eviction.predictive import Predictive
from kvsim.policies.eviction.random_page import Random
from kvsim.policies.eviction.regret_aware import RegretAware
from kvsim.policies.eviction.s3fifo import S3Fifo
from kvsim.policies.eviction.scissorhands import Scissorhands
from kvsim.policies.eviction.sieve import Sieve
from kvsim.policies.eviction.snapkv import SnapKv
from kvsim.policies.eviction.streaming import Streaming
from kvsim.policies.eviction.switching import Switching
from kvsim.policies.eviction.window import Window
from kvsim.policies.eviction.windowed_recency import WindowedRecency

__all__ = [
    "Arc",
    "Belady",
    "BeladySize",
    "CostAware",
    "Fifo",
    "Gdsf",
    "H2o",
    "HeavyHitter",
    "Learned",
    "Lecar",
    "LengthAware",
    "Lfu",
    "Lru",
    "LruK",
    "Predictive",
    "Random",
    "RegretAware",
    "S3Fifo",
    "Scissorhands",
    "Sieve",
    "SnapKv",
    "Streaming",
    "Switching",
    "Window",
    "WindowedRecency",
]
