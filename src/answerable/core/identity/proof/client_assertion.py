"""Verify client assertions: a client's signed statement of its identity to the token service (RFC 7523, section 3;
`private_key_jwt`).

Laws: the audience is exactly this issuer; the assertion is short-lived and single-use; the key is looked up by `kid`
and determines the algorithm; the key's owner determines the client, and `iss` and `sub` can only agree with that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.canonical import Limits, parse
from answerable.core.identity.keys.compact_jws import check_compact, read_compact
from answerable.core.identity.names.principal import UnixMillis
from answerable.errors import shown
from answerable.errors.codes.tokens import (
    CLIENT_ALGORITHM,
    CLIENT_AUDIENCE,
    CLIENT_MALFORMED,
    CLIENT_SIGNATURE,
    CLIENT_SUBJECT,
    CLIENT_TIME,
    CLIENT_TYPE,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.keys.keys import PublicKey

LIFETIME_SECONDS_MAX: Final = 300
SKEW_MILLIS: Final = 30_000
AHEAD_MILLIS: Final = 5_000
"""How far `iat` may be ahead of our clock. `iat` decides whether an assertion is older than the memory of used
assertions, and is as wrong as the client's clock."""
ASSERTION_CHARS_MAX: Final = 4_096
ID_CHARS_MAX: Final = 256
CLAIMS_DEPTH_MAX: Final = 3

_HEADER_NEEDED: Final = frozenset({"alg", "kid"})
_HEADER_KNOWN: Final = _HEADER_NEEDED | {"typ"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientAssertion:
    """A verified assertion. client: the value of `iss` and `sub`. thumbprint: of the key that signed it. id: `jti`.

    issued_at: `iat`, or without it the earliest time that `exp` permits.
    """

    client: str
    thumbprint: str
    id: str
    issued_at: UnixMillis
    expires_at: UnixMillis


def verified_assertion(
    token: str, *, issuer: str, key_of: Callable[[str], PublicKey], now: UnixMillis
) -> ClientAssertion:
    """Verify an assertion. key_of: returns the key with a thumbprint; raises Unverified if no client has the key.

    Does not check that the assertion is used once: the caller does. Raises Malformed (`client.malformed`), Unverified
    (step `client`: `client.type`, `.algorithm`, `.signature`, `.audience`, `.time`, `.subject`).
    """
    if len(token) > ASSERTION_CHARS_MAX:
        raise CLIENT_MALFORMED(f"an assertion has at most {ASSERTION_CHARS_MAX} characters")
    jws = read_compact(token, malformed=CLIENT_MALFORMED)
    names = jws.header.keys()
    if not names >= _HEADER_NEEDED or not names <= _HEADER_KNOWN:
        raise CLIENT_MALFORMED(
            "the assertion's header must have `alg` and `kid`, may have `typ`, and nothing else"
        )
    if jws.header.get("typ", "JWT") != "JWT":
        raise CLIENT_TYPE()
    check_compact(jws, key_of(jws.header["kid"]), algorithm=CLIENT_ALGORITHM, signature=CLIENT_SIGNATURE)
    value = parse(jws.payload, limits=Limits(size_bytes_max=ASSERTION_CHARS_MAX, depth_max=CLAIMS_DEPTH_MAX))
    claims: Mapping[str, JSONValue] = value if isinstance(value, dict) else {}
    if claims.get("aud") not in (issuer, [issuer]):
        raise CLIENT_AUDIENCE(f"audience of the assertion must be {shown(issuer)} alone")
    client, identifier = claims.get("sub"), claims.get("jti")
    if not isinstance(client, str) or not client or claims.get("iss") != client:
        raise CLIENT_SUBJECT("`iss` and `sub` of the assertion must both name the client")
    if not isinstance(identifier, str) or not 0 < len(identifier) <= ID_CHARS_MAX:
        raise CLIENT_SUBJECT(f"the assertion has no `jti` of at most {ID_CHARS_MAX} characters")
    expires_at, issued_at = _expiry(claims, now), _time(claims, "iat")
    if issued_at is None:
        issued_at = UnixMillis(expires_at - LIFETIME_SECONDS_MAX * 1000 - SKEW_MILLIS)
    return ClientAssertion(
        client=client,
        thumbprint=jws.header["kid"],
        id=identifier,
        issued_at=issued_at,
        expires_at=expires_at,
    )


def _expiry(claims: Mapping[str, JSONValue], now: UnixMillis) -> UnixMillis:
    """Return `exp`. An expiry has no leeway; a start may be slightly ahead of our clock."""
    ends = _time(claims, "exp")
    if ends is None or now >= ends or ends - now > LIFETIME_SECONDS_MAX * 1000 + SKEW_MILLIS:
        raise CLIENT_TIME(f"`exp` of the assertion must be within the next {LIFETIME_SECONDS_MAX} s")
    for name, lead in (("nbf", SKEW_MILLIS), ("iat", AHEAD_MILLIS)):
        begins = _time(claims, name)
        if begins is not None and begins > now + lead:
            raise CLIENT_TIME(f"the assertion is not valid yet: `{name}` is in the future")
    return ends


def _time(claims: Mapping[str, JSONValue], name: str) -> UnixMillis | None:
    value = claims.get(name)
    if value is None:
        return None
    if type(value) is not int or value < 0:
        raise CLIENT_TIME(f"`{name}` of the assertion is not a whole number of seconds")
    return UnixMillis(value * 1000)
