"""Every file that comes with kvsim loads, and dumps of it load back."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from kvsim.errors import ScenarioError
from kvsim.scenario import geometry
from kvsim.scenario.loader import available_scenarios, dump, load, loads, schema
from kvsim.scenario.scenario import Scenario
from kvsim.scenario.shipped import data_folder

SHIPPED = available_scenarios()
SCHEMA = data_folder("scenarios") / "scenario.schema.json"
every_scenario = pytest.mark.parametrize("name", SHIPPED)


def loaded(name: str, folder: Path) -> Scenario:
    """The scenario; those that need a trace get one."""
    trace = folder / "trace.jsonl"
    trace.write_text("")
    return load(name, [f"workload.path={trace}"] if needs_trace(name) else [])


def needs_trace(name: str) -> bool:
    """Whether the trace that it works on is to be given."""
    return '\n  path: ""\n' in SHIPPED[name].read_text()


def test_the_promised_scenarios_are_there() -> None:
    assert set(SHIPPED) >= {
        "quickstart",
        "long_context_decode",
        "overflow_nvlink",
        "mooncake",
        "mooncake_flat",
        "mooncake_serving",
    }


@every_scenario
class TestEveryScenario:
    def test_loads_and_is_called_like_its_file(self, name: str, tmp_path: Path) -> None:
        assert loaded(name, tmp_path).name == name

    def test_dumps_to_text_that_loads_back_as_the_same(self, name: str, tmp_path: Path) -> None:
        scenario = loaded(name, tmp_path)
        assert loads(dump(scenario)) == scenario
        assert dump(loads(dump(scenario))) == dump(scenario)

    def test_says_what_to_look_at_and_names_its_schema(self, name: str, tmp_path: Path) -> None:
        lines = SHIPPED[name].read_text().splitlines()
        assert lines[0] == "# yaml-language-server: $schema=scenario.schema.json"
        assert "# What to look at" in lines
        assert loaded(name, tmp_path).description

    def test_every_override_its_comment_suggests_works(self, name: str, tmp_path: Path) -> None:
        text = re.sub(r"\n#\s*", " ", SHIPPED[name].read_text())
        suggested = re.findall(r"`--set ([^`]*)`", text)
        trace = tmp_path / "trace.jsonl"
        trace.write_text("")
        own = [f"workload.path={trace}"] if needs_trace(name) else []
        for overrides in suggested:
            changes = [part.strip().strip('"') for part in overrides.split("--set ")]
            assert load(name, [*own, *changes]) != loaded(name, tmp_path)

    def test_uses_only_keys_that_the_schema_knows(self, name: str, tmp_path: Path) -> None:
        data = json.loads(json.dumps(loaded(name, tmp_path).model_dump(mode="json", exclude_none=True)))
        assert list(unknown_keys(data, schema(), schema())) == []


def unknown_keys(data: Any, described: Any, root: Any) -> Any:
    """Keys of data that no branch of a JSON Schema names."""
    branches = [branch for branch in resolved(described, root) if is_of_its_kind(data, branch)]
    if isinstance(data, dict):
        others = [branch.get("additionalProperties", False) for branch in branches]
        for key, value in data.items():
            below = [branch["properties"][key] for branch in branches if key in branch.get("properties", {})]
            below += [other for other in others if isinstance(other, dict)]
            if not below and True not in others:
                yield key
            for inner in below[:1]:
                yield from unknown_keys(value, inner, root)
    elif isinstance(data, list):
        for item in data:
            for branch in branches:
                if "items" in branch:
                    yield from unknown_keys(item, branch["items"], root)


def is_of_its_kind(data: Any, branch: Any) -> bool:
    """Whether a branch may describe the data, as far as the key `kind` of a workload tells."""
    kind = branch.get("properties", {}).get("kind", {}).get("const")
    return not isinstance(data, dict) or kind is None or kind == data.get("kind")


def resolved(described: Any, root: Any) -> Any:
    """The branches of a schema, references followed."""
    if "$ref" in described:
        yield from resolved(root["$defs"][described["$ref"].rpartition("/")[2]], root)
    elif "anyOf" in described or "oneOf" in described:
        for branch in described.get("anyOf", described.get("oneOf")):
            yield from resolved(branch, root)
    else:
        yield described


class TestSchema:
    def test_the_committed_file_is_up_to_date(self) -> None:
        """Renew it with `kvsim schema > scenarios/scenario.schema.json`."""
        assert json.loads(SCHEMA.read_text(encoding="utf-8")) == schema()

    def test_every_field_says_what_it_means(self) -> None:
        made = schema()
        for name, definition in made["$defs"].items():
            for branch in resolved(definition, made):
                for field, described in branch.get("properties", {}).items():
                    assert described.get("description"), f"{name}.{field}"

    def test_catalog_names_are_offered_beside_mappings(self) -> None:
        names, refined = schema()["$defs"]["GpuSpec"]["anyOf"]
        assert "h100-sxm" in names["enum"]
        assert {"preset", "memory"} <= set(refined["properties"])
        assert "required" not in refined

    def test_what_a_base_or_the_catalog_may_give_is_not_required(self) -> None:
        made = schema()
        assert "required" not in made
        assert made["$defs"]["LinkSpec"]["required"] == ["name"]

    def test_a_policy_may_be_a_plain_name(self) -> None:
        assert schema()["$defs"]["PolicyRef"]["anyOf"][0]["type"] == "string"


class TestWhatTheScenariosShow:
    def test_quickstart_has_320_steps_on_four_chained_tiers(self) -> None:
        scenario = load("quickstart")
        assert scenario.workload.kind == "rag_burst"
        assert scenario.workload.length == 320
        ends = [link.between for link in scenario.hierarchy.links]
        names = [tier.name for tier in scenario.hierarchy.tiers]
        assert ends == list(pairwise(names))
        assert {link.arbitration for link in scenario.hierarchy.links} == {"priority"}

    def test_long_context_decode_holds_a_part_of_its_cache_in_hbm(self) -> None:
        """128K tokens of 128 KiB are 16 GiB; 12 GB of them fit. Transfers stay far below 100,000."""
        scenario = load("long_context_decode")
        assert scenario.workload.kind == "dense_decode"
        page, pages = geometry.page_bytes(scenario, 0), geometry.initial_pages(scenario)
        assert page is not None
        assert page * pages == 16 << 30
        hbm = geometry.capacity_bytes(scenario, 0)
        assert hbm is not None
        assert 0.5 < hbm / (page * pages) < 0.9
        transfers = scenario.workload.steps * math.ceil(pages / scenario.execution.dma.coalesce)
        assert transfers < 100_000

    def test_overflow_nvlink_fills_every_tier(self) -> None:
        scenario = load("overflow_nvlink")
        page = geometry.page_bytes(scenario, 0)
        assert page is not None
        held = [geometry.capacity_bytes(scenario, tier) or 0 for tier in range(4)]
        context = page * geometry.initial_pages(scenario)
        assert sum(held[:3]) < context < sum(held)

    @pytest.mark.parametrize("name", ["mooncake", "mooncake_flat", "mooncake_serving"])
    def test_mooncake_says_how_to_give_a_trace(self, name: str) -> None:
        with pytest.raises(ScenarioError) as caught:
            load(name)
        (problem,) = caught.value.problems
        assert problem.field == "workload.path"
        assert "use --set workload.path=FILE" in problem.message
        assert problem.line is not None

    def test_mooncake_flat_is_one_tier_of_10000_blocks(self, tmp_path: Path) -> None:
        scenario = loaded("mooncake_flat", tmp_path)
        assert geometry.capacity_bytes(scenario, 0) == 10_000 * 2**20
        assert scenario.hierarchy.links == ()


def test_names_are_found_in_an_installed_wheel(tmp_path: Path) -> None:
    """There the folders lie in kvsim/_data, and nothing stands beside the package."""
    import kvsim

    source = Path(kvsim.__file__).parent
    package = tmp_path / "kvsim"
    for path in [*source.glob("*.py"), *source.glob("scenario/*.py")]:
        target = package / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    for kind in ("models", "scenarios"):
        (package / "_data" / kind).mkdir(parents=True)
        for path in data_folder(kind).glob("*.yaml"):
            (package / "_data" / kind / path.name).write_bytes(path.read_bytes())
    code = "from kvsim.scenario.loader import load; print(load('long_context_decode').gpu.name)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(tmp_path)},
    )
    assert (done.stdout.strip(), done.stderr) == ("h100-sxm", "")
