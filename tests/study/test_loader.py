"""Study files: what they mean, and every problem told at once with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvsim.errors import KvsimError, ScenarioError
from kvsim.study.grid import labels, override_text
from kvsim.study.loader import Study, available_experiments, load

GOOD = """\
base: quickstart
set: {execution.max_steps: 5}
axes:
  - name: memory
    variants:
      small: {}
      large: {hierarchy.tiers.gpu_fast.capacity: 128 kB, hierarchy.tiers.gpu_overflow.capacity: 256 kB}
  - {name: overlap, path: execution.overlap, values: [serial, async]}
seeds: [3, 4]
metrics: [hit_rate, tier_hit_rate.host_ram]
claims:
  - {name: one, metric: misses, where: {overlap: serial, seed: 3}, operator: "<", value: 6}
  - {name: two, metric: misses, each: [memory], operator: "<=", than: {metric: accesses}}
"""


def write(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def problems(folder: Path, *edits: tuple[str, str]) -> list[str]:
    """The problems of the good study after replacing texts in it, without the name of the file."""
    text = GOOD
    for old, new in edits:
        assert old in text
        text = text.replace(old, new, 1)
    path = write(folder, text)
    with pytest.raises(ScenarioError) as raised:
        load(path)
    return [str(problem).removeprefix(f"{path}:") for problem in raised.value.problems]


def test_a_study_becomes_cells_in_the_order_of_the_file(tmp_path: Path) -> None:
    study = load(write(tmp_path, GOOD))
    assert study.spec.name == "mine"
    assert [tuple(cell.coordinates.values()) for cell in study.cells] == [
        (memory, overlap, seed)
        for memory in ("small", "large")
        for overlap in ("serial", "async")
        for seed in ("3", "4")
    ]
    assert [cell.index for cell in study.cells] == list(range(8))
    last = study.scenarios[-1]
    assert (last.seed, last.execution.overlap, last.execution.max_steps) == (4, "async", 5)
    assert (last.hierarchy.tiers[0].capacity, study.scenarios[0].hierarchy.tiers[0].capacity) == (
        128_000,
        64_000,
    )
    assert study.spec.kept_metrics == ("hit_rate", "tier_hit_rate.host_ram", "misses", "accesses")


def test_several_bases_are_an_axis_and_files_are_found_beside_the_study(tmp_path: Path) -> None:
    write(tmp_path, "extends: quickstart\nseed: 77\n", "near.yaml")
    text = "bases: {shipped: quickstart, own: near.yaml}\nclaims:\n"
    text += '  - {name: c, metric: misses, where: {base: own}, operator: "<", value: 6}\n'
    study = load(write(tmp_path, text))
    assert labels(study.spec) == {"base": ("shipped", "own")}
    assert [scenario.seed for scenario in study.scenarios] == [11, 77]


def test_excluded_combinations_are_left_out(tmp_path: Path) -> None:
    text = GOOD + "exclude: [{memory: small, overlap: serial}, {seed: 4, memory: [large]}]\n"
    study = load(write(tmp_path, text))
    assert [tuple(cell.coordinates.values()) for cell in study.cells] == [
        ("small", "async", "3"),
        ("small", "async", "4"),
        ("large", "serial", "3"),
        ("large", "async", "3"),
    ]


def test_an_empty_value_in_a_variant_takes_the_default(tmp_path: Path) -> None:
    text = "base: quickstart\naxes: [{name: a, variants: {b: {workload.length: , policy.prefetch: none}}}]\n"
    (scenario,) = load(write(tmp_path, text)).scenarios
    assert scenario.policy.prefetch.name == "none"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("lru", "p=lru"),
        ("64 kB", "p=64 kB"),
        (3, "p=3"),
        (0.5, "p=0.5"),
        (True, "p=True"),
        ("true", 'p="true"'),
        ("3", 'p="3"'),
        ("", 'p=""'),
        (" a", 'p=" a"'),
        ("a: b", 'p="a: b"'),
        (None, "p=null"),
        ({"name": "regret", "options": {"w": 1}}, 'p={"name": "regret", "options": {"w": 1}}'),
    ],
)
def test_values_survive_the_way_into_an_override(value: object, text: str) -> None:
    assert override_text("p", value) == text


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("base: quickstart", "bse: quickstart", "1:1: bse: unknown key; did you mean 'base'?"),
        ("base: quickstart", "base: quikstart", "1:7: base: 'quikstart' is neither a file nor a shipped"),
        ("base: quickstart", "base: gone.yaml", "1:7: base: 'gone.yaml' is neither a file"),
        ("base: quickstart", "bases: {a: quickstart}\nbase: quickstart", "2:7: base: is required, or else"),
        ("base: quickstart", "base: 3", "1:7: base: must be text"),
        ("max_steps: 5", "max_steps: 0", "2:28: set.execution.max_steps: must be 1 or more, not 0"),
        ("execution.overlap", "execution.overlaps", "unknown key; did you mean 'overlap'?"),
        ("[serial, async]", "[serial, asinc]", "8:63: axes.overlap.values.1: must be one of serial,"),
        ("[serial, async]", "[serial, serial]", "8:63: axes.overlap.values.1: 'serial' occurs twice"),
        ("[serial, async]", "[{a: 1}]", "8:55: axes.overlap.values.0: must be a single value, not a mapping"),
        ("[serial, async]", "[]", "is required with `path`"),
        ("256 kB}", "256 kB, hierarchy.tiers.x.capacity: 1 B}", "there is no 'x' in hierarchy.tiers"),
        ("small: {}", "small: {hierarchy.tiers.gpu_fast.capacity: 1 B}", "6:50: axes.memory.variants.small."),
        ("name: overlap", "name: seed", "8:12: axes.seed.name: 'seed' is a column of the results"),
        ("name: overlap", "name: memory", "'memory' names two axes"),
        ("path: execution.overlap, ", "", "8:5: axes.overlap.path: is required with `values`"),
        ("[3, 4]", "[3, 3]", "9:12: seeds.1: 3 occurs twice"),
        ("[3, 4]", "[3, -4]", "9:12: seeds.1: must be 0 or more, not -4"),
        ("[hit_rate,", "[hitrate,", "10:11: metrics.0: 'hitrate' is no figure of a run; did you mean 'hit"),
        ("[hit_rate,", "[exposed_s,", "10:11: metrics.0: 'exposed_s' has several figures"),
        ("host_ram]", "host_rom]", "'tier_hit_rate' has no 'host_rom'; did you mean 'host_ram'?"),
        ("[hit_rate,", "[bounds.max_law,", "10:11: metrics.0: 'bounds' has no 'max_law'; did you mean 'max_"),
        ("[hit_rate,", "[bounds.longest,", "10:11: metrics.0: 'bounds' has no 'longest'"),
        ("metric: accesses", "metric: acesses", "claims.two.than.metric: 'acesses' is no figure"),
        ("{overlap: serial, seed", "{overlp: serial, seed", "12:49: claims.one.where.overlp: 'overlp' is no"),
        ("seed: 3}", "seed: 5}", "claims.one.where.seed: seed has no '5' (known: 3, 4)"),
        ("each: [memory]", "each: [memry]", "'memry' is no axis of this study; did you mean 'memory'?"),
        ('"<", value: 6', '"<"', "12:5: claims.one: needs either `value` or `than`"),
        ('"<", value: 6', '"<", value: 6, than: {}', "12:5: claims.one: needs either `value` or `than`"),
        ('"<", value: 6', '"=<", value: 6', "claims.one.operator: must be one of <, <=, >, >=, ==, !="),
        ('"<", value: 6', '"<", value: six', "claims.one.value: must be a number, not 'six'"),
        ("name: two", "name: one", "'one' names two claims"),
        ("seeds: [3, 4]", "seeds: [3]\nexclude: [{seed: 3}]", "exclude: leaves no run"),
    ],
)  # fmt: skip
def test_a_problem_is_told_at_its_place(tmp_path: Path, old: str, new: str, told: str) -> None:
    found = problems(tmp_path, (old, new))
    assert any(told in problem for problem in found), found


def test_problems_of_all_parts_come_together(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        ("async]", "asinc]"),
        ("128 kB", "128"),
        ("[hit_rate,", "[hitrate,"),
        ("[memory]", "[memry]"),
    )
    assert [problem.split(":")[0] for problem in found] == ["7", "8", "10", "13"]


def test_what_only_follows_from_a_wrong_axis_is_not_told(tmp_path: Path) -> None:
    (told,) = problems(tmp_path, ("[serial, async]", "[{a: 1}]"))
    assert told.startswith("8:55: axes.overlap.values.0: must be a single value")


def test_a_combination_that_cannot_be_is_told_once_with_its_run(tmp_path: Path) -> None:
    write(
        tmp_path, "extends: quickstart\nhierarchy: {tiers: [{name: gpu_fast, capacity: 1 B}]}\n", "tight.yaml"
    )
    found = problems(tmp_path, ("base: quickstart", "base: tight.yaml"))
    (told,) = [problem for problem in found if "does not fit" in problem]
    assert "(in the run memory small, overlap serial, seed 3)" in told


def test_a_file_that_is_no_study(tmp_path: Path) -> None:
    for text, told in (
        ("", "a study is a mapping"),
        ("- 1", "a study is a mapping"),
        ("a: [", "is not YAML"),
    ):
        with pytest.raises(ScenarioError, match=told):
            load(write(tmp_path, text))
    with pytest.raises(ScenarioError, match="did you mean 'overlap_modes'"):
        load("overlap_mode")


@pytest.mark.parametrize("name", sorted(available_experiments()))
def test_every_shipped_study_is_right(name: str) -> None:
    study: Study = load(name)
    assert study.spec.name == name
    assert study.spec.description
    assert study.cells


VIEWS = """\
base: quickstart
axes:
  - {name: memory, variants: {small: {}, large: {hierarchy.tiers.gpu_fast.capacity: 128 kB}}}
  - {name: overlap, path: execution.overlap, values: [serial, async]}
  - {name: policy, path: policy.eviction, values: [lru, fifo]}
seeds: [3, 4]
claims:
  - {name: c, metric: misses, operator: ">", value: 0, question: true, note: "It, once, was."}
tables:
  - {name: one, title: One, metric: hits, rows: memory, columns: overlap, spread: true}
  - name: two
    title: Two
    metric: misses
    rows: [memory, seed]
    relative_to: {where: {overlap: serial}, metric: evictions}
    relation: rank_correlation
    over: policy
figures:
  - {name: f, title: F, kind: bars, metric: accesses, x: memory, colour: overlap, panels: policy, spread: std}
  - {name: g, title: G, kind: heat, metric: misses, x: memory, y: overlap}
  - {name: h, title: H, kind: ranks, metric: misses, x: overlap, colour: policy}
  - name: w
    title: W
    kind: waterfall
    metric: discards
    x: memory
    also: [steps, bounds.max_law_s]
    more_is_better: steps
    reference: {where: {memory: small}, metric: idle_s}
  - {name: p, title: P, kind: pareto, metric: hits, against: makespan_s, x: policy, more_is_better: hits}
"""


def test_tables_and_figures_are_data_and_their_metrics_are_kept(tmp_path: Path) -> None:
    spec = load(write(tmp_path, VIEWS.replace("seeds:", "metrics: [hit_rate]\nseeds:"))).spec
    assert [table.rows for table in spec.tables] == [("memory",), ("memory", "seed")]
    assert spec.figures[0].axes == {"panels": "policy", "colour": "overlap", "x": "memory"}
    assert (spec.claims[0].question, spec.claims[0].note) == (True, "It, once, was.")
    assert spec.figures[3].also == ("steps", "bounds.max_law_s")
    assert [part.metric for part in spec.figures[3].parts] == ["discards", "steps", "bounds.max_law_s"]
    assert [part.metric for part in spec.figures[4].parts] == ["hits", "makespan_s"]
    assert spec.kept_metrics == (
        *("hit_rate", "misses", "hits", "evictions", "accesses"),
        *("discards", "steps", "bounds.max_law_s", "idle_s", "makespan_s"),
    )


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("    over: policy\n", "", "11:5: tables.two.over: is required with rank_correlation"),
        ("over: policy", "over: memory", "14:12: tables.two.rows.0: this axis is the one that rank_corr"),
        ("over: policy", "over: seed", "14:20: tables.two.rows.1: this axis is the one that rank_correl"),
        ("over: policy", "over: polcy", "17:11: tables.two.over: 'polcy' is no axis of this study; did y"),
        ("{where: {overlap: serial}, met", "{previous: memry, met", "relative_to.previous: 'memry' is no ax"),
        ("kind: bars", "scale: log, kind: bars", "figures.f.scale: is for the kinds lines and pareto only"),
        ("    relation: rank_correlation\n", "", "16:11: tables.two.over: is for the relation rank_corre"),
        ("{where: {overlap: serial}, met", "{where: {policy: lru}, met", "15:35: tables.two.relative_to.whe"),
        ("    relative_to: {where: {overlap: serial}, metric: evictions}\n", "", "11:5: tables.two.relat"),
        ("    rows: [m", "    where: {policy: lru}\n    rows: [m", "there must be two or more values of"),
        ("rows: memory, col", "rows: overlap, col", "10:67: tables.one.columns: 'overlap' is used twice"),
        ("rows: memory, ", "", "10:5: tables.one.rows: is required"),
        ("rows: memory,", "rows: [],", "tables.one.rows: must have 1 or more elements, not 0"),
        ("rows: [memory, seed]", "rows: [memory, sed]", "14:20: tables.two.rows.1: 'sed' is no axis of"),
        ("spread: true", "aggregate: max, spread: true", "tables.one.spread: is for plain means only"),
        ("spread: std}", "spread: std, relative_to: {}}", "figures.f.spread: is for plain means only"),
        ("metric: hits", "metric: hit", "10:37: tables.one.metric: 'hit' is no figure of a run"),
        ("metric: evictions", "metric: evictons", "tables.two.relative_to.metric: 'evictons' is no figure"),
        ("name: f,", "name: a/b,", "19:12: figures.a/b.name: 'a/b' becomes the name of a file"),
        ("name: g,", "name: F,", "20:12: figures.F.name: 'F' names two figures"),
        ("name: two", "name: one", "11:11: tables.1.name: 'one' names two tables"),
        ("title: G,", "", "20:5: figures.g.title: is required"),
        ("kind: bars", "kind: bar", "19:31: figures.f.kind: must be one of bars, lines, heat, ranks"),
        (", y: overlap", "", "20:5: figures.g.y: is required with kind heat"),
        (", y: overlap", ", y: overlap, colour: policy", "figures.g.colour: means nothing with kind heat"),
        (", y: overlap", ", y: overlap, spread: std", "figures.g.spread: means nothing with kind heat"),
        (", colour: policy}", "}", "21:5: figures.h.colour: is required with kind ranks"),
        (", colour: policy}", ", colour: policy, y: memory}", "figures.h.y: means nothing with kind ranks"),
        ("panels: policy", "panels: overlap", "figures.f.colour: 'overlap' is used twice"),
        ("    x: memory", "    x: memory\n    colour: policy", "figures.w.colour: means nothing with kind"),
        ("    x: memory", "    x: memory\n    y: policy", "27:8: figures.w.y: means nothing with kind"),
        ("    x: memory", "    x: memory\n    spread: std", "figures.w.spread: means nothing with kind wat"),
        ("also: [steps,", "also: [stps,", "27:12: figures.w.also.0: 'stps' is no figure of a run; did"),
        ("also: [steps,", "also: [discards,", "27:12: figures.w.also.0: 'discards' is named twice"),
        ("better: steps", "better: hits", "figures.w.more_is_better.0: 'hits' is none of the figure"),
        ("metric: idle_s}", "metric: idle}", "figures.w.reference.metric: 'idle' is no figure of a run"),
        ("{memory: small}, m", "{memory: smal}, m", "figures.w.reference.where.memory: memory has no 'sm"),
        ("{memory: small}, m", "{seed: 3}, m", "figures.w.reference: must name one value of memory in its"),
        ("{memory: small}, m", '{memory: "*"}, m', "figures.w.reference: must name one value of memory in"),
        ("spread: std}", "also: hits}", "19:105: figures.f.also: is for kind waterfall only"),
        ("spread: std}", "reference: {}}", "figures.f.reference: is for kind waterfall only"),
        ("kind: bars", "kind: tornado, y: seed", "figures.f.colour: means nothing with kind tornado"),
        ("kind: bars", "kind: tornado", "figures.f.relative_to: is required with kind tornado"),
        ("kind: bars", "kind: tornado", "19:5: figures.f.y: is required with kind tornado"),
        ("spread: std}", "more_is_better: hits}", "is for the kinds waterfall, tornado, pareto only"),
        (" against: makespan_s,", "", "30:5: figures.p.against: is required with kind pareto"),
        ("against: makespan_s", "against: makespan", "30:62: figures.p.against: 'makespan' is no figure of"),
        ("against: makespan_s", "against: hits", "30:62: figures.p.against: must be another metric than `m"),
        ("kind: bars", "kind: bars, against: hits", "figures.f.against: is for kind pareto only"),
        ("better: hits", "better: misses", "more_is_better.0: 'misses' is none of the figure's: hits, makes"),
        ("better: hits", "better: hits, y: memory", "figures.p.y: means nothing with kind pareto"),
        ("better: hits", "better: hits, spread: std", "figures.p.spread: means nothing with kind pareto"),
        ("better: hits", "better: hits, also: misses", "figures.p.also: is for kind waterfall only"),
        ("better: hits", "better: hits, colour: policy", "figures.p.x: 'policy' is used twice"),
        ("better: hits", "better: hits, reach: {along: seed, at_most: 1}", "reach: means nothing with"),
        ("question: true", "question: maybe", "claims.c.question: must be true or"),
    ],
)  # fmt: skip
def test_a_problem_of_a_view_is_told_at_its_place(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert old in VIEWS
    path = write(tmp_path, VIEWS.replace(old, new, 1))
    with pytest.raises(ScenarioError) as raised:
        load(path)
    found = [str(problem).removeprefix(f"{path}:") for problem in raised.value.problems]
    assert any(told in problem for problem in found), found


def test_a_part_of_a_study_has_the_runs_asked_for_and_no_others(tmp_path: Path) -> None:
    """Of two memories, two modes and two seeds, numbered in this order, large in both modes with seed 4."""
    study = load(write(tmp_path, GOOD))
    part = study.part({"memory": ("large",), "seed": ("4",)})
    assert part.scenarios == (study.scenarios[5], study.scenarios[7])
    assert [cell.index for cell in part.cells] == [0, 1]
    assert [cell.coordinates for cell in part.cells] == [study.cells[n].coordinates for n in (5, 7)]
    assert labels(part.spec) == {"memory": ("large",), "overlap": ("serial", "async"), "seed": ("4",)}
    assert study.part({}) == study


@pytest.mark.parametrize(
    ("wanted", "told"),
    [({"memry": ("large",)}, "no axis 'memry'"), ({"seed": ("5",)}, "seed has no '5'")],
)
def test_what_a_study_has_not_cannot_be_a_part_of_it(
    tmp_path: Path, wanted: dict[str, tuple[str, ...]], told: str
) -> None:
    study = load(write(tmp_path, GOOD))
    with pytest.raises(KvsimError, match=told):
        study.part(wanted)
