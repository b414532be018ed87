"""What a person says beside yes or no, as one value that is signed whole.

Laws: a yes has no reason; a no has one of the closed list, `other` where none was chosen; less is proposed with the
reason `narrower` and with no other. What was signed with other words does not check.
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
"""Of what is proposed, so that the statement that carries them is not too long to be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """reason: code of a no; empty of a yes. comment: for people and the agent, may be empty. narrower: values that are
    proposed instead, by the registry's names of arguments, in canonical JSON; empty where none are."""

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
    """The words, if they fit the verdict, which is `deny` or another.

    Raises Malformed (`approval.malformed`, `approval.reason`).
    """
    if len(comment) > COMMENT_CHARS_MAX:
        raise APPROVAL_MALFORMED(f"a comment has at most {COMMENT_CHARS_MAX} characters")
    if len(narrower) > NARROWER_CHARS_MAX:
        raise APPROVAL_MALFORMED(
            f"what is proposed has {len(narrower)} characters, expected at most {NARROWER_CHARS_MAX}"
        )
    if verdict != "deny":
        if reason or narrower:
            raise APPROVAL_REASON("only a no has a reason")
        return Words(comment=comment)
    reason = reason or OTHER
    if reason not in REASONS:
        raise APPROVAL_REASON(f"reason {shown(reason, 40)} is not known: use one of {', '.join(REASONS)}")
    if (reason == NARROWER) is not bool(narrower):
        raise APPROVAL_REASON("less is proposed with reason `narrower`, and only with it")
    return Words(reason=reason, comment=comment, narrower=narrower)
