"""A mandate on the wire: a JWS in compact form whose header `typ` is `answerable-mandate+jwt`.

| claim           | type    | meaning                                                              |
|-----------------|---------|----------------------------------------------------------------------|
| `iss`           | text    | the person or `schedule:NAME` who gives the task and signs           |
| `sub`           | text    | the agent who gets it                                                |
| `aud`           | text    | the deployment it is for, exactly one                                |
| `jti`           | text    | the mandate's id                                                     |
| `use_case`      | text    | the registered use case                                              |
| `purpose`       | text    | what the task is, for people                                         |
| `grants`        | list    | `[[capability, [caveat, ...]], ...]`, caveats as in `caveat.py`      |
| `caveats`       | list    | caveats that hold for every grant                                    |
| `calls_max`     | integer | actions that may be started in all                                   |
| `not_before_ms` | integer | Unix milliseconds, first instant                                     |
| `expires_at_ms` | integer | Unix milliseconds, first instant after                               |

Claims that may be left out, and then say nothing:

| claim           | type    | meaning                                                              |
|-----------------|---------|----------------------------------------------------------------------|
| `budgets`       | object  | other limits by name, as in `core/registry/documents/budget_name.py`           |
| `delegation`    | object  | how deep, how widely and to whom it may be handed on; else not at all |
| `application`   | text    | the application that signs for the person in `iss`                   |
| `id_token`      | text    | what that person showed it: an ID token whose nonce is of these terms |

Times are milliseconds under names of their own, so that nobody reads them as the seconds of `nbf` and `exp` (RFC 7519).

Laws: all claims of the first table are there, and none that is in neither; an unknown claim or caveat refuses, for it
may be a restriction; a token is believed only under a key registered for the very principal, or application, that it
names as its signer.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from answerable.core.canonical import Limits, parse
from answerable.core.identity.keys.compact_jws import (
    PAYLOAD_DEPTH_MAX,
    TOKEN_CHARS_MAX,
    read_compact,
    verified_claims,
)
from answerable.core.identity.names.principal import (
    PrincipalId,
    UnixMillis,
    agent_id,
    checked_name,
    issuer_id,
    schedule_of,
)
from answerable.core.mandate.budget import checked_limits
from answerable.core.mandate.caveat import CAVEATS_MAX, from_wire, to_wire
from answerable.core.mandate.delegability import NOT_DELEGABLE, delegability_in, delegation_claim
from answerable.core.mandate.mandate import Grant, Mandate, MandateId, MandateTerms
from answerable.errors import Malformed, Unverified, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.keys.keys import PublicKey
    from answerable.core.mandate.caveat import Caveat

MANDATE_TYP: Final = "answerable-mandate+jwt"
CLAIMS: Final = (
    "iss",
    "sub",
    "aud",
    "jti",
    "use_case",
    "purpose",
    "grants",
    "caveats",
    "calls_max",
    "not_before_ms",
    "expires_at_ms",
)
OPTIONAL_CLAIMS: Final = ("budgets", "delegation", "application", "id_token")
ID_TOKEN_CHARS_MAX: Final = 16_384
STEP: Final = "mandate"

_KNOWN: Final = frozenset((*CLAIMS, *OPTIONAL_CLAIMS))
_CODE: Final = "mandate.malformed"
_CLAIMS_LIMITS: Final = Limits(size_bytes_max=TOKEN_CHARS_MAX, depth_max=PAYLOAD_DEPTH_MAX)
_ID: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")


def claims_of(terms: MandateTerms, *, audience: str) -> dict[str, JSONValue]:
    """The claims that say these terms; the inverse of `terms_of`."""
    optional: dict[str, JSONValue] = {}
    if terms.delegability != NOT_DELEGABLE:
        optional["delegation"] = delegation_claim(terms.delegability)
    if terms.application:
        optional["application"] = terms.application
    if terms.id_token:
        optional["id_token"] = terms.id_token
    return {
        "iss": terms.principal,
        "sub": terms.agent,
        "aud": audience,
        "jti": terms.id,
        "use_case": terms.use_case,
        "purpose": terms.purpose,
        "grants": [
            [grant.capability, [to_wire(caveat) for caveat in grant.caveats]] for grant in terms.grants
        ],
        "caveats": [to_wire(caveat) for caveat in terms.caveats],
        "calls_max": terms.calls_max,
        **_budget_claim(terms),
        "not_before_ms": terms.not_before,
        "expires_at_ms": terms.expires_at,
        **optional,
    }


def terms_of(claims: Mapping[str, JSONValue]) -> MandateTerms:
    """Read claims whose signature has been checked, or that this process stored itself.

    Raises Malformed: `mandate.malformed`, `name.invalid`, `caveat.unknown`, `caveat.malformed`, `budget.name`,
    `budget.amount`.
    """
    unknown = [name for name in claims if name not in _KNOWN]
    if unknown:
        raise Malformed(f"claim {shown(unknown[0], 40)} is not known here, so it refuses", code=_CODE)
    missing = [name for name in CLAIMS if name not in claims]
    if missing:
        raise Malformed(f"claim `{missing[0]}` is missing", code=_CODE)
    grants = _list(claims, "grants")
    return MandateTerms(
        id=MandateId(checked_id(_text(claims, "jti"))),
        principal=issuer_id(_text(claims, "iss")),
        agent=agent_id(_text(claims, "sub")),
        use_case=checked_name(_text(claims, "use_case"), what="use case"),
        purpose=_text(claims, "purpose"),
        grants=tuple(_grant(grant) for grant in grants),
        caveats=_caveats(_list(claims, "caveats")),
        calls_max=_integer(claims, "calls_max"),
        budgets=_budgets(claims),
        not_before=UnixMillis(_integer(claims, "not_before_ms")),
        expires_at=UnixMillis(_integer(claims, "expires_at_ms")),
        delegability=delegability_in(claims["delegation"]) if "delegation" in claims else NOT_DELEGABLE,
        application=_application(claims),
        id_token=_id_token(claims),
    )


def verify_mandate(
    token: str,
    *,
    keys_of: Callable[[PrincipalId], Iterable[PublicKey]],
    audience: str,
    application_keys: Callable[[str], Iterable[PublicKey]] = lambda _: (),
) -> Mandate:
    """Verify a mandate token. `keys_of` gives the keys registered for a principal, none for an unknown one;
    `application_keys` those of an application, which alone count where one signs for the principal.

    Says nothing about time, budget or state: `shortfall` does, at every action. Raises Malformed
    (`mandate.malformed`, `name.invalid`, `caveat.*`) and Unverified (step `mandate`: `mandate.type`,
    `mandate.algorithm`, `mandate.key`, `mandate.signature`, `mandate.audience`).
    """
    # Which application it says to come from is believed only together with that application's signature.
    application = ""

    def issuer_of(unverified: Mapping[str, JSONValue]) -> str:
        nonlocal application
        application = _application(unverified)
        return issuer_id(_text(unverified, "iss"))

    claims = verified_claims(
        token,
        typ=MANDATE_TYP,
        step=STEP,
        issuer_of=issuer_of,
        keys_of=lambda issuer: application_keys(application) if application else keys_of(PrincipalId(issuer)),
    )
    terms = terms_of(claims)
    if terms.application and not terms.id_token:
        message = "an application signs with the ID token of the person it signs for, which is missing"
        raise Malformed(message, code=_CODE)
    if claims["aud"] != audience:
        got = shown(claims["aud"], 60)
        message = f"the mandate is for {got}, this is {shown(audience, 60)}"
        raise Unverified(message, code="mandate.audience", step=STEP)
    return signed(terms, token)


def audience_of(token: str) -> str:
    """Which deployment a mandate is for, by its token, which was verified when it was taken in.

    Raises Malformed (`mandate.malformed`).
    """
    claims = parse(read_compact(token, step=STEP).payload, limits=_CLAIMS_LIMITS)
    return _text(claims if isinstance(claims, dict) else {}, "aud")


def mandate_in(token: str) -> Mandate:
    """The mandate that a token is, which was verified when it was taken in. Raises Malformed and Unverified."""
    claims = parse(read_compact(token, step=STEP).payload, limits=_CLAIMS_LIMITS)
    return signed(terms_of(claims if isinstance(claims, dict) else {}), token)


def signed(terms: MandateTerms, token: str) -> Mandate:
    """The mandate that has these terms by this token; for callers that verified it or stored it verified."""
    return Mandate(
        id=terms.id,
        principal=terms.principal,
        agent=terms.agent,
        use_case=terms.use_case,
        purpose=terms.purpose,
        grants=terms.grants,
        caveats=terms.caveats,
        calls_max=terms.calls_max,
        budgets=terms.budgets,
        not_before=terms.not_before,
        expires_at=terms.expires_at,
        delegability=terms.delegability,
        application=terms.application,
        id_token=terms.id_token,
        token=token,
    )


def checked_id(text: str) -> str:
    """Return `text` when it can be the id of a mandate: 1 to 64 of `A-Z a-z 0-9 . _ -`. Raises Malformed."""
    if not _ID.fullmatch(text):
        raise Malformed(f"{shown(text)} is not the id of a mandate", code=_CODE)
    return text


def _application(claims: Mapping[str, JSONValue]) -> str:
    """Whose key signs, if not the principal's own. A draft has no ID token yet, which is made for it."""
    if "id_token" in claims and "application" not in claims:
        raise Malformed("an `id_token` is shown by an `application`, which is missing", code=_CODE)
    if "application" not in claims:
        return ""
    if schedule_of(_text(claims, "iss")) is not None:
        raise Malformed("a schedule signs with its own key, through no application", code=_CODE)
    return checked_name(_text(claims, "application"), what="application")


def _id_token(claims: Mapping[str, JSONValue]) -> str:
    if "id_token" not in claims:
        return ""
    token = _text(claims, "id_token")
    if not 0 < len(token) <= ID_TOKEN_CHARS_MAX or not token.isascii():
        raise Malformed(f"claim `id_token` has 1 to {ID_TOKEN_CHARS_MAX} characters of ASCII", code=_CODE)
    return token


def _grant(wire: JSONValue) -> Grant:
    match wire:
        case [str(capability), [*caveats]]:
            return Grant(capability=checked_name(capability, what="capability"), caveats=_caveats(caveats))
    raise Malformed("a grant must be `[capability, [caveat, ...]]`", code=_CODE)


def _caveats(wires: list[JSONValue]) -> tuple[Caveat, ...]:
    if len(wires) > CAVEATS_MAX:
        raise Malformed(f"expected at most {CAVEATS_MAX} caveats, got {len(wires)}", code=_CODE)
    return tuple(from_wire(wire) for wire in wires)


def _budget_claim(terms: MandateTerms) -> dict[str, JSONValue]:
    """Absent without budgets, so that such a mandate is what it was before there were any."""
    return {"budgets": dict(terms.budgets)} if terms.budgets else {}


def _budgets(claims: Mapping[str, JSONValue]) -> tuple[tuple[str, int], ...]:
    if "budgets" not in claims:
        return ()
    value = claims["budgets"]
    if not isinstance(value, dict) or not value:
        raise Malformed("claim `budgets` must be an object with one limit or more, or absent", code=_CODE)
    return checked_limits(value.items())


def _text(claims: Mapping[str, JSONValue], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str):
        raise Malformed(f"claim `{name}` must be text", code=_CODE)
    return value


def _integer(claims: Mapping[str, JSONValue], name: str) -> int:
    value = claims[name]
    if type(value) is not int:
        raise Malformed(f"claim `{name}` must be an integer", code=_CODE)
    return value


def _list(claims: Mapping[str, JSONValue], name: str) -> list[JSONValue]:
    value = claims[name]
    if not isinstance(value, list):
        raise Malformed(f"claim `{name}` must be a list", code=_CODE)
    return value
