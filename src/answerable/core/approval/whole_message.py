"""What a message shows beside its buttons: all that the card shows, or there are no buttons.

Laws: no text is cut, left out or changed but by `unlinked`, which loses nothing here; what does not fit is not offered,
and neither is what a chat may draw as something else: blanks that are folded or that push the rest onto a line of its
own, names that go on like a value, and words that a chat turns around beside numbers.
The raw members under `all` are not among it, but the sentence, badges, who, why, arguments, preview and what was
prepared are.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from answerable.core.approval.chat_click import Offer
from answerable.core.approval.message import NAME_CHARS_MAX, SENTENCE_CHARS_MAX, unlinked
from answerable.core.approval.visible import hides_something
from answerable.core.canonical import parse
from answerable.errors import Malformed
from answerable.errors.codes.approval import APPROVAL_OBJECT

if TYPE_CHECKING:
    from answerable.core.approval.approval import Approval
    from answerable.core.approval.message import Message
    from answerable.core.canonical import JSONValue

LINES_MAX: Final = 20
LINE_CHARS_MAX: Final = 300
CHARS_MAX: Final = 1_600
"""Of all lines: what is read in a chat without being folded away."""
DRAWN_MAX: Final = 2_800
"""Of one piece, with what no link and no markup may come of it: chats take 3,000 in a block."""
BADGES_MAX: Final = 8
_LABELS: Final = {"lines": "", "arguments": "argument ", "effect": "effect: ", "prepared": ""}
"""Members of a card that are shown, and what stands before each label: names of arguments may be anybody's."""
_ARGUMENTS: Final = "arguments"
_WORD: Final = re.compile(r"[\w$@./-]+")
"""The name of an argument that cannot be read as if its value had begun."""
_LEFTWARDS: Final = frozenset({"R", "AL", "AN"})
_RIGHTWARDS: Final = frozenset({"L", "EN"})
"""Kinds of letters and digits by which way they are written (Unicode Standard Annex 9)."""
_OURS: Final = ("[.]", "[。]", "[．]", "[｡]", "[://]")
"""What `unlinked` writes: of a text that has it already nobody could say what it was."""


def whole_lines(approval: Approval) -> tuple[tuple[str, str], ...] | None:
    """Every line of the card, to be shown whole; None where that cannot be in a message. Never raises."""
    try:
        card = parse(approval.card.bytes)
    except Malformed:
        return None
    sentence, badges = (card.get("sentence"), card.get("badges")) if isinstance(card, dict) else (None, None)
    if not isinstance(card, dict) or not isinstance(sentence, str) or not isinstance(badges, list):
        return None
    texts = [str(one) for one in badges]
    lines = _pairs(card)
    if lines is None:
        return None
    pieces = [sentence, *texts, *(part for pair in lines for part in pair)]
    if (
        len(sentence) > SENTENCE_CHARS_MAX
        or len(badges) > BADGES_MAX
        or any(len(one) > NAME_CHARS_MAX for one in texts)
        or len(lines) > LINES_MAX
        or any(len(label) + len(text) > LINE_CHARS_MAX for label, text in lines)
        or sum(map(len, pieces)) > CHARS_MAX
        or any(_drawn(one) > DRAWN_MAX for one in pieces)
        or any(hides_something(one) or any(mark in one for mark in _OURS) for one in pieces)
        or any(_has_odd_blanks(one) for one in pieces)
        or any(_turns_around(label, text) for label, text in [("", sentence), *lines])
    ):
        return None
    return tuple(lines)


def with_offer(message: Message, approval: Approval, nonce: str) -> Message:
    """The message with buttons. Raises Malformed (`approval.object`) where it does not show all: `whole_lines` says so
    before."""
    lines = whole_lines(approval)
    if lines is None:
        raise APPROVAL_OBJECT("this card does not fit into a message")
    return replace(message, offer=Offer(nonce=nonce, lines=lines))


def _drawn(text: str) -> int:
    """Length of a text as it is drawn at most: each of three characters becomes up to five."""
    written = unlinked(text)
    return len(written) + 4 * sum(written.count(one) for one in "&<>")


def _has_odd_blanks(text: str) -> bool:
    """Whether it has some that nobody can count: a chat folds them, or draws what comes after them on the next line."""
    return text != " ".join(text.split())


def _turns_around(label: str, text: str) -> bool:
    """Whether words from right to left stand beside what is not, so that a chat draws them in another order."""
    of_label, of_text = ({unicodedata.bidirectional(one) for one in part} for part in (label, text))
    if of_text & _LEFTWARDS:
        return bool(of_text & _RIGHTWARDS)
    return bool(of_label & _LEFTWARDS and of_text & _RIGHTWARDS)


def _pairs(card: dict[str, JSONValue]) -> list[tuple[str, str]] | None:
    """Every pair of label and text; None for a card that no template of ours drew, or with an argument whose name is no
    plain word."""
    found: list[tuple[str, str]] = []
    for member, said in _LABELS.items():
        pairs = card.get(member, [])
        for pair in pairs if isinstance(pairs, list) else [None]:
            match pair:
                case [str() as name, str() as text] if member != _ARGUMENTS or _WORD.fullmatch(name):
                    found.append((f"{said}{name}", text))
                case _:
                    return None
    return found
