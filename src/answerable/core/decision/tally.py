"""The bounded counter of a tracker for one owner, or for one resource of an owner.

A window is divided into 60 pieces, numbered since 1970. The oldest piece counts while any part of it is inside, so that
a value is never below the exact one over the window, nor above the exact one over the window plus a 60th.

Laws: values are immutable; numbers saturate at 2**53 - 1; an event older than the newest piece is added to the newest,
so that setting the clock back makes no value smaller.
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
"""In place of a piece number, for an event that has not occurred."""

BlindBecause: TypeAlias = Literal["fields", "resources"]
"""Why events are missing: fields of an entry can no longer be read, or there are too many resources."""


def piece_of(at: int, within_ms: int) -> int:
    """Return the number of the piece of a window that contains a time; 0 for a window without an end."""
    return at * PIECES // within_ms if within_ms else 0


def oldest_inside(now: int, within_ms: int) -> int:
    """Return the number of the oldest piece that is partly inside the window that ends now."""
    return max(0, now * PIECES // within_ms - PIECES) if within_ms else 0


class Tally(msgspec.Struct, frozen=True, array_like=True, tag="t", gc=False):
    """A number of events, or a sum. pieces: the non-empty ones, oldest first. total: of all amounts."""

    pieces: tuple[int, ...]
    amounts: tuple[int, ...]
    total: int

    @property
    def newest(self) -> int:
        """The newest piece."""
        return self.pieces[-1]

    def more(self, piece: int, amount: int) -> Tally:
        """Return the tally with an amount added in a piece, and without pieces outside the window by then."""
        pieces, amounts = self.pieces, self.amounts
        if piece <= pieces[-1]:
            last = min(INTEGER_MAX, amounts[-1] + amount)
            return Tally(pieces, (*amounts[:-1], last), self.total + last - amounts[-1])
        gone = bisect_left(pieces, piece - PIECES)
        total = self.total - sum(amounts[:gone]) + amount
        return Tally((*pieces[gone:], piece), (*amounts[gone:], amount), total)

    def less(self, piece: int, amount: int) -> Tally | None:
        """Return the tally without an amount that was added in a piece; None if nothing is left. The same tally where
        that piece is gone, or its amount is not exact: rather too much is counted than too little."""
        at = bisect_left(self.pieces, piece)
        if piece not in self.pieces[at : at + 1] or not amount <= self.amounts[at] < INTEGER_MAX:
            return self
        left = self.amounts[at] - amount
        kept, after = slice(at), slice(at + 1, None)
        pieces = (*self.pieces[kept], *([piece] if left else []), *self.pieces[after])
        amounts = (*self.amounts[kept], *([left] if left else []), *self.amounts[after])
        return Tally(pieces, amounts, self.total - amount) if pieces else None

    def value(self, oldest: int, ahead: Sequence[int] = ()) -> int:
        """Return the sum of the pieces from `oldest` on. ahead: amounts that have no index in the log yet."""
        total = self.total
        if self.pieces[0] < oldest:
            total = sum(self.amounts[bisect_left(self.pieces, oldest) :])
        if ahead:
            total += sum(ahead)
        return min(total, INTEGER_MAX)

    def until(self, piece: int) -> Tally:
        """Return the tally with later amounts moved to that piece."""
        if self.pieces[-1] <= piece:
            return self
        kept = bisect_left(self.pieces, piece)
        last = min(INTEGER_MAX, sum(self.amounts[kept:]))
        amounts = (*self.amounts[:kept], last)
        return Tally((*self.pieces[:kept], piece), amounts, sum(amounts))


class Steps(msgspec.Struct, frozen=True, array_like=True, tag="s", gc=False):
    """Progress of a sequence. starts: for each step, the piece in which the latest sequence up to that step began, or
    NEVER: as long as the first event of a sequence is in the window, the others are."""

    starts: tuple[int, ...]
    newest: int

    def more(self, piece: int, steps: Sequence[int]) -> Steps:
        """Return the progress after an event that is these steps, of which any sequence takes one.
        steps: descending."""
        newest = max(piece, self.newest)
        return Steps(_stepped(self.starts, newest, steps), newest)

    def value(self, oldest: int, ahead: Sequence[Sequence[int]] = ()) -> int:
        """Return how many steps are inside the window. ahead: steps of events that have no index in the log yet."""
        starts = self.starts
        for steps in ahead:
            starts = _stepped(starts, max(self.newest, oldest), steps)
        for count in range(len(starts), 0, -1):
            if starts[count - 1] >= oldest:
                return count
        return 0

    def until(self, piece: int) -> Steps:
        """Return the progress with later pieces moved to that piece."""
        if self.newest <= piece:
            return self
        return Steps(tuple(min(start, piece) for start in self.starts), piece)


def _stepped(starts: tuple[int, ...], piece: int, steps: Sequence[int]) -> tuple[int, ...]:
    after = list(starts)
    for step in steps:
        after[step] = max(after[step], after[step - 1] if step else piece)
    return tuple(after)


class Blind(msgspec.Struct, frozen=True, array_like=True, tag="b", gc=False):
    """Events of an owner may be missing, as long as this piece is inside the window."""

    newest: int
    because: BlindBecause

    def until(self, piece: int) -> Blind:
        """Return the note with a later piece moved to that piece."""
        return self if self.newest <= piece else Blind(piece, self.because)


Cell: TypeAlias = "Tally | Steps"
Kept: TypeAlias = "Tally | Steps | Blind"

_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final[msgspec.json.Decoder[Tally | Steps | Blind]] = msgspec.json.Decoder(Tally | Steps | Blind)


def encoded(kept: Kept) -> bytes:
    """Encode for storage in a register."""
    return _ENCODER.encode(kept)


def decoded(kept: bytes) -> Kept | None:
    """Decode a stored value; None for one that no version of ours wrote."""
    try:
        found = _DECODER.decode(kept)
    except (msgspec.MsgspecError, ValueError):
        return None
    if isinstance(found, Tally):
        sums = found.total == sum(found.amounts) and len(found.pieces) == len(found.amounts) > 0
        rises = all(a < b for a, b in zip(found.pieces, found.pieces[1:], strict=False))
        return found if sums and rises and min(found.amounts) >= 0 else None
    return found
