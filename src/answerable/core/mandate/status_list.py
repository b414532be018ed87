"""Token Status List (draft-ietf-oauth-status-list, text of revision 21): write, sign and verify lists of token
statuses. One list is an array of small numbers, one a token; remote verifiers read it, and fetch it again after its
`ttl`.

   eyJ…  JWS in compact form, header `typ` = `statuslist+jwt`
   {"exp": 1790000000, "iat": 1789999940, "status_list": {"bits": 1, "lst": "eNrbuRgAAhcBXQ"},
    "sub": "https://gateway.example/status/1", "ttl": 60}

`lst` is base64url of the zlib stream (RFC 1950) over the array; entry 0 is in the lowest bits of byte 0.

Laws: a list is read whole or not at all; reading takes no more memory than `STATUSES_BYTES_MAX`, whatever size the
stream would unpack to; a place outside the list refuses, and so does a list that is expired, issued in the future or
about another URI; a status other than `VALID` is never treated as valid.
"""

from __future__ import annotations

import zlib
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

from answerable.core.base64url import to_base64url
from answerable.core.identity.keys.compact_jws import TokenCodes, signed_statement, verified_claims
from answerable.errors import shown
from answerable.errors.codes.mandate import (
    STATUS_ALGORITHM,
    STATUS_EXPIRED,
    STATUS_FUTURE,
    STATUS_INDEX,
    STATUS_KEY,
    STATUS_MALFORMED,
    STATUS_OUT_OF_RANGE,
    STATUS_SIGNATURE,
    STATUS_SIZE,
    STATUS_TTL,
    STATUS_TYPE,
    STATUS_URI,
    STATUS_VALUE,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.keys.keys import PublicKey, SigningKey
    from answerable.core.identity.names.principal import UnixMillis

Bits = Literal[1, 2, 4, 8]

STATUS_LIST_TYP: Final = "statuslist+jwt"
STATUSES_BYTES_MAX: Final = 1 << 20
"""Of one unpacked list: eight million tokens of one bit."""
PACKED_CHARS_MAX: Final = 1_500_000
"""Of `lst`. Data that does not compress is slightly longer packed than unpacked."""
TTL_SECONDS_MAX: Final = 86_400
URI_CHARS_MAX: Final = 2_048
CLOCK_AHEAD_SECONDS_MAX: Final = 60

VALID: Final = 0
INVALID: Final = 1
SUSPENDED: Final = 2

_BITS: Final[tuple[Bits, ...]] = get_args(Bits)
_ALPHABET: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusList:
    """An unpacked status list. bits: bits per status. statuses: the array."""

    bits: Bits
    statuses: bytes

    @property
    def size(self) -> int:
        """Number of places in the list."""
        return len(self.statuses) * (8 // self.bits)

    def status(self, index: int) -> int:
        """Return the status at a place. Raises Refused (`status.out_of_range`)."""
        if type(index) is not int or not 0 <= index < self.size:
            raise STATUS_OUT_OF_RANGE(
                f"the status list has {self.size} entries and none with index {shown(index)}: the token "
                "is refused"
            )
        per_byte = 8 // self.bits
        octet = self.statuses[index // per_byte]
        return octet >> (index % per_byte * self.bits) & ((1 << self.bits) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusListToken:
    """The content of a signed status list. uri: `sub`. issued_at, expires_at: Unix seconds; expires_at is 0 if `exp` is
    absent.

    ttl: seconds after which a cached list must be fetched again; 0 if absent.
    """

    uri: str
    issued_at: int
    expires_at: int
    ttl: int
    statuses: StatusList


def with_status(statuses: bytearray, *, bits: Bits, indexes: Iterable[int], status: int) -> None:
    """Set the status of these places in `statuses`. Raises Malformed (`status.value`, `status.index`)."""
    if not 0 <= status < 1 << bits:
        raise STATUS_VALUE(f"status {status} does not fit into {bits} bits")
    per_byte, mask = 8 // bits, (1 << bits) - 1
    size = len(statuses) * per_byte
    for index in indexes:
        if not 0 <= index < size:
            raise STATUS_INDEX(f"index {index} is out of range, expected 0 or more and less than {size}")
        at, shift = index // per_byte, index % per_byte * bits
        statuses[at] = statuses[at] & ~(mask << shift) | status << shift


def packed(statuses: StatusList) -> dict[str, JSONValue]:
    """Write the member `status_list`. Raises Malformed (`status.size`)."""
    if not 0 < len(statuses.statuses) <= STATUSES_BYTES_MAX:
        raise STATUS_SIZE(f"a status list has 1 to {STATUSES_BYTES_MAX} bytes")
    return {"bits": statuses.bits, "lst": to_base64url(zlib.compress(statuses.statuses, 9))}


def unpacked(member: JSONValue) -> StatusList:
    """Read the member `status_list` from untrusted input. Raises Malformed (`status.malformed`)."""
    if not isinstance(member, dict):
        raise STATUS_MALFORMED("`status_list` is not an object")
    bits = next((one for one in _BITS if type(member.get("bits")) is int and one == member["bits"]), None)
    if bits is None:
        raise STATUS_MALFORMED(f"`bits` must be 1, 2, 4 or 8, got {shown(member.get('bits'), 20)}")
    text = member.get("lst")
    if not isinstance(text, str) or not 0 < len(text) <= PACKED_CHARS_MAX:
        raise STATUS_MALFORMED(f"`lst` must be text of 1 to {PACKED_CHARS_MAX} characters")
    if "aggregation_uri" in member and not isinstance(member["aggregation_uri"], str):
        raise STATUS_MALFORMED("`aggregation_uri` must be text")
    return StatusList(bits=bits, statuses=_inflated(_octets(text)))


def signed_status_list(
    statuses: StatusList, *, uri: str, at: UnixMillis, ttl: int, lifetime_seconds: int, key: SigningKey
) -> str:
    """Sign a status list token over these statuses. ttl: seconds until it must be fetched again. lifetime_seconds: how
    long it is valid.

    Raises Malformed (`status.ttl`, `status.size`, `statement.size` for a list that does not fit a token).
    """
    if not 0 < ttl <= lifetime_seconds <= TTL_SECONDS_MAX:
        raise STATUS_TTL(
            f"a status list is valid for at most {TTL_SECONDS_MAX} s, and its `ttl` must be positive "
            "and not longer"
        )
    seconds = at // 1000
    claims: dict[str, JSONValue] = {
        "exp": seconds + lifetime_seconds,
        "iat": seconds,
        "status_list": packed(statuses),
        "sub": uri,
        "ttl": ttl,
    }
    return signed_statement(claims, typ=STATUS_LIST_TYP, key=key)


def verified_status_list(
    token: str, *, uri: str, keys: Iterable[PublicKey], now: UnixMillis
) -> StatusListToken:
    """Verify a status list received from a third party as the answer for `uri`, signed by one of these keys.

    Raises Malformed (`status.malformed`), Unverified (step `status`: `status.type`, `.key`, `.algorithm`, `.signature`,
    `.uri` for a list about another URI, `.expired`, `.future`).
    """
    known = tuple(keys)
    claims = verified_claims(
        token,
        typ=STATUS_LIST_TYP,
        codes=TokenCodes(
            malformed=STATUS_MALFORMED,
            type=STATUS_TYPE,
            algorithm=STATUS_ALGORITHM,
            key=STATUS_KEY,
            signature=STATUS_SIGNATURE,
        ),
        issuer_of=lambda _: "the status list",
        keys_of=lambda _: known,
    )
    return status_list_in(claims, uri=uri, now=now)


def status_list_in(claims: Mapping[str, JSONValue], *, uri: str, now: UnixMillis) -> StatusListToken:
    """Read the claims of a token whose signature was already checked. Raises as `verified_status_list`."""
    issued = _seconds(claims, "iat", needed=True)
    expires, ttl = _seconds(claims, "exp"), _seconds(claims, "ttl")
    if "ttl" in claims and ttl == 0:
        raise STATUS_MALFORMED("`ttl` must be a positive number")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= URI_CHARS_MAX:
        raise STATUS_MALFORMED(f"`sub` must be text of 1 to {URI_CHARS_MAX} characters")
    if subject != uri:
        raise STATUS_URI(f"expected the status list of {shown(uri)}, got that of {shown(subject)}")
    seconds = now / 1000
    if "exp" in claims and seconds >= expires:
        raise STATUS_EXPIRED()
    if issued > seconds + CLOCK_AHEAD_SECONDS_MAX:
        raise STATUS_FUTURE()
    return StatusListToken(
        uri=subject,
        issued_at=issued,
        expires_at=expires,
        ttl=ttl,
        statuses=unpacked(claims.get("status_list")),
    )


def reference_of(status: JSONValue) -> tuple[str, int]:
    """Return URI and place that the claim `status` of a token names. Raises Malformed (`status.malformed`).

    A token that names no status list is an error too: the caller needs a status.
    """
    named = status.get("status_list") if isinstance(status, dict) else None
    if not isinstance(named, dict):
        raise STATUS_MALFORMED("`status` names no status list")
    index, uri = named.get("idx"), named.get("uri")
    if type(index) is not int or index < 0:
        raise STATUS_MALFORMED("`idx` must be a whole number of 0 or more")
    if not isinstance(uri, str) or not 0 < len(uri) <= URI_CHARS_MAX:
        raise STATUS_MALFORMED(f"`uri` must be text of 1 to {URI_CHARS_MAX} characters")
    return uri, index


def _inflated(stream: bytes) -> bytes:
    """Unpack exactly one zlib stream, and stop at the size limit (protection against decompression bombs)."""
    unpacking = zlib.decompressobj()
    try:
        found = unpacking.decompress(stream, STATUSES_BYTES_MAX + 1)
    except zlib.error:
        raise STATUS_MALFORMED("`lst` is not a zlib stream") from None
    if len(found) > STATUSES_BYTES_MAX:
        raise STATUS_MALFORMED(f"the list would have more than {STATUSES_BYTES_MAX} bytes")
    if not unpacking.eof or unpacking.unused_data:
        raise STATUS_MALFORMED("`lst` is not one whole zlib stream")
    if not found:
        raise STATUS_MALFORMED("the list is empty")
    return found


def _octets(text: str) -> bytes:
    if _ALPHABET.issuperset(text) and len(text) % 4 != 1:
        octets = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        if to_base64url(octets) == text:
            return octets
    raise STATUS_MALFORMED("`lst` is not base64url without padding")


def _seconds(claims: Mapping[str, JSONValue], name: str, *, needed: bool = False) -> int:
    value = claims.get(name, None if needed else 0)
    if type(value) is not int or value < 0:
        raise STATUS_MALFORMED(f"`{name}` must be a whole number of 0 or more")
    return value
