"""Test files, put into batches by what they took when they last ran here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECONDS_FILE = ROOT / ".dev/cache/test-seconds.json"
FIRST = (
    "system",
    "interop",
    "conformance",
    "browser",
    "contracts",
    "docs",
    "simulation",
    "seams",
    "attack",
    "tidy",
)
"""Folders whose files take longest, for files that never ran here."""
UNKNOWN_SECONDS = 1_000.0
FAR = 1_000
"""Imports away from a change: a file that does not reach it."""
TREE = b"from tests.tidy"
"""In files that look through all Python of the checkout: one process parses it for all of them."""
BATCH_FILES, BATCH_SECONDS = 6, 2.0
"""So many at once, unless they take longer: a forked process costs some 0.03 s, and what one file runs counts for all
after it."""


@dataclass(frozen=True)
class Batch:
    """Files for one process. noted: whether it is forked for them, and tells what they ran. seconds: what they took, 0
    for those that never ran here."""

    files: tuple[str, ...]
    noted: bool = False
    seconds: float = 0.0


def test_files(paths: Sequence[str]) -> list[str]:
    """The files of these folders."""
    found = {
        str(file.resolve().relative_to(ROOT))
        for path in map(Path, paths)
        for file in ([path] if path.is_file() else path.rglob("test_*.py"))
    }
    return sorted(found)


def batches(files: Iterable[str], noted: Callable[[str], bool]) -> list[Batch]:
    """What takes longest first. What is noted comes before the rest, which fewer processes may run, but for the longest
    of the rest, which would be waited for in the end."""
    known = _known_seconds()
    alone, together, found = [], [], list[Batch]()
    took = {file: known.get(file, _guess(file)) for file in files}
    for file in sorted(took):
        if noted(file):
            last = found[-1].files if found else ()
            if (
                last
                and len(last) < BATCH_FILES
                and Path(file).parent == Path(last[0]).parent
                and sum(took[one] for one in (*last, file)) <= BATCH_SECONDS
            ):
                found[-1] = Batch((*last, file), noted=True)
            else:
                found.append(Batch((file,), noted=True))
        elif TREE in (ROOT / file).read_bytes():
            together.append(file)
        else:
            alone.append(Batch((file,)))
    alone += [Batch(tuple(together))] if together else []

    def by_length(one: Batch) -> tuple[float, tuple[str, ...]]:
        return -sum(took[file] for file in one.files), one.files

    alone.sort(key=by_length)
    ordered = [*alone[:1], *sorted(found, key=by_length), *alone[1:]]
    return [replace(one, seconds=sum(known.get(file, 0.0) for file in one.files)) for one in ordered]


def nearest_first(left: Iterable[Batch], near: Mapping[str, int]) -> list[Batch]:
    """For a run that has no time for all of them: what looks through the checkout, then what is near; of those as near,
    the quickest. near: by file, how far it is from what changed."""
    first, *others = left
    others.sort(key=lambda one: (min(near.get(file, FAR) for file in one.files), one.seconds))
    return [first, *others]


def _guess(file: str) -> float:
    folder = Path(file).parts[1]
    return UNKNOWN_SECONDS / (1 + FIRST.index(folder)) if folder in FIRST else 0.1


def _known_seconds() -> dict[str, float]:
    known: dict[str, float] = json.loads(SECONDS_FILE.read_text()) if SECONDS_FILE.exists() else {}
    return known


def keep_seconds(took: Mapping[str, float]) -> None:
    """For the order of the next run."""
    known = _known_seconds()
    known |= {file: round(seconds, 2) for file, seconds in took.items()}
    SECONDS_FILE.parent.mkdir(parents=True, exist_ok=True)
    SECONDS_FILE.write_text(json.dumps({file: s for file, s in known.items() if (ROOT / file).exists()}))
