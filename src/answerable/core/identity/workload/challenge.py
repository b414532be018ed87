"""Challenges for proofs of possession: numbered, handed out without being remembered, taken once.

Laws: a challenge is of this process (it carries a MAC under a secret made at start), of the last minute, and taken at
most once; neither asking for challenges nor taking them costs memory, which is one bit for each of the last
ISSUED_MAX, made at the start. So nobody can use up what others need: a challenge is good for its minute unless
ISSUED_MAX more are asked for in it, some 70,000 a second, which no door of ours can answer.

How many challenges there were since the start can be read from their numbers, and is no secret.
"""

from __future__ import annotations

import hmac
import re
from typing import Final

from answerable.core.base64url import to_base64url
from answerable.errors.codes.workloads import CHALLENGE_EXPIRED, CHALLENGE_UNKNOWN, CHALLENGE_USED

LIFETIME_SECONDS: Final = 60
ISSUED_MAX: Final = 4_194_304
"""Challenges that may be asked for after one before that one is good no longer: 512 KiB of bits."""
SECRET_BYTES: Final = 32

_FORM: Final = re.compile(r"[0-9]{1,12}\.[0-9]{1,15}\.[0-9a-z]{26}\.[A-Za-z0-9_-]{43}")


class Challenges:
    """Issues and takes challenges. The caller holds a lock around `issue` and `take`. Times are monotonic seconds."""

    __slots__ = ("_issued", "_issued_max", "_secret", "_taken")

    def __init__(self, *, secret: bytes, issued_max: int = ISSUED_MAX) -> None:
        self._secret: Final = secret
        self._issued_max: Final = issued_max
        self._issued = 0
        # One bit for each number, which it shares with those a multiple of `issued_max` away: set when it is taken.
        self._taken: Final = bytearray((issued_max + 7) // 8)

    def issue(self, chance: str, *, at: float) -> str:
        """A new challenge; `chance` is a fresh token of the system's entropy, so that nobody knows it beforehand."""
        number = self._issued
        self._issued += 1
        place, bit = self._bit(number)
        self._taken[place] &= ~bit
        text = f"{int(at)}.{number}.{chance}"
        return f"{text}.{self._mac(text)}"

    def check(self, challenge: str, *, at: float) -> None:
        """Raises Unverified (`challenge.unknown`, `challenge.expired`)."""
        text, _, mac = challenge.rpartition(".")
        if not _FORM.fullmatch(challenge) or not hmac.compare_digest(self._mac(text), mac):
            raise CHALLENGE_UNKNOWN()
        created, number, _ = text.split(".")
        # The second it was made in is not counted, so that a challenge lives at least as long as promised.
        in_time = 0 <= int(at) - int(created) <= LIFETIME_SECONDS
        if not in_time or self._issued - int(number) > self._issued_max:
            raise CHALLENGE_EXPIRED()

    def take(self, challenge: str, *, at: float) -> None:
        """Check it, and use it up.

        Raises Unverified (`challenge.unknown`, `challenge.expired`, `challenge.used`).
        """
        self.check(challenge, at=at)
        place, bit = self._bit(int(challenge.split(".")[1]))
        if self._taken[place] & bit:
            raise CHALLENGE_USED()
        self._taken[place] |= bit

    def _bit(self, number: int) -> tuple[int, int]:
        place, bit = divmod(number % self._issued_max, 8)
        return place, 1 << bit

    def _mac(self, text: str) -> str:
        return to_base64url(hmac.digest(self._secret, text.encode("ascii", "replace"), "sha256"))
