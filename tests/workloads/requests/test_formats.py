"""Every format of requests: what its sample means, however the file is packed, and how it is told."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from workloads.requests.samples import SAMPLES, Sample, plain

from kvsim.errors import RegistryError, TraceError
from kvsim.scenario.requests import BLOCK_TOKENS, RequestTrace
from kvsim.workloads.requests.formats import FORMATS, TraceReader, format_of
from kvsim.workloads.requests.lines import OnError

PUBLISHED = Path(__file__).parents[4] / "shared" / "traces" / "mooncake_synthetic.jsonl"
EVERY = pytest.mark.parametrize("name", FORMATS)
BOM = b"\xef\xbb\xbf"


def written(folder: Path, content: bytes) -> Path:
    path = folder / "trace"
    path.write_bytes(content)
    return path


def test_every_format_has_a_sample_a_block_size_and_a_place_in_the_scenario() -> None:
    in_scenario = get_args(RequestTrace.model_fields["format"].annotation)
    assert set(FORMATS) == set(SAMPLES) == set(BLOCK_TOKENS) == set(in_scenario) - {"auto"}


PACKINGS: dict[str, Callable[[str], bytes]] = {
    "plain": str.encode,
    "gzip": lambda text: gzip.compress(text.encode()),
    "two gzip members": lambda text: gzip.compress(text.encode()[:30]) + gzip.compress(text.encode()[30:]),
    "CRLF": lambda text: text.replace("\n", "\r\n").encode(),
    "BOM": lambda text: BOM + text.encode(),
    "blank lines": lambda text: b"\n  \n" + text.replace("\n", "\n\n").encode(),
    "no last line break": lambda text: text.rstrip("\n").encode(),
}


@EVERY
@pytest.mark.parametrize("on_error", ["strict", "skip"])
@pytest.mark.parametrize("packed", PACKINGS.values(), ids=PACKINGS)
def test_a_sample_means_its_requests_however_it_is_packed(
    tmp_path: Path, name: str, on_error: OnError, packed: Callable[[str], bytes]
) -> None:
    sample = SAMPLES[name]
    reader = TraceReader(written(tmp_path, packed(sample.text)), on_error=on_error)
    assert (reader.format.name, reader.block_tokens) == (name, BLOCK_TOKENS[name])
    for _ in range(2):  # each reading begins anew
        found = list(reader.requests())
        assert [plain(each) for each in found] == [plain(each) for each in sample.requests]
        assert dict(reader.left_out) == dict(sample.left_out)


@EVERY
def test_a_format_can_be_named(tmp_path: Path, name: str) -> None:
    sample: Sample = SAMPLES[name]
    reader = TraceReader(written(tmp_path, sample.text.encode()), format=name)
    assert len(list(reader.requests())) == len(sample.requests)


def test_what_is_no_trace_of_requests_is_told_apart(tmp_path: Path) -> None:
    for text in ("step,page\n0,1\n", '{"step": 0, "page": 1}\n', "[1]\n", '"\n', "\x00\x01", ""):
        assert format_of(written(tmp_path, text.encode())) is None
    path = written(tmp_path, b"step,page\n")
    with pytest.raises(TraceError) as caught:
        TraceReader(path)
    known = "bailian, mooncake, llmservingsim, azure, burstgpt, csv"
    assert str(caught.value) == f"{path}: its first line tells no format (known: {known}); say which"
    with pytest.raises(RegistryError, match="unknown format of requests 'monocake'; did you mean 'mooncake'"):
        TraceReader(path, format="monocake")


def test_blocks_of_another_size_are_counted_so(tmp_path: Path) -> None:
    text = b'{"timestamp": 0, "input_length": 33, "output_length": 1, "hash_ids": [1, 2, 3]}'
    [request] = TraceReader(written(tmp_path, text), block_tokens=16).requests()
    assert request.blocks == [1, 2, 3]


@pytest.mark.parametrize(
    "text",
    [
        "arrival_s,input_tokens,output_tokens,blocks\n0,33,1,ff 12 a0\n1,17,1,12;b1\n",
        '{"timestamp": 0, "input_length": 33, "output_length": 1, "hash_ids": ["ff", "12", "a0"]}\n'
        '{"timestamp": 0, "input_length": 17, "output_length": 1, "hash_ids": ["12", "b1"]}\n',
    ],
)
def test_hashes_as_texts_are_numbered_as_they_appear(tmp_path: Path, text: str) -> None:
    reader = TraceReader(written(tmp_path, text.encode()), block_tokens=16)
    assert [list(request.blocks) for request in reader.requests()] == [[0, 1, 2], [1, 3]]


def test_open_loop_traces_are_read_as_they_come(tmp_path: Path) -> None:
    sound = SAMPLES["mooncake"].lines[0]
    requests = TraceReader(written(tmp_path, f"{sound}\n{{".encode())).requests()
    assert next(requests).input_tokens == 1000
    with pytest.raises(TraceError, match="trace:2:2: is not JSON"):
        next(requests)


@pytest.mark.parametrize("name", ["mooncake", "azure", "burstgpt", "csv", "llmservingsim"])
def test_a_long_open_loop_trace_is_read_in_constant_memory(tmp_path: Path, name: str) -> None:
    header = SAMPLES[name].lines[: SAMPLES[name].header]
    row = SAMPLES[name].lines[SAMPLES[name].header]

    def peak(rows: int) -> int:
        reader = TraceReader(written(tmp_path, "\n".join([*header, *[row] * rows]).encode()), name)
        tracemalloc.start()
        assert sum(1 for _ in reader.requests()) == rows
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(10)  # what is loaded once
    assert peak(4000) < peak(1000) + 100_000  # 3,000 rows more: less than 34 bytes each


@pytest.mark.skipif(not PUBLISHED.exists(), reason="needs ../shared/traces/mooncake_synthetic.jsonl")
def test_the_published_trace_has_the_published_figures() -> None:
    requests = list(TraceReader(PUBLISHED).requests())
    blocks = [block for request in requests for block in request.blocks]
    assert (len(requests), len(blocks), len(set(blocks))) == (3_993, 121_877, 43_924)
    assert sum(request.output_tokens for request in requests) == 595_432
