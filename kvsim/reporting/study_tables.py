"""What a study prints: its claims first, then what failed, then the results if they are few."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kvsim.reporting.study_text import claim_row, columns, result_row, score_text
from kvsim.study.claims import Verdict
from kvsim.study.select import Row
from kvsim.study.spec import StudySpec

__all__ = ["print_study"]

MAX_ROWS = 40
MAX_FAILURES = 5
WIDEST = 400
_MARKS = {"holds": "✓", "does not hold": "✗", "cannot be evaluated": "?"}


def print_study(console: Console, spec: StudySpec, rows: Sequence[Row], verdicts: Sequence[Verdict]) -> None:
    """Print a finished study."""
    failed = [row for row in rows if row.error is not None]
    console.print(Text(spec.name, style="bold"))
    console.print(Text(f"{len(rows)} runs, {len(failed)} failed · {score_text(verdicts)}"))
    for verdict in verdicts:
        name, word, measured, expected, _, _ = claim_row(verdict)
        text = Text(f"{'→' if verdict.claim.question else _MARKS[verdict.verdict]} {name}")
        if verdict.deciding.reason:
            text.append(f": {word}")
        elif verdict.claim.question:
            text.append(f": {word}", style="bold")
            text.append(f", measured {measured}, asked {expected}", style="dim")
        else:
            text.append(f": measured {measured}, claimed {expected}", style="dim")
        console.print(text)
    for row in failed[:MAX_FAILURES]:
        where = ", ".join(f"{axis} {label}" for axis, label in row.coordinates.items())
        console.print(Text(f"failed: {where}: {row.error}"))
    if len(failed) > MAX_FAILURES:
        console.print(Text(f"… and {len(failed) - MAX_FAILURES} more failed"))
    if 0 < len(rows) <= MAX_ROWS:
        console.print()
        # At its own width: a long line that the terminal wraps says more than figures cut off.
        Console(file=console.file, width=WIDEST, highlight=False).print(_results(spec, rows))


def _results(spec: StudySpec, rows: Sequence[Row]) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    axes = len(rows[0].coordinates)
    heads = columns(rows, spec.metrics)
    for index, head in enumerate(heads):
        broken = head.replace(".", "\n.").replace("_", "_\n")
        words = index < axes or head == "error"
        table.add_column(
            broken, justify="left" if words else "right", no_wrap=head != "error", vertical="bottom"
        )
    for row in rows:
        table.add_row(*map(Text, result_row(row, spec.metrics, "error" in heads)))
    return table
