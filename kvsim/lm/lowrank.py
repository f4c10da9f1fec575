"""Low-rank keys and values: a few numbers a token, and the directions they are of.

Arrays are [..., tokens, channels], each head having directions of its own. All that is kept is rounded to
fp16. The best approximation of a matrix by one of rank r leaves the singular values beyond the first r
(C. Eckart, G. Young, 1936); there is no mean taken off.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kvsim.lm.codes import Array, fp16
from kvsim.lm.quantise import Kind

__all__ = ["CalibratedRank", "PagedRank", "principal_directions"]

_BITS = 16


def principal_directions(samples: Array, rank: int) -> Array:
    """The directions that hold most of samples [..., tokens, channels]: [..., channels, rank], orthonormal.

    Of each head, the eigenvectors of its samples' second moments, largest first, summed in float64.
    """
    _check_rank(rank, samples.shape[-1])
    wide = np.asarray(samples, dtype=np.float64)
    _, vectors = np.linalg.eigh(wide.swapaxes(-1, -2) @ wide)  # ascending
    return fp16(vectors[..., ::-1][..., :rank].astype(np.float32))


@dataclass(frozen=True, slots=True)
class CalibratedRank:
    """Keys and values along directions that were found beforehand and are the same for all sequences.

    So a token takes as many numbers as there are directions, and may be compressed by itself.
    """

    keys: Array
    """Directions of each head's keys, [heads, channels, rank]."""
    values: Array
    """Of its values; the rank may differ."""

    def of(self, kind: Kind) -> Array:
        """The directions of keys or of values."""
        return self.keys if kind == "keys" else self.values

    def project(self, array: Array, kind: Kind) -> Array:
        """What is read back of [..., heads, tokens, channels]: the same shape, float32."""
        basis = self.of(kind)
        return fp16(np.asarray(array, dtype=np.float32) @ basis) @ basis.swapaxes(-1, -2)

    def bits(self, tokens: int) -> int:
        """Bits of keys and values of one head of a sequence; the directions belong to the model."""
        return _BITS * tokens * int(self.keys.shape[-1] + self.values.shape[-1])

    @property
    def basis_bits(self) -> int:
        """Bits of all directions, once for all sequences."""
        return _BITS * int(self.keys.size + self.values.size)


@dataclass(frozen=True, slots=True)
class PagedRank:
    """Each page of so many tokens along directions of its own, found when the page is full.

    A page takes ``rank x (tokens + channels)`` numbers; it stays as it is, in fp16, where that is not fewer
    than ``tokens x channels``: the end of a sequence that fills no page, and pages too short for the rank.
    """

    rank: int
    """Directions of a page."""
    page_tokens: int
    """Tokens of a page."""

    def __post_init__(self) -> None:
        if self.rank < 1 or self.page_tokens < 1:
            raise ValueError(f"rank and tokens are 1 or more, not {self.rank} and {self.page_tokens}")

    def project(self, array: Array, kind: Kind) -> Array:
        """What is read back of [..., tokens, channels], cut into pages from the first token on.

        Keys and values are treated alike."""
        found = fp16(np.asarray(array, dtype=np.float32))
        *heads, tokens, channels = found.shape
        whole = tokens - tokens % self.page_tokens
        if not whole or not self.pays(channels):
            return found
        pages = found[..., :whole, :].reshape(*heads, whole // self.page_tokens, self.page_tokens, channels)
        left, sizes, right = np.linalg.svd(pages, full_matrices=False)
        share = np.sqrt(sizes[..., : self.rank])  # each factor takes half of the sizes: both fit fp16
        near = fp16(left[..., : self.rank] * share[..., None, :])
        far = fp16(right[..., : self.rank, :] * share[..., :, None])
        found[..., :whole, :] = (near @ far).reshape(*heads, whole, channels)
        return found

    def pays(self, channels: int) -> bool:
        """Whether a page's factors are smaller than the page."""
        return self.rank * (self.page_tokens + channels) < self.page_tokens * channels

    def bits(self, tokens: int, channels: int) -> int:
        """Bits of keys, or of values, of one head of a sequence."""
        if not self.pays(channels):
            return _BITS * tokens * channels
        pages, rest = divmod(tokens, self.page_tokens)
        return _BITS * (pages * self.rank * (self.page_tokens + channels) + rest * channels)


def _check_rank(rank: int, channels: int) -> None:
    if not 1 <= rank <= channels:
        raise ValueError(f"a rank is from 1 to the number of channels, {channels}, not {rank}")
