"""Names of policies: registration, references, entry points of other packages, options."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from typing import Any

import pytest
from policies.small_engine import SmallEngine
from policies.things import Demanding, Thing

import kvsim.registry
from kvsim.errors import KvsimError, RegistryError
from kvsim.policies import make_eviction, make_prefetch, names, register_eviction, register_prefetch
from kvsim.policies.eviction.lru import Lru
from kvsim.registry import BadOption, BadReference, Registry

LRU = "kvsim.policies.eviction.lru:Lru"
VIEW = SmallEngine("lru", [4])


def things(*classes: type[Thing]) -> Registry[Thing]:
    registry: Registry[Thing] = Registry("thing", "kvsim.things", lambda cls: issubclass(cls, Thing))
    for cls in classes:
        registry.register(cls)
    return registry


def entry_points(monkeypatch: pytest.MonkeyPatch, **references: str) -> list[str]:
    """Pretend that other packages declare these entry points; returns the groups asked for."""
    asked: list[str] = []

    def found(*, group: str) -> Iterator[EntryPoint]:
        asked.append(group)
        return (EntryPoint(name, value, group) for name, value in references.items())

    monkeypatch.setattr(kvsim.registry, "entry_points", found)
    return asked


def test_the_shipped_policies_are_known_by_their_names() -> None:
    assert "lru" in names()["eviction"]
    assert {"none", "next_layer"} <= set(names()["prefetch"])
    assert isinstance(make_eviction("lru", VIEW), Lru)
    assert make_prefetch("next_layer", VIEW).name == "next_layer"


def test_a_name_is_given_once() -> None:
    with pytest.raises(RegistryError, match="eviction policy 'lru' is already registered"):
        register_eviction(type("Other", (Lru,), {"name": "lru"}))


@pytest.mark.parametrize("attributes", [{"name": ""}, {"name": 3}, {"name": "a:b"}])
def test_a_class_without_a_usable_name_is_refused(attributes: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="needs a class attribute `name`"):
        register_eviction(type("Nameless", (Lru,), attributes))


def test_a_policy_of_the_other_kind_is_refused() -> None:
    with pytest.raises(TypeError, match="no prefetch policy"):
        register_prefetch(type("Stray", (Lru,), {"name": "stray"}))


def test_an_unknown_name_lists_the_known_ones_and_the_nearest() -> None:
    with pytest.raises(RegistryError) as caught:
        make_prefetch("next-laier", VIEW)
    assert "did you mean 'next_layer'?" in str(caught.value)
    assert "none" in caught.value.known


def test_a_reference_names_a_class_without_registration() -> None:
    assert isinstance(make_eviction(LRU, VIEW), Lru)


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("no_such_module:Lru", "No module named 'no_such_module'"),
        ("kvsim.policies.eviction.lru:Missing", "no attribute 'Missing'"),
        ("kvsim.policies.eviction.lru:register_eviction", "is no class"),
        ("kvsim.policies.prefetch.none:NoPrefetch", "is no eviction policy"),
        (":Lru", "Empty module name"),
    ],
)
def test_a_reference_that_leads_nowhere_says_why(reference: str, reason: str) -> None:
    with pytest.raises(BadReference, match=reason):
        make_eviction(reference, VIEW)


def test_entry_points_are_read_once_when_a_name_is_not_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = entry_points(monkeypatch, demanding=f"{Thing.__module__}:Demanding", other=LRU)
    registry = things(Thing)
    registry.get("thing")
    assert asked == []
    assert registry.make("demanding", None, {"depth": 2}).options[0] == 2
    assert registry.names() == ("demanding", "thing")  # the eviction policy is another registry's
    assert asked == ["kvsim.things"]


def test_an_entry_point_to_a_class_that_registers_itself_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = things(Thing)
    point = EntryPoint("thing", f"{Thing.__module__}:Thing", "kvsim.things")
    monkeypatch.setattr(EntryPoint, "load", lambda self: Thing)
    monkeypatch.setattr(kvsim.registry, "entry_points", lambda *, group: [point])
    assert registry.names() == ("thing",)


def test_a_broken_entry_point_warns_and_the_others_work(monkeypatch: pytest.MonkeyPatch) -> None:
    entry_points(monkeypatch, broken="no_such_module:X", demanding=f"{Thing.__module__}:Demanding")
    with pytest.warns(RuntimeWarning, match="'broken' of kvsim.things is left out: ModuleNotFoundError"):
        known = things(Thing).names()
    assert known == ("demanding", "thing")


def test_an_entry_point_cannot_take_a_name_that_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = things(type("First", (Thing,), {"name": "demanding"}))
    entry_points(monkeypatch, demanding=f"{Thing.__module__}:Demanding")
    with pytest.warns(RuntimeWarning, match="already registered"):
        assert registry.names() == ("demanding",)
    assert registry.get("demanding").__name__ == "First"


def test_options_reach_the_class_by_name() -> None:
    made = things(Thing).make("thing", None, {"size": 8, "share": 1, "labels": ["a"]})
    assert made.options == (8, 1.0, ["a"])


@pytest.mark.parametrize(
    ("options", "path", "message"),
    [
        (
            {"sise": 1},
            ("options", "sise"),
            "unknown option; did you mean 'size'? (known: size, share, labels)",
        ),
        ({"size": "8"}, ("options", "size"), "valid integer"),
        ({"size": True}, ("options", "size"), "valid integer"),
        ({"share": "much"}, ("options", "share"), "valid number"),
        ({"labels": ["a", 2]}, ("options", "labels", 1), "valid string"),
        ({"subject": 1}, ("options", "subject"), "unknown option"),
    ],
)
def test_a_wrong_option_is_found_before_anything_is_built(
    options: dict[str, Any], path: tuple[str | int, ...], message: str
) -> None:
    registry = things(Thing)
    [(where, text)] = registry.check("thing", options)
    assert where == path
    assert message in text
    with pytest.raises(BadOption):
        registry.make("thing", None, options)


def test_all_wrong_options_are_reported_together() -> None:
    problems = list(things(Thing).check("thing", {"size": None, "share": [], "weight": 1}))
    assert [path[1] for path, _ in problems] == ["size", "share", "weight"]


def test_an_option_without_default_is_required_and_others_may_be_open() -> None:
    registry = things(Demanding)
    assert list(registry.check("demanding", {})) == [(("options",), "option 'depth' is required")]
    assert list(registry.check("demanding", {"depth": 1, "anything": object()})) == []


def test_checking_an_unknown_name_reports_and_raises_nothing() -> None:
    [(path, message)] = things(Thing).check("thong", {"size": "?"})
    assert path == ()
    assert message == "unknown thing 'thong'; did you mean 'thing'? (known: thing)"


@pytest.mark.parametrize(
    "error",
    [
        BadReference("thing", "a:b", ("c",), "is no class"),
        BadOption("thing", "a", (((), "option 'x' is required"), (("y",), "unknown option"))),
    ],
)
def test_errors_can_be_rebuilt_and_pickled(error: KvsimError) -> None:
    for copy in (type(error)(*error.args), pickle.loads(pickle.dumps(error))):
        assert str(copy) == str(error)
        assert vars(copy) == vars(error)
