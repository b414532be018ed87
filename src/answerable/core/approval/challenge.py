"""What a person signs: one hash over a nonce of ours, the action, the picture of it and the verdict.

    challenge = SHA-256("answerable-approval/1" || 0x00 || nonce || action hash || rendering hash || verdict)

Who breaks the glass signs the reason, too: after that verdict follow 0x00 and the SHA-256 of the reason.

Laws: each part but the last has one length, so no two questions share a challenge; yes, no and a broken glass are
different challenges.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from answerable.errors import Malformed

if TYPE_CHECKING:
    from answerable.core.approval.token import Verdict

DOMAIN: Final = b"answerable-approval/1\0"
NONCE_BYTES: Final = 32
NONCE_MILLIS_MAX: Final = 5 * 60 * 1000
"""How long a nonce is good for, from when it was made."""


def challenge(*, nonce: bytes, action: bytes, rendering: bytes, verdict: Verdict, reason: str = "") -> bytes:
    """The 32 bytes. Nonce and hashes have 32 bytes each. reason: of who breaks the glass; signed there alone.

    Raises Malformed (`approval.challenge`).
    """
    if {len(nonce), len(action), len(rendering)} != {NONCE_BYTES}:
        raise Malformed("nonce and hashes of a challenge have 32 bytes each", code="approval.challenge")
    said = verdict.encode()
    if verdict == "break_glass":
        said += b"\0" + sha256(reason.encode()).digest()
    return sha256(DOMAIN + nonce + action + rendering + said).digest()
