"""Sign the short-lived JWT by which a GitHub app authenticates to GitHub."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from answerable.errors.codes.leases import TARGET_KEY

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.ports.clock import Clock

SKEW_SECONDS: Final = 60
"""How far the local clock may run ahead of GitHub's; the value that GitHub's documentation recommends."""
LIFE_SECONDS: Final = 540
"""GitHub accepts at most ten minutes, by its own clock."""
BITS_MIN: Final = 2048


class AppTokens:
    """Signs JWTs of one app with RS256. The key is read for each JWT, so that a rotated key takes effect."""

    def __init__(self, *, app: str, key: Callable[[], bytes], clock: Clock) -> None:
        """app: the app's client id or number. key: returns the app's RSA private key, PEM."""
        self._app = app
        self._key = key
        self._clock = clock
        self._read: tuple[bytes, RSAKey] | None = None

    def signed(self) -> str:
        """Return a JWT for one request. Raises Malformed (`target.key`), and whatever `key` raises."""
        try:
            key = self._imported(self._key())
            now = self._clock.now() // 1000
            claims = {"iat": now - SKEW_SECONDS, "exp": now + LIFE_SECONDS, "iss": self._app}
            return jwt.encode({"alg": "RS256", "typ": "JWT"}, claims, key, algorithms=["RS256"])
        except (JoseError, ValueError, TypeError):
            raise TARGET_KEY(
                f"the key of the GitHub app must be a private RSA key in PEM with {BITS_MIN} bits or more"
            ) from None

    def _imported(self, pem: bytes) -> RSAKey:
        """Parse and check the key. The result is cached until the key changes, because the check is slow."""
        if self._read is None or self._read[0] != pem:
            private = load_pem_private_key(pem, password=None)
            if not isinstance(private, RSAPrivateKey) or private.key_size < BITS_MIN:
                raise ValueError
            self._read = pem, RSAKey.import_key(private)
        return self._read[1]
