"""Format announcements as Security Event Tokens (RFC 8417) of the Shared Signals Framework 1.0 and CAEP 1.0.

| what                                             | event                       | subject                         |
|--------------------------------------------------|-----------------------------|---------------------------------|
| token                                            | session-revoked             | `jwt_id`                        |
| hop, mandate, manifest, tool, server, capability | session-revoked             | `opaque`: kind, colon, name     |
| agent                                            | session-revoked             | `complex`: application          |
| instance of an agent                             | session-revoked             | `complex`: session, application |
| owner                                            | session-revoked             | `complex`: user, a pseudonym    |
| vendor, tenant, environment, everything          | session-revoked             | `complex`: tenant               |
| trust domain                                     | session-revoked             | `uri`                           |
| key, certificate, authority, credential          | credential-change, `revoke` | `uri` or `opaque`               |
| a hold placed                                    | our own `hold-placed`; except for keys the above, too | as above |
| a hold lifted                                    | our own `hold-lifted`       | as above                        |

Laws: one event a token (interoperability profile), no `sub` and no `exp`; what no standard covers uses an event type of
our own and never misuses a standard one: a held key is not revoked, and a lifted hold revokes nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from answerable.core.canonical import encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.incident.announcement import Announcement

_CAEP: Final = "https://schemas.openid.net/secevent/caep/event-type/"
_SSF: Final = "https://schemas.openid.net/secevent/ssf/event-type/"
SESSION_REVOKED: Final = _CAEP + "session-revoked"
CREDENTIAL_CHANGE: Final = _CAEP + "credential-change"
VERIFICATION: Final = _SSF + "verification"
STREAM_UPDATED: Final = _SSF + "stream-updated"
HOLD_PLACED: Final = "urn:answerable:event:hold-placed"
HOLD_LIFTED: Final = "urn:answerable:event:hold-lifted"
SUPPORTED: Final = (SESSION_REVOKED, CREDENTIAL_CHANGE, HOLD_PLACED, HOLD_LIFTED)

SET_TYP: Final = "secevent+jwt"
SET_MEDIA_TYPE: Final = "application/secevent+jwt"
THUMBPRINT_URN: Final = "urn:ietf:params:oauth:jwk-thumbprint:sha-256:"
"""RFC 9278."""

_THUMBPRINT: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_CREDENTIALS: Final = frozenset({"key", "credential", "authority"})
_TENANTS: Final = frozenset({"vendor", "tenant", "environment", "everything"})
_DONE: Final = {
    "revoked": "was revoked for good",
    "ended": "ended",
    "closed": "was closed before its end",
    "placed": "is held",
    "lifted": "is no longer held",
}

Event = tuple[str, "dict[str, JSONValue]"]


def events_of(told: Announcement, issuer: str) -> tuple[Event, ...]:
    """Return type and claims of each token for the announcement, without issuer, audience and id; none for a notice to
    a group."""
    if told.change not in _DONE:
        return ()
    subject = subject_of(told, issuer)
    found = [_event(kind, told, subject) for kind in _standard(told)]
    if told.change in ("placed", "lifted"):
        found.append(_event(HOLD_PLACED if told.change == "placed" else HOLD_LIFTED, told, subject))
    return tuple(found)


def subject_of(told: Announcement, issuer: str) -> dict[str, JSONValue]:
    """Return the `sub_id` (RFC 9493; SSF 1.0, section 3)."""
    kind, name = told.kind, told.name
    if kind == "token":
        return {"format": "jwt_id", "iss": issuer, "jti": name}
    if kind == "agent":
        return {"format": "complex", "application": _named(issuer, name)}
    if kind == "instance":
        session: dict[str, JSONValue] = {"format": "complex", "session": _named(issuer, name)}
        return session | ({"application": _named(issuer, told.agent)} if told.agent else {})
    if kind == "owner":
        return {"format": "complex", "user": _opaque(name)}
    if kind in _TENANTS:
        return {"format": "complex", "tenant": _opaque(f"{kind}:{name}" if name else kind)}
    if kind == "trust_domain":
        return {"format": "uri", "uri": f"spiffe://{name}"}
    if kind == "key" and _THUMBPRINT.fullmatch(name):
        return {"format": "uri", "uri": THUMBPRINT_URN + name}
    return _opaque(f"{kind}:{name}" if kind else f"hold:{told.hold}")


def stream_event(kind: str, stream: str, claims: dict[str, JSONValue]) -> dict[str, JSONValue]:
    """Return the claims of an event about a stream itself: verification, stream-updated."""
    return {"sub_id": _opaque(stream), "events": {kind: claims}}


def set_claims(
    content: Mapping[str, JSONValue], *, issuer: str, audience: str, identity: str, at: int
) -> dict[str, JSONValue]:
    """Return the claims of a whole token. content: from `events_of`. at: Unix milliseconds."""
    return {**content, "iss": issuer, "aud": audience, "jti": identity, "iat": at // 1000}


def matches(one: Mapping[str, JSONValue], other: Mapping[str, JSONValue]) -> bool:
    """Whether two subjects match (SSF 1.0, section 8.1.3.1): simple ones if they are equal, complex ones if no common
    member differs."""
    if one.get("format") == "complex" and other.get("format") == "complex":
        return all(encode(one[name]) == encode(other[name]) for name in one.keys() & other.keys())
    return encode(dict(one)) == encode(dict(other))


def _standard(told: Announcement) -> tuple[str, ...]:
    if told.kind in _CREDENTIALS:
        return (CREDENTIAL_CHANGE,) if told.change not in ("placed", "lifted") else ()
    return (SESSION_REVOKED,) if told.change != "lifted" and told.kind else ()


def _event(kind: str, told: Announcement, subject: dict[str, JSONValue]) -> Event:
    what = told.kind.replace("_", " ") or "what a hold was over"
    because = f" ({told.because})" if told.because else ""
    claims: dict[str, JSONValue] = {
        "event_timestamp": told.at // 1000,
        "reason_admin": {"en": f"{what} {_DONE[told.change]}{because}; ledger entry {told.place}"},
    }
    if told.by_person is not None:
        claims["initiating_entity"] = "admin" if told.by_person else "system"
    if kind == CREDENTIAL_CHANGE:
        certificate = told.kind == "authority" or (
            told.kind == "key" and not _THUMBPRINT.fullmatch(told.name)
        )
        claims["credential_type"] = "x509" if certificate else "app" if told.kind == "credential" else "jwk"
        claims["change_type"] = "revoke"
    if told.hold:
        claims["hold"] = told.hold
    if told.until:
        claims["hold_expires_at"] = told.until // 1000
    return kind, {"sub_id": subject, "events": {kind: claims}, "txn": told.place}


def _named(issuer: str, name: str) -> dict[str, JSONValue]:
    return {"format": "iss_sub", "iss": issuer, "sub": name}


def _opaque(name: str) -> dict[str, JSONValue]:
    return {"format": "opaque", "id": name}
