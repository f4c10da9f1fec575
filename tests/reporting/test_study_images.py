"""Images of a study: asked for before any run, written beside the report, the same each time."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import plotly.io as pio
import pytest

from kvsim.errors import KvsimError
from kvsim.reporting import study_images
from kvsim.reporting.study_output import prepare

STUDY = """\
base: quickstart
axes: [{name: overlap, path: execution.overlap, values: [serial, async]}]
metrics: [misses]
figures:
  - {name: waits, title: Async waits less, kind: bars, metric: exposed_s.total, x: overlap}
  - {name: none, title: What nobody measured, kind: bars, metric: links.no link.mean_queue_s, x: overlap}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(STUDY, encoding="utf-8")
    return path


def fake(figures: Sequence[go.Figure], paths: Sequence[Path], **how: Any) -> None:
    """What plotly would write, ids and all."""
    for number, (figure, path) in enumerate(zip(figures, paths, strict=True)):
        drawing = f"{number + 10:06x}"
        ids = "".join(f'<g class="trace{trace.uid}"/>' for trace in figure.data)
        style = f'style="fill: #{drawing}"'
        path.write_text(f'<svg><defs id="defs-{drawing}"/><i id="clip{drawing}xy" {style}/>{ids}</svg>')


def test_random_ids_are_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pio, "write_images", fake)
    made = study_images.svg_images({"a": go.Figure(), "b": go.Figure(go.Bar(y=[1]))})
    assert made["b"] == (
        '<svg><defs id="defs--b-"/><i id="clip-b-xy" style="fill: #00000b"/><g class="tracetrace0"/></svg>\n'
    )
    assert study_images.svg_images({}) == {}


def test_images_go_beside_the_report_and_a_finished_study_makes_room(
    path: Path, monkeypatch: pytest.MonkeyPatch, invoke: Callable[..., Any]
) -> None:
    monkeypatch.setattr(pio, "write_images", fake)
    out = path.parent / "out"
    outcome = invoke("experiment", path, "--out", out, "--images")
    assert outcome.code == 0, outcome.err
    assert [image.name for image in (out / "figures").iterdir()] == ["waits.svg"]
    report = (out / "report.md").read_text(encoding="utf-8")
    assert "## Async waits less\n\n![Async waits less](figures/waits.svg)\n" in report
    assert "nobody measured" not in report
    assert invoke("experiment", path, "--out", out).code == 0
    assert not (out / "figures").exists()
    assert "![" not in (out / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "error", [ImportError("Kaleido is required"), RuntimeError("\n  Kaleido requires Google Chrome\nmore")]
)
def test_what_is_missing_is_told_before_any_run(
    path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch, invoke: Callable[..., Any]
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(pio, "write_images", fail)
    outcome = invoke("experiment", path, "--out", path.parent / "out", "--images")
    assert (outcome.code, outcome.out) == (2, "")
    assert "kvsim[images]" in outcome.err
    assert "Kaleido require" in outcome.err or "Kaleido is required" in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1
    assert not (path.parent / "out").exists()


@pytest.mark.parametrize(
    ("study", "arguments", "told"),
    [
        (None, ["--images"], "--images needs --out"),
        ("overlap_modes", ["--images", "--out", "out"], "overlap_modes names no `figures`"),
    ],
)
def test_images_of_nothing_are_refused(
    path: Path,
    study: str | None,
    arguments: list[str],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    invoke: Callable[..., Any],
) -> None:
    monkeypatch.chdir(path.parent)
    outcome = invoke("experiment", study or path, *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert told in outcome.err
    assert not (path.parent / "out").exists()


def test_strange_files_among_the_images_are_refused_and_left(tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    for name in ("a.svg", ".b.svg.new", "mine.png"):
        (tmp_path / "figures" / name).write_text("")
    with pytest.raises(KvsimError, match=r"figures/mine\.png"):
        prepare(tmp_path, resume=False)
    assert len(list((tmp_path / "figures").iterdir())) == 3
    (tmp_path / "figures" / "mine.png").unlink()
    prepare(tmp_path, resume=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.browser
def test_a_browser_draws_the_same_bytes_again() -> None:
    pytest.importorskip("kaleido")
    if shutil.which("chromium") is None:
        pytest.skip("needs chromium")
    figure = go.Figure([go.Bar(y=[1, 2]), go.Heatmap(z=[[1, 2]], xaxis="x2", yaxis="y2")])
    figure.update_layout(height=300)
    first, second = (study_images.svg_images({"one": figure})["one"] for _ in range(2))
    assert first.startswith("<svg")
    assert first == second
