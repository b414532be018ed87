"""Read stored frames in growing windows, so that a long log needs little memory, and a few entries less."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from answerable.core.ledger.codec import Frame, Passed, decode_frame, frame_passed
from answerable.errors import Broken, Malformed, Unverified, shown
from answerable.errors.codes.ledger import LEDGER_CORRUPT
from answerable.plain_file import open_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FIRST_WINDOW_BYTES: Final = 16_384
"""Most entries are smaller. A segment is filled with zeros to its end, so a longer read would be long for one entry."""
WINDOW_BYTES_MAX: Final = 1_048_576
_GROWTH: Final = 4
"""Factor from one window to the next."""

_Found = TypeVar("_Found", Frame, Passed)


def stored_frames(path: Path, start: int, count: int) -> Iterator[tuple[int, Frame]]:
    """Yield `count` frames of a segment from an offset on, each with the offset after it.

    Raises Broken (`ledger.corrupt`) if a frame is missing or damaged; OSError passes through.
    """
    return _windows(path, start, count, decode_frame)


def passed_frames(path: Path, start: int, count: int) -> Iterator[int]:
    """Yield the offsets after `count` frames of a segment, reading only their headers. Raises as `stored_frames`."""
    return (end for end, _ in _windows(path, start, count, frame_passed))


def _windows(
    path: Path, start: int, count: int, read: Callable[[bytes, int], _Found | None]
) -> Iterator[tuple[int, _Found]]:
    """Yield the results of `read` at successive offsets. If `read` returns None or a frame is cut off, more bytes are
    read."""
    if count <= 0:
        return
    window = FIRST_WINDOW_BYTES
    with open_plain(path) as opened:
        opened.seek(start)
        base, at, held = start, 0, b""
        while True:
            fault = "the entry is missing"
            try:
                found = read(held, at)
            except Unverified as error:
                raise corrupt(path, base + at, error.message) from None
            except Malformed as error:
                if error.code != "ledger.frame_cut":
                    raise corrupt(path, base + at, error.message) from None
                found, fault = None, error.message
            if found is not None:
                at = found.end
                yield base + at, found
                count -= 1
                if count == 0:
                    return
                continue
            more = opened.read(window)
            if not more:
                raise corrupt(path, base + at, fault)
            base, at, held = base + at, 0, held[at:] + more
            window = min(_GROWTH * window, WINDOW_BYTES_MAX)


def corrupt(path: Path, offset: int, fault: str, *, index: int | None = None) -> Broken:
    """Return the error that locates damaged stored bytes."""
    entry = "" if index is None else f", entry {index}"
    place = shown(f"{path.parent.name}/{path.name}")
    return LEDGER_CORRUPT(f"ledger is damaged in {place} at byte {offset}{entry}: {fault}")
