"""Decide whether a chat message can show the whole card beside its buttons; if not, it gets no buttons.

Laws: no text is cut, left out or changed except by `unlinked`, which loses nothing here; a card that does not fit gets
no buttons, and neither does one that a chat may render differently: blanks that are folded or push the rest onto a new
line, names that continue like a value, and right-to-left words beside numbers. The raw members under `all` are not
included; the sentence, badges, who, why, arguments, preview and prepared object are.
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
"""Of all lines together: what a chat shows without folding."""
DRAWN_MAX: Final = 2_800
"""Of one piece, after links and markup are escaped: chats accept 3,000 in a block."""
BADGES_MAX: Final = 8
_LABELS: Final = {"lines": "", "arguments": "argument ", "effect": "effect: ", "prepared": ""}
"""Members of a card that are shown, and the prefix of each label: names of arguments may be chosen by anybody."""
_ARGUMENTS: Final = "arguments"
_WORD: Final = re.compile(r"[\w$@./-]+")
"""An argument name that cannot be misread as the beginning of its value."""
_LEFTWARDS: Final = frozenset({"R", "AL", "AN"})
_RIGHTWARDS: Final = frozenset({"L", "EN"})
"""Bidirectional classes of letters and digits, by writing direction (Unicode Standard Annex 9)."""
_OURS: Final = ("[.]", "[。]", "[．]", "[｡]", "[://]")
"""What `unlinked` writes: a text that already contains it would be ambiguous."""


def whole_lines(approval: Approval) -> tuple[tuple[str, str], ...] | None:
    """Return every line of the card, to be shown in full; None where that is impossible in a message. Never raises."""
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
    """Return the message with buttons. Raises Malformed (`approval.object`) where it cannot show everything; check
    `whole_lines` first."""
    lines = whole_lines(approval)
    if lines is None:
        raise APPROVAL_OBJECT("this card does not fit into a message")
    return replace(message, offer=Offer(nonce=nonce, lines=lines))


def _drawn(text: str) -> int:
    """Return the maximum length of a text as rendered: each of three characters becomes up to five."""
    written = unlinked(text)
    return len(written) + 4 * sum(written.count(one) for one in "&<>")


def _has_odd_blanks(text: str) -> bool:
    """Whether the text has ambiguous blanks: a chat folds them, or moves what follows to the next line."""
    return text != " ".join(text.split())


def _turns_around(label: str, text: str) -> bool:
    """Whether right-to-left words are beside other text, so that a chat renders them in another order."""
    of_label, of_text = ({unicodedata.bidirectional(one) for one in part} for part in (label, text))
    if of_text & _LEFTWARDS:
        return bool(of_text & _RIGHTWARDS)
    return bool(of_label & _LEFTWARDS and of_text & _RIGHTWARDS)


def _pairs(card: dict[str, JSONValue]) -> list[tuple[str, str]] | None:
    """Return every pair of label and text; None for a card not drawn by our template, or with an argument whose name is
    not a plain word."""
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
