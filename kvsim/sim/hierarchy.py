"""The hierarchy: decides, page by page and at once, where pages go; a mover makes it true.

Decisions are logical and immediate, so which pages miss and which are evicted never
depends on the clock. What a decision promises (room, the page itself) the mover delivers
in the order of decisions, which is why nothing can wait in a circle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from kvsim.errors import SimulationError
from kvsim.policies.base import EvictionPolicy, PlacementPolicy
from kvsim.scenario.hierarchy import TierSpec
from kvsim.sim.attended import AttendedBytes, MassFound
from kvsim.sim.fidelity import Fidelity
from kvsim.sim.future import Foresight
from kvsim.sim.move import Move, Mover
from kvsim.sim.plan import Plan
from kvsim.sim.prefetcher import Speculation
from kvsim.sim.records import BACKGROUND, PREFETCH, WRITE_BACK
from kvsim.sim.residency import LOST, MOVING, NOWHERE, SETTLED, TIER, Residency
from kvsim.workloads.base import LayerAccess


class Hierarchy:
    """Residency and its rules: access, promotion, eviction, birth, watermarks."""

    def __init__(
        self,
        specs: tuple[TierSpec, ...],
        capacities: list[int],
        residency: Residency,
        policy: EvictionPolicy,
        placement: PlacementPolicy,
        mover: Mover,
        speculation: Speculation,
        absent: str,
        foresight: Foresight | None = None,
        fidelity: Fidelity | None = None,
        *,
        lossy: bool = False,
    ) -> None:
        self.residency = residency
        self.policy = policy
        self.mover = mover
        self.speculation = speculation
        self.foresight = foresight
        self.fidelity = fidelity
        self.inserted: Callable[[int, int], None] = policy.inserted
        """Who must know that a page now belongs to a tier."""
        if fidelity is not None:
            self.inserted = fidelity.also(policy.inserted)
        self.capacities = capacities
        self.used = [0] * len(specs)
        """Bytes decided to be in each tier; what has moved so far is the tiers' business."""
        self.found = [0] * len(specs)
        self.evictions = [0] * len(specs)
        self.discards = [0] * len(specs)
        self.absent = 0
        self.lost = 0
        self.pinned_bytes = 0
        self.open_plans = 0
        """Announced layers not released yet."""
        self.notes_hits = False
        """Whether plans name the pages found in tier 0."""
        self.read_bytes = [0] * len(specs)
        """Bytes of pages that moves and reads in place take from each tier."""
        self.written_bytes = [0] * len(specs)
        """Bytes of pages that moves put into each tier."""
        self.mass = MassFound(residency)
        self.attended: AttendedBytes | None = None
        """Sums what compute reads in tier 0, where that does not follow from the number of reads."""
        self.placement = placement
        self._staging = [spec.access == "stage" for spec in specs]
        self._stages = placement.watches or any(self._staging)
        self._names = [spec.name for spec in specs]
        self._direct = [spec.access == "direct" for spec in specs]
        self.inclusive = [spec.inclusive for spec in specs]
        self._last = len(specs) - 1
        self._below = [range(tier + 1, len(specs)) for tier in range(len(specs))]
        self._appears = absent == "appear"
        self._gone = LOST if lossy else NOWHERE
        self._watermarks = [
            (k, int(spec.high_watermark * capacities[k]), int(spec.low_watermark * capacities[k]))
            for k, spec in enumerate(specs)
            if spec.high_watermark is not None and spec.low_watermark is not None
        ]

    # -- a layer's pages -------------------------------------------------------------

    def announce(self, access: LayerAccess, cls: int) -> Plan:
        """Pin a layer's pages, look them up, and start bringing what is not in tier 0."""
        residency = self.residency
        pages = access.pages
        residency.epoch += 1
        self.open_plans += 1
        plan = Plan(access, residency.epoch)
        if self.foresight is not None:
            self.foresight.passed(access)
        if self.placement.watches:
            self.placement.accessed(pages)
        if access.mass is not None:
            self.mass.read(pages, access.mass)
        if access.ordered or len(pages) == 1:
            self._look_up_in_order(plan, cls)
        else:
            codes = residency.look_up(pages)
            residency.pin(pages)
            elsewhere = codes.nonzero()[0]
            if len(elsewhere):
                self._look_up_set(plan, elsewhere.tolist(), codes[elsewhere].tolist(), cls)
            else:
                self._hits(plan, pages.tolist())
        if access.mass is not None:
            self._attended(plan, access.mass)
        if self.fidelity is not None:
            self.fidelity.read(pages)
        if self.attended is not None:
            self.attended.read(plan)
        if self._watermarks:
            self.balance()
        if self._watermarks or plan.hits < len(pages):
            self.mover.flush()
        return plan

    def release(self, plan: Plan) -> None:
        """The layer has been computed: its pages may leave. Plans end in order."""
        self.residency.floor = plan.epoch + 1
        self.pinned_bytes -= plan.bytes
        self.open_plans -= 1
        if self.residency.staged:
            self._unstage(plan)

    def create(self, plan: Plan) -> Plan | None:
        """What a layer leaves behind, once released: new pages, and tiers to be balanced.

        Returns a plan to wait for if room for the new pages is short.
        """
        created = plan.access.created
        if not len(created) and not self._watermarks:
            if self._stages:
                self.mover.flush()  # what was staged has left, and its room may be waited for
            return None
        births = Plan(plan.access, plan.epoch)
        if len(created):
            self.residency.look_up(created)  # makes the universe large enough
        if self.speculation.displaced:
            self.speculation.displaced.difference_update(created.tolist())
        for page in created.tolist():
            if self.residency.where[page] & TIER == NOWHERE:  # else a guess has made it appear before
                births.wait_for(self._bear(page, 0))
        if self._watermarks:
            self.balance()
        self.mover.flush()
        return births if births.pending else None

    def read_in_place(self, plan: Plan, waiting: Plan) -> None:
        """Start the reads of the plan's pages that stay in a `direct` tier; `waiting` is to wait for them."""
        for page, tier in plan.direct:
            size = self.residency.bytes_of(page, tier)
            self.read_bytes[tier] += size
            waiting.wait_for(self.mover.read(page, tier, size))
        self.mover.flush()

    def _unstage(self, plan: Plan) -> None:
        """The layer has read what was staged for it: only the places below count again."""
        residency = self.residency
        for page in plan.access.pages.tolist():
            if page in residency.staged and not residency.is_pinned(page):
                self.policy.removed(page, 0)
                self.send_down(page, 0, BACKGROUND)

    def _hits(self, plan: Plan, pages: list[int]) -> None:
        self.policy.accessed(pages, 0)
        self.found[0] += len(pages)
        plan.hits += len(pages)
        if self.notes_hits:
            plan.found += tuple(pages)
        if self.speculation.pending:
            plan.prefetched += self.speculation.used(pages, self.residency.where)

    def _attended(self, plan: Plan, mass: NDArray[np.float64]) -> None:
        """Pages that are lost receive no attention."""
        pages = plan.access.pages
        if plan.lost:
            there = self.residency.are_present(pages)
            pages, mass = pages[there], mass[there]
        self.policy.attended(pages.tolist(), mass.tolist())
        if self.placement.watches:
            self.placement.attended(pages, mass)

    def _look_up_set(self, plan: Plan, elsewhere: list[int], codes: list[int], cls: int) -> None:
        """A set of pages, of which those at the positions `elsewhere` have not settled in tier 0."""
        hits = plan.access.pages.tolist()
        moving: list[int] = []
        others: list[int] = []
        tiers: list[int] = []
        for at, code in zip(elsewhere, codes, strict=True):
            if code == MOVING:
                moving.append(hits[at])
            else:
                others.append(hits[at])
                tiers.append(code & SETTLED)
        if others:
            missing = set(others)
            hits = [page for page in hits if page not in missing]
        if hits:
            self._hits(plan, hits)
        for page in moving:
            plan.wait_for(self.mover.under_way(page))
        kinds = set(tiers)
        for tier in sorted(kinds):
            alike = (
                others if len(kinds) == 1 else [p for p, t in zip(others, tiers, strict=True) if t == tier]
            )
            self._misses(tier, alike)
        for page, tier in zip(others, tiers, strict=True):
            self._fetch(plan, page, tier, cls)

    def _look_up_in_order(self, plan: Plan, cls: int) -> None:
        residency = self.residency
        for page in plan.access.pages.tolist():
            if page >= len(residency.where):
                residency.look_up(plan.access.pages)  # makes the universe large enough
            residency.stamps[page] = residency.epoch
            code = residency.where[page]
            tier = code & SETTLED
            if tier == 0:
                self._hits(plan, [page])
                if code:
                    plan.wait_for(self.mover.under_way(page))
            else:
                self._misses(tier, [page])
                self._fetch(plan, page, tier, cls)

    def reads_in_tier_0(self, accesses: int) -> int:
        """Of so many page reads, those that compute makes in tier 0: not skipped, and not in place below."""
        below = sum(found for found, direct in zip(self.found, self._direct, strict=True) if direct)
        if self._appears and self._direct[self._last]:
            below += self.absent
        return accesses - self.lost - below

    def _misses(self, tier: int, pages: list[int]) -> None:
        if tier == LOST:
            self.lost += len(pages)
            return
        if self.speculation.displaced:
            self.speculation.missed(pages)
        if tier == NOWHERE:
            self.policy.accessed(pages, -1)
            self.absent += len(pages)
        else:
            self.policy.accessed(pages, tier)
            self.found[tier] += len(pages)

    def _fetch(self, plan: Plan, page: int, tier: int, cls: int) -> None:
        """Bring a page that is not in tier 0 but in `tier`."""
        if tier >= NOWHERE:
            if tier == LOST:
                plan.lost += 1
                return
            tier = self._bring_into_being(plan, page)
            if tier == 0:
                return
        if self._direct[tier]:
            plan.direct.append((page, tier))
            return
        limit = self.capacities[0] - self.residency.bytes_of(page, 0)
        if self.used[0] > limit and not self._shrink(0, limit, WRITE_BACK):
            name = self._names[0]
            raise SimulationError(f"page {page} is read, but all of tier {name} is pinned: no room")
        if cls == PREFETCH:
            self.speculation.issued_ahead(page)
        move = self._promote(page, tier, cls)
        if move is not None:
            plan.wait_for(move)

    def _bring_into_being(self, plan: Plan, page: int) -> int:
        """A page that no tier holds: computed in tier 0, or it always was in the last one."""
        plan.absent += 1
        tier = self._last if self._appears else 0
        move = self._bear(page, tier)
        if move is not None:
            plan.wait_for(move)
        return tier

    # -- one page --------------------------------------------------------------------

    def prefetch(self, pages: Iterable[int]) -> None:
        """Bring pages up on speculation, as far as possible, and drop the others."""
        self.speculation.dropped += len(self.speculate(pages))
        self.mover.flush()

    def speculate(self, pages: Iterable[int]) -> list[int]:
        """Bring pages up as far as limit, room and pressure allow; returns those that must stay."""
        residency = self.residency
        speculation = self.speculation
        speculation.watches = True
        full = False
        refused: list[int] = []
        for page in pages:
            code = residency.where[page] if page < len(residency.where) else MOVING
            absent = code == NOWHERE and self._appears
            if code == 0 or (code >= NOWHERE and not absent) or (not absent and self._direct[code]):
                continue  # there already, moving, nowhere, or never promoted
            found = self._last if absent else code
            full = full or not speculation.has_slot()
            if full or self._is_pressed(found) or not self._make_way(page, absent):
                refused.append(page)
                continue
            tier = residency.where[page] & TIER  # making room may have moved it
            if 0 < tier < NOWHERE and not self._direct[tier]:
                speculation.issued_for(page, self._promote(page, tier, PREFETCH, found))
        return refused

    def _is_pressed(self, tier: int) -> bool:
        """Whether too much that is more urgent is on its way between that tier and the first one."""
        most = self.speculation.pressure
        return most is not None and self.mover.urgent(0, tier) >= most

    def _make_way(self, page: int, absent: bool) -> bool:
        """Whether a guess has room; a page that was nowhere then is in the last tier."""
        if absent:
            if not self.make_room(self._last, self.residency.bytes_of(page, self._last)):
                return False
            self._bear(page, self._last)
        self.speculation.making_room = True
        found = self.make_room(0, self.residency.bytes_of(page, 0))
        self.speculation.making_room = False
        return found

    def place(self, page: int, tier: int) -> None:
        """Put a page where it is when the run starts; its room is taken by whoever places it."""
        self.used[tier] += self.residency.bytes_of(page, tier)
        self.residency.where[page] = tier
        self.inserted(page, tier)

    def keep_copy(self, page: int, tier: int) -> None:
        """Put the copy that an inclusive tier keeps of a page placed further up."""
        self.used[tier] += self.residency.bytes_of(page, tier)
        self.residency.held[page] = tier

    def _bear(self, page: int, tier: int) -> Move | None:
        size = self.residency.bytes_of(page, tier)
        if not self.make_room(tier, size):
            name = self._names[tier]
            raise SimulationError(f"page {page} is born, but all of tier {name} is pinned: no room")
        self.used[tier] += size
        self.residency.where[page] = tier
        self.inserted(page, tier)
        return self.mover.birth(page, tier, size)

    def _promote(self, page: int, tier: int, cls: int, found: int | None = None) -> Move | None:
        """To tier 0, where room has been made; `found`: where the page was before that."""
        residency = self.residency
        policy = self.policy
        room = residency.bytes_of(page, 0)
        held = residency.bytes_of(page, tier)
        size = room if room < held else held
        self.read_bytes[tier] += held
        self.written_bytes[0] += room
        policy.removed(page, tier)
        staged = self._stages and (self._staging[tier] or not self.placement.keeps(page))
        if staged:
            residency.staged[page] = tier
            held = 0
        elif self.inclusive[tier]:
            residency.held[page] = tier
            held = 0
        else:
            self.used[tier] -= held
        self.used[0] += room
        residency.where[page] = 0
        self.inserted(page, 0)
        return self.mover.move(page, tier, 0, cls, room, held, size, found)

    # -- room ------------------------------------------------------------------------

    def make_room(self, tier: int, size: int, cls: int = WRITE_BACK) -> bool:
        """Evict until `size` bytes of the tier are free; False if pinned pages are in the way."""
        limit = self.capacities[tier] - size
        return limit >= 0 and (self.used[tier] <= limit or self._shrink(tier, limit, cls))

    def balance(self) -> None:
        """Evict in the background from every tier above its high watermark, down to its low one."""
        for tier, high, low in self._watermarks:
            if self.used[tier] > high:
                self._shrink(tier, low, BACKGROUND)

    def _shrink(self, tier: int, limit: int, cls: int) -> bool:
        used = self.used
        policy = self.policy
        while used[tier] > limit:
            page = policy.victim(tier)
            if page is None:
                return False
            policy.removed(page, tier)
            policy.evicted(page, tier)
            self.evictions[tier] += 1
            if not tier and self.speculation.watches:
                self.speculation.evicted(page)
            self.send_down(page, tier, cls)
        return True

    def send_down(self, page: int, tier: int, cls: int) -> None:
        """Out of the tier: to the copy below, to the next tier that can take it, or to nowhere."""
        residency = self.residency
        used = self.used
        freed = residency.bytes_of(page, tier)
        copies = residency.staged if page in residency.staged else residency.held
        if page in copies:
            below = copies.pop(page)
            used[tier] -= freed
            residency.where[page] = below
            self.inserted(page, below)
            self.mover.drop(page, tier, freed)
            return
        for target in self._below[tier]:
            room = residency.bytes_of(page, target)
            limit = self.capacities[target] - room
            if used[target] <= limit or (limit >= 0 and self._shrink(target, limit, cls)):
                used[tier] -= freed
                used[target] += room
                self.read_bytes[tier] += freed
                self.written_bytes[target] += room
                residency.where[page] = target
                self.inserted(page, target)
                self.mover.move(page, tier, target, cls, room, freed, room if room < freed else freed)
                return
        self.discards[tier] += 1
        used[tier] -= freed
        residency.where[page] = self._gone
        if self.fidelity is not None:
            self.fidelity.discarded(page)
        self.mover.drop(page, tier, freed)
