"""Issue and check single-use challenges for proofs of possession, without storing them.

Laws: a challenge belongs to this process (it carries a MAC under a secret made at start), is less than a minute old,
and is taken at most once; neither issuing nor taking costs memory beyond one bit for each of the last ISSUED_MAX,
allocated with the first. So no caller can exhaust the challenges of others: a challenge stays good for its minute
unless ISSUED_MAX more are issued within it, some 70,000 a second, which no listener of ours can serve.

Challenges carry ascending numbers, so their total since the start is public.
"""

from __future__ import annotations

import hmac
import re
from typing import Final

from answerable.core.base64url import to_base64url
from answerable.errors.codes.workloads import CHALLENGE_EXPIRED, CHALLENGE_UNKNOWN, CHALLENGE_USED

LIFETIME_SECONDS: Final = 60
ISSUED_MAX: Final = 4_194_304
"""Number of later challenges after which a challenge is no longer good: 512 KiB of bits."""
SECRET_BYTES: Final = 32

_FORM: Final = re.compile(r"[0-9]{1,12}\.[0-9]{1,15}\.[0-9a-z]{26}\.[A-Za-z0-9_-]{43}")


class Challenges:
    """The challenges of one process. The caller holds a lock around `issue` and `take`. Times are monotonic seconds."""

    __slots__ = ("_issued", "_issued_max", "_secret", "_taken")

    def __init__(self, *, secret: bytes, issued_max: int = ISSUED_MAX) -> None:
        self._secret: Final = secret
        self._issued_max: Final = issued_max
        self._issued = 0
        # One bit for each number modulo `issued_max`, set when the challenge is taken.
        self._taken = bytearray()

    def issue(self, chance: str, *, at: float) -> str:
        """Issue a challenge. chance: a fresh random token, which makes the challenge unpredictable."""
        if not self._taken:
            self._taken = bytearray((self._issued_max + 7) // 8)
        number = self._issued
        self._issued += 1
        place, bit = self._bit(number)
        self._taken[place] &= ~bit
        text = f"{int(at)}.{number}.{chance}"
        return f"{text}.{self._mac(text)}"

    def check(self, challenge: str, *, at: float) -> None:
        """Check a challenge without taking it. Raises Unverified (`challenge.unknown`, `challenge.expired`)."""
        text, _, mac = challenge.rpartition(".")
        if not _FORM.fullmatch(challenge) or not hmac.compare_digest(self._mac(text), mac):
            raise CHALLENGE_UNKNOWN()
        created, number, _ = text.split(".")
        # The comparison in whole seconds is inclusive, so that a challenge lives at least as long as promised.
        in_time = 0 <= int(at) - int(created) <= LIFETIME_SECONDS
        if not in_time or self._issued - int(number) > self._issued_max:
            raise CHALLENGE_EXPIRED()

    def take(self, challenge: str, *, at: float) -> None:
        """Check a challenge, and mark it as taken.

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
