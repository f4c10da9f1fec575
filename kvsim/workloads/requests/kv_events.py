"""Recorded KV-cache events of vLLM: what came into which memory, and what left it; no requests, no hits.

A recording is the published batches one after another, as they came over the wire: `[time, events]` or
`[time, events, rank]` in msgpack, plain or gzip. An event is an array that begins with its name (older
versions) or a map with its name under `type` (newer ones). Reading needs the package `msgpack`, which, other
than vLLM's own `msgspec`, reads values that follow each other without a mark between them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, NoReturn

from kvsim.errors import KvsimError
from kvsim.workloads.page_trace import PageRow, refuse
from kvsim.workloads.requests.ids import Numbering
from kvsim.workloads.requests.lines import opened

__all__ = ["DEFAULT_MEDIUM", "KvEvent", "read_kv_events", "stored_pages"]

DEFAULT_MEDIUM = "GPU"
"""The memory of events that name none, as those of older versions do."""
_LARGEST_BATCH = 2**30
_FIELDS = {
    "BlockStored": ("block_hashes", "parent_block_hash", "token_ids", "block_size", "lora_id", "medium"),
    "BlockRemoved": ("block_hashes", "medium"),
    "AllBlocksCleared": (),
}
"""The fields of each event in the order of an array; those after them are ignored."""


@dataclass(slots=True)
class KvEvent:
    """Blocks that came into a memory or left it."""

    batch: int
    """Batch of the recording, from 1."""
    time_s: float
    """When, in seconds as the recording has them."""
    kind: Literal["stored", "removed", "cleared"]
    """`cleared`: every block of the rank left, out of all memories."""
    rank: int = 0
    """Data-parallel rank: each has caches of its own."""
    medium: str = DEFAULT_MEDIUM
    """The memory; without meaning for `cleared`."""
    blocks: tuple[int, ...] = ()
    """The blocks; hashes, numbers or bytes, are numbered in order of first appearance."""
    parent: int | None = None
    """Of `stored`: the block before the first of them; None: they begin a prompt."""
    block_tokens: int = 0
    """Of `stored`: tokens of a block."""


def read_kv_events(path: str | Path) -> Iterator[KvEvent]:
    """The events of a recording, one by one; memory grows with the distinct blocks.

    Raises KvsimError if `msgpack` is not installed, and TraceError, with batch (as the line) and field, for a
    file that cannot be read, is empty or cut short, and for a batch that is none.
    """
    return _Reader(path).events()


def stored_pages(events: Iterator[KvEvent]) -> Iterator[PageRow]:
    """The blocks stored, each event a step: a page trace."""
    line, step = 0, 0
    for event in events:
        if event.kind == "stored":
            for block in event.blocks:
                line += 1
                yield PageRow(line, step, block, tokens=event.block_tokens or None)
            step += 1


class _Reader:
    def __init__(self, path: str | Path) -> None:
        self._path = path
        self._numbers = Numbering()
        self._batch = 0
        self._latest: dict[int, float] = {}

    def events(self) -> Iterator[KvEvent]:
        with opened(self._path) as file:
            for batch in self._batches(file):
                self._batch += 1
                yield from self._events_of(batch)
        if self._batch == 0:
            refuse(self._path, None, "", "is empty: there is no batch of events in it")

    def _batches(self, file: IO[bytes]) -> Iterator[Any]:
        try:
            import msgpack
        except ImportError:
            raise KvsimError("events need the package msgpack: pip install 'kvsim[events]'") from None
        unpacker = msgpack.Unpacker(file, raw=False, strict_map_key=False, max_buffer_size=_LARGEST_BATCH)
        while True:
            start = unpacker.tell()
            try:
                yield unpacker.unpack()
            except msgpack.OutOfData:
                break
            except (ValueError, msgpack.UnpackException, RecursionError) as error:
                self._batch += 1
                self._refuse("", f"is not msgpack: {str(error) or type(error).__name__}")
        file_ends = file.tell()
        if start != file_ends:
            self._batch += 1
            self._refuse("", f"ends within a batch, after {file_ends - start} bytes of it")

    def _events_of(self, batch: Any) -> Iterator[KvEvent]:
        if not isinstance(batch, list) or len(batch) < 2:
            self._refuse("", "must be an array of a time, events and perhaps a rank")
        time, events, rank = batch[0], batch[1], batch[2] if len(batch) > 2 else None
        if type(time) not in (int, float) or not 0 <= time < 2**62:
            self._refuse("ts", f"must be a number of seconds, not {_shown(time)}")
        rank = self._whole("dp_rank", 0 if rank is None else rank)
        if time < self._latest.get(rank, 0):
            self._refuse("ts", f"{time} comes after {self._latest[rank]} of the same rank")
        self._latest[rank] = time
        if not isinstance(events, list):
            self._refuse("events", f"must be an array, not {_shown(events)}")
        for index, event in enumerate(events):
            yield self._event(f"events[{index}]", float(time), rank, event)

    def _event(self, place: str, time: float, rank: int, event: Any) -> KvEvent:
        name, fields = self._fields(place, event)
        found = KvEvent(self._batch, time, "cleared", rank)
        if name == "AllBlocksCleared":
            return found
        hashes = fields.get("block_hashes")
        if not isinstance(hashes, list):
            self._refuse(f"{place}.block_hashes", f"must be an array, not {_shown(hashes)}")
        places = (f"{place}.block_hashes[{index}]" for index in range(len(hashes)))
        found.blocks = tuple(map(self._block, places, hashes))
        medium = fields.get("medium")
        if not isinstance(medium, (str, type(None))):
            self._refuse(f"{place}.medium", f"must be a text, not {_shown(medium)}")
        found.medium = medium or DEFAULT_MEDIUM
        found.kind = "removed"
        if name == "BlockStored":
            found.kind = "stored"
            parent = fields.get("parent_block_hash")
            found.parent = None if parent is None else self._block(f"{place}.parent_block_hash", parent)
            found.block_tokens = self._whole(f"{place}.block_size", fields.get("block_size"))
        return found

    def _fields(self, place: str, event: Any) -> tuple[str, Mapping[str, Any]]:
        """The name of an event, and its fields by name."""
        name = None
        if isinstance(event, dict):
            name = event.get("type")
        elif isinstance(event, list) and event:
            name = event[0]
        if not isinstance(name, str) or name not in _FIELDS:
            self._refuse(place, f"must be one of {', '.join(_FIELDS)}, not {_shown(name)}")
        if isinstance(event, dict):
            return name, event
        return name, dict(zip(_FIELDS[name], event[1:], strict=False))

    def _block(self, place: str, value: Any) -> int:
        if type(value) not in (int, bytes):
            self._refuse(place, f"must be a hash, a whole number or bytes, not {_shown(value)}")
        return self._numbers(value)

    def _whole(self, place: str, value: Any) -> int:
        if type(value) is not int or not 0 <= value < 2**31:
            self._refuse(place, f"must be a whole number from 0, not {_shown(value)}")
        return value

    def _refuse(self, field: str, message: str) -> NoReturn:
        refuse(self._path, self._batch, field, message)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
