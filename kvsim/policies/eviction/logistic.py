"""Logistic regression that learns as it goes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["Logistic"]

Column = NDArray[np.float64]

PASSES = 8
"""Steps of gradient descent over each batch."""


class Logistic:
    """The probability of something by a few features, by steps of AdaGrad over batches; no regularisation.

    Source: J. Duchi, E. Hazan and Y. Singer, "Adaptive subgradient methods for online learning and stochastic
    optimization", JMLR 12, 2011.
    """

    def __init__(self, weights: Sequence[float], rate: float) -> None:
        self.weights = list(weights)
        self._rate = rate
        self._squares = [1e-8] * len(self.weights)

    def log_odds(self, features: Sequence[Column]) -> Column:
        """Logarithm of the odds, one row for each of the rows of the features, which are columns."""
        odds = self.weights[0] * features[0]
        for weight, column in zip(self.weights[1:], features[1:], strict=True):
            odds += weight * column
        return odds

    def learn(self, features: Sequence[Column], happened: Column) -> None:
        """What happened (1) and what did not (0), one row each."""
        if not len(happened):
            return
        for _ in range(PASSES):
            odds = np.clip(self.log_odds(features), -30.0, 30.0)
            wrong = 1.0 / (1.0 + np.exp(-odds)) - happened
            for k, column in enumerate(features):
                slope = float((wrong * column).mean())
                self._squares[k] += slope * slope
                self.weights[k] -= self._rate * slope / self._squares[k] ** 0.5
