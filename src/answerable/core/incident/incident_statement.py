"""What a person signs about an incident: that it is opened, a note to it, and that it is closed. A compact JWS whose
header `typ` is `answerable-incident+jwt`.

Laws: it is of one incident, which the statement that opens it names; an old statement is refused; all claims are
present and no others; agents sign none.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Final, Literal, get_args

from msgspec import Meta, Struct

from answerable.core.base64url import to_base64url
from answerable.core.identity.keys.compact_jws import TokenCodes
from answerable.core.identity.names.principal import checked_name, principal_id
from answerable.core.incident.handed_on import moment_text
from answerable.core.statement import Kind
from answerable.errors.codes.incidents import (
    INCIDENT_ALGORITHM,
    INCIDENT_AUDIENCE,
    INCIDENT_KEY,
    INCIDENT_MALFORMED,
    INCIDENT_SIGNATURE,
    INCIDENT_STALE,
    INCIDENT_TYPE,
)

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot

INCIDENT_TYP: Final = "answerable-incident+jwt"
TEXT_CHARS_MAX: Final = 2_000
CLASSES_MAX: Final = 4
NAME_CHARS_MAX: Final = 200

IncidentChange = Literal["opened", "noted", "closed"]
AboutKind = Literal["alert", "hold", "agent", "vendor", "window"]
IncidentClass = Literal["serious", "widespread", "death", "personal-data"]
ABOUT_KINDS: Final[tuple[AboutKind, ...]] = get_args(AboutKind)
CLASSES: Final[tuple[IncidentClass, ...]] = get_args(IncidentClass)

_ID: Final = re.compile(r"[A-Za-z0-9_-]{22}")
_INCIDENT: Final = re.compile(r"inc_[A-Za-z0-9_-]{22}")


class IncidentClaims(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The claims that a person signs about an incident."""

    iss: Annotated[str, Meta(description="the person who says so")]
    aud: Annotated[str, Meta(description="the log of the deployment, exactly one")]
    id: Annotated[str, Meta(description="of the statement, chosen at random by who signs: 22 of base64url")]
    incident: Annotated[
        str, Meta(description="the id of the incident: `inc_` and the `id` of the statement that opens it")
    ]
    entry: Annotated[int, Meta(description="index of the entry that opened it; -1 in that statement itself")]
    change: Annotated[IncidentChange, Meta(description="what it does")]
    kind: Annotated[
        Literal["alert", "hold", "agent", "vendor", "window", ""],
        Meta(description="of what an opened incident is about; else empty"),
    ]
    name: Annotated[
        str,
        Meta(
            description="of what it is about: a hold, agent or vendor, or the entry of an alert; else empty",
            max_length=NAME_CHARS_MAX,
        ),
    ]
    since_ms: Annotated[
        int, Meta(description="from when on it is looked at, Unix milliseconds; else 0", ge=0)
    ]
    until_ms: Annotated[int, Meta(description="until when; 0 for no end, or until it is closed", ge=0)]
    classes: Annotated[
        list[IncidentClass],
        Meta(
            description="what it is by law, as far as this person says: `serious`, `widespread`, `death`, "
            "`personal-data`; sorted",
            max_length=CLASSES_MAX,
        ),
    ]
    told: Annotated[str, Meta(description="who was told of it, by name of a duty, or any name; else empty")]
    told_ms: Annotated[int, Meta(description="when they were told, Unix milliseconds; else 0", ge=0)]
    question: Annotated[int, Meta(description="1 for a question that is open; else 0", ge=0, le=1)]
    answers: Annotated[int, Meta(description="entry of the question that this note answers; else -1", ge=-1)]
    text: Annotated[str, Meta(description=f"1 to {TEXT_CHARS_MAX} printable characters on one line")]
    iat_ms: Annotated[int, Meta(description="when it was signed, Unix milliseconds")]


INCIDENT: Final = Kind(
    typ=INCIDENT_TYP,
    codes=TokenCodes(
        malformed=INCIDENT_MALFORMED,
        type=INCIDENT_TYPE,
        algorithm=INCIDENT_ALGORITHM,
        key=INCIDENT_KEY,
        signature=INCIDENT_SIGNATURE,
    ),
    what="the statement about an incident",
    form=IncidentClaims,
)


def verified_incident(
    token: str, *, audience: str, current: RegistrySnapshot, now: UnixMillis
) -> tuple[IncidentClaims, str]:
    """Verify a statement by the current registry; return its claims and the thumbprint of the key.

    Raises Malformed (`incident.malformed`, `name.invalid`) and Unverified (step `incident`: `incident.type`,
    `incident.algorithm`, `incident.key`, `incident.signature`, `incident.audience`, `incident.stale`).
    """
    claims = INCIDENT.verified(token, current.person_keys)
    INCIDENT.check_audience(claims, audience, code=INCIDENT_AUDIENCE)
    INCIDENT.check_age(claims, now, code=INCIDENT_STALE)
    check_claims(claims)
    return claims, INCIDENT.key_of(token)


def check_claims(claims: IncidentClaims) -> None:
    """Check that the claims go together. Raises Malformed (`incident.malformed`, `name.invalid`)."""
    opens = claims.change == "opened"
    if not _ID.fullmatch(claims.id) or not _INCIDENT.fullmatch(claims.incident):
        raise INCIDENT_MALFORMED("`id` is 22 characters of base64url, `incident` the same after `inc_`")
    if opens != (claims.incident == f"inc_{claims.id}") or opens != (claims.entry == -1) or claims.entry < -1:
        raise INCIDENT_MALFORMED("an incident is named after the statement that opens it, and that one alone")
    if opens != bool(claims.kind) or (not opens and (claims.since_ms or claims.until_ms)):
        raise INCIDENT_MALFORMED("the statement that opens an incident says what it is about, and no other")
    if bool(claims.name) != (claims.kind not in ("", "window")):
        raise INCIDENT_MALFORMED("what an incident is about has a name, a window of time has none")
    if not 0 < len(claims.text) <= TEXT_CHARS_MAX or not claims.text.isprintable():
        raise INCIDENT_MALFORMED(
            f"claim `text` must have 1 to {TEXT_CHARS_MAX} printable characters on one line"
        )
    if claims.until_ms and claims.until_ms <= claims.since_ms:
        raise INCIDENT_MALFORMED("the window of an incident ends before it begins")
    if claims.since_ms > claims.iat_ms:
        begins = moment_text(claims.since_ms)
        raise INCIDENT_MALFORMED(
            f"an incident begins at {begins}, which is not yet: name a time that is past"
        )
    if claims.classes != sorted(set(claims.classes)):
        raise INCIDENT_MALFORMED("claim `classes` is sorted and names each once")
    if bool(claims.told) != bool(claims.told_ms) or (opens and claims.told) or claims.told_ms > claims.iat_ms:
        raise INCIDENT_MALFORMED("who was told of an incident is in a note, with the time, which is past")
    if claims.told:
        checked_name(claims.told, what="who was told")
    is_note = claims.change == "noted"
    if (claims.question or claims.answers >= 0) and (not is_note or claims.question == (claims.answers >= 0)):
        raise INCIDENT_MALFORMED("a note asks a question or answers one, and nothing else does")


def incident_claims(
    by: str, log: str, text: str, *, at: int, random: bytes, change: IncidentChange, **others: JSONValue
) -> IncidentClaims:
    """Return the claims of a statement; claims that are not named are those of one that says nothing of them.

    random: 16 bytes, for its id. Raises Malformed (`incident.malformed`, `name.invalid`).
    """
    name = to_base64url(random)
    usual: dict[str, JSONValue] = {
        "iss": principal_id(by),
        "aud": log,
        "id": name,
        "incident": f"inc_{name}",
        "entry": -1,
        "change": change,
        "kind": "",
        "name": "",
        "since_ms": 0,
        "until_ms": 0,
        "classes": [],
        "told": "",
        "told_ms": 0,
        "question": 0,
        "answers": -1,
        "text": text,
        "iat_ms": at,
    }
    claims = INCIDENT.read(usual | others)
    check_claims(claims)
    return claims
