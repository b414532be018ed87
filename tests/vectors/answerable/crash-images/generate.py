"""Writes the crash images beside this file: `python tests/vectors/answerable/crash-images/generate.py`, from the root.

A real writer is recorded call by call; each image is what a power cut at a chosen call may leave, or what else may have
befallen the directory. README.md says what an image holds.
"""

from __future__ import annotations

import asyncio
import json
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
if __name__ == "__main__":
    sys.path[:0] = [str(HERE.parents[3]), str(HERE.parents[3] / "src")]

from answerable.adapters.tlog_files.settings import Commit
from answerable.core.ledger.codec import FRAME_HEADER_BYTES, decode_frame
from answerable.testing.contracts.ledger import ORIGIN, refusal_entry
from tests.probes.crash_cases import Trace, at_place, recorded
from tests.probes.disk_model import Keep, Names, Sync, Write
from tests.worlds.ledger_script import KEY, Promised, Teller, opened, publish_witnessed, told
from tests.worlds.ledger import CITED, end, intent

NOT_IN_IMAGES = ("lock", "wal/spare")
"""Without meaning: the number of a process, and zeros."""
ZEROS_MIN = 48
"""Shorter runs of zeros are written out."""


async def script(directory: Path, commit: Commit, teller: Teller) -> None:
    """An action, a checkpoint that a witness has cosigned, two refusals, a checkpoint, a second segment."""
    ledger = opened(directory, commit)
    await asyncio.sleep(0.05)  # The spare segment is made by then.
    await told(ledger, teller, CITED)
    begun = intent("a-1")
    (receipt,) = await told(ledger, teller, [begun])
    await told(ledger, teller, [end(begun, receipt.index, "a-1", payload=b'{"result":1}')])
    await publish_witnessed(ledger, teller)
    await told(ledger, teller, [refusal_entry(1, b'"%s"' % (b"p" * 1_200)), refusal_entry(2, b'"p"')])
    teller.published(ledger.seal())
    await told(ledger, teller, [refusal_entry(3, b'"%s"' % (b"p" * 3_000))] * 4)
    await ledger.close()


class Step(NamedTuple):
    """An operation with the name of the file that it was made on."""

    place: int
    name: str
    operation: object


def steps(trace: Trace) -> Iterator[Step]:
    """All operations on files, with names as they were then; of a renamed file the new one."""
    names = {number: name for number, name in enumerate(trace.before, 1)}
    for place, operation in enumerate(trace.operations, 1):
        if isinstance(operation, Names):
            for name, inode in operation.changes:
                if inode:
                    names[inode] = name
            yield Step(place, operation.changes[-1][0], operation)
        elif isinstance(operation, Write | Sync):
            yield Step(place, names[operation.inode], operation)


def place_of(trace: Trace, name: str, kind: type, number: int = 1) -> int:
    """The place after the so-manieth operation of a kind on a file of this name."""
    found = [one.place for one in steps(trace) if one.name == name and isinstance(one.operation, kind)]
    return found[number - 1]


def nothing(kind: str, count: int) -> list[bool]:
    """All that is pending is lost."""
    return [False] * count


def everything(kind: str, count: int) -> list[bool]:
    """All that is pending came to the disk."""
    return [True] * count


def sectors(*kept: bool) -> Keep:
    """Of the one pending write only these sectors."""
    answers = {"names": True, "writes": False, "length": True}
    return lambda kind, count: (
        [*kept[:count], *[False] * (count - len(kept))] if kind == "sectors" else [answers[kind]] * count
    )


@dataclass(frozen=True)
class Image:
    """place: after so many operations. files: as they lie there. about: what happened, for people."""

    name: str
    about: str
    place: int
    files: dict[str, bytes]
    expect: dict[str, Any]


FIRST = "wal/0000000000000000.wal"
BATCH = 5
"""Number of the batch of refusals: genesis, cited, intent and outcome come before it."""


def images(trace: Trace) -> list[Image]:
    """Every image, in order."""
    return [*_mended(trace), *_refused(trace)]


def _mended(trace: Trace) -> Iterator[Image]:
    def image(name: str, about: str, place: int, keep: Keep = nothing, **expect: Any) -> Image:
        return Image(name, about, place, at_place(trace, place).image(keep), {"opens": True, **expect})

    batch = place_of(trace, FIRST, Write, BATCH)
    offset = _offset(trace, batch)
    yield image(
        "unborn", "cut before the first segment had a name", place_of(trace, "log.pub", Names), entries=0
    )
    yield image(
        "batch-lost", "a batch was written and not synced; none of it came to the disk", batch, entries=6
    )
    yield image("batch-whole", "the same, and all of it did", batch, everything, entries=8)
    yield image(
        "batch-first-sectors",
        "the same, and its first two sectors did",
        batch,
        sectors(True, True),
        entries=6,
        cut={"segment": FIRST[4:], "offset": offset},
    )
    yield image(
        "batch-hole",
        "the same, and all but its second sector did",
        batch,
        sectors(True, False, True, True, True, True),
        entries=6,
        cut={"segment": FIRST[4:], "offset": offset},
    )
    torn = at_place(trace, batch).torn(FRAME_HEADER_BYTES + 20)
    assert torn is not None
    cut = {"segment": FIRST[4:], "offset": offset}
    about = "the write of a batch ended in its first leaf"
    yield Image("batch-torn", about, batch, torn, {"opens": True, "entries": 6, "cut": cut})
    second = next(one.place for one in steps(trace) if one.name > FIRST and one.name.endswith(".wal"))
    yield image("segment-unnamed", "a second segment was begun, and its name was lost", second, entries=8)
    yield image("segment-empty", "the same, and the name came to the disk", second, everything, entries=8)
    history = place_of(trace, "checkpoints.log", Write, 2)
    yield image("checkpoint-lost", "a checkpoint was added to the history and lost", history, entries=6)
    torn = at_place(trace, history).torn(70)
    assert torn is not None
    about = "a checkpoint was added to the history, and the write ended in its root"
    yield Image("checkpoint-torn", about, history, torn, {"opens": True, "entries": 6})
    synced = place_of(trace, "checkpoints.log", Sync, 2)
    yield image("checkpoint-ahead", "the history is ahead of `checkpoint` and `head`", synced, entries=6)
    tile = place_of(trace, "tile/0/000.p/6", Names)
    yield image("tiles-ahead", "tiles stand there that no checkpoint speaks of", tile, everything, entries=6)
    outcome = place_of(trace, FIRST, Sync, BATCH - 1)
    draft = [one for one in steps(trace) if one.place > outcome and one.name.startswith("tile.new/")][1].place
    yield image("tile-drafts", "tiles were being written beside the tree", draft, everything, entries=6)
    cosigned = place_of(trace, "cosigned.log", Sync, 1)
    yield image(
        "cosigned-ahead", "a cosigned checkpoint is in its history alone", cosigned, everything, entries=6
    )


def _refused(trace: Trace) -> Iterator[Image]:
    end_place = len(trace.operations)
    whole = at_place(trace, end_place).live()

    def image(name: str, about: str, change: Callable[[dict[str, bytes]], object], **expect: Any) -> Image:
        files = dict(whole)
        change(files)
        return Image(name, about, end_place, files, {"opens": False, **expect})

    offsets = _offsets(whole[FIRST])
    lost = offsets[4] + 512 - offsets[4] % 512

    def zeroed(files: dict[str, bytes]) -> None:
        content = bytearray(files[FIRST])
        content[lost - 512 : lost] = bytes(512)
        files[FIRST] = bytes(content)
        without_head(files)

    def flipped(files: dict[str, bytes]) -> None:
        content = bytearray(files[FIRST])
        content[offsets[7] + FRAME_HEADER_BYTES + 3] ^= 1
        files[FIRST] = bytes(content)
        without_head(files)

    def without_head(files: dict[str, bytes]) -> None:
        # Otherwise sealed entries are not read again at opening.
        del files["head"]

    yield image(
        "synced-sector-lost",
        "a sector of an earlier sync is zeros, and the head is gone, so that all is read",
        zeroed,
        code="ledger.corrupt",
    )
    yield image(
        "byte-flipped",
        "a bit of a leaf is another, and the head is gone, so that all is read",
        flipped,
        code="ledger.corrupt",
        place={"file": FIRST, "offset": offsets[7], "entry": 7},
    )
    yield image(
        "rolled-back",
        "the segment is as it was before a batch that a checkpoint covers",
        lambda files: files.update({FIRST: at_place(trace, _batch(trace)).image(nothing)[FIRST]}),
        code="ledger.corrupt",
    )
    yield image(
        "first-segment-missing",
        "the first segment was taken away",
        lambda files: files.pop(FIRST),
        code="ledger.corrupt",
    )
    yield image(
        "checkpoint-of-another-key",
        "the checkpoint does not bear the log's signature",
        lambda files: (
            files.update(checkpoint=files["checkpoint"].replace(b"AAAA", b"AAAB", 1) + b"x") or None
        ),
        code="ledger.corrupt",
    )


def _batch(trace: Trace) -> int:
    return place_of(trace, FIRST, Write, BATCH)


def _offset(trace: Trace, place: int) -> int:
    operation = trace.operations[place - 1]
    assert isinstance(operation, Write)
    return operation.offset


def _offsets(segment: bytes) -> list[int]:
    found, offset = [], 128
    while (frame := decode_frame(segment, offset)) is not None:
        found.append(offset)
        offset = frame.end
    return found


def packed(content: bytes) -> dict[str, Any]:
    """Length, and all but long runs of zeros, as offset and base64."""
    parts, start = [], 0
    while start < len(content):
        if content[start : start + ZEROS_MIN].count(0) == min(ZEROS_MIN, len(content) - start):
            start = len(content) - len(content[start:].lstrip(b"\0"))
            continue
        stop = content.find(bytes(ZEROS_MIN), start)
        stop = len(content) if stop < 0 else stop
        parts.append([start, b64encode(content[start:stop]).decode()])
        start = stop
    return {"size": len(content), "parts": parts}


def as_json(trace: Trace, image: Image) -> str:
    """The file of one image."""
    promised: Promised = trace.history[at_place(trace, image.place).said]
    value = {
        "about": image.about,
        "acknowledged": [[index, hashed.hex()] for index, hashed in sorted(promised.acknowledged.items())],
        "expect": image.expect,
        "files": {
            name: packed(content)
            for name, content in sorted(image.files.items())
            if name not in NOT_IN_IMAGES and not name.endswith("/")
        },
        "key": KEY.formatted(),
        "kept": [note.decode() for note in promised.notes],
        "name": image.name,
        "origin": ORIGIN,
    }
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def generated() -> dict[str, str]:
    """File names and contents."""
    trace = recorded("crash images", script, {}, Promised())
    return {f"{image.name}.json": as_json(trace, image) for image in images(trace)}


if __name__ == "__main__":
    for name, text in generated().items():
        (HERE / name).write_text(text, encoding="utf-8")
        print(f"{name}: {len(text)} bytes")
