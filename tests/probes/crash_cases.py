"""Traces of a writer, and the disks that a power cut may leave at each place of them."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from answerable.adapters.tlog_files.settings import Commit
from tests.probes.disk_model import Disk, Keep, Operation, Write
from tests.probes.disk_recorder import RecordedTeller, Recorder
from tests.worlds.ledger_promises import PromiseBroken, require_kept
from tests.worlds.ledger_script import Promised, Script, files_in, laid_out

EXTREMES = ((False, False), (False, True), (True, False))
"""Of what is pending: are names kept, are bytes kept. Both kept is what a kill leaves."""
MEMORY = Path("/dev/shm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What a writer did to a disk that held `before`. history: what had been promised after each promise."""

    name: str
    before: dict[str, bytes]
    operations: tuple[Operation, ...]
    history: tuple[Promised, ...]


class Case(NamedTuple):
    """One disk after a cut. place: operations that the process had made. said: the last promise before it."""

    place: int
    said: int
    kind: str
    files: dict[str, bytes]


def scratch() -> TemporaryDirectory[str]:
    """A directory in memory where the machine has such a place: nothing here needs a real disk."""
    return TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)


def recorded(
    name: str, script: Script, before: Mapping[str, bytes], promised: Promised, *, commit: Commit = "inline"
) -> Trace:
    """Play a script and record it. promised: by whoever wrote `before`. The recording is proved complete."""
    with scratch() as place:
        directory = Path(place) / "log"
        laid_out(dict(before), directory)
        recorder = Recorder(directory, before)
        teller = RecordedTeller(recorder, promised)
        with recorder.recording():
            asyncio.run(script(directory, commit, teller))
        trace = Trace(
            name=name,
            before=dict(before),
            operations=tuple(recorder.operations),
            history=tuple(teller.history),
        )
        assert at_place(trace, len(trace.operations)).live() == files_in(directory), "not all was recorded"
        return trace


def at_place(trace: Trace, place: int) -> Disk:
    """The disk after so many operations."""
    disk = Disk(trace.before)
    for operation in trace.operations[:place]:
        disk.done(operation)
    return disk


def cases(trace: Trace, chance: random.Random, *, random_cuts: int) -> Iterator[Case]:
    """Cuts after every operation: all extremes, two torn writes, and so many random ones; equal disks only once."""
    disk = Disk(trace.before)
    seen: set[bytes] = set()
    for place in range(len(trace.operations) + 1):
        if place:
            disk.done(trace.operations[place - 1])
        for kind, files in _cuts(disk, trace.operations[place - 1] if place else None, chance, random_cuts):
            mark = _digest(files, disk.said)
            if mark not in seen:
                seen.add(mark)
                yield Case(place, disk.said, kind, files)


def require_survived(trace: Trace, case: Case) -> None:
    """Raises PromiseBroken, saying which case it was."""
    with scratch() as place:
        directory = Path(place) / "log"
        laid_out(case.files, directory)
        try:
            require_kept(directory, trace.history[case.said])
        except PromiseBroken as broken:
            text = f"{trace.name}, cut {case.kind} after {case.place} of {len(trace.operations)}: {broken}"
            raise PromiseBroken(text) from broken
        finally:
            shutil.rmtree(directory)


def _cuts(
    disk: Disk, last: Operation | None, chance: random.Random, random_cuts: int
) -> Iterator[tuple[str, dict[str, bytes]]]:
    yield "as a kill", disk.live()
    for names, content in EXTREMES:
        yield f"names {names} bytes {content}", disk.image(_all_or_nothing(names=names, content=content))
    if isinstance(last, Write) and last.content:
        for count in {chance.randrange(len(last.content)), len(last.content) - 1}:
            torn = disk.torn(count)
            if torn is not None:
                yield f"torn at byte {count}", torn
    for _ in range(random_cuts):
        yield "at random", disk.image(_at_random(chance))


def _all_or_nothing(*, names: bool, content: bool) -> Keep:
    return lambda kind, count: [names if kind == "names" else content] * count


def _at_random(chance: random.Random) -> Keep:
    """Each cut has its own habits: a disk that writes names in order or any of them, most sectors or few."""
    in_order, names, writes, sectors = (
        chance.random() < 0.5,
        *(chance.choice((0.0, 0.2, 0.5, 0.8, 1.0)) for _ in range(3)),
    )

    def keep(kind: str, count: int) -> list[bool]:
        if kind == "names" and in_order:
            kept = chance.randint(0, count)
            return [number < kept for number in range(count)]
        share = {"names": names, "writes": writes, "sectors": sectors}.get(kind, 0.5)
        return [chance.random() < share for _ in range(count)]

    return keep


def _digest(files: Mapping[str, bytes], said: int) -> bytes:
    digest = sha256(b"%d" % said)
    for name, content in sorted(files.items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.digest()
