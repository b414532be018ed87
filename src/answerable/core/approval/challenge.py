"""The challenge that a person signs: one hash over our nonce, the action, its card, the person's words and the verdict.

    challenge = SHA-256("answerable-approval/2" || 0x00 || nonce || action hash || rendering hash || words || verdict)

`words` is the SHA-256 of reason, comment and proposal (`Words.digest`); for an emergency access the comment states the
reason. Answers from before words were signed use `answerable-approval/1`, without them: they are read, and none is made
any more.

Laws: each part but the last has a fixed length, so no two questions share a challenge; approval, denial and emergency
access have different challenges, and so have two comments; nothing signed for one version is valid as the other.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from answerable.core.approval.words import NO_WORDS
from answerable.errors.codes.approval import APPROVAL_CHALLENGE

if TYPE_CHECKING:
    from answerable.core.approval.token import Verdict
    from answerable.core.approval.words import Words

DOMAIN: Final = b"answerable-approval/2\0"
FIRST_DOMAIN: Final = b"answerable-approval/1\0"
NONCE_BYTES: Final = 32
NONCE_MILLIS_MAX: Final = 5 * 60 * 1000
"""How long a nonce is valid after it was made."""


def challenge(
    *, nonce: bytes, action: bytes, rendering: bytes, verdict: Verdict, words: Words = NO_WORDS
) -> bytes:
    """Return the 32 bytes. Nonce and hashes have 32 bytes each. Raises Malformed (`approval.challenge`, `json.*`)."""
    _check_lengths(nonce, action, rendering)
    return sha256(DOMAIN + nonce + action + rendering + words.digest + verdict.encode()).digest()


def first_challenge(*, nonce: bytes, action: bytes, rendering: bytes, verdict: Verdict) -> bytes:
    """Return the challenge of an answer from before words were signed, to verify it again. Raises Malformed
    (`approval.challenge`)."""
    _check_lengths(nonce, action, rendering)
    return sha256(FIRST_DOMAIN + nonce + action + rendering + verdict.encode()).digest()


def _check_lengths(*parts: bytes) -> None:
    if {len(part) for part in parts} != {NONCE_BYTES}:
        raise APPROVAL_CHALLENGE("nonce and hashes of a challenge have 32 bytes each")
