"""Every mistake in a scenario is said with its place, what is wrong and what is allowed; all at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from scenario.yaml_files import VALID, only, place, problems, spoiled

from kvsim.errors import Problem, ScenarioError
from kvsim.scenario.checks import Finding
from kvsim.scenario.loader import load, loads, loads_mapping
from kvsim.scenario.scenario import Scenario

DECODE = """\
name: decode
model: llama-3.1-8b
gpu: h100-sxm
hierarchy:
  tiers:
    - {name: hbm, capacity: 1 GiB}
    - {name: dram, capacity: 64 GiB}
  links:
    - {name: pcie, between: [hbm, dram], link: pcie5-x16}
workload: {kind: dense_decode, context_tokens: 16384, steps: 100}
"""


def at(problem: Problem) -> tuple[int | None, int | None]:
    return problem.line, problem.column


# What replaces what, the part that is pointed at, the field, and words of the message.
SINGLE = [
    (
        "seed: 3",
        "sead: 3",
        "sead",
        "sead",
        "unknown key; did you mean 'seed'? (known: name, description, seed",
    ),
    (
        "capacity: 64 KiB",
        "capasity: 64 KiB",
        "capasity",
        "hierarchy.tiers.hbm.capasity",
        "did you mean 'capacity'?",
    ),
    ("seed: 3", "colour: red", "colour", "colour", "unknown key (known: name"),
    ("64 KiB", "64 GB/s", "64 GB/s", "hierarchy.tiers.hbm.capacity", "is a bandwidth, not a size"),
    (
        "64 KiB",
        "64 KiB\n      read_energy: 6 pJ",
        "6 pJ",
        "hierarchy.tiers.hbm.read_energy",
        "'6 pJ' is an energy, not an energy per bit",
    ),
    ("64 KiB", "-64 KiB", "-64 KiB", "hierarchy.tiers.hbm.capacity", "must be greater than 0"),
    ("64 KiB", "0 KiB", "0 KiB", "hierarchy.tiers.hbm.capacity", "must be greater than 0"),
    (
        "64 KiB",
        "65536",
        "65536",
        "hierarchy.tiers.hbm.capacity",
        "has no unit; write a size as a number with a unit",
    ),
    ("64 KiB", "0 pages", "0 pages", "hierarchy.tiers.hbm.capacity", "must be greater than 0"),
    ("16 GB/s", "0 GB/s", "0 GB/s", "hierarchy.links.pcie.bandwidth", "must be greater than 0"),
    ("16 GB/s", "-1 GB/s", "-1 GB/s", "hierarchy.links.pcie.bandwidth", "must be greater than 0"),
    ("16 GB/s", "16 GB", "16 GB\n", "hierarchy.links.pcie.bandwidth", "is a size, not a bandwidth"),
    ("2 us", "2 GB", "2 GB", "execution.compute_time", "is a size, not a duration"),
    ("2 us", "-2 us", "-2 us", "execution.compute_time", "must be 0 or more"),
    ("seed: 3", "seed: 3.5", "3.5", "seed", "must be a whole number, not 3.5"),
    ("seed: 3", "seed: true", "true", "seed", "must be a whole number, not true"),
    ("seed: 3", 'seed: "3"', '"3"', "seed", "must be a whole number, not '3'"),
    ("seed: 3", "seed: -1", "-1", "seed", "must be 0 or more, not -1"),
    ("seed: 3", "seed: 010", "010", "seed", "read as different numbers by different readers"),
    (
        "name: small",
        "name: 4090",
        "4090",
        "name",
        "must be text (quote it if it looks like a number), not 4090",
    ),
    ("name: small", 'name: ""', '""', "name", "must not be empty"),
    ("rag_burst", "rag_brust", "rag_brust", "workload.kind", "did you mean 'rag_burst'?"),
    ("length: 60", "length: 3", "3\nexec", "workload.length", "must be 20 or more, not 3"),
    (
        "length: 60",
        "context_tokens: 3",
        "context_tokens",
        "workload.context_tokens",
        "unknown key (known: kind, pages",
    ),
    ("[hbm, dram]", "[hbm]", "[hbm]", "hierarchy.links.pcie.between", "is too short with 1 elements"),
    (
        "[hbm, dram]",
        "[hbm, dram, x]",
        "[hbm, dram, x]",
        "hierarchy.links.pcie.between",
        "at most 2 elements, not 3",
    ),
    ("[hbm, dram]", "hbm", "hbm\n      b", "hierarchy.links.pcie.between", "must be a list, not 'hbm'"),
    (
        "[hbm, dram]",
        "[hbm, drum]",
        "[hbm, drum]",
        "hierarchy.links.pcie.between",
        "there is no tier 'drum' (known: hbm",
    ),
    ("[hbm, dram]", "[dram, hbm]", "[dram, hbm]", "hierarchy.links.pcie.between", "comes first: [hbm, dram]"),
    (
        "[hbm, dram]",
        "[hbm, hbm]",
        "[hbm, hbm]",
        "hierarchy.links.pcie.between",
        "connects two different tiers",
    ),
    (
        "16 GB/s",
        "16 GB/s\n      bus: b",
        "b\nwork",
        "hierarchy.links.pcie.bus",
        "there is no bus 'b' (known: none)",
    ),
    ("2 us", "2 us\n  depth: 0 ", "0 ", "execution.depth", "must be 1 or more, not 0"),
    (
        "2 us",
        "2 us\n  flops_efficiency: 1.5",
        "1.5",
        "execution.flops_efficiency",
        "must be 1 or less, not 1.5",
    ),
    ("2 us", "2 us\n  overlap: asinc", "asinc", "execution.overlap", "serial, demand, layered, async, ideal"),
    (
        "2 us",
        "2 us\n  dma: {classes: {prefetsh: {in_flight: 1}}}",
        "prefetsh",
        "execution.dma.classes.prefetsh",
        "did you mean 'prefetch'?",
    ),
    (
        "2 us",
        "2 us\n  dma: {classes: {demand: {in_flight: 0}}}",
        "0}",
        "execution.dma.classes.demand.in_flight",
        "must be 1 or more, not 0",
    ),
    (
        "2 us",
        "2 us\n  dma: {classes: {write_back: {bandwidth: 4 GiB}}}",
        "4 GiB",
        "execution.dma.classes.write_back.bandwidth",
        "is a size, not a bandwidth",
    ),
    ("2 us", "2 us\n  dma: {prefetch_queue: -1}", "-1", "execution.dma.prefetch_queue", "0 or more, not -1"),
    ("2 us", "2 us\n  dma: {pressure: 0}", "0}", "execution.dma.pressure", "must be 1 or more, not 0"),
    ("2 us", "2 us\n  dma: 5", "5\n", "execution.dma", "must be a mapping of keys to values, not 5"),
    (
        "8 MiB",
        "8 MiB\n      inclusive: yes",
        "yes",
        "hierarchy.tiers.dram.inclusive",
        "must be true or false, not 'yes'",
    ),
    ("8 MiB", "8 MiB\n      scheme: fp17", "fp17", "hierarchy.tiers.dram.scheme", "did you mean 'fp16'?"),
    (
        "8 MiB",
        "8 MiB\n      scheme: {name: s, bits: 4, keep: 1.5}",
        "1.5",
        "hierarchy.tiers.dram.scheme.keep",
        "must be 1 or less, not 1.5",
    ),
    (
        "8 MiB",
        "8 MiB\n      scheme: {name: s, bits: 4, keep: 0}",
        "0}",
        "hierarchy.tiers.dram.scheme.keep",
        "must be greater than 0, not 0",
    ),
    (
        "8 MiB",
        "8 MiB\n      scheme: {name: s, bits: 4, fused: 1 TB}",
        "1 TB",
        "hierarchy.tiers.dram.scheme.fused",
        "is a size, not a bandwidth",
    ),
    (
        "hierarchy:",
        "hierarchy:\n  codec_engines: 0 ",
        "0 ",
        "hierarchy.codec_engines",
        "must be 1 or more, not 0",
    ),
    ("seed: 3", "policy: {lossy: yes}", "yes", "policy.lossy", "must be true or false, not 'yes'"),
    ("8 MiB", "8 MiB\n      memory: dd4", "dd4", "hierarchy.tiers.dram.memory", "unknown memory 'dd4'"),
    (
        "16 GB/s",
        "16 GB/s\n      link: pcie9",
        "pcie9",
        "hierarchy.links.pcie.link",
        "known: pcie3-x16, pcie4-x16",
    ),
    ("seed: 3", "gpu: h100", "h100", "gpu", "unknown GPU 'h100'; did you mean 'h100-sxm'? (known: t4,"),
    ("seed: 3", "model: gpt", "gpt", "model", "unknown model 'gpt' (known: smollm2-135m,"),
    (
        "seed: 3",
        "gpu: 4090",
        "4090",
        "gpu",
        "must be a catalog name or a mapping of keys to values, not 4090",
    ),
    ("seed: 3", "gpu: {preset: a100}", "a100", "gpu.preset", "unknown GPU 'a100'"),
    (
        "8 MiB",
        "8 MiB\n      high_watermark: 0.9",
        "0.9",
        "hierarchy.tiers.dram.high_watermark",
        "needs `low_watermark`",
    ),
    (
        "8 MiB",
        "8 MiB\n      high_watermark: 0.5\n      low_watermark: 0.9",
        "0.9",
        "hierarchy.tiers.dram.low_watermark",
        "must not be above `high_watermark`, 0.5",
    ),
    (
        "64 KiB",
        "64 KiB\n      access: direct",
        "direct",
        "hierarchy.tiers.hbm.access",
        "where the compute reads",
    ),
    ("64 KiB", "64 KiB\n      inclusive: true", "true", "hierarchy.tiers.hbm.inclusive", "no tier above it"),
    (
        "64 KiB",
        "4 kB",
        "4 kB",
        "hierarchy.tiers.hbm.capacity",
        "one page, 4.74 kB, does not fit tier 'hbm', 4 kB",
    ),
    (
        "8 MiB",
        "2 kB",
        "2 kB",
        "hierarchy.tiers.dram.capacity",
        "one page, 4.74 kB, does not fit tier 'dram', 2 kB",
    ),
    (
        "8 MiB",
        "32 KiB\n      inclusive: true",
        "32 KiB",
        "hierarchy.tiers.dram.capacity",
        "'dram', 32.8 kB, is smaller than 'hbm' above it, 65.5 kB",
    ),
    (
        "16 GB/s",
        "16 GB/s\n      compute_share: 1",
        "1\nwork",
        "hierarchy.links.pcie.compute_share",
        "must be less than 1, not 1",
    ),
    (
        "16 GB/s",
        "16 GB/s\n      compute_share: 0.5",
        "0.5",
        "hierarchy.links.pcie.compute_share",
        "all copies at once take 1 of the compute",
    ),
    ("\nhierarchy", "\nhierarchie", "hierarchie", "hierarchie", "did you mean 'hierarchy'?"),
]


@pytest.mark.parametrize(
    ("old", "new", "marked", "field", "message"), SINGLE, ids=[f"{new}" for _, new, *_ in SINGLE]
)
def test_one_mistake_is_one_problem_at_its_place(
    old: str, new: str, marked: str, field: str, message: str
) -> None:
    text = spoiled((old, new))
    found = only(text)
    assert message in found.message
    assert found.field == field
    assert found.file == "s.yaml"
    assert at(found) == place(text, marked)


def test_what_is_missing_is_looked_for_where_its_surroundings_are() -> None:
    text = spoiled(("  compute_time: 2 us", "  depth: 2"))
    found = only(text)
    assert (found.field, at(found)) == ("execution.compute_time", place(text, "execution"))
    assert found.message == "give a time, or `model` and `gpu` to compute it from"


def test_two_tiers_of_one_name() -> None:
    text = spoiled(("  links:", "    - {name: dram, capacity: 9 MiB}\n  links:"))
    found = only(text)
    assert (found.field, at(found)) == ("hierarchy.tiers.2.name", place(text, "dram, capacity: 9"))
    assert found.message == "two tiers are called 'dram'; give each a name of its own"


def test_two_links_of_one_name() -> None:
    text = spoiled(("workload:", "    - {name: pcie, between: [hbm, dram], bandwidth: 1 GB/s}\nworkload:"))
    found = only(text)
    assert (found.field, at(found)) == ("hierarchy.links.1.name", place(text, "pcie, between"))


class TestManyMistakes:
    TEXT = """\
name: bad
hierarchy:
  tiers:
    - {name: hbm, capacity: 64 KiB, capacity: 32 KiB}
    - {name: dram, capacity: -5 GB}
    - {name: dram, capacity: 8 MiB, acces: direct}
    - {name: lost, capacity: 1 kB}
  links:
    - {name: pcie, between: [hbm, dram], bandwidth: 0 GB/s}
    - {name: pcie, between: [hbm, drum], bandwidth: 5 GB}
workload: {kind: rag_burst, length: many}
policy: {eviction: lruu}
execution: {overlap: asinc, compute_time: 5}
scheme: fp17
"""

    @staticmethod
    def policies(scenario: Scenario) -> Iterator[Finding]:
        """What an upper floor adds."""
        yield (
            ("policy", "eviction"),
            f"unknown eviction policy {scenario.policy.eviction.name!r} (known: lru)",
        )

    def test_are_all_reported_at_once_in_the_order_of_the_file(self) -> None:
        found = problems(self.TEXT, checks=(self.policies,))
        expected = [
            (4, "hierarchy.tiers.0.capacity", "the key occurs twice (first in line 4); keep one"),
            (5, "hierarchy.tiers.1.capacity", "must be greater than 0"),
            (6, "hierarchy.tiers.2.name", "two tiers are called 'dram'"),
            (6, "hierarchy.tiers.2.acces", "did you mean 'access'?"),
            (9, "hierarchy.links.0.bandwidth", "must be greater than 0"),
            (10, "hierarchy.links.1.name", "two links are called 'pcie'"),
            (10, "hierarchy.links.1.between", "there is no tier 'drum'"),
            (10, "hierarchy.links.1.bandwidth", "is a size, not a bandwidth"),
            (11, "workload.length", "must be a whole number, not 'many'"),
            (12, "policy.eviction", "unknown eviction policy 'lruu' (known: lru)"),
            (13, "execution.overlap", "must be one of"),
            (13, "execution.compute_time", "5 has no unit"),
            (14, "scheme", "unknown scheme 'fp17'"),
        ]
        assert [(p.line, p.field) for p in found] == [(line, field) for line, field, _ in expected]
        assert all(words in p.message for p, (_, _, words) in zip(found, expected, strict=True))

    def test_an_unreachable_tier_is_named_beside_a_bad_bandwidth(self) -> None:
        text = spoiled(("16 GB/s", "0 GB/s"), ("  links:", "    - {name: lost, capacity: 8 MiB}\n  links:"))
        assert [(p.field, p.message.partition(";")[0]) for p in problems(text)] == [
            ("hierarchy.tiers.lost.name", "no link leads to tier 'lost' from 'hbm', directly or over others"),
            ("hierarchy.links.pcie.bandwidth", "'0 GB/s' must be greater than 0"),
        ]

    def test_no_message_speaks_of_python(self) -> None:
        text = "\n".join(map(str, problems(self.TEXT)))
        for word in ("pydantic", "type=", "Input should", "http", "tuple", "dict", "NoneType"):
            assert word not in text

    def test_a_problem_prints_as_file_line_column_field_message(self) -> None:
        found = only(spoiled(("seed: 3", "seed: x")))
        assert str(found) == "s.yaml:2:7: seed: must be a whole number, not 'x'"


class TestConsequencesStayUnsaid:
    def test_a_misspelt_required_key_is_not_also_missing(self) -> None:
        assert only(spoiled(("\nworkload:", "\nworklaod:"))).field == "worklaod"

    def test_an_unknown_link_does_not_lack_a_bandwidth(self) -> None:
        assert only(spoiled(("bandwidth: 16 GB/s", "link: pcie9"))).field == "hierarchy.links.pcie.link"

    def test_a_misspelt_end_makes_no_tier_unreachable(self) -> None:
        assert only(spoiled(("between", "betwen"))).field == "hierarchy.links.pcie.betwen"

    def test_wrong_tiers_are_not_too_few(self) -> None:
        text = spoiled(("64 KiB", "5 s"), ("8 MiB", "6 s"))
        assert [p.field for p in problems(text)] == [
            "hierarchy.tiers.hbm.capacity",
            "hierarchy.tiers.dram.capacity",
        ]

    def test_a_misspelt_compute_time_is_not_also_unresolved(self) -> None:
        assert only(spoiled(("compute_time", "compute_tme"))).field == "execution.compute_tme"

    def test_an_unknown_model_lacks_no_geometry(self) -> None:
        assert only(spoiled(("llama-3.1-8b", "llama-9"), text=DECODE)).field == "model"


class TestRoom:
    def test_a_layer_that_does_not_fit_tier_0_counts_the_final_context(self) -> None:
        """A page is 16 tokens * 2 * 8 * 128 scalars * 2 bytes = 64 KiB; the last of 100 steps reads
        (16384 + 99) // 16 = 1030 pages; 1024 pages are 64 MiB, 1030 are 67.5 MB."""
        text = spoiled(("capacity: 1 GiB", "capacity: 65 MiB"), text=DECODE).replace(
            "steps: 100", "steps: 1000"
        )
        found = only(text)
        assert found.field == "hierarchy.tiers.hbm.capacity"
        pages = (16384 + 999) // 16
        assert f"a layer reads {pages} pages of 65.5 kB" in found.message
        assert "but tier 'hbm' holds 68.2 MB" in found.message
        assert at(found) == place(text, "65 MiB")

    def test_a_layer_that_just_fits_loads(self) -> None:
        text = spoiled(("1 GiB", "1030 pages"), text=DECODE)
        assert loads(text).name == "decode"
        assert "a layer reads 1030 pages" in only(text.replace("1030", "1029")).message

    def test_fewer_steps_need_less(self) -> None:
        text = spoiled(("1 GiB", "1024 pages"), text=DECODE)
        assert loads(text, ["execution.max_steps=1"]).execution.max_steps == 1

    def test_pages_read_in_place_need_no_room(self) -> None:
        text = spoiled(("64 GiB", "64 GiB, access: direct"), ("1 GiB}", "16 MiB}"), text=DECODE)
        assert loads(text).hierarchy.tiers[1].access == "direct"

    def test_a_smaller_scheme_makes_it_fit(self) -> None:
        text = spoiled(("1 GiB", "40 MiB"), text=DECODE)
        assert "a layer reads" in only(text).message
        assert loads(text, ["scheme=fp8"]).scheme.bits == 8

    def test_a_context_larger_than_all_tiers_is_refused(self) -> None:
        """32 layers of 1024 pages of 64 KiB are 2 GiB; 1 GiB and half a GiB hold 24576 of 32768."""
        found = only(spoiled(("64 GiB", "512 MiB"), text=DECODE))
        assert found.field == "hierarchy.tiers"
        assert found.message == "the context at the start has 32768 pages; the tiers can take 24576 of them"

    def test_a_placement_in_the_last_tier_needs_all_its_room_there(self) -> None:
        text = spoiled(("64 GiB", "1536 MiB"), text=DECODE)
        assert loads(text).name == "decode"
        assert "`placement: last`" in only(text, "policy.placement=last").message

    def test_inclusive_copies_take_room_too(self) -> None:
        """1 GiB in the first tier keeps 1 GiB of copies below, so the other 1 GiB needs 2 GiB there."""
        text = spoiled(("64 GiB", "2 GiB, inclusive: true"), text=DECODE)
        assert loads(text).name == "decode"
        assert "can take" in only(text.replace("2 GiB, inc", "2047 MiB, inc")).message

    def test_pages_of_unknown_size_cannot_be_counted(self) -> None:
        text = spoiled(
            ("64 KiB", "5 pages"), ("kind: rag_burst\n  length: 60", "kind: custom\n  workload_class: a:B")
        )
        assert "a number of pages needs a workload whose page size is known" in only(text).message


class TestNeeds:
    def test_decode_needs_a_model(self) -> None:
        text = spoiled(
            ("kind: rag_burst\n  length: 60", "kind: dense_decode\n  context_tokens: 64\n  steps: 1")
        )
        found = only(text)
        assert (found.field, "needs a model" in found.message) == ("model", True)

    def test_a_roofline_needs_a_gpu_too(self) -> None:
        assert "`gpu`" in only(spoiled(("gpu: h100-sxm\n", ""), text=DECODE)).message

    def test_blocks_need_a_model_or_a_size(self, tmp_path: Path) -> None:
        trace = tmp_path / "t.jsonl"
        trace.write_text("")
        text = spoiled(("kind: rag_burst\n  length: 60", f"kind: mooncake\n  path: {trace}"))
        assert only(text).field == "model"
        assert loads(text, ["workload.block_bytes=4 kB"]).model is None

    def test_weights_come_from_a_tier_below_the_first_that_there_is(self) -> None:
        text = DECODE + "execution: {weights: dram}\n"
        assert loads(text).execution.weights == "dram"
        for tier, words in (
            ("hbm", "it is where the compute reads"),
            ("dra", "no tier 'dra' below the first"),
        ):
            wrong = text.replace("weights: dram", f"weights: {tier}")
            found = only(wrong)
            assert (found.field, at(found)) == ("execution.weights", place(wrong, f"{tier}}}\n"))
            assert words in found.message

    def test_only_decodes_stream_weights(self) -> None:
        found = only(spoiled(("2 us", "2 us\n  weights: dram")))
        assert (found.field, "'rag_burst' streams no weights" in found.message) == ("execution.weights", True)

    def test_conversions_by_kernels_leave_some_compute(self) -> None:
        """A codec each way, 0.3 for both; two directions of the link, 0.2 each."""
        scheme = "scheme: {name: x, bits: 4, compress: 1 GB/s, decompress: 1 GB/s, compute_share: 0.3}"
        text = spoiled(("8 MiB", f"8 MiB\n      {scheme}"), ("16 GB/s", "16 GB/s\n      compute_share: 0.19"))
        assert loads(text).hierarchy.tiers[1].scheme is not None
        found = only(text.replace("0.19", "0.2"))
        assert found.field == "hierarchy.links.pcie.compute_share"
        assert loads(text.replace("0.19", "0.2\n      duplex: half")).hierarchy.links[0].duplex == "half"

    def test_sparse_decode_reads_something(self) -> None:
        text = spoiled(
            ("dense_decode", "sparse_decode, sink_tokens: 0, recent_tokens: 0, top_k_tokens: 0"), text=DECODE
        )
        assert "nothing is read" in only(text).message

    def test_required_keys(self) -> None:
        assert [(p.field, p.message) for p in problems("seed: 1\n")] == [
            ("name", "is required"),
            ("hierarchy", "is required"),
            ("workload", "is required"),
            ("execution.compute_time", "give a time, or `model` and `gpu` to compute it from"),
        ]

    def test_a_workload_says_its_kind(self) -> None:
        assert (
            only(spoiled(("  kind: rag_burst\n", ""))).message
            == "is required; it says which workload this is"
        )

    def test_a_key_without_a_value_has_its_default(self) -> None:
        assert loads(spoiled(("seed: 3", "seed:\npolicy:"))).seed == 0

    def test_a_required_key_without_a_value_is_pointed_at(self) -> None:
        text = spoiled(("capacity: 64 KiB", "capacity:"))
        found = only(text)
        assert (found.message, at(found)) == ("is required", place(text, "capacity:\n"))


class TestFiles:
    def check(self, path: Path, message: str, line: int | None = None, column: int | None = None) -> None:
        with pytest.raises(ScenarioError) as caught:
            load(path)
        (problem,) = caught.value.problems
        assert message in problem.message
        assert (problem.file, problem.line, problem.column) == (str(path), line, column)

    def test_missing(self, tmp_path: Path) -> None:
        self.check(tmp_path / "none.yaml", "no such file")

    def test_a_directory(self, tmp_path: Path) -> None:
        self.check(tmp_path, "is a directory, not a file")

    @pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", "---\n", "null\n"])
    def test_empty(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "e.yaml"
        path.write_text(text)
        self.check(path, "is empty")

    def test_not_utf8(self, tmp_path: Path) -> None:
        path = tmp_path / "latin.yaml"
        path.write_bytes("name: a\ndescription: é\n".encode("latin-1"))
        self.check(path, "is not UTF-8 text: byte 0xe9", 2, 14)

    def test_not_yaml(self, tmp_path: Path) -> None:
        path = tmp_path / "n.yaml"
        path.write_text("name: a\nhierarchy: [1, 2\nworkload: x\n")
        self.check(path, "is not YAML", 3, 9)

    def test_control_characters(self, tmp_path: Path) -> None:
        path = tmp_path / "n.yaml"
        path.write_bytes(b"name: a\x00b\n")
        self.check(path, "is not YAML")

    @pytest.mark.parametrize(
        ("text", "what"), [("- a\n- b\n", "a list"), ("just words\n", "the text 'just words'")]
    )
    def test_not_a_mapping(self, tmp_path: Path, text: str, what: str) -> None:
        path = tmp_path / "l.yaml"
        path.write_text(text)
        self.check(path, f"is {what}; a scenario is a mapping of keys to values", 1, 1)

    def test_two_documents(self, tmp_path: Path) -> None:
        path = tmp_path / "two.yaml"
        path.write_text("name: a\n---\nname: b\n")
        self.check(path, "more than one document", 2, 1)

    def test_a_byte_order_mark_is_no_problem(self, tmp_path: Path) -> None:
        path = tmp_path / "bom.yaml"
        path.write_bytes(b"\xef\xbb\xbf" + VALID.encode())
        assert load(path).name == "small"

    def test_an_unknown_name_names_the_nearest(self) -> None:
        with pytest.raises(
            ScenarioError, match="neither a file nor a shipped scenario; did you mean 'quickstart'"
        ):
            load("quickstrat")

    def test_an_empty_name(self) -> None:
        with pytest.raises(ScenarioError):
            load("")


class TestTraces:
    TEXT = "  kind: mooncake\n  block_bytes: 4 kB\n  path: "

    def write(self, folder: Path, trace: str) -> Path:
        path = folder / "s.yaml"
        path.write_text(spoiled(("  kind: rag_burst\n  length: 60", self.TEXT + trace)))
        return path

    def test_a_path_in_a_file_is_relative_to_the_file(self, tmp_path: Path) -> None:
        (tmp_path / "traces").mkdir()
        (tmp_path / "traces" / "t.jsonl").write_text("")
        work = load(self.write(tmp_path, "traces/t.jsonl")).workload
        assert work.kind == "mooncake"
        assert Path(work.path) == tmp_path / "traces" / "t.jsonl"

    def test_a_path_in_an_override_is_relative_to_the_current_directory(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "scenario").mkdir()
        (tmp_path / "t.jsonl").write_text("")
        monkeypatch.chdir(tmp_path)
        work = load(self.write(tmp_path / "scenario", "none"), ["workload.path=t.jsonl"]).workload
        assert work.kind == "mooncake"
        assert Path(work.path) == tmp_path / "t.jsonl"

    @pytest.mark.parametrize(
        ("trace", "message"),
        [
            ("t.jsonl", "'t.jsonl': no such file"),
            (".", "'.': is a directory, not a trace file"),
            ('""', "no trace is given; use --set workload.path=FILE"),
        ],
    )
    def test_a_missing_trace_is_a_problem_of_its_path(self, tmp_path: Path, trace: str, message: str) -> None:
        path = self.write(tmp_path, trace)
        with pytest.raises(ScenarioError) as caught:
            load(path)
        (problem,) = caught.value.problems
        assert (problem.field, problem.message) == ("workload.path", message)
        line, column = place(path.read_text(), f"path: {trace}")
        assert at(problem) == (line, column + len("path: "))

    def test_an_override_is_named_in_place_of_the_file(self, tmp_path: Path) -> None:
        with pytest.raises(ScenarioError) as caught:
            load(self.write(tmp_path, '""'), ["workload.path=none.jsonl"])
        assert (
            str(caught.value) == "--set workload.path=none.jsonl: workload.path: 'none.jsonl': no such file"
        )


class TestMappings:
    def test_plain_data_loads_like_a_file(self) -> None:
        data = {
            "name": "small",
            "hierarchy": {"tiers": [{"name": "hbm", "capacity": "64 KiB"}]},
            "workload": {"kind": "rag_burst"},
            "execution": {"compute_time": "2 us"},
        }
        assert loads_mapping(data).hierarchy.tiers[0].capacity == 65536

    def test_problems_of_plain_data_have_no_line(self) -> None:
        with pytest.raises(ScenarioError) as caught:
            loads_mapping({"name": 3}, file="grid point 7")
        assert str(caught.value.problems[0]).startswith("grid point 7: name: must be text")
