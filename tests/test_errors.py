"""Problems read well, and every error survives being rebuilt from its arguments."""

from __future__ import annotations

import pickle

import pytest

from kvsim.errors import (
    AuditError,
    KvsimError,
    Problem,
    RegistryError,
    ScenarioError,
    SimulationError,
    TraceError,
    nearest,
)

PROBLEM = Problem("a.yaml", 3, 7, "seed", "must be a whole number")
ERRORS = [
    ScenarioError((PROBLEM, Problem("a.yaml", None, None, "", "is empty"))),
    TraceError(PROBLEM),
    SimulationError("step 3 finds no room"),
    AuditError(("tier hbm: 1 byte too many", "link pcie: 2 bytes lost")),
    RegistryError("eviction policy", "lruu", ("lru", "sieve")),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
class TestEveryError:
    def test_is_rebuilt_from_its_arguments(self, error: KvsimError) -> None:
        again = type(error)(*error.args)
        assert (str(again), vars(again)) == (str(error), vars(error))

    def test_survives_the_way_to_another_process(self, error: KvsimError) -> None:
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))

    def test_is_a_kvsim_error(self, error: KvsimError) -> None:
        assert isinstance(error, KvsimError)


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (PROBLEM, "a.yaml:3:7: seed: must be a whole number"),
        (Problem("a.yaml", 3, None, "", "is not UTF-8"), "a.yaml:3: is not UTF-8"),
        (Problem("a.yaml", None, None, "", "is empty"), "a.yaml: is empty"),
        (Problem("--set seed=x", None, None, "seed", "wrong"), "--set seed=x: seed: wrong"),
        (Problem("", None, None, "seed", "wrong"), "seed: wrong"),
    ],
)
def test_a_problem_leaves_out_what_is_unknown(problem: Problem, text: str) -> None:
    assert str(problem) == text


def test_a_scenario_error_says_one_problem_a_line() -> None:
    assert str(ERRORS[0]) == "a.yaml:3:7: seed: must be a whole number\na.yaml: is empty"


def test_a_registry_error_names_the_nearest_and_the_known() -> None:
    assert str(ERRORS[4]) == "unknown eviction policy 'lruu'; did you mean 'lru'? (known: lru, sieve)"
    assert str(RegistryError("link", "x", ())) == "unknown link 'x' (known: none)"


def test_a_registry_error_about_a_known_name_is_about_a_second_registration() -> None:
    text = str(RegistryError("eviction policy", "lru", ("lru",)))
    assert text == "eviction policy 'lru' is already registered (known: lru)"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("capcity", "capacity"), ("Read-Latency", "read_latency"), ("xyz", None), ("", None)],
)
def test_the_nearest_name_ignores_case_and_dashes(name: str, expected: str | None) -> None:
    assert nearest(name, ["capacity", "read_latency"]) == expected
