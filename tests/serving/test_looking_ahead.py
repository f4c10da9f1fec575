"""Looking ahead into the queue: what is brought for one request stays for it."""

from __future__ import annotations

from typing import Any

import pytest
from serving.rig import phases
from serving.test_rules import ask, dram, hbm, pcie, run

ONE = {"max_sequences": 1}
AHEAD = {"warm": {"tier": "dram"}, "lookahead": 3, "lookahead_tier": "hbm"}


@pytest.mark.parametrize(
    "marks", [{}, {"high_watermark": 0.5, "low_watermark": 0.25}], ids=["full", "emptied"]
)
def test_what_was_brought_is_not_pushed_out_by_what_is_brought_for_those_behind(
    marks: dict[str, Any],
) -> None:
    """Five requests of a block each, in room for three: it computes for 3 us, a load takes 1.

    At 0 the first is loaded, the second and the third brought behind it; the fourth has no room. At 4 the
    second begins: the first's block leaves, and the fourth's comes in its place; the fifth has no room beside
    the third's, whom it must not push out. At 7 the third begins, and the fifth's comes, and so on.
    """
    tiers = [{**hbm(3), **marks}, dram(inclusive=True)]
    result = run([ask(0, 2, 3, (number,)) for number in range(1, 6)], tiers, [pcie()], batch=ONE, reuse=AHEAD)
    assert phases(result) == [
        {"load": 1, "compute": 3},
        {"slots": 4, "compute": 3},
        {"slots": 7, "compute": 3},
        {"slots": 10, "compute": 3},
        {"slots": 13, "compute": 3},
    ]
    assert len(result.records.transfers.array()) == 5  # nothing is fetched twice
