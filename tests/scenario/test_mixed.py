"""Rules for the formats of some layers and head groups: how they are written, and what follows for sizes."""

from __future__ import annotations

from pathlib import Path

import pytest
from scenario.yaml_files import VALID, only, place, problems, spoiled

from kvsim.scenario import geometry
from kvsim.scenario.catalog import SchemeRule
from kvsim.scenario.compute import ComputeModel
from kvsim.scenario.loader import dump, loads
from kvsim.scenario.number_set import NumberSet, parse_numbers

MIXED = (
    VALID
    + """\
scheme:
  preset: int4
  mixed:
    - layers: 0-1
      preset: fp16
    - head_groups: [0, 3]
      preset: int8
"""
)
"""rag_burst: page i is of layer i mod 16 and of head group i mod 8."""

DECODE = """\
name: decode
model: llama-3.1-8b
gpu: h100-sxm
scheme: {preset: int4, mixed: [{layers: 0-1, preset: fp16}]}
hierarchy:
  tiers:
    - {name: hbm, capacity: 1200 MB}
    - {name: dram, capacity: 64 GiB}
  links:
    - {name: pcie, between: [hbm, dram], link: pcie5-x16}
workload: {kind: dense_decode, context_tokens: 16384, steps: 100}
"""
"""A page holds 16 * 2 * 8 * 128 = 32,768 scalars; a layer has 1,024 pages at the start."""


class TestNumbers:
    @pytest.mark.parametrize(
        ("written", "ranges"),
        [
            (3, ((3, 3),)),
            ("0-1", ((0, 1),)),
            (" 4 - 4 ", ((4, 4),)),
            ([7, "1-3", 2, 4], ((1, 4), (7, 7))),
            (["5-9", "0-20"], ((0, 20),)),
        ],
    )
    def test_are_ranges_in_order(self, written: object, ranges: tuple[tuple[int, int], ...]) -> None:
        numbers = parse_numbers(written)
        assert numbers == NumberSet(ranges)
        assert numbers.largest == ranges[-1][1]
        held = {number for first, last in ranges for number in range(first, last + 1)}
        assert {number for number in range(30) if number in numbers} == held

    @pytest.mark.parametrize("written", [[], -1, 1.5, True, "3", "1-", "2-1", [[0]], None, "0-1-2"])
    def test_are_nothing_else(self, written: object) -> None:
        with pytest.raises(ValueError, match="range"):
            parse_numbers(written)

    def test_read_aloud(self) -> None:
        assert str(parse_numbers(["4-7", 0])) == "0, 4-7"


class TestRules:
    def test_are_schemes_of_the_catalog_or_of_their_own(self) -> None:
        scheme = loads(MIXED, ["scheme.mixed.1={head_groups: 2, name: q3, bits: 3.5}"]).scheme
        assert [(rule.name, rule.bits) for rule in scheme.mixed] == [("fp16", 16), ("q3", 3.5)]

    def test_the_first_that_fits_decides(self) -> None:
        scheme = loads(MIXED).scheme
        chosen = [scheme.format_of(*place).name for place in [(0, 0), (1, 5), (2, 0), (9, 3), (2, 1)]]
        assert chosen == ["fp16", "fp16", "int8", "int8", "int4"]

    def test_of_both_layers_and_head_groups_fit_where_both_do(self) -> None:
        rule = SchemeRule(name="r", bits=8.0, layers=parse_numbers(2), head_groups=parse_numbers("0-1"))
        assert [rule.fits(*place) for place in [(2, 0), (2, 2), (1, 0)]] == [True, False, False]

    def test_load_back_from_a_dump(self) -> None:
        scenario = loads(
            MIXED, ["hierarchy.tiers.dram.scheme={preset: int2, mixed: [{layers: 3, preset: fp8}]}"]
        )
        assert loads(dump(scenario)) == scenario
        assert "layers: '0-1'" in dump(scenario)

    def test_a_variant_that_names_another_scheme_leaves_the_rules_behind(self) -> None:
        assert loads(MIXED, ["scheme=fp8"]).scheme.mixed == ()


# What replaces what in MIXED, the part that is pointed at, the field, and words of the message.
MISTAKES = [
    ("0-1\n", "1-0\n", "1-0", "mixed.fp16.layers", "'1-0' is a range that ends before it begins; write 0-1"),
    ("0-1\n", "first\n", "first", "mixed.fp16.layers", "write a whole number from 0, a range such as 0-1"),
    ("0-1\n", "-1\n", "-1\n", "mixed.fp16.layers", "-1 is not such a number"),
    ("[0, 3]", "[]", "[]", "mixed.int8.head_groups", "must not be empty"),
    (
        "0-1\n",
        "0-16\n",
        "0-16",
        "mixed.fp16.layers",
        "there is no layer 16: the pages of 'rag_burst' have 0 to 15",
    ),
    ("[0, 3]", "8", "8\n      preset: int8", "mixed.int8.head_groups", "there is no head group 8: "),
    ("fp16", "fp17", "fp17", "mixed.0.preset", "unknown scheme 'fp17'; did you mean 'fp16'?"),
    (
        "layers: 0-1",
        "layer: 0-1",
        "layer:",
        "mixed.fp16.layer",
        "unknown key; did you mean 'layers'? (known: ",
    ),
    (
        "- layers: 0-1\n      preset",
        "- preset",
        "preset: fp16",
        "mixed.fp16",
        "a rule needs `layers`, `head_gro",
    ),
    (
        "- layers: 0-1\n      preset: fp16",
        "- fp16",
        "fp16",
        "mixed.0",
        "must be a mapping of keys to values, not",
    ),
    ("preset: int8", "bits: 8\n      name: x\n      mixed: []", "mixed: []", "mixed.x.mixed", "unknown key"),
    ("preset: int8", "bits: 8", "head_groups", "mixed.1.name", "is required"),
]


@pytest.mark.parametrize(("old", "new", "part", "field", "message"), MISTAKES)
def test_a_mistake_is_said_with_its_place(old: str, new: str, part: str, field: str, message: str) -> None:
    text = spoiled((old, new), text=MIXED)
    problem = only(text)
    assert problem.field == f"scheme.{field}"
    assert message in problem.message
    assert (problem.line, problem.column) == place(text, part)


@pytest.mark.parametrize("kind", ["zipf", "mooncake", "replay"])
def test_workloads_that_cannot_tell_are_refused(kind: str, tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    trace.write_text("")
    work = {
        "zipf": "zipf",
        "mooncake": f"mooncake\n  path: {trace}\n  block_bytes: 1 kB",
        "replay": f"replay\n  path: {trace}\n  format: mooncake",
    }
    rule = "{layers: 0, head_groups: 1, preset: int8}"
    text = spoiled(("rag_burst\n  length: 60", work[kind])) + f"scheme: {{preset: int4, mixed: [{rule}]}}\n"
    first, second = problems(text)
    assert first.field == "scheme.mixed.int8.layers"
    assert f"the workload {kind!r} does not tell the layer of a page (those that may: " in first.message
    assert (first.line, first.column) == place(text, "0, head_groups")
    assert second.field == "scheme.mixed.int8.head_groups"
    assert f"the workload {kind!r} does not tell the head group of a page" in second.message


class TestSizes:
    def test_the_largest_page_counts(self) -> None:
        """2,368 scalars at most; a tier of its own scheme has its own rules, or none."""
        changes = ["hierarchy.tiers.dram.scheme=int2", "hierarchy.tiers.hbm.capacity=5 pages"]
        scenario = loads(MIXED, changes)
        assert [geometry.page_bytes(scenario, tier) for tier in (0, 1)] == [2368 * 2, 2368 // 4]
        assert geometry.capacity_bytes(scenario, 0) == 5 * 2368 * 2

    def test_a_scheme_that_rules_leave_no_page_does_not_count(self) -> None:
        scenario = loads(MIXED, ["scheme={preset: fp16, mixed: [{layers: 0-15, preset: int8}]}"])
        assert geometry.page_bytes(scenario, 0) == 2368

    def test_the_context_at_the_start_is_counted_layer_by_layer(self) -> None:
        """2 layers of 1,024 pages of 64 KiB, 30 of 1,024 pages of 16 KiB: 608 MiB."""
        assert geometry.context_runs(loads(DECODE)) == [
            (2 * 1024, (65_536, 65_536)),
            (30 * 1024, (16_384, 16_384)),
        ]
        one_tier = spoiled(
            ("    - {name: dram, capacity: 64 GiB}\n", ""),
            ("  links:\n    - {name: pcie, between: [hbm, dram], link: pcie5-x16}\n", ""),
            text=DECODE,
        )
        loads(one_tier, ["hierarchy.tiers.hbm.capacity=608 MiB"])
        problem = only(one_tier, "hierarchy.tiers.hbm.capacity=607 MiB")
        assert f"has {32 * 1024} pages; the tiers can take {32 * 1024 - 64} of them" in problem.message

    def test_rules_for_layers_the_model_does_not_have_are_refused(self) -> None:
        text = spoiled(("0-1", "31-32"), text=DECODE)
        problem = only(text)
        assert problem.message == "there is no layer 32: the pages of 'dense_decode' have 0 to 31"
        assert (problem.line, problem.column) == place(text, "31-32")

    def test_a_decode_page_holds_all_heads(self) -> None:
        problem = only(spoiled(("layers: 0-1", "head_groups: 0-1"), text=DECODE))
        assert problem.message == "there is no head group 1: the pages of 'dense_decode' have only 0"


class TestCompute:
    def test_each_layer_streams_its_cache_in_its_format(self) -> None:
        mixed = ComputeModel(loads(DECODE))
        wide, narrow = (ComputeModel(loads(DECODE, [f"scheme={name}"])) for name in ("fp16", "int4"))
        ticks = mixed.step_ticks(1, 16384)
        assert ticks == [wide.layer_ticks(1, 16384)] * 2 + [narrow.layer_ticks(1, 16384)] * 30
        assert narrow.step_ticks(1, 16384) == [narrow.layer_ticks(1, 16384)] * 32
        assert mixed.layer_ticks(1, 16384) == narrow.layer_ticks(1, 16384)

    def test_a_given_time_is_that_of_every_layer(self) -> None:
        assert ComputeModel(loads(DECODE, ["execution.compute_time=3 ps"])).step_ticks(1, 1) == [3] * 32
