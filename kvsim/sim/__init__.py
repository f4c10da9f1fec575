"""How time passes: links, tiers, moves and the decode process, on SimPy.

The rules of the engine, in full; the naive oracle of the tests follows them to the tick.

Decide now, move later. Residency is decided logically and at once, page by page; the transfers that make it
true follow, each waiting for what was decided before it. So which pages miss, and which leave, never
depends on the clock: `serial`, `demand` and `ideal` decide alike.

1.  *Announce.* A layer's pages are pinned, then the policy sees all of them read (tier 0 first, then the
    further tiers, absent pages last), then pages not in tier 0 are dealt with in reading order. An
    `ordered` access does all of this for one page after another.
2.  *Fetch.* A page in a `promote` tier comes to tier 0, for which room is made first. A page in a
    `direct` tier is read over the links when the layer's own time comes. A page in a `stage` tier, or one
    that the placement policy does not keep, comes to tier 0 too, but its place in the tier it was in stays
    its own; when a layer that has read it ends and no announced layer needs it, it is dropped from tier 0.
    A page found nowhere appears in the last tier for free, or is born in tier 0 and computed, as the
    workload says.
3.  *Room* is made by evicting what the policy names, never a pinned page. A page goes to the copy that an
    inclusive tier keeps of it, else to the next tier down that can take it (where room is made in the
    same way and class), else it is discarded: where `lossy` for good, so that reads of it are skipped from
    then on, take no time and are told to no policy, and no guess brings it back.
4.  *Watermarks* are looked at after an announcement and after a layer's end: a tier above its high mark
    is emptied, in the background, to its low one. After a step come the migrations that the placement
    policy wants, in its order and in the background: up or down, room being made at the target, except of
    pinned pages; a page of which a copy is further down goes there for free. The step does not end before
    the policy has taken its time (none in `ideal`): a fixed one, and one for each page that it is about to
    weigh; nothing if it weighs none. What it then wants goes by what it sees when that time is over.
5.  *Compute* takes the layer's compute time, that of the pages found nowhere, and tier 0's read latency
    once if any page was found there (in `serial` for each such page); where formats differ in it, the
    longest of theirs (in `serial` each its own). Where tier 0's formats are decoded as they are read
    (`fused`), it takes that time of all pages the layer reads, rounded up once. Then the pages are unpinned,
    and the pages the layer creates are born.
6.  *Moves* ask for room at their target, first come first served in order of decision, and wait for the
    page's earlier move. Then they cross the links. On arrival: the scheduler's slot is free, room at the
    source is given back and granted, the page's next move may start, waiting layers wake. With `coalesce`,
    moves that become ready in a row at one occasion (an announcement, a layer's end, its reads in place, a
    round of guesses, an arrival) cross as one transfer if they are of pages of rising number without a gap,
    of one class, on one route, and not too many. All have the class and the place of the first; if one is
    wanted more urgently, all are; the room and the waiters of each are seen to in their order. What a demand
    waits for is a demand: the earlier moves of its page; so is whatever a layer waits for. A transfer needs a
    slot between its two tiers, in its direction, where slots are limited, and one of its class, where
    the class is; a paced class lets the next go when the bytes of the last would be across at its bandwidth.
    Slots go to the most urgent class that may have one, in it to the first that was ready. A transfer keeps
    the slot of the class it was launched with; one that is wanted more urgently before that asks for a slot
    of its new class at once, after all that are wanted at that moment have been told.
7.  *Service.* A channel is held for set-up + size / rate, the rate being the least of the link's (or
    channel's) bandwidth in that direction, the read bandwidth of the tier left and the write bandwidth of
    the tier entered. Latencies are pure delay after it: the link's, the source's read latency on the first
    hop, the target's write latency on the last. Codecs on the way, and their fixed time, are those of the
    page's own formats at both ends, of which the one with fewer bits times tokens kept is the narrower;
    pages of all formats share the lanes. The order of lanes is: compress, ports of the source, links, ports
    of the target, decompress. Ports and codecs serve in order of arrival.
8.  *Chunks.* A route's chunk is the coarsest of its links'; a link without one moves whole transfers. The
    next lane starts when the first part is there and ends no earlier than the last part's arrival plus
    its service. Until it comes a channel is held, unless somebody more urgent takes it.
9.  *Sharing.* Channels that together exceed the link, `fair` links and buses share bandwidth max-min, in
    whole bytes per second. Under `priority` a more urgent class takes over at the next chunk boundary of
    the link, set-up belonging to the first chunk, or at once from a transfer that waits for its last part.
    Each less urgent transfer makes way at its own next boundary, as long as somebody more urgent waits; of
    several at once the least urgent, then the last to arrive. It keeps its place: a class is served in
    order of arrival at the lane, whenever a transfer was raised to it. A raise holds on all lanes.
10. *Ahead.* In `layered` and `async`, while a layer computes, the next `depth` layers of the step are
    announced in order, up to the first whose pages are not foreseen, each if its bytes fit tier 0 beside
    those already announced and the pages any of these creates. In `async` the prefetch policy is then
    asked, and its guesses are fetched if there is a
    slot, if fewer transfers than the `pressure` allows are more urgent and wait or fly between the page's
    tier and tier 0, and if there is room. The others are dropped, or wait undecided in the queue: those
    overdue or read, gone or born meanwhile are cancelled, then queued and new guesses are tried in order of
    deadline (the number of the access plus the policy's `lead`), queued before new ones; a guess made anew
    loses its old place; and the last that are too many are dropped. Those queued are tried again, in order,
    after each arrival of a transfer issued as a prefetch, when all that followed from it is decided. An
    access counts from its own time, when what was fetched ahead for it is judged.
11. *Serial* moves, prefetches among them, happen alone, one after another, on the step's time. A prefetch
    takes the way from where its page was found, even if making room for it has pushed the page further
    down: synchronous simulators fix the source first. `ideal` moves take no time.
12. *State.* A page is no more faithful than the least faithful format it has been in since it came into
    being, and has no more tokens than the one that kept fewest. Reads are counted by it after rule 2.
13. *Copies by a kernel*, and conversions, take their `compute_share` while their lane (one direction of a
    link, one codec) has anybody in service: with lanes of shares s_i in service, compute goes on at the rate
    1 - sum(s_i). After its plain time a layer waits for floor(sum of s_i x ticks in service since compute
    began), and again for what was lost meanwhile, until nothing is. Not in `serial` and `ideal`.
14. *Weights* of a layer, which no codec touches, enter the read route of their tier as a demand when its
    compute begins, beside the scheduler and its slots. The layer ends when its compute is done, what copies
    took of it included, and its weights are there. Not in `serial` and `ideal`.
15. *In place*, what a layer reads from `direct` tiers is read before it computes, or `during` compute: the
    reads are issued when it begins, after its weights, as demands of the scheduler like any other; the layer
    ends when all of that is there. Where the workload knows what reading a page takes of the compute, those
    read during it are left out, in every mode; `serial` reads them before all the same.

What every run is audited for (`audit`), and the exposure of a wait (`exposure`), stand in those modules.
"""
