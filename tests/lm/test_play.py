"""A scenario in which a language model answers: its time and its answers come of the same decisions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kvsim.analysis.metrics import summarise
from kvsim.errors import ScenarioError
from kvsim.lm import samples
from kvsim.lm.answers import ANSWER_FIGURES, answers_of
from kvsim.lm.play import play
from kvsim.lm.weights import LmShape, random_weights
from kvsim.scenario.compute import ComputeModel
from kvsim.scenario.geometry import page_bytes
from kvsim.scenario.loader import loads
from kvsim.scenario.scenario import Scenario
from kvsim.sim.engine import simulate
from kvsim.units import TICKS_PER_SECOND

SHAPE = LmShape(64, 3, 4, 2, 32, 96)
TEXT = """\
name: mine
hierarchy: {tiers: [{name: hbm, capacity: 100 pages}]}
workload:
  kind: language_model
  lm: LM
  context_tokens: 160
  decode_tokens: 16
  chunk_tokens: 32
  samples: 4
execution: {overlap: demand, compute_time: 1 us}
"""


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lm")
    names = {name: getattr(SHAPE, name) for name in SHAPE.__dataclass_fields__}
    told = names | {"model_type": "llama", "tie_word_embeddings": True, "torch_dtype": "float16"}
    (folder / "config.json").write_text(json.dumps(told))
    tensors: dict[str, Any] = {k: v.astype(np.float16) for k, v in random_weights(SHAPE).tensors.items()}
    np.savez_compressed(folder / "weights.npz", **tensors)
    return folder


def scenario(lm: Path, *overrides: str) -> Scenario:
    """Samples of 160 tokens: ten pages in each of three layers."""
    return loads(TEXT.replace("LM", str(lm)), overrides)


def held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "held_out_text", lambda: bytes(range(32, 127)) * 40)


@pytest.fixture(autouse=True)
def _text(monkeypatch: pytest.MonkeyPatch) -> None:
    held_out(monkeypatch)


LOSSY = ("policy.lossy=true", "policy.eviction=streaming", "hierarchy.tiers.hbm.capacity=15 pages")


def test_the_simulator_loses_what_the_model_has_lost(lm: Path) -> None:
    """Half of the pages fit. Reads of the others are lost, as the model's own page table says."""
    asked = scenario(lm, *LOSSY)
    missed = sum(int((~read.read[0]).sum()) for read in play(asked).reads)
    result = simulate(asked)
    assert result.lost == missed > 0
    assert result.tiers[0].discards == 30 - 15, "of ten pages in three layers"


def test_steps_are_chunks_and_then_tokens_and_only_those_are_timed(lm: Path) -> None:
    """144 tokens of prompt in chunks of 32 are five, then come 16 tokens; a layer takes 1 us."""
    result = simulate(scenario(lm))
    assert result.steps == 5 + 16
    assert summarise(result).step_latency_s["max"] == 3e-6
    timed = scenario(
        lm, "execution.compute_time=null", "model=llama-3.1-8b", "gpu=h100-sxm", "workload.token_scale=64"
    )
    summary = summarise(simulate(timed))
    whole = ComputeModel(timed).step_ticks(1, 160 * 64)
    assert summary.step_latency_s["max"] == sum(whole) / TICKS_PER_SECOND, "the last token sees all"


def test_pages_are_an_even_share_of_the_model_they_stand_for(lm: Path) -> None:
    """Llama-3.1-8B has 131,072 bytes of KV a token. 16 tokens stand for 64 each, in three layers' pages."""
    asked = scenario(lm, "model=llama-3.1-8b", "workload.token_scale=64")
    size = page_bytes(asked, 0)
    assert size is not None
    assert 0 <= 3 * size - 16 * 64 * 131_072 < 3 * 2
    own = page_bytes(scenario(lm), 0)
    assert own == 16 * 2 * 2 * 32 * 2, "tokens, keys and values, heads, channels, bytes"


def test_a_cache_that_has_room_for_all_answers_like_a_full_one(lm: Path) -> None:
    found = answers_of(scenario(lm, "policy.lossy=true", "policy.eviction=h2o"))
    assert (found.perplexity_ratio.value, found.same_top.value, found.mass_kept.value) == (1, 1, 1)
    assert (found.divergence.value, found.output_error.value) == (0, 0)
    assert set(found.to_dict()) == set(ANSWER_FIGURES)


def test_what_is_evicted_is_lacking_in_the_answers(lm: Path) -> None:
    found = answers_of(scenario(lm, *LOSSY, "workload.task=text"))
    assert found.divergence.low > 0
    assert 0 < found.mass_kept.high < 1
    assert found.output_error.low > 0
    assert found.correct.count == 4 * 16


def test_fewer_bits_are_farther_from_the_full_cache(lm: Path) -> None:
    far = [answers_of(scenario(lm, f"scheme=int{bits}")).divergence.value for bits in (8, 4, 2)]
    assert 0 < far[0] < far[1] < far[2]


def test_newest_tokens_and_sinks_can_be_left_exact(lm: Path) -> None:
    """All tokens are among the newest 160; so nothing is ever quantised."""
    found = answers_of(scenario(lm, "scheme=int2", "workload.exact_recent=160"))
    assert found.divergence.value == 0


def test_full_rank_is_exact_and_less_is_less(lm: Path) -> None:
    """A page of 16 tokens has 16 directions. Its factors of rank 4 are 4 (16 + 32) of 16 x 32 scalars."""
    near, far = (answers_of(scenario(lm, f"workload.low_rank={rank}")).divergence.value for rank in (8, 2))
    assert 0 < near < far
    assert page_bytes(scenario(lm, "workload.low_rank=4"), 0) == 4 * (16 + 32) * 2 * 2 * 2


def test_joined_tokens_and_shared_layers_take_fewer_bytes_and_are_missed(lm: Path) -> None:
    """16 tokens single, 16 pairs at most, the rest of 160 in fours; and of three layers two keep theirs."""
    joined = scenario(lm, "workload.merge_tokens=4", "workload.exact_recent=16")
    assert answers_of(joined).divergence.low > 0
    assert simulate(joined).tiers[0].peak_bytes < 0.5 * simulate(scenario(lm)).tiers[0].peak_bytes
    shared = scenario(lm, "workload.share_layers=2")
    assert answers_of(shared).divergence.low > 0
    assert simulate(shared).tiers[0].peak_bytes * 3 == simulate(scenario(lm)).tiers[0].peak_bytes * 2


def test_selected_pages_are_read_and_the_others_are_not(lm: Path) -> None:
    """Two query heads each of two KV heads: at most eight of ten pages, and the one written to."""
    asked = scenario(lm, "workload.select_pages=2")
    last = play(asked).reads[-3:]
    assert all(2 < read.read[0].sum() <= 9 for read in last)
    assert answers_of(asked).mass_kept.high < 1


@pytest.mark.parametrize("task", ["recall", "multi_hop", "copy"])
def test_answers_are_among_the_decoded_tokens(lm: Path, task: str) -> None:
    asked = scenario(lm, f"workload.task={task}", "workload.context_tokens=256", "workload.decode_tokens=24")
    spans = play(asked).samples.spans
    assert spans[:, 0].tolist() == [0, 1, 2, 3]
    assert (spans[:, 1] >= 256 - 24).all()
    assert (spans[:, 2] <= 256).all()


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (("workload.lm=bass",), "workload.lm: no language model 'bass'"),
        (("workload.decode_tokens=160",), "workload.decode_tokens: must be less than `context_tokens`, 160"),
        (("workload.decode_tokens=4",), "workload.decode_tokens: must be 8 or more: the question of recall"),
        (("workload.task=text", "workload.depth=0.5"), "workload.depth: text is asked for as it comes"),
        (("workload.merge_tokens=6",), "workload.merge_tokens: must be a power of two"),
        (("workload.merge_tokens=8",), "workload.merge_tokens: needs `exact_recent`"),
        (("workload.head_groups=3",), "workload.head_groups: 2 KV heads cannot be split into 3"),
        (("scheme={name: odd, bits: 5}",), "scheme: a language model keeps its cache in one of fp16, fp8"),
        (("policy.lossy=true", "execution.overlap=async"), "execution.overlap: must be demand or serial or"),
        (("policy.lossy=true", "workload.select_pages=4"), "workload.select_pages: pages are selected or"),
    ],
)
def test_a_problem_is_told_at_its_field(lm: Path, overrides: tuple[str, ...], told: str) -> None:
    with pytest.raises(ScenarioError) as raised:
        scenario(lm, *overrides)
    assert any(told in str(problem) for problem in raised.value.problems), raised.value.problems
