"""How time passes for requests: queues, batches, and blocks that are shared.

The rules, in full; links, routes and lanes follow those of `kvsim.sim`.

1.  *Arrival.* A request arrives at its time, a follow-up its think time after the one before has ended, and
    goes to an instance: in turn, to where the fewest tokens are to be computed, or the fewest without those
    of its blocks that are found there. What happens at one tick happens before iterations that begin then.
2.  *Iterations.* An instance computes one iteration after another, as long as there is anything to compute.
    Between two of them: those with their last token end; pieces of prompts that were computed count, and who
    has its prompt has its first token with it; who decodes and has no room for the next token gets some;
    whoever can be admitted is; the next iteration is put together. In it each decoding sequence computes a
    token, and prompts as many as `max_tokens` leaves, in order of admission. What it takes says
    `kvsim.scenario.iteration`; ends of iterations are rounded up to a tick, times are not.
3.  *Admission.* The first of the queue gets in, if there are fewer than `max_sequences` and its prompt has
    room in the first tier; else nobody does. What it needs is decided at once, the bytes follow.
4.  *Match.* Blocks are looked up from the first on, tier by tier: those of a prompt up to the first that is
    nowhere (`prefix`), or all (`any`). A run of blocks found in one tier below the first is loaded, or
    computed again; what is in the first tier behind a gap is computed again in its place. Policies are told
    of reads and of new blocks from the end of the prompt to its beginning. What a sequence uses is pinned
    until it ends.
5.  *Leaning.* A block that somebody else is computing or loading counts as found; the sequence is not
    computed before it is there. At least one token is computed.
6.  *Room* is made by evicting what the policy of the tier names, then what is spared. A block goes to the
    next tier (`write: back`), for free if a tier below has it, in place of what the policy there names;
    where that cannot be it is gone. The room of a move is free when the move has arrived: whoever was
    promised it waits for it, first come first served in order of decision. Between two iterations, when
    whoever can be has been admitted, a tier above its high watermark is emptied, in the background, to its
    low one.
7.  *Loads* begin when the room is there, run by run, each in transfers of at most `coalesce` blocks. A tier
    that is not inclusive gives its copy up, unless somebody else needs it. `whole`: the sequence is computed
    when all is there. `layerwise`: every run travels in groups of layers; the sequence is computed when the
    first groups are there, and in its first iteration a group of layers is computed, by everybody, when it
    is there for all. `blocking`: so it is with all layers as one group, and without waiting for any before.
8.  *Writing through.* Blocks computed in an iteration are copied to the next tier, in the background, as far
    as they are in no tier below and have room there.
9.  *Growth.* A decoding sequence whose room is full takes more, and waits for it if it is not free yet. Where
    there can be none, the sequence admitted last that waits for nothing and is waited for by nobody gives
    way: its room is free (or moved to the next tier), its blocks stay cached, and it queues again, before
    those that came after it. What it had generated is computed again, or moved back.
10. *The end.* Output that has block numbers stays, as far as it continues the prompt.
11. *Handing over.* Where instances only compute prompts, a sequence goes on to the one that decodes with the
    fewest, queues there, gets room for all it has, and decodes when that has arrived.
12. *Looking ahead.* The blocks of those near the head of the queue, and those of sessions for a time after a
    request, are spared; what the former have further down is brought nearer as they come near the head.
13. *Tenants* with a share of their own have it in every tier, with a policy of its own.

Iterations in a row that only decode, with the same sequences, are passed in one go and cut short if something
happens: what comes out is the same as one by one, to the tick.
"""
