"""WHAT IT COSTS IN ANSWERS: a small real decoder, in numpy, whose KV cache is real.

Its eviction policies are the simulator's, told of the same page events; see `kvsim.lm.tables`.
"""
