"""The built-in prefetch policies; importing this package registers them."""

from kvsim.policies.prefetch.ahead import LookAhead, Oracle
from kvsim.policies.prefetch.leap import Leap
from kvsim.policies.prefetch.markov import Markov
from kvsim.policies.prefetch.next_layer import NextLayer
from kvsim.policies.prefetch.next_page import NextPage
from kvsim.policies.prefetch.none import NoPrefetch
from kvsim.policies.prefetch.predictive import Predictive
from kvsim.policies.prefetch.stride import Stride

__all__ = [
    "Leap",
    "LookAhead",
    "Markov",
    "NextLayer",
    "NextPage",
    "NoPrefetch",
    "Oracle",
    "Predictive",
    "Stride",
]
