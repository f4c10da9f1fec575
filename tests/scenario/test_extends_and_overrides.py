"""Variants of a scenario: files that extend others, and changes given beside the file."""

from __future__ import annotations

from pathlib import Path

import pytest
from scenario.yaml_files import VALID, only, place, spoiled, valid

from kvsim.errors import ScenarioError
from kvsim.scenario.loader import load, loads
from kvsim.scenario.policy import PolicyRef
from kvsim.scenario.references import catalog
from kvsim.scenario.scenario import Scenario
from kvsim.scenario.tree import plain


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the small scenario in it."""
    (tmp_path / "base.yaml").write_text(VALID)
    return tmp_path


def extended(folder: Path, text: str) -> Scenario:
    path = folder / "variant.yaml"
    path.write_text(f"extends: base.yaml\n{text}")
    return load(path)


def refused(folder: Path, text: str) -> str:
    with pytest.raises(ScenarioError) as caught:
        extended(folder, text)
    return str(caught.value)


class TestExtends:
    def test_what_is_not_said_is_the_base(self, folder: Path) -> None:
        base = load(folder / "base.yaml")
        variant = extended(folder, "seed: 9\n")
        assert variant == base.model_copy(update={"seed": 9, "name": "variant"})

    def test_a_variant_takes_the_name_of_its_file_unless_it_says_one(self, folder: Path) -> None:
        assert extended(folder, "").name == "variant"
        assert extended(folder, "name: mine\n").name == "mine"

    def test_mappings_merge_and_named_elements_merge_by_name(self, folder: Path) -> None:
        variant = extended(
            folder,
            "hierarchy:\n  tiers:\n    - {name: dram, capacity: 9 MiB}\n    - {name: nvme, capacity: 1 GiB}\n"
            "  links:\n    - {name: nvme, between: [dram, nvme], bandwidth: 2 GB/s}\n",
        )
        assert [(t.name, t.capacity) for t in variant.hierarchy.tiers] == [
            ("hbm", 64 << 10),
            ("dram", 9 << 20),
            ("nvme", 1 << 30),
        ]
        assert [link.name for link in variant.hierarchy.links] == ["pcie", "nvme"]

    def test_another_kind_of_workload_replaces_the_old_one(self, folder: Path) -> None:
        variant = extended(
            folder,
            "model: smollm2-135m\nworkload: {kind: dense_decode, context_tokens: 64, steps: 2}\n",
        )
        assert variant.workload.kind == "dense_decode"

    def test_the_same_kind_is_refined(self, folder: Path) -> None:
        work = extended(folder, "workload: {pages: 50}\n").workload
        assert work.kind == "rag_burst"
        assert (work.pages, work.length) == (50, 60)

    def test_an_empty_key_takes_the_base_s_value_away(self, folder: Path) -> None:
        assert extended(folder, "seed:\n").seed == 0

    def test_a_catalog_name_of_the_base_can_be_refined(self, folder: Path) -> None:
        (folder / "base.yaml").write_text(f"gpu: h100-sxm\npolicy: {{prefetch: next_layer}}\n{VALID}")
        variant = extended(folder, "gpu: {memory: 40 GB}\npolicy: {prefetch: {options: {depth: 2}}}\n")
        assert variant.gpu is not None
        assert (variant.gpu.name, variant.gpu.memory) == ("h100-sxm", 40 * 10**9)
        assert variant.policy.prefetch == PolicyRef(name="next_layer", options={"depth": 2})

    def test_another_catalog_name_replaces_the_old_one(self, folder: Path) -> None:
        (folder / "base.yaml").write_text(f"gpu: {{preset: h100-sxm, memory: 40 GB}}\n{VALID}")
        variant = extended(folder, "gpu: {preset: h200}\n")
        assert variant.gpu is not None
        assert (variant.gpu.name, variant.gpu.memory) == ("h200", 141 * 10**9)

    def test_bases_can_have_bases_and_relative_paths_start_at_their_file(self, folder: Path) -> None:
        (folder / "deep").mkdir()
        (folder / "deep" / "middle.yaml").write_text("extends: ../base.yaml\nseed: 5\n")
        (folder / "top.yaml").write_text("extends: deep/middle.yaml\ndescription: top\n")
        top = load(folder / "top.yaml")
        assert (top.name, top.seed, top.description) == ("top", 5, "top")

    def test_a_shipped_scenario_can_be_a_base(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.yaml"
        path.write_text("extends: quickstart\nseed: 4\n")
        expected = load("quickstart").model_copy(update={"name": "mine", "seed": 4})
        assert load(path) == expected

    def test_a_problem_of_the_base_names_the_base(self, folder: Path) -> None:
        (folder / "base.yaml").write_text(spoiled(("seed: 3", "seed: x")))
        assert refused(folder, "description: []\n").splitlines() == [
            f"{folder / 'variant.yaml'}:2:14: description: must be text (quote it if it looks like a number),"
            " not a list",
            f"{folder / 'base.yaml'}:2:7: seed: must be a whole number, not 'x'",
        ]

    def test_a_circle_is_a_problem(self, folder: Path) -> None:
        (folder / "base.yaml").write_text("extends: variant.yaml\n")
        assert "base.yaml:1:10: extends: the files extend one another: " in refused(folder, "")

    def test_a_file_cannot_extend_itself(self, folder: Path) -> None:
        path = folder / "self.yaml"
        path.write_text("extends: self.yaml\n")
        with pytest.raises(ScenarioError, match="extend one another"):
            load(path)

    @pytest.mark.parametrize("base", ["none.yaml", "quickstrat", "."])
    def test_a_base_that_is_not_there(self, folder: Path, base: str) -> None:
        path = folder / "v.yaml"
        path.write_text(f"name: v\nextends: {base}\n")
        with pytest.raises(ScenarioError, match=r"v.yaml:2:10: extends: "):
            load(path)

    def test_an_unreadable_base_is_named(self, folder: Path) -> None:
        (folder / "base.yaml").write_text("a: [\n")
        assert "base.yaml:2:1: is not YAML" in refused(folder, "")

    def test_a_base_must_be_a_name(self) -> None:
        assert only(f"extends: [a]\n{VALID}").field == "extends"


class TestOverrides:
    def test_a_list_element_is_said_by_name_or_number(self) -> None:
        for key in ("hbm", "0"):
            scenario = valid(overrides=(f"hierarchy.tiers.{key}.capacity=80 GiB",))
            assert scenario.hierarchy.tiers[0].capacity == 80 << 30

    def test_what_a_mapping_lacks_is_made(self) -> None:
        assert valid(overrides=("execution.dma.coalesce=4",)).execution.dma.coalesce == 4
        assert valid(overrides=("policy.prefetch.name=x",)).policy.prefetch == PolicyRef(name="x")

    def test_a_value_is_yaml(self) -> None:
        scenario = valid(overrides=("policy.prefetch={name: m, options: {top: 2, on: yes}}", "seed=1e3"))
        assert scenario.policy.prefetch.options == {"top": 2, "on": "yes"}
        assert scenario.seed == 1000

    def test_later_overrides_win(self) -> None:
        assert valid(overrides=("seed=1", "seed=2")).seed == 2

    def test_spaces_and_further_equal_signs(self) -> None:
        assert valid(overrides=(" description = a=b",)).description == "a=b"

    def test_null_gives_the_default_and_nothing_gives_empty_text(self) -> None:
        assert valid(overrides=("seed=null", "description=")).seed == 0

    def test_an_element_can_be_replaced(self) -> None:
        scenario = valid(overrides=("hierarchy.tiers.dram={name: dram, capacity: 1 GB}",))
        assert scenario.hierarchy.tiers[1].capacity == 10**9

    def test_a_path_may_lead_into_a_catalog_entry_and_leaves_the_catalog_alone(self) -> None:
        before = plain(catalog("hierarchies")["h100-dram-nvme"])
        own = VALID[VALID.index("hierarchy") : VALID.index("workload")]
        text = spoiled((own, "gpu: h100-sxm\nhierarchy: h100-dram-nvme\n"))
        scenario = loads(
            text, ["gpu.memory=40 GB", "hierarchy.tiers.hbm.capacity=9 GB", "hierarchy.links.nvme.setup=1 us"]
        )
        assert scenario.gpu is not None
        assert (scenario.gpu.memory, scenario.hierarchy.tiers[0].capacity) == (40 * 10**9, 9 * 10**9)
        assert scenario.hierarchy.links[1].setup == 10**6
        assert plain(catalog("hierarchies")["h100-dram-nvme"]) == before

    def test_another_catalog_name_forgets_the_old_entry_but_not_what_the_file_says(self) -> None:
        text = VALID + "gpu: {preset: h100-sxm, memory: 40 GB}\nscheme: {preset: q4_0, compress: 9 GB/s}\n"
        changes = ["gpu.preset=h200", "scheme.latency=1 us", "scheme.preset=q8_0"]
        scenario = loads(text, overrides=changes)
        gpu, scheme = scenario.gpu, scenario.scheme
        assert gpu is not None
        assert (gpu.name, gpu.bandwidth, gpu.memory) == ("h200", 4800 * 10**9, 40 * 10**9)
        assert (scheme.name, scheme.bits, scheme.compress) == ("q8_0", 8.5, 9 * 10**9)
        assert scheme.latency == 10**6  # said by an override, after which the old entry had been looked into

    def test_another_link_of_the_catalog_connects_the_same_tiers(self) -> None:
        old, new = (
            load("long_context_decode", change) for change in ([], ["hierarchy.links.pcie.link=pcie4-x16"])
        )
        assert new.hierarchy.links[0].between == old.hierarchy.links[0].between
        assert new.hierarchy.links[0].bandwidth == 25 * 10**9

    def test_another_kind_forgets_what_the_old_kind_was_given(self) -> None:
        changes = (
            "workload.context_tokens=64",
            "workload.kind=dense_decode",
            "workload.steps=1",
            "model=smollm2-135m",
        )
        work = valid(overrides=changes).workload
        assert work.kind == "dense_decode"
        assert (work.context_tokens, work.steps) == (64, 1)

    @pytest.mark.parametrize(
        ("override", "field", "message"),
        [
            ("seed=x", "seed", "must be a whole number, not 'x'"),
            ("sead=1", "sead", "unknown key; did you mean 'seed'?"),
            ("execution.compute_time=5", "execution.compute_time", "5 has no unit"),
            (
                "hierarchy.tiers.hmb.capacity=5 GB",
                "hierarchy.tiers.hmb.capacity",
                "did you mean 'hbm'? (known: hbm,",
            ),
            (
                "hierarchy.tiers.7.capacity=5 GB",
                "hierarchy.tiers.7.capacity",
                "there is no '7' in hierarchy.tiers",
            ),
            ("seed.x=1", "seed.x", "seed is the single value 3, it has no 'x'"),
            ("seed", "", "an override is written as path=value"),
            ("=5", "", "an override is written as path=value"),
            ("a..b=5", "", "an override is written as path=value"),
            ("seed=[1", "seed", "is not YAML"),
            ("seed=010", "seed", "read as different numbers"),
            ("extends=quickstart", "extends", "is settled before overrides"),
            ("gpu=h101", "gpu", "unknown GPU 'h101'"),
            ("gpu.memory=5 GB", "gpu", "is required"),
        ],
    )
    def test_a_problem_names_the_override_in_place_of_the_file(
        self, override: str, field: str, message: str
    ) -> None:
        with pytest.raises(ScenarioError) as caught:
            loads(VALID, [override], file="s.yaml")
        assert {problem.file for problem in caught.value.problems} == {f"--set {override}"}
        assert all(problem.line is None for problem in caught.value.problems)
        assert caught.value.problems[0].field.startswith(field)
        assert message in caught.value.problems[0].message

    def test_a_bad_override_stands_beside_the_problems_of_the_file(self) -> None:
        text = spoiled(("length: 60", "length: x"))
        with pytest.raises(ScenarioError) as caught:
            loads(text, ["seed=x"], file="s.yaml")
        line, column = place(text, "x\nexec")
        assert [str(p).partition(": ")[0] for p in caught.value.problems] == [
            f"s.yaml:{line}:{column}",
            "--set seed=x",
        ]
