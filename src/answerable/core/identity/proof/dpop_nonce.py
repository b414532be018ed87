"""Make and check server nonces for DPoP proofs (RFC 9449, sections 8 and 9), each derived from a key and the time.

Laws:
- a nonce is good for the rest of its bucket and all of the next, so for one to two times `bucket_seconds`;
- time is a monotonic clock that all holders of the key share, so a change of the wall clock never makes an old nonce
 good again;
- another key, or another server under the same key, has other nonces.

A nonce bounds how far ahead proofs can be made, and how long a proof must be remembered. It does not prove first use:
all clients receive the same nonce, and only a `ReplayStore` counts uses.
"""

from __future__ import annotations

from hashlib import sha256
from hmac import compare_digest
from hmac import digest as hmac_digest
from typing import Final

from answerable.core.base64url import to_base64url
from answerable.errors.codes.tokens import DPOP_LIMITS

BUCKET_SECONDS: Final = 30
BUCKET_SECONDS_MIN: Final = 5
BUCKET_SECONDS_MAX: Final = 300
KEY_BYTES_MIN: Final = 32
NONCE_CHARS: Final = 22
"""128 bits of base64url."""

_LABEL: Final = b"answerable dpop nonce 1\0"


class ServerNonces:
    """The nonces of one server. Thread-safe: the cached state can be recomputed from key and time."""

    __slots__ = ("_bucket_seconds", "_key", "_known", "_server")

    def __init__(self, key: bytes, *, server: str, bucket_seconds: int = BUCKET_SECONDS) -> None:
        """key: at least 32 unpredictable bytes, shared by all processes of the server and nobody else.

        Raises Malformed (`dpop.limits`).
        """
        if len(key) < KEY_BYTES_MIN:
            raise DPOP_LIMITS(f"a key for nonces has at least {KEY_BYTES_MIN} bytes, got {len(key)}")
        if not BUCKET_SECONDS_MIN <= bucket_seconds <= BUCKET_SECONDS_MAX:
            message = f"a nonce is renewed every {BUCKET_SECONDS_MIN} to {BUCKET_SECONDS_MAX} s, got {bucket_seconds}"
            raise DPOP_LIMITS(message)
        self._key: Final = key
        self._server: Final = sha256(server.encode()).digest()
        self._bucket_seconds: Final = bucket_seconds
        # Bucket, its nonce and the previous one. Replaced as a whole, so that no thread sees a partial update.
        self._known: tuple[int, str, str] = (-1, "", "")

    def __repr__(self) -> str:
        return "ServerNonces()"

    def current(self, at: float) -> str:
        """Return the nonce to send to clients now. at: seconds of the monotonic clock."""
        return self._around(at)[1]

    def until(self, nonce: str, at: float) -> float | None:
        """Return when a currently good nonce expires, in seconds of the same clock; None for any other nonce. Constant
        time."""
        bucket, current, previous = self._around(at)
        offered = nonce.encode("utf-8", "surrogatepass")
        is_current = compare_digest(offered, current.encode())
        is_previous = compare_digest(offered, previous.encode())
        if is_current:
            return (bucket + 2) * self._bucket_seconds
        return (bucket + 1) * self._bucket_seconds if is_previous else None

    def _around(self, at: float) -> tuple[int, str, str]:
        bucket = int(at // self._bucket_seconds)
        known = self._known
        if known[0] != bucket:
            known = self._known = (bucket, self._of(bucket), self._of(bucket - 1))
        return known

    def _of(self, bucket: int) -> str:
        message = _LABEL + self._server + bucket.to_bytes(8, "big", signed=True)
        return to_base64url(hmac_digest(self._key, message, "sha256")[:16])
