"""Migrations: what the placement policy wants elsewhere, moved in the background after a step."""

from __future__ import annotations

from kvsim.sim.hierarchy import Hierarchy
from kvsim.sim.records import BACKGROUND
from kvsim.sim.residency import NOWHERE, TIER


class Migrations:
    """Carries out the wishes of a placement policy that goes by what is read."""

    def __init__(self, hierarchy: Hierarchy) -> None:
        self.hierarchy = hierarchy
        self.counts: dict[tuple[int, int], int] = {}
        """Pages that have moved, by source and target tier."""

    def after_step(self) -> None:
        """Move what is wanted elsewhere and can go: not pinned, and with room where it goes."""
        hierarchy = self.hierarchy
        if not hierarchy.placement.watches:
            return
        for page, target in hierarchy.placement.migrations():
            source = self._tier_of(page)
            if source is None or source == target:
                continue
            moved = self._up if target < source else self._down
            if moved(page, source, target):
                self.counts[source, target] = self.counts.get((source, target), 0) + 1
        hierarchy.balance()
        hierarchy.mover.flush()

    def _tier_of(self, page: int) -> int | None:
        """Where the page is, or will be when it has arrived; None if it is pinned or nowhere."""
        residency = self.hierarchy.residency
        tier = residency.where[page] & TIER if page < len(residency.where) else NOWHERE
        return None if tier == NOWHERE or residency.is_pinned(page) else tier

    def _up(self, page: int, source: int, target: int) -> bool:
        """Into a faster tier. An inclusive tier keeps its copy, unless the page enters another inclusive one:
        that then holds it for all above."""
        hierarchy = self.hierarchy
        residency = hierarchy.residency
        room, held = residency.bytes_of(page, target), residency.bytes_of(page, source)
        if not hierarchy.make_room(target, room, BACKGROUND) or self._tier_of(page) != source:
            return False  # making room may have moved the page itself
        freed = held
        if target and hierarchy.inclusive[target]:
            self._give_up_copy(page)
        elif hierarchy.inclusive[source]:
            residency.held[page] = source
            freed = 0
        hierarchy.speculation.displaced.discard(page)
        self._move(page, source, target, room, held, freed)
        return True

    def _down(self, page: int, source: int, target: int) -> bool:
        """Into a slower tier; where a copy of it is further down already, that is where it goes."""
        hierarchy = self.hierarchy
        residency = hierarchy.residency
        kept = page in residency.held or page in residency.staged
        room, held = residency.bytes_of(page, target), residency.bytes_of(page, source)
        if not kept and not hierarchy.make_room(target, room, BACKGROUND):
            return False
        if not source and hierarchy.speculation.watches:
            hierarchy.speculation.evicted(page)
        if kept:
            hierarchy.policy.removed(page, source)
            hierarchy.send_down(page, source, BACKGROUND)
        else:
            self._move(page, source, target, room, held, held)
        return True

    def _move(self, page: int, source: int, target: int, room: int, held: int, freed: int) -> None:
        hierarchy = self.hierarchy
        hierarchy.policy.removed(page, source)
        hierarchy.used[source] -= freed
        hierarchy.used[target] += room
        hierarchy.read_bytes[source] += held
        hierarchy.written_bytes[target] += room
        hierarchy.residency.where[page] = target
        hierarchy.inserted(page, target)
        hierarchy.mover.move(page, source, target, BACKGROUND, room, freed, min(room, held))

    def _give_up_copy(self, page: int) -> None:
        hierarchy = self.hierarchy
        tier = hierarchy.residency.held.pop(page, None)
        if tier is not None:
            size = hierarchy.residency.bytes_of(page, tier)
            hierarchy.used[tier] -= size
            hierarchy.mover.drop(page, tier, size)
