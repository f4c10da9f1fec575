"""The one palette: Okabe and Ito's, told apart with every common form of colour blindness.

A cause of waiting has the colour of the traffic behind it: service of demands that of demands, room that
of write-backs, late prefetches that of prefetches. Compute is a quiet grey so that waiting stands out.

M. Okabe, K. Ito, "Color Universal Design", https://jfly.uni-koeln.de/color/ (2008).
"""

from __future__ import annotations

COMPUTE = "#AEB9C6"
STEP_EVEN, STEP_ODD = "#DDE3EA", "#C6CFD9"
INK, QUIET_INK, GRID, PAPER = "#1F2933", "#5B6875", "#E6EAEF", "#FFFFFF"

CLASS_COLOURS = {
    "demand": "#D55E00",
    "write_back": "#0072B2",
    "prefetch": "#009E73",
    "background": "#56B4E9",
}
CAUSE_COLOURS = {
    "demand_queueing": "#E69F00",
    "demand_service": "#D55E00",
    "room": "#0072B2",
    "codec": "#CC79A7",
    "late_prefetch": "#009E73",
    "copy_kernel": "#F0E442",
    "decision": "#000000",
}
HIDDEN, WAITED_FOR, NEITHER = COMPUTE, "#D55E00", "#E3E8EE"
INTENSITY = ((0.0, "#F7F9FB"), (0.15, "#D3DEE9"), (0.5, "#7FA3C4"), (1.0, "#16324F"))
"""Share of a bin in use, light to dark."""
