"""YAML's traps, and the places of values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvsim.scenario.document import compose, read_text
from kvsim.scenario.tree import Node, Origin, Problems, plain


def read(text: str) -> tuple[Any, list[str]]:
    """The value under `v`, and what is wrong, as line:column: field: message."""
    problems = Problems()
    root = read_text(text, Origin("f"), problems)
    found = [str(problem).removeprefix("f:") for problem in problems.ordered()]
    return (plain(root, keep_empty=True)["v"] if root is not None and root.get("v") else None), found


class TestScalars:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("1e9", 10**9),
            ("8.03e9", 8_030_000_000),
            ("1.5e-3", 0.0015),
            ("2.0", 2.0),
            ("12_000", 12_000),
            ("-3", -3),
            ("0", 0),
            ("0.1", 0.1),
            (".5", 0.5),
            ("true", True),
            ("False", False),
            ("~", None),
            ("null", None),
            ("", None),
        ],
    )
    def test_numbers_and_words(self, text: str, value: object) -> None:
        got, found = read(f"v: {text}\n")
        assert (got, type(got), found) == (value, type(value), [])

    @pytest.mark.parametrize(
        "text",
        [
            "on",
            "off",
            "yes",
            "no",
            "y",
            "1:30",
            "2026-01-08",
            "1e9x",
            "80 GiB",
            "e5",
            ".",
            "1.2.3",
            "truE",
        ],
    )
    def test_everything_else_is_text(self, text: str) -> None:
        assert read(f"v: {text}\n") == (text, [])

    @pytest.mark.parametrize("text", ["010", "007", "-01", "0x10", "0o17", "0b1"])
    def test_numbers_that_readers_disagree_about_are_refused(self, text: str) -> None:
        _, found = read(f"a: 1\nv: {text}\n")
        assert len(found) == 1
        assert found[0].startswith(f"2:4: v: {text} is read as different numbers by different readers")

    @pytest.mark.parametrize("text", [".inf", "-.inf", ".nan"])
    def test_numbers_without_end_are_refused(self, text: str) -> None:
        assert read(f"v: {text}\n")[1] == [f"1:4: v: {text} is not a finite number"]

    @pytest.mark.parametrize("text", ["010", "1e9", "true", "null", "0x10"])
    def test_quotes_make_text(self, text: str) -> None:
        assert read(f'v: "{text}"\n') == (text, [])
        assert read(f"v: '{text}'\n") == (text, [])
        assert read(f"v: |-\n  {text}\n") == (text, [])

    @given(st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False))
    def test_a_number_as_python_writes_it_is_read_as_that_number(self, number: int | float) -> None:
        assert read(f"v: {number}\n") == (number, [])

    def test_absurd_exponents_are_text_and_cost_nothing(self) -> None:
        assert read("v: 1e999999999\n") == ("1e999999999", [])

    @pytest.mark.parametrize(
        "tag", ["!!python/object:os.system", "!!binary", "!mine", "!!int", "!!timestamp"]
    )
    def test_tags_are_refused(self, tag: str) -> None:
        _, found = read(f"v: {tag} 1\n")
        assert len(found) == 1
        assert "is not supported; write a plain value" in found[0]


class TestMappings:
    def test_a_key_that_occurs_twice_is_named_with_both_places(self) -> None:
        value, found = read("v:\n  a: 1\n  b: 2\n  a: 3\n")
        assert value == {"a": 1, "b": 2}
        assert found == ["4:3: v.a: the key occurs twice (first in line 2); keep one"]

    def test_keys_are_text(self) -> None:
        assert read("v: {on: 1, 2: 3, 1e9: 4}\n") == ({"on": 1, "2": 3, "1e9": 4}, [])

    def test_keys_that_are_no_words(self) -> None:
        assert read("v: {[a]: 1}\n") == ({}, ["1:5: v: a key must be a plain word"])

    def test_anchors_and_merge_keys(self) -> None:
        text = "base: &b {x: 1, y: 2}\nother: &o {y: 5, z: 6}\nv: {<<: [*b, *o], x: 9}\n"
        assert read(text) == ({"y": 2, "z": 6, "x": 9}, [])

    def test_a_quoted_merge_key_is_a_key(self) -> None:
        assert read('v: {"<<": 1}\n') == ({"<<": 1}, [])

    def test_merging_what_is_no_mapping(self) -> None:
        assert read("v: {<<: 5}\n")[1] == ["1:9: v.<<: a merge key takes a mapping, or a list of mappings"]

    def test_an_alias_of_itself(self) -> None:
        assert read("v: &a {b: *a}\n")[1] == ["1:4: v.b: the alias stands for something that contains it"]

    def test_a_tower_of_aliases(self) -> None:
        lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
        lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
        _, found = read("\n".join(lines))
        assert len(found) == 1
        assert "has more than" in found[0]

    def test_elements_are_called_by_name(self) -> None:
        _, found = read("v:\n  - {name: hbm, x: 010}\n  - {name: dram}\n")
        assert found[0].startswith("2:20: v.hbm.x: ")


class TestPlaces:
    TEXT = "a: 1\nb:\n  - c: ü x\n    dé: {e: [5]}\n"

    def tree(self) -> Node:
        node = compose(self.TEXT, Origin("f"), Problems())
        assert node is not None
        return node

    def test_of_values_and_keys_count_from_one_in_characters(self) -> None:
        item = self.tree().value["b"].value[0]
        value, key = item.value["c"], item.value["dé"].key_at
        assert (value.at.line, value.at.column) == (3, 8)
        assert (key.line, key.column) == (4, 5)
        five = item.value["dé"].value["e"].value[0]
        assert (five.at.line, five.at.column) == (4, 14)
