"""The texts a person adds to an answer (reason, comment, proposal), as one value that is signed as a whole.

Laws: an approving answer has no reason; a denial has one of the closed list, `other` where none was chosen; a proposal
requires the reason `narrower` and vice versa. A signature over other words does not verify.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from answerable.core.approval.reasons import NARROWER, OTHER, REASONS
from answerable.core.canonical import encode
from answerable.errors import shown
from answerable.errors.codes.approval import APPROVAL_MALFORMED, APPROVAL_REASON

COMMENT_CHARS_MAX: Final = 1000
NARROWER_CHARS_MAX: Final = 40_000
"""Limit of a proposal, so that the signed statement that carries it does not exceed its own limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The texts that a person adds to an answer. reason: code of a denial; empty for an approval. comment: for people
    and the agent, may be empty. narrower: values proposed instead, by the registry's names of arguments, in canonical
    JSON; empty where none are."""

    reason: str = ""
    comment: str = ""
    narrower: str = ""

    @property
    def digest(self) -> bytes:
        """SHA-256 of the three as canonical JSON. Raises Malformed (`json.*`)."""
        members = {"comment": self.comment, "narrower": self.narrower, "reason": self.reason}
        return sha256(encode({**members})).digest()


NO_WORDS: Final = Words()


def words_of(verdict: str, *, reason: str = "", comment: str = "", narrower: str = "") -> Words:
    """Return the words, if they fit the verdict, which is `deny` or another.

    Raises Malformed (`approval.malformed`, `approval.reason`).
    """
    if len(comment) > COMMENT_CHARS_MAX:
        raise APPROVAL_MALFORMED(f"a comment has at most {COMMENT_CHARS_MAX} characters")
    if len(narrower) > NARROWER_CHARS_MAX:
        raise APPROVAL_MALFORMED(
            f"the proposal has {len(narrower)} characters, expected at most {NARROWER_CHARS_MAX}"
        )
    if verdict != "deny":
        if reason or narrower:
            raise APPROVAL_REASON("only a denial has a reason")
        return Words(comment=comment)
    reason = reason or OTHER
    if reason not in REASONS:
        raise APPROVAL_REASON(f"unknown reason {shown(reason, 40)}: use one of {', '.join(REASONS)}")
    if (reason == NARROWER) is not bool(narrower):
        raise APPROVAL_REASON("reason `narrower` needs a proposal, and no other reason may have one")
    return Words(reason=reason, comment=comment, narrower=narrower)
