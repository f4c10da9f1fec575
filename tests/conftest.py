"""What tests of several folders share."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

ROOT = Path(__file__).resolve().parents[1]

# An example may take long beside other work of the machine; that says nothing of what is tested.
settings.register_profile("kvsim", deadline=None)
settings.load_profile("kvsim")

TINY = """\
description: Two tiers and a link, small enough to run in milliseconds.
hierarchy:
  tiers:
    - {name: hbm, capacity: 64 KiB}
    - {name: dram, capacity: 8 MiB}
  links:
    - {name: pcie, between: [hbm, dram], bandwidth: 16 GB/s, latency: 1 us}
workload: {kind: rag_burst, length: 60}
execution: {compute_time: 2 us}
"""


BROWSER_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--window-size=1400,1000",
    # a report asks nothing of the network, and neither should the browser
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
)


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A valid scenario file, alone in its directory."""
    path = tmp_path / "scenario" / "tiny.yaml"
    path.parent.mkdir()
    path.write_text(TINY, encoding="utf-8")
    return path


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """The `kvsim` command, in this process: `invoke("run", path)`."""
    from kvsim.cli import main

    def call(*arguments: str | Path) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["kvsim", *map(str, arguments)])
        monkeypatch.setattr(sys, "path", [*sys.path])
        with pytest.raises(SystemExit) as ending:
            main()
        out, err = capsys.readouterr()
        code = ending.value.code
        return Outcome(code if isinstance(code, int) else 0, out, err)

    return call


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A headless Chromium; the test is skipped where there is none, unless KVSIM_REQUIRE_BROWSER is set."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        if os.environ.get("KVSIM_REQUIRE_BROWSER"):
            pytest.fail("chromium and chromedriver are required here and not installed")
        pytest.skip("needs chromium and chromedriver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in BROWSER_ARGUMENTS:
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('browser')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))
    yield chrome
    chrome.quit()
