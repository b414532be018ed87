"""A standing secret of the broker's own, read for each request, and the credentials that it adds to one."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from answerable.core.lease.credential_redaction import SECRET_CHARS_MIN
from answerable.errors import Malformed, Unavailable
from answerable.errors.codes.leases import LEASE_TARGET

if TYPE_CHECKING:
    from collections.abc import Callable

Place = Literal["header", "query", "basic", "certificate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    """The credentials that are added to a request. secrets: every secret text, which must not appear in a response."""

    headers: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    secrets: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "Injection()"


class StandingSecret:
    """Where a standing secret is placed on a request. name: of the header or parameter, or the user name. prefix: text
    before the secret in a header, such as `Bearer `. secret: a reference; not read if the client certificate alone
    authenticates."""

    def __init__(
        self,
        place: Place,
        *,
        secret: str,
        secret_of: Callable[[str], bytes],
        name: str = "authorization",
        prefix: str = "",
    ) -> None:
        self._place = place
        self._secret = secret
        self._secret_of = secret_of
        self._name = name
        self._prefix = prefix

    def injection(self) -> Injection:
        """Return the credentials with the current secret. Raises Unavailable (`lease.target`)."""
        if self._place == "certificate":
            return Injection()
        try:
            secret = self._secret_of(self._secret).decode("utf-8").strip()
        except UnicodeDecodeError:
            raise _unusable("it is no text") from None
        except (Malformed, Unavailable) as fault:
            raise _unusable(fault.message) from None
        if len(secret) < SECRET_CHARS_MIN or not secret.isprintable():
            raise _unusable(
                f"it has fewer than {SECRET_CHARS_MIN} characters, or some that cannot be printed"
            )
        if self._place == "query":
            return Injection(query=((self._name, secret),), secrets=(secret,))
        if self._place == "basic":
            pair = b64encode(f"{self._name}:{secret}".encode()).decode()
            return Injection(headers=(("authorization", f"Basic {pair}"),), secrets=(secret, pair))
        if not secret.isascii():
            raise _unusable("a header takes ASCII only")
        return Injection(headers=((self._name, f"{self._prefix}{secret}"),), secrets=(secret,))


def _unusable(why: str) -> Unavailable:
    return LEASE_TARGET(f"the standing secret cannot be used: {why}")
