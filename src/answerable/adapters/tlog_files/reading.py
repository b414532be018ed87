"""Reading stored frames back in windows, so that a long log needs little memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.ledger.codec import Frame, decode_frame
from answerable.errors import Broken, Malformed, Unverified, shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_WINDOW_BYTES: Final = 1_048_576


def stored_frames(path: Path, start: int, stop: int) -> Iterator[tuple[int, Frame]]:
    """Frames of a segment between two offsets, each with the offset after it. They must fill that stretch exactly.

    Raises Broken (`ledger.corrupt`) for anything else; OSError passes through.
    """
    with path.open("rb") as opened:
        opened.seek(start)
        base, at, held = start, 0, b""
        while base + at < stop:
            fault = "the entry is missing"
            try:
                frame = decode_frame(held, at)
            except Unverified as error:
                raise corrupt(path, base + at, error.message) from None
            except Malformed as error:
                if error.code != "ledger.frame_cut":
                    raise corrupt(path, base + at, error.message) from None
                frame, fault = None, error.message
            if frame is not None:
                at = frame.end
                yield base + at, frame
                continue
            more = opened.read(min(_WINDOW_BYTES, stop - base - len(held)))
            if not more:
                raise corrupt(path, base + at, fault)
            base, at, held = base + at, 0, held[at:] + more


def corrupt(path: Path, offset: int, fault: str, *, index: int | None = None) -> Broken:
    """The error that says where stored bytes are not what was written."""
    entry = "" if index is None else f", entry {index}"
    place = shown(f"{path.parent.name}/{path.name}")
    return Broken(f"ledger is damaged in {place} at byte {offset}{entry}: {fault}", code="ledger.corrupt")
