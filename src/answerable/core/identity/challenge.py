"""Challenges for proofs of possession: handed out without being remembered, taken once.

Laws: a challenge is of this process (it carries a MAC under a secret made at start), of the last minute, and taken at
most once; asking for challenges costs no memory, so a flood of questions keeps nobody out.
"""

from __future__ import annotations

import hmac
import re
from typing import Final

from answerable.core.identity.attestation import STEP
from answerable.core.identity.keys import to_base64url
from answerable.core.identity.replay import ReplayMemory
from answerable.errors import Refused, Unverified

LIFETIME_SECONDS: Final = 60
TAKEN_MAX: Final = 65_536
"""Taken challenges that are remembered; full means refused."""
SECRET_BYTES: Final = 32

_FORM: Final = re.compile(r"[0-9]{1,12}\.[0-9a-z]{26}\.[A-Za-z0-9_-]{43}")


class Challenges:
    """Issues and takes challenges. The caller holds a lock around `take`. Times are monotonic seconds."""

    __slots__ = ("_secret", "_taken")

    def __init__(self, *, secret: bytes, taken_max: int = TAKEN_MAX) -> None:
        self._secret: Final = secret
        self._taken: Final = ReplayMemory(nonces_max=taken_max, retention_seconds=LIFETIME_SECONDS)

    def issue(self, chance: str, *, at: float) -> str:
        """A new challenge; `chance` is a fresh token of the system's entropy."""
        text = f"{int(at)}.{chance}"
        return f"{text}.{self._mac(text)}"

    def check(self, challenge: str, *, at: float) -> None:
        """Raises Unverified (`challenge.unknown`, `challenge.expired`)."""
        text, _, mac = challenge.rpartition(".")
        if not _FORM.fullmatch(challenge) or not hmac.compare_digest(self._mac(text), mac):
            raise Unverified("the challenge is not one of ours", code="challenge.unknown", step=STEP)
        # The second it was made in is not counted, so that a challenge lives at least as long as promised.
        if not 0 <= int(at) - int(text.partition(".")[0]) <= LIFETIME_SECONDS:
            raise Unverified("the challenge has expired", code="challenge.expired", step=STEP)

    def take(self, challenge: str, *, at: float) -> None:
        """Check it, and use it up.

        Raises Unverified (`challenge.unknown`, `challenge.expired`, `challenge.used`) and Refused (`challenge.busy`).
        """
        self.check(challenge, at=at)
        created, chance, _ = challenge.split(".")
        accepted = self._taken.accept(chance, created=int(created), at=at)
        if accepted == "full":
            raise Refused("too many enrolments within a minute, try again in a minute", code="challenge.busy")
        if accepted != "new":
            raise Unverified("the challenge was used before", code="challenge.used", step=STEP)

    def _mac(self, text: str) -> str:
        return to_base64url(hmac.digest(self._secret, text.encode("ascii", "replace"), "sha256"))
