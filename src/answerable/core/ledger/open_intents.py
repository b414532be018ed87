"""Track which intents have no end yet, leaf by leaf."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from answerable.core.ledger.head import OpenIntent
from answerable.core.ledger.tags import Tag
from answerable.errors.codes.ledger import LEDGER_LEAF_MALFORMED_MALFORMED

if TYPE_CHECKING:
    from collections.abc import Iterable


class _Peek(msgspec.Struct, gc=False):
    """The members read of a leaf. intent: of an end, the index of the intent that it ends."""

    tag: int
    intent: object = None


_PEEK: Final = msgspec.json.Decoder(_Peek)
_INTENT: Final = int(Tag.INTENT)
_ENDS: Final = (int(Tag.OUTCOME), int(Tag.INDETERMINATE))


def tag_of(leaf: bytes) -> int:
    """Return the tag of a leaf. Raises Malformed (`ledger.leaf_malformed`) for bytes that are no leaf."""
    return _peek(leaf).tag


class OpenIntents:
    """The open intents below a position in the log, in the order in which they began."""

    __slots__ = ("_open",)

    def __init__(self, opened: Iterable[OpenIntent] = ()) -> None:
        self._open = {intent.entry: intent for intent in opened}

    def saw(self, leaf: bytes, index: int, segment: int, offset: int) -> None:
        """Take the next entry. segment: index of its segment's first entry. Raises Malformed as `tag_of`."""
        peek = _peek(leaf)
        if peek.tag == _INTENT:
            self._open[index] = OpenIntent(index, segment, offset)
        elif peek.tag in _ENDS and type(peek.intent) is int:
            self._open.pop(peek.intent, None)

    def all(self) -> tuple[OpenIntent, ...]:
        """Return the positions of the open intents."""
        return tuple(self._open.values())


def _peek(leaf: bytes) -> _Peek:
    try:
        return _PEEK.decode(leaf)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise LEDGER_LEAF_MALFORMED_MALFORMED("a leaf without a tag") from None
