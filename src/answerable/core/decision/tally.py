"""What a tracker keeps of one owner, or of one resource of it: a value that is bounded whatever happened.

A window is cut into 60 pieces, numbered since 1970. The oldest piece is counted while any of it is inside, so that a
number is never below the exact one over the window, nor above the exact one over the window and a 60th of it.

Laws: values are never changed, only replaced; numbers end at 2**53 - 1 and nothing wraps around; what is older than
the newest piece by its clock is put into the newest, so that a clock that is set back makes no number smaller.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import msgspec

from answerable.core.canonical import INTEGER_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence

PIECES: Final = 60
NEVER: Final = -1
"""In place of a piece, for what has not happened."""

BlindBecause: TypeAlias = Literal["fields", "resources"]
"""What an entry says that can no longer be read, or too many resources."""


def piece_of(at: int, within_ms: int) -> int:
    """The number of the piece of a window in which a time is; 0 for a window without an end."""
    return at * PIECES // within_ms if within_ms else 0


def oldest_inside(now: int, within_ms: int) -> int:
    """The number of the oldest piece of which any is inside the window that ends now."""
    return max(0, now * PIECES // within_ms - PIECES) if within_ms else 0


class Tally(msgspec.Struct, frozen=True, array_like=True, tag="t", gc=False):
    """A number of events, or a sum. pieces: those with something in them, oldest first. total: of all amounts."""

    pieces: tuple[int, ...]
    amounts: tuple[int, ...]
    total: int

    @property
    def newest(self) -> int:
        """The newest piece."""
        return self.pieces[-1]

    def more(self, piece: int, amount: int) -> Tally:
        """With an amount added in a piece, and without what is out of the window by then."""
        pieces, amounts = self.pieces, self.amounts
        if piece <= pieces[-1]:
            last = min(INTEGER_MAX, amounts[-1] + amount)
            return Tally(pieces, (*amounts[:-1], last), self.total + last - amounts[-1])
        gone = bisect_left(pieces, piece - PIECES)
        total = self.total - sum(amounts[:gone]) + amount
        return Tally((*pieces[gone:], piece), (*amounts[gone:], amount), total)

    def value(self, oldest: int, ahead: Sequence[int] = ()) -> int:
        """The sum of the pieces from `oldest` on. ahead: amounts on their way into the log."""
        total = self.total
        if self.pieces[0] < oldest:
            total = sum(self.amounts[bisect_left(self.pieces, oldest) :])
        if ahead:
            total += sum(ahead)
        return total if total < INTEGER_MAX else INTEGER_MAX

    def until(self, piece: int) -> Tally:
        """With nothing later than that piece: what is, is put into it."""
        if self.pieces[-1] <= piece:
            return self
        kept = bisect_left(self.pieces, piece)
        last = min(INTEGER_MAX, sum(self.amounts[kept:]))
        amounts = (*self.amounts[:kept], last)
        return Tally((*self.pieces[:kept], piece), amounts, sum(amounts))


class Steps(msgspec.Struct, frozen=True, array_like=True, tag="s", gc=False):
    """How far a sequence has come. starts: for each step, the piece in which the latest sequence up to that step began,
    or NEVER: as long as the first event of one is in the window, the others are."""

    starts: tuple[int, ...]
    newest: int

    def more(self, piece: int, steps: Sequence[int]) -> Steps:
        """With an event that is these steps, of which it takes one in any sequence. steps: descending."""
        newest = max(piece, self.newest)
        return Steps(_stepped(self.starts, newest, steps), newest)

    def value(self, oldest: int, ahead: Sequence[Sequence[int]] = ()) -> int:
        """How many steps are inside. ahead: those of events on their way into the log."""
        starts = self.starts
        for steps in ahead:
            starts = _stepped(starts, max(self.newest, oldest), steps)
        for count in range(len(starts), 0, -1):
            if starts[count - 1] >= oldest:
                return count
        return 0

    def until(self, piece: int) -> Steps:
        """With nothing later than that piece: what is, is put into it."""
        if self.newest <= piece:
            return self
        return Steps(tuple(min(start, piece) for start in self.starts), piece)


def _stepped(starts: tuple[int, ...], piece: int, steps: Sequence[int]) -> tuple[int, ...]:
    after = list(starts)
    for step in steps:
        after[step] = max(after[step], after[step - 1] if step else piece)
    return tuple(after)


class Blind(msgspec.Struct, frozen=True, array_like=True, tag="b", gc=False):
    """Something may be missing in the numbers of an owner, as long as this piece is inside."""

    newest: int
    because: BlindBecause

    def until(self, piece: int) -> Blind:
        """As of the others."""
        return self if self.newest <= piece else Blind(piece, self.because)


Cell: TypeAlias = "Tally | Steps"
Kept: TypeAlias = "Tally | Steps | Blind"

_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final[msgspec.json.Decoder[Tally | Steps | Blind]] = msgspec.json.Decoder(Tally | Steps | Blind)


def encoded(kept: Kept) -> bytes:
    """As a register keeps it."""
    return _ENCODER.encode(kept)


def decoded(kept: bytes) -> Kept | None:
    """What was kept; None for what no version of ours wrote."""
    try:
        found = _DECODER.decode(kept)
    except (msgspec.MsgspecError, ValueError):
        return None
    if isinstance(found, Tally):
        sums = found.total == sum(found.amounts) and len(found.pieces) == len(found.amounts) > 0
        rises = all(a < b for a, b in zip(found.pieces, found.pieces[1:], strict=False))
        return found if sums and rises and min(found.amounts) >= 0 else None
    return found
