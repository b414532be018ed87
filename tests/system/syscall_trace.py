"""A writer's batches, syncs and acknowledgements, in the order of its system calls."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from answerable.core.ledger.codec import FRAME_HEADER_BYTES, decode_frame

TRACED = ["-y", "-xx", "-s", "200000", "-e", "trace=pwrite64,fdatasync,write"]
"""Arguments of strace: paths of descriptors, and all bytes."""
_LINE = re.compile(r"^(\d+) +(.*)$")
_CALL = re.compile(r"^(pwrite64|fdatasync|write)\((\d+)<([^>]*)>(.*)$", re.DOTALL)
_RESUMED = re.compile(r"^<\.\.\. (\w+) resumed>(.*)$", re.DOTALL)
_BYTES = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_UNFINISHED = " <unfinished ...>"


@dataclass(slots=True)
class Order:
    """batches: index of the first entry of each that was acknowledged. syncs: of segments, that returned 0.

    early: entries that were acknowledged before a sync that came after their write had returned.
    """

    acknowledged: list[int] = field(default_factory=list)
    batches: set[int] = field(default_factory=set)
    syncs: int = 0
    early: list[int] = field(default_factory=list)


def read_order(trace: Path) -> Order:
    """Follow a trace that was made with `TRACED`."""
    order = Order()
    # By segment: entries written since its last sync. By entry: its batch. Then those that are on the disk.
    written: dict[str, dict[int, int]] = {}
    durable: dict[int, int] = {}
    begun: dict[str, str] = {}
    syncing: dict[str, dict[int, int]] = {}
    for line in trace.read_text().splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        thread, text = match[1], match[2]
        if text.endswith(_UNFINISHED):
            begun[thread] = text.removesuffix(_UNFINISHED)
            call = _CALL.match(begun[thread])
            if call and call[1] == "fdatasync":
                # It covers what had been written when it was called, not what comes while it runs.
                syncing[thread] = dict(written.get(_path(call[3]), {}))
            elif call and call[1] == "write":
                _acknowledged(order, call[4], durable)
            continue
        resumed = _RESUMED.match(text)
        if resumed is not None:
            text = begun.pop(thread, "") + resumed[2]
        call = _CALL.match(text)
        if call is None:
            continue
        path = _path(call[3])
        if call[1] == "pwrite64" and path.endswith(".wal"):
            written.setdefault(path, {}).update(_entries(_content(call[4])))
        elif call[1] == "fdatasync" and path.endswith(".wal") and call[4].rstrip().endswith("= 0"):
            order.syncs += 1
            covered = syncing.pop(thread, None)
            durable.update(written.get(path, {}) if covered is None else covered)
        elif call[1] == "write" and resumed is None:
            _acknowledged(order, call[4], durable)
    return order


def _acknowledged(order: Order, rest: str, durable: dict[int, int]) -> None:
    words = _content(rest).split()
    if words and words[0] == b"ack":
        index = int(words[1])
        order.acknowledged.append(index)
        if index in durable:
            order.batches.add(durable[index])
        else:
            order.early.append(index)


def _path(escaped: str) -> str:
    """Under -xx paths are escaped, too."""
    return re.sub(r"\\x([0-9a-f]{2})", lambda match: chr(int(match[1], 16)), escaped)


def _content(rest: str) -> bytes:
    match = _BYTES.search(rest)
    return bytes.fromhex(match[1].replace("\\x", "")) if match else b""


def _entries(content: bytes) -> dict[int, int]:
    """Entries of a batch, and their batch: it starts with its first entry, so that counting is enough."""
    found: dict[int, int] = {}
    offset, index = 0, -1
    while len(content) - offset >= FRAME_HEADER_BYTES:
        frame = decode_frame(content, offset)
        if frame is None:
            break
        index = frame.batch if index < 0 else index + 1
        found[index] = frame.batch
        offset = frame.end
    return found
