"""Checks of what compute and transfers take from each other: shares of the compute, streamed weights."""

from collections.abc import Iterator
from fractions import Fraction

from kvsim.scenario.geometry import tier_scheme
from kvsim.scenario.scenario import Scenario
from kvsim.scenario.tree import Path
from kvsim.scenario.workload import Custom, DenseDecode, SparseDecode

__all__ = ["compute_shares", "weights"]


def weights(scenario: Scenario) -> Iterator[tuple[Path, str]]:
    """Weights come from a tier below the first, in a workload that knows of them."""
    name, path = scenario.execution.weights, ("execution", "weights")
    first, *below = (tier.name for tier in scenario.hierarchy.tiers)
    if name is None:
        return
    if name == first:
        yield path, f"nothing is streamed from the first tier, {name!r}: it is where the compute reads"
    elif name not in below:
        yield path, f"there is no tier {name!r} below the first (known: {', '.join(below) or 'none'})"
    if not isinstance(scenario.workload, (DenseDecode, SparseDecode, Custom)):
        known = "dense_decode, sparse_decode, custom"
        yield path, f"the workload {scenario.workload.kind!r} streams no weights (those that may: {known})"


def compute_shares(scenario: Scenario) -> Iterator[tuple[Path, str]]:
    """Copies leave some of the compute, even with all lanes that take of it in service at once."""
    takers = [*_links(scenario), *_codecs(scenario)]
    total = sum(share for share, _ in takers)
    if total >= 1:
        _, path = max(takers, key=lambda taker: taker[0])
        yield (
            (*path, "compute_share"),
            f"all copies at once take {float(total):g} of the compute: the shares of the links, twice that "
            "of a full-duplex one, and the largest of the schemes each way must sum to less than 1",
        )


def _links(scenario: Scenario) -> Iterator[tuple[Fraction, Path]]:
    """What the lanes of each link take."""
    for index, link in enumerate(scenario.hierarchy.links):
        lanes = 1 if link.duplex == "half" else 2
        yield lanes * Fraction(repr(link.compute_share)), ("hierarchy", "links", index)


def _codecs(scenario: Scenario) -> Iterator[tuple[Fraction, Path]]:
    """What the codecs take, each way at most: they convert one format after the other."""
    for way in ("compress", "decompress"):
        most, where = Fraction(0), Path(("scheme",))
        for index, tier in enumerate(scenario.hierarchy.tiers):
            scheme = tier_scheme(scenario, index)
            path = Path(("scheme",) if tier.scheme is None else ("hierarchy", "tiers", index, "scheme"))
            for format in (scheme, *scheme.mixed):
                share = Fraction(repr(format.compute_share))
                if getattr(format, way) is not None and share > most:
                    most, where = share, path
        yield most, where
