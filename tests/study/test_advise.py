"""Advice on a cache: from measured rows that a test can read, and times that follow from bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvsim.errors import KvsimError
from kvsim.scenario.references import catalog
from kvsim.study.advise import USES, Need, advise

HEAD = "lm,task,context,strategy,budget,answers.correct,answers.perplexity,error\n"
ROWS = {  # right answers: recall, recall_late, multi_hop, copy; perplexity of text
    ("full", "1"): (1.0, 1.0, 0.9, 1.0, 4.0),
    ("h2o", "0.125"): (0.4, 1.0, 0.2, 0.5, 4.06),
    ("int4", "1"): (0.99, 1.0, 0.9, 1.0, 4.0),
    ("int2", "1"): (0.7, 0.8, 0.5, 0.6, 4.2),
    ("quest_16", "1"): (1.0, 1.0, 0.88, 1.0, 4.02),
}
TASKS = ("recall", "recall_late", "multi_hop", "copy", "text")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    lines = []
    for (strategy, budget), values in ROWS.items():
        for task, value in zip(TASKS, values, strict=True):
            figures = f",{value}" if task == "text" else f"{value},"
            lines.append(f"base,{task},1024,{strategy},{budget},{figures},\n")
            lines.append(f"base,{task},512,{strategy},{budget},{figures.replace(str(value), '9')},\n")
    path = tmp_path / "results.csv"
    path.write_text(HEAD + "".join(lines))
    return path


def test_only_what_loses_no_more_than_allowed_is_advised(results: Path) -> None:
    """Documents are searched: h2o finds 40 % of what the full cache does, int2 70 and 5/9; int4 loses 1 %,
    quest 2.2 % of the chains."""
    advice = advise(Need("documents", "h100-sxm", "llama-3.1-8b", 131_072, loss=0.02), results)
    assert {option.strategy for option in advice.options} == {"full", "int4"}
    assert [(option.strategy, round(option.loss, 3)) for option in advice.too_lossy] == [
        ("quest_16", round(1 - 0.88 / 0.9, 3)),
        ("int2", round(1 - 0.5 / 0.9, 3)),
        ("h2o", round(1 - 0.2 / 0.9, 3)),
    ]


def test_the_fastest_is_first_and_fewer_bytes_are_faster(results: Path) -> None:
    """17.2 GB of KV in fp16 and 4.3 in int4 are read once a token, at 3350 GB/s."""
    first, second = advise(Need("documents", "h100-sxm", "llama-3.1-8b", 131_072), results).options
    assert (first.strategy, second.strategy) == ("int4", "full")
    assert (first.kv_bytes, second.kv_bytes) == (131_072 * 131_072 // 4, 131_072 * 131_072)
    least = (131_072**2 * 3 // 4) / 3.35e12
    assert second.token_time_s - first.token_time_s > 0.99 * least


def test_a_dialogue_may_forget_what_documents_may_not(results: Path) -> None:
    """The perplexity of text grows by 1.5 %, what was said last is found, and an eighth is less than int4."""
    advice = advise(Need("dialogue", "t4", "llama-3.2-1b", 65_536), results)
    assert advice.options[0].strategy == "h2o"
    assert advice.options[0].budget == 0.125
    assert {row.task for row in advice.options[0].evidence} == set(USES["dialogue"])


def test_no_loss_leaves_what_lost_nothing_and_says_whether_it_fits(results: Path) -> None:
    """An L4 has 21.6 GB for 16.1 GB of weights and the cache: 131,072 bytes a token, so 42,000 of them."""
    advice = advise(Need("documents", "l4", "llama-3.1-8b", 64_000, loss=0.0), results)
    assert [option.strategy for option in advice.options] == ["full"]
    assert not advice.options[0].in_hbm
    assert advise(Need("documents", "l4", "llama-3.1-8b", 32_000, loss=0.0), results).options[0].in_hbm


def test_each_choice_rests_on_the_rows_of_the_longest_context(results: Path) -> None:
    advice = advise(Need("copying", "l4", "llama-3.1-8b", 8192, loss=1.0), results)
    rows = {
        option.strategy: {row.task: (row.full, row.measured) for row in option.evidence}
        for option in advice.options
    }
    assert rows["int2"] == {"copy": (1.0, 0.6), "text": (4.0, 4.2)}
    assert all(row.context_tokens == 1024 for option in advice.options for row in option.evidence)


def test_what_was_measured_in_some_of_the_tasks_alone_is_not_advised(results: Path) -> None:
    """A longer context with one of the two tasks says nothing of the other, nor does a row of a strategy."""
    with results.open("a") as file:
        file.write("base,recall,1536,full,1,1.0,,\nbase,recall,1024,fp8,1,1.0,,\n")
    advice = advise(Need("documents", "h100-sxm", "llama-3.1-8b", 131_072, loss=1.0), results)
    assert {row.context_tokens for option in advice.options for row in option.evidence} == {1024}
    assert {option.strategy for option in advice.options} <= {strategy for strategy, _ in ROWS}


def test_what_another_betters_is_not_advised(results: Path) -> None:
    """Two bits scaled in another way take the same, and lose more. A half in four bits is all of the tokens,
    like int4, which is simpler. q4_0 has 4.5 bits and loses more than int4; fp8 is larger, but loses less."""
    found = {
        "channel_int2,1": (0.1, 0.5),
        "h2o_int4,0.5": (0.99, 0.9),
        "q4_0,1": (0.9, 0.9),
        "fp8,1": (1, 0.9),
    }
    with results.open("a") as file:
        for option, values in found.items():
            for task, value in zip(("recall", "multi_hop"), values, strict=True):
                file.write(f"base,{task},1024,{option},{value},,\n")
    advice = advise(Need("documents", "h100-sxm", "llama-3.1-8b", 131_072, loss=0.5), results)
    assert [option.strategy for option in advice.options] == ["int2", "int4", "fp8", "full"]


def test_tokens_that_are_kept_as_they_are_take_their_bytes(results: Path) -> None:
    """36 of 1,024 tokens in 16 bits, the others in 2: 2 + 14 * 36 / 1024 bits a scalar."""
    with results.open("a") as file:
        for task in ("recall", "multi_hop"):
            file.write(f"base,{task},1024,int2_exact,1,0.9,,\n")
    need = Need("documents", "h100-sxm", "llama-3.1-8b", 131_072, loss=1.0)
    found = {option.strategy: option for option in advise(need, results).options}
    plain, exact = found["int2"], found["int2_exact"]
    assert exact.kv_bytes / plain.kv_bytes == pytest.approx(1 + 7 * 36 / 1024, rel=1e-5)
    assert exact.token_time_s > plain.token_time_s


@pytest.mark.parametrize("gpu", sorted(catalog("gpus")))
def test_every_gpu_of_the_catalog_can_be_asked_about(results: Path, gpu: str) -> None:
    assert advise(Need("dialogue", gpu, "llama-3.2-1b", 4096), results).options


@pytest.mark.parametrize(
    ("need", "told"),
    [
        (Need("dialog", "t4", "llama-3.2-1b", 4096), "unknown use 'dialog'; did you mean 'dialogue'"),
        (Need("dialogue", "t5", "llama-3.2-1b", 4096), "t5"),
        (
            Need("dialogue", "t4", "llama-3.1-8b", 4096),
            r"weights of llama-3.1-8b take 16.1 GB in fp16; t4 has 14.4",
        ),
    ],
)
def test_what_cannot_be_asked_is_told(results: Path, need: Need, told: str) -> None:
    with pytest.raises(KvsimError, match=told):
        advise(need, results)
