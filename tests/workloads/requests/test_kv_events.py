"""Recorded KV-cache events: both encodings, what is refused, and what they sum up to."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest

from kvsim.analysis.kv_events import sum_up
from kvsim.errors import KvsimError, TraceError
from kvsim.workloads.requests.kv_events import KvEvent, read_kv_events, stored_pages

Invoke = Callable[..., Any]


def as_map(name: str, **fields: Any) -> dict[str, Any]:
    return {"type": name, **fields}


OLD = [
    [10.0, [["BlockStored", [77, 78], None, [1, 2, 3], 16, None]]],
    [10.5, [["BlockRemoved", [77]], ["AllBlocksCleared"]], None],
]
"""Arrays without a medium and without a rank, the hashes numbers."""
NEW = [
    [
        20,
        [
            as_map(
                "BlockStored",
                block_hashes=[b"x" * 32, b"y" * 32],
                parent_block_hash=b"p",
                token_ids=[5],
                block_size=32,
                lora_id=None,
                medium="CPU",
                lora_name=None,
                extra_keys=None,
            ),
            as_map("BlockRemoved", block_hashes=[b"y" * 32], medium="CPU"),
            as_map("AllBlocksCleared"),
        ],
        3,
    ]
]
"""Maps, of which fields with their default may be missing and others may come."""


def recorded(folder: Path, *batches: Any, pack: Callable[[bytes], bytes] = bytes) -> Path:
    path = folder / "events"
    path.write_bytes(pack(b"".join(map(msgpack.packb, batches))))
    return path


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_arrays_and_maps_mean_the_same(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    assert list(read_kv_events(recorded(tmp_path, *OLD, *NEW, pack=pack))) == [
        KvEvent(1, 10.0, "stored", 0, "GPU", (0, 1), None, 16),
        KvEvent(2, 10.5, "removed", 0, "GPU", (0,)),
        KvEvent(2, 10.5, "cleared", 0),
        KvEvent(3, 20.0, "stored", 3, "CPU", (2, 3), 4, 32),
        KvEvent(3, 20.0, "removed", 3, "CPU", (3,)),
        KvEvent(3, 20.0, "cleared", 3),
    ]


STORED: dict[str, Any] = {"block_hashes": [1], "parent_block_hash": None, "token_ids": [], "block_size": 16}
NAMES = "BlockStored, BlockRemoved, AllBlocksCleared"


def stored(**changes: Any) -> list[Any]:
    fields = {**STORED, **changes}
    return [1.0, [as_map("BlockStored", **{key: each for key, each in fields.items() if each is not ...})]]


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        (7, "must be an array of a time, events and perhaps a rank"),
        ([1.0], "must be an array of a time, events and perhaps a rank"),
        (["now", []], "ts: must be a number of seconds, not 'now'"),
        ([-1.0, []], "ts: must be a number of seconds, not -1.0"),
        ([float("nan"), []], "ts: must be a number of seconds, not nan"),
        ([0.5, []], "ts: 0.5 comes after 1.0 of the same rank"),
        ([1.0, [], "a"], "dp_rank: must be a whole number from 0, not 'a'"),
        ([1.0, {}], "events: must be an array, not {}"),
        ([1.0, [[]]], f"events[0]: must be one of {NAMES}, not None"),
        ([1.0, [["BlockStored", [1], None, [], 16], "x"]], f"events[1]: must be one of {NAMES}, not None"),
        ([1.0, [{"type": "BlockLost"}]], f"events[0]: must be one of {NAMES}, not 'BlockLost'"),
        (stored(block_hashes=...), "events[0].block_hashes: must be an array, not None"),
        (
            stored(block_hashes=[1, "2"]),
            "events[0].block_hashes[1]: must be a hash, a whole number or bytes, not '2'",
        ),
        (
            stored(parent_block_hash=1.5),
            "events[0].parent_block_hash: must be a hash, a whole number or bytes, not 1.5",
        ),
        (stored(block_size=-16), "events[0].block_size: must be a whole number from 0, not -16"),
        (stored(block_size=...), "events[0].block_size: must be a whole number from 0, not None"),
        (stored(medium=4), "events[0].medium: must be a text, not 4"),
    ],
)
def test_a_bad_batch_is_refused_with_its_number_and_field(tmp_path: Path, batch: Any, said: str) -> None:
    path = recorded(tmp_path, stored(), batch)
    with pytest.raises(TraceError) as caught:
        list(read_kv_events(path))
    assert str(caught.value) == f"{path}:2: {said}"


def test_a_rank_has_a_clock_of_its_own(tmp_path: Path) -> None:
    path = recorded(tmp_path, [5.0, [], 0], [4.0, [["AllBlocksCleared"]], 1])
    assert [event.rank for event in read_kv_events(path)] == [1]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: data[:-3], ":2: ends within a batch, after {} bytes of it"),
        (lambda data: data + b"\xc1", ":3: is not msgpack: FormatError"),
        (lambda data: b"", ": is empty: there is no batch of events in it"),
        (lambda data: gzip.compress(data)[:-8], ": the compressed file is cut short"),
    ],
)
def test_a_damaged_recording_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes], said: str) -> None:
    batch = msgpack.packb(stored())
    path = tmp_path / "events"
    path.write_bytes(damage(batch * 2))
    with pytest.raises(TraceError) as caught:
        list(read_kv_events(path))
    assert str(caught.value) == f"{path}{said.format(len(batch) - 3)}"


def test_a_missing_file_and_a_directory_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="No such file"):
        list(read_kv_events(tmp_path / "missing"))
    with pytest.raises(TraceError, match="Is a directory"):
        list(read_kv_events(tmp_path))


def test_without_msgpack_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "msgpack", None)
    with pytest.raises(KvsimError) as caught:
        list(read_kv_events(recorded(tmp_path, stored())))
    assert str(caught.value) == "events need the package msgpack: pip install 'kvsim[events]'"


def story() -> list[KvEvent]:
    """Blocks 1 to 3 come to the GPU of rank 0 and leave it, 1 its CPU; 1 is in the GPU of rank 1 too."""
    return [
        KvEvent(1, 0.0, "stored", blocks=(1, 2), block_tokens=16),
        KvEvent(2, 1.0, "stored", rank=1, blocks=(1,), block_tokens=16),
        KvEvent(3, 2.0, "stored", medium="CPU", blocks=(1,), block_tokens=16),
        KvEvent(4, 3.0, "removed", blocks=(1, 9)),
        KvEvent(5, 4.0, "stored", blocks=(1, 2, 3), block_tokens=16),
        KvEvent(6, 6.0, "cleared"),
        KvEvent(7, 7.0, "stored", blocks=(3,), block_tokens=16),
    ]


def test_each_memory_is_summed_up() -> None:
    media = sum_up(story())
    gpu, cpu = media["GPU"], media["CPU"]
    assert list(media) == ["GPU", "CPU"]
    assert (gpu.stored, gpu.stored_twice, gpu.stored_again) == (7, 1, 2)  # 2 was there; 1 and 3 came back
    assert (gpu.removed, gpu.removed_absent, gpu.cleared) == (2, 1, 3)
    assert (gpu.most_resident, gpu.resident) == (4, 2)  # 1, 2, 3 and rank 1's 1; then 3 and rank 1's
    # 1 for 3 s and again for 2 s, 2 for 6 s, 3 for 2 s
    assert sorted(gpu.lifetimes_s) == [2, 2, 3, 6]
    assert [gpu.lifetime_s(percent) for percent in (50, 90)] == [2, 6]
    assert (cpu.stored, cpu.cleared, cpu.resident, cpu.lifetimes_s) == (1, 1, 0, [4])
    assert sum_up(story()[:3])["GPU"].lifetime_s(50) is None


def test_what_is_stored_is_a_page_trace() -> None:
    rows = list(stored_pages(iter(story())))
    assert [(row.step, row.page) for row in rows] == [
        (0, 1), (0, 2), (1, 1), (2, 1), (3, 1), (3, 2), (3, 3), (4, 3)
    ]  # fmt: skip
    assert {row.tokens for row in rows} == {16}


def test_the_command_prints_a_column_a_memory_and_writes_the_stores(invoke: Invoke, tmp_path: Path) -> None:
    out = tmp_path / "stores.oracleGeneral"
    outcome = invoke("trace", "events", recorded(tmp_path, *OLD, *NEW), "--out", out)
    assert (outcome.code, outcome.err) == (0, f"wrote {out}: 4 rows\n")
    lines = [line.split() for line in outcome.out.splitlines()]
    assert lines[0] == ["GPU", "CPU"]
    assert lines[1] == ["blocks", "stored", "2", "2"]
    assert ["lifetime", "p50", "0.500", "s", "0.000", "s"] in lines
    assert out.stat().st_size == 4 * 24
