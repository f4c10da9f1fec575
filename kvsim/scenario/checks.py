"""What no single field can tell: whether the parts of a scenario fit together.

Every check is a pure function from a scenario to findings: the path of the field to look at, and what is
wrong. A check names the fields it needs, so that it stays silent when one of them is wrong by itself.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from kvsim.scenario import answers, contention, geometry, request_checks
from kvsim.scenario.catalog import SchemeSpec
from kvsim.scenario.number_set import NumberSet
from kvsim.scenario.requests import RequestSpec
from kvsim.scenario.scenario import Scenario
from kvsim.scenario.workload import DenseDecode, Layers, Mooncake, Replay, SparseDecode, Zipf
from kvsim.units import format_bytes

__all__ = ["RULES", "Check", "Finding", "Path", "Rule", "cross_check"]

Path = tuple[str | int, ...]
"""Where a field is: keys and list positions from the top."""

Finding = tuple[Path, str]
"""The path of a field, and what is wrong with it."""

Check = Callable[[Scenario], Iterable[Finding]]
"""A check that other floors add, such as whether a policy of that name exists."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A check, and the fields (dotted, `*` for any) that must be right for its answer to mean anything.

    What an earlier rule found counts too: a tier is not called unreachable over a link whose end is wrong.
    """

    needs: tuple[str, ...]
    check: Callable[[Scenario], Iterator[Finding]]
    of_room: bool = False
    """Whether all it finds is that pages do not fit."""


def cross_check(scenario: Scenario) -> list[Finding]:
    """Everything that is wrong with how the parts of a scenario fit together; empty if it can run.

    `kvsim.scenario.loader.load` calls this; call it for a scenario that was built in Python.
    """
    found: list[Finding] = []
    for rule in RULES:
        if not any(_matches(need, path) for need in rule.needs for path, _ in found):
            found += rule.check(scenario)
    return found


def _matches(need: str, path: Path) -> bool:
    """Whether a path is at, above or below a dotted one with `*` for any part."""
    return all(ours in ("*", theirs) for ours, theirs in zip(need.split("."), path, strict=False))


def _unique_names(scenario: Scenario) -> Iterator[Finding]:
    hierarchy = scenario.hierarchy
    groups = {
        "tiers": [tier.name for tier in hierarchy.tiers],
        "links": [link.name for link in hierarchy.links],
        "buses": [bus.name for bus in hierarchy.buses],
    }
    for group, names in groups.items():
        for index, name in enumerate(names):
            if name in names[:index]:
                path = ("hierarchy", group, index, "name")
                yield path, f"two {group} are called {name!r}; give each a name of its own"


def _link_ends(scenario: Scenario) -> Iterator[Finding]:
    hierarchy = scenario.hierarchy
    order = [tier.name for tier in hierarchy.tiers]
    for index, link in enumerate(hierarchy.links):
        path: Path = ("hierarchy", "links", index, "between")
        unknown = [name for name in link.between if name not in order]
        for name in unknown:
            yield path, f"there is no tier {name!r} (known: {', '.join(order)})"
        if unknown:
            continue
        near, far = link.between
        if near == far:
            yield path, f"a link connects two different tiers, not {near!r} with itself"
        elif order.index(near) > order.index(far):
            yield path, f"the tier nearer the compute comes first: [{far}, {near}]"


def _unreachable(scenario: Scenario) -> Iterator[Finding]:
    hierarchy = scenario.hierarchy
    reached = {hierarchy.tiers[0].name}
    grown = True
    while grown:
        met = {
            end for link in hierarchy.links if not reached.isdisjoint(link.between) for end in link.between
        }
        grown = not met <= reached
        reached |= met
    for index, tier in enumerate(hierarchy.tiers):
        if tier.name not in reached:
            start = hierarchy.tiers[0].name
            message = f"no link leads to tier {tier.name!r} from {start!r}, directly or over others"
            yield ("hierarchy", "tiers", index, "name"), message


def _buses(scenario: Scenario) -> Iterator[Finding]:
    known = [bus.name for bus in scenario.hierarchy.buses]
    for index, link in enumerate(scenario.hierarchy.links):
        if link.bus is not None and link.bus not in known:
            listing = ", ".join(known) or "none"
            yield ("hierarchy", "links", index, "bus"), f"there is no bus {link.bus!r} (known: {listing})"


def _tier_zero(scenario: Scenario) -> Iterator[Finding]:
    first = scenario.hierarchy.tiers[0]
    if first.access == "direct":
        path = ("hierarchy", "tiers", 0, "access")
        yield path, "the first tier is where the compute reads; only tiers below it can be `direct`"
    if first.inclusive:
        path = ("hierarchy", "tiers", 0, "inclusive")
        yield path, "the first tier has no tier above it; only tiers below it can be inclusive"


def _watermarks(scenario: Scenario) -> Iterator[Finding]:
    for index, tier in enumerate(scenario.hierarchy.tiers):
        high, low = tier.high_watermark, tier.low_watermark
        path = ("hierarchy", "tiers", index)
        if (high is None) != (low is None):
            given, other = ("low", "high") if high is None else ("high", "low")
            yield (*path, f"{given}_watermark"), f"needs `{other}_watermark` too"
        elif high is not None and low is not None and low > high:
            yield (*path, "low_watermark"), f"{low} must not be above `high_watermark`, {high}"


def _needs_model(scenario: Scenario) -> Iterator[Finding]:
    work = scenario.workload
    if scenario.model is not None:
        return
    if isinstance(work, (DenseDecode, SparseDecode)):
        yield (
            ("model",),
            f"the workload {work.kind!r} needs a model: its pages hold the model's keys and values",
        )
    elif isinstance(work, (Mooncake, RequestSpec)) and work.block_bytes is None:
        yield ("model",), "the size of a block needs a model, or `workload.block_bytes`"


def _compute_known(scenario: Scenario) -> Iterator[Finding]:
    if scenario.execution.compute_time is not None:
        return
    missing = [name for name in ("model", "gpu") if getattr(scenario, name) is None]
    if missing:
        message = f"give a time, or `{'` and `'.join(missing)}` to compute it from"
        yield ("execution", "compute_time"), message


def _sparse_reads_something(scenario: Scenario) -> Iterator[Finding]:
    work = scenario.workload
    if isinstance(work, SparseDecode) and not work.sink_tokens + work.recent_tokens + work.top_k_tokens:
        yield ("workload",), "`sink_tokens`, `recent_tokens` and `top_k_tokens` are all 0: nothing is read"


def _layers(scenario: Scenario) -> Iterator[Finding]:
    work = scenario.workload
    if not isinstance(work, Layers):
        return
    if work.again is not None and work.again > work.reads:
        message = f"of {work.reads} pages (`reads`), {work.again} cannot be read again"
        yield ("workload", "again"), message
    if scenario.scheme.bytes(geometry.scalars_of(scenario, work.page_bytes)) != work.page_bytes:
        message = f"{work.page_bytes} bytes are no whole number of {scenario.scheme.name} scalars"
        yield ("workload", "page_bytes"), message


def _mixed(scenario: Scenario) -> Iterator[Finding]:
    """Rules of mixed schemes ask for layers and head groups that the workload tells and has."""
    schemes: list[tuple[Path, SchemeSpec | None]] = [(("scheme",), scenario.scheme)]
    for index, tier in enumerate(scenario.hierarchy.tiers):
        schemes.append((("hierarchy", "tiers", index, "scheme"), tier.scheme))
    for path, scheme in schemes:
        for index, rule in enumerate(scheme.mixed if scheme is not None else ()):
            for which, field in enumerate(("layers", "head_groups")):
                wrong = _not_there(scenario, which, getattr(rule, field))
                if wrong is not None:
                    yield (*path, "mixed", index, field), wrong


def _not_there(scenario: Scenario, which: int, wanted: NumberSet | None) -> str | None:
    """What is wrong with rules for those layers (`which` is 0) or head groups (1)."""
    work, what = scenario.workload, ("layer", "head group")[which]
    if wanted is None:
        return None
    if isinstance(work, (Zipf, Mooncake, RequestSpec)) or (
        isinstance(work, Replay) and work.format in ("mooncake", "oracle_general")
    ):
        told = (
            "kv-hierarchy-lab's patterns, dense_decode, sparse_decode, layers, replay of csv or jsonl, custom"
        )
        return f"the workload {work.kind!r} does not tell the {what} of a page (those that may: {told})"
    places = geometry.page_places(scenario)
    if places is None:
        return None
    last = max(place[which] for place in places)
    if wanted.largest <= last:
        return None
    there = f"0 to {last}" if last else "only 0"
    return f"there is no {what} {wanted.largest}: the pages of {work.kind!r} have {there}"


def _room(scenario: Scenario) -> Iterator[Finding]:
    """A page fits every tier, and the pages of a layer fit tier 0 together."""
    tiers = scenario.hierarchy.tiers
    for index, tier in enumerate(tiers):
        path = ("hierarchy", "tiers", index, "capacity")
        page, capacity = geometry.page_bytes(scenario, index), geometry.capacity_bytes(scenario, index)
        if capacity is None:
            yield path, "a number of pages needs a workload whose page size is known; give a size in bytes"
        elif page is not None and page > capacity:
            sizes = f"{format_bytes(page)}, does not fit tier {tier.name!r}, {format_bytes(capacity)}"
            yield path, f"one page, {sizes}"
        elif index == 0 and page is not None:
            yield from _layer_room(scenario, page, capacity)


def _layer_room(scenario: Scenario, page: int, capacity: int) -> Iterator[Finding]:
    pages, tile = geometry.layer_pages(scenario), scenario.execution.tile
    tiers = scenario.hierarchy.tiers
    if pages is not None and tile is not None:
        pages = min(pages, tile)
    if pages is None or pages * page <= capacity or any(tier.access == "direct" for tier in tiers):
        return  # pages in a `direct` tier are read there and need no room in tier 0
    needed = f"{pages} pages of {format_bytes(page)}, together {format_bytes(pages * page)}"
    yield (
        ("hierarchy", "tiers", 0, "capacity"),
        f"a {'layer' if tile is None else 'tile'} reads {needed}, "
        f"but tier {tiers[0].name!r} holds {format_bytes(capacity)}",
    )


def _context_room(scenario: Scenario) -> Iterator[Finding]:
    """The context a decode starts from finds room, as the placement puts it."""
    pages, tiers = geometry.initial_pages(scenario), scenario.hierarchy.tiers
    runs = geometry.context_runs(scenario)
    capacities = [geometry.capacity_bytes(scenario, index) for index in range(len(tiers))]
    room = [capacity for capacity in capacities if capacity is not None]
    if not runs or len(room) < len(tiers):
        return
    placement = scenario.policy.placement.name
    if placement not in ("fill", "last"):
        return  # where others put pages is their own business
    first = 0 if placement == "fill" else len(tiers) - 1
    placed = _placed(runs, room, first, [tier.inclusive for tier in tiers])
    if placed < pages:
        where = "the tiers" if first == 0 else f"tier {tiers[-1].name!r}, where `placement: last` puts it,"
        message = f"the context at the start has {pages} pages; {where} can take {placed} of them"
        yield ("hierarchy", "tiers"), message


def _placed(
    runs: list[tuple[int, tuple[int, ...]]], room: list[int], tier: int, inclusive: list[bool]
) -> int:
    """How many pages find room (bytes by tier, used up here) from that tier on, in order."""
    placed = 0
    for count, sizes in runs:
        left = count
        while True:
            taken = min(left, room[tier] // sizes[tier])
            room[tier] -= taken * sizes[tier]
            left -= taken
            placed += taken
            if not inclusive[tier]:  # what lies in an inclusive tier is an owner copy itself
                _leave_copies(taken, sizes, room, tier, inclusive)
            if not left:
                break
            if tier + 1 == len(room):
                return placed
            tier += 1
    return placed


def _leave_copies(
    pages: int, sizes: tuple[int, ...], room: list[int], tier: int, inclusive: list[bool]
) -> None:
    """The inclusive tiers below keep copies of pages, as far as they can."""
    for below in range(tier + 1, len(room)):
        if inclusive[below]:
            copied = min(pages, room[below] // sizes[below])
            room[below] -= copied * sizes[below]
            pages -= copied


def _inclusive_room(scenario: Scenario) -> Iterator[Finding]:
    tiers = scenario.hierarchy.tiers
    for index in range(1, len(tiers)):
        above, own = geometry.capacity_bytes(scenario, index - 1), geometry.capacity_bytes(scenario, index)
        if tiers[index].inclusive and above is not None and own is not None and own < above:
            higher = f"{tiers[index - 1].name!r} above it, {format_bytes(above)}"
            sizes = f"{format_bytes(own)}, is smaller than {higher}"
            path = ("hierarchy", "tiers", index, "capacity")
            yield (
                path,
                f"an inclusive tier holds copies of what is above it, but {tiers[index].name!r}, {sizes}",
            )


_SIZES = "hierarchy.tiers.*.capacity"
_SHAPE = ("model", "scheme", "workload", "hierarchy.tiers.*.scheme")

RULES = (
    Rule(("hierarchy.tiers.*.name",), _link_ends),
    Rule(("hierarchy.tiers.*.name", "hierarchy.links.*.between"), _unreachable),
    Rule((), _unique_names),
    Rule(("hierarchy.buses.*.name",), _buses),
    Rule((), _tier_zero),
    Rule((), _watermarks),
    Rule(("model", "workload"), _needs_model),
    Rule(("model", "gpu", "execution.compute_time"), _compute_known),
    Rule(("hierarchy.tiers", "scheme", "policy", "workload", "execution.overlap"), answers.answers),
    Rule(("hierarchy.tiers.*.name", "workload"), contention.weights),
    Rule(("hierarchy.links", "scheme", "hierarchy.tiers.*.scheme"), contention.compute_shares),
    Rule(("workload",), request_checks.arrivals),
    Rule(("workload",), request_checks.patterns),
    Rule(("workload", "serving"), request_checks.serves_requests),
    Rule(("hierarchy.tiers.*.name", "serving"), request_checks.serving_tiers),
    Rule(("serving",), request_checks.serving_shares),
    Rule(("policy", "execution", "hierarchy.tiers.*.access"), request_checks.without_effect),
    Rule(("workload",), _sparse_reads_something),
    Rule(("workload", "scheme"), _layers),
    Rule(_SHAPE, _mixed),
    Rule((*_SHAPE, _SIZES, "hierarchy.tiers.*.access", "execution.max_steps"), _room, of_room=True),
    Rule((*_SHAPE, _SIZES, "hierarchy.tiers.*.inclusive"), _inclusive_room, of_room=True),
    Rule((*_SHAPE, _SIZES, "hierarchy.tiers.*.inclusive", "policy.placement"), _context_room, of_room=True),
)
"""Every cross check, in the order of its findings."""
