"""How long an iteration of a serving batch computes.

The roofline of `kvsim.scenario.compute`, over all layers at once: of one iteration that decodes a token for
each of B sequences, whose contexts sum to C, and computes pieces of prompts, each of n tokens after c
others::

    stream = weights / w + (C + sum(c + n)) s / r
    flops  = 2 P (B + sum(n)) + 4 L h d (C + sum(n c + n (n + 1) / 2))
    time   = max(stream, flops / peak) + overhead

All is integer: times are counted in `unit` parts of a tick, in which each of the coefficients is whole, and
whoever adds iterations up rounds the sum up to a tick, not each of them. So the sum over many iterations has
a closed form that is the same as adding them one by one.
"""

from __future__ import annotations

from fractions import Fraction
from math import isqrt, lcm

from kvsim.scenario.compute import ComputeModel
from kvsim.scenario.scenario import Scenario

__all__ = ["DecodeRun", "IterationCost", "pairs"]


def pairs(new_tokens: int, seen_tokens: int) -> int:
    """Pairs of tokens that attend when so many follow others: each to those before it and to itself."""
    return new_tokens * seen_tokens + new_tokens * (new_tokens + 1) // 2


class IterationCost:
    """Times of iterations, in parts of a tick; see the module.

    With `execution.compute_time` every layer of an iteration takes that, whatever it works on. Raises
    ValueError where compute time cannot be known, as ComputeModel does.
    """

    def __init__(self, scenario: Scenario) -> None:
        rates = ComputeModel(scenario).whole_model()
        coefficients = [Fraction(rate) for rate in rates]
        self.unit = lcm(*(rate.denominator for rate in coefficients))
        """Parts of a tick that times are counted in."""
        whole = [int(rate * self.unit) for rate in coefficients]
        self._stream, self._stream_token, self._token, self._pair = whole
        self._overhead = scenario.serving.batch.overhead * self.unit

    @property
    def coefficients(self) -> tuple[int, int, int, int, int]:
        """Parts of a tick: to stream the weights, and the keys and values of a token; to compute a token, and
        a pair of tokens; and what every iteration takes besides."""
        return self._stream, self._stream_token, self._token, self._pair, self._overhead

    def mixed(self, decoding: int, context: int, new: int, read: int, attended: int) -> int:
        """One iteration that computes `new` tokens of prompts, too: their pieces read the keys and values of
        `read` tokens, themselves included, and `attended` pairs of tokens attend."""
        stream = self._stream + (context + read) * self._stream_token
        compute = (decoding + new) * self._token + (context + attended) * self._pair
        return (stream if stream > compute else compute) + self._overhead

    def decode(self, decoding: int, context: int) -> DecodeRun:
        """Iterations in a row that decode, each with one more token of context for each sequence."""
        stream = self._stream + context * self._stream_token
        compute = decoding * self._token + context * self._pair
        steps = decoding * self._stream_token, decoding * self._pair
        return DecodeRun(stream, steps[0], compute, steps[1], self._overhead)


class DecodeRun:
    """Iteration i takes max(a + i a', b + i b') + c: what the first n of them take, and how many it takes."""

    __slots__ = ("a", "a_step", "b", "b_step", "c", "cross")

    def __init__(self, a: int, a_step: int, b: int, b_step: int, c: int) -> None:
        if b > a or (b == a and b_step > a_step):
            a, a_step, b, b_step = b, b_step, a, a_step
        self.a, self.a_step, self.b, self.b_step, self.c = a, a_step, b, b_step, c
        self.cross = None if b_step <= a_step else -(-(a - b) // (b_step - a_step))
        """First iteration at which the second line is not below the first; None: it never is."""

    def total(self, n: int) -> int:
        """Time of the first n iterations."""
        cross = self.cross
        first = n if cross is None or n <= cross else cross
        time = first * self.a + (first * (first - 1) // 2) * self.a_step + n * self.c
        if first < n:
            after = n - first
            time += after * self.b + ((first + n - 1) * after // 2) * self.b_step
        return time

    def reaching(self, time: int) -> int:
        """The fewest iterations that take `time` or longer."""
        if time <= 0:
            return 0
        cross = self.cross
        if cross is None or self.total(cross) >= time:
            return _fewest(time, self.a + self.c, self.a_step)
        rest = time - self.total(cross)
        return cross + _fewest(rest, self.b + cross * self.b_step + self.c, self.b_step)


def _fewest(time: int, first: int, step: int) -> int:
    """The fewest n with n first + step n (n - 1) / 2 >= time > 0."""
    if step == 0:
        return -(-time // first)
    # step n^2 + (2 first - step) n - 2 time >= 0
    linear = 2 * first - step
    n = (isqrt(linear * linear + 8 * step * time) - linear) // (2 * step)
    n = max(n, 1)
    while n * first + step * (n * (n - 1) // 2) < time:
        n += 1
    return n
