"""Encode and verify mandates: a mandate is a compact JWS whose header `typ` is `answerable-mandate+jwt`.

Times are milliseconds under names of our own, so that no reader takes them for the seconds of `nbf` and `exp` (RFC
7519).

Laws: all required claims are present, and no unknown ones; an unknown claim or caveat refuses, since it may be a
restriction; a token is accepted only under a key registered for the principal, or application, that it names as its
signer.
"""

from __future__ import annotations

import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from answerable.core.canonical import Limits, parse
from answerable.core.identity.keys.compact_jws import (
    PAYLOAD_DEPTH_MAX,
    TOKEN_CHARS_MAX,
    TokenCodes,
    check_compact,
    from_base64url,
    read_compact,
    split_compact,
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
from answerable.core.statement import Kind
from answerable.errors import Malformed, Unverified, shown
from answerable.errors.codes.mandate import (
    MANDATE_ALGORITHM,
    MANDATE_AUDIENCE,
    MANDATE_KEY,
    MANDATE_MALFORMED,
    MANDATE_SIGNATURE,
    MANDATE_TYPE,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.keys.keys import PublicKey
    from answerable.core.mandate.caveat import Caveat

MANDATE_TYP: Final = "answerable-mandate+jwt"
ID_TOKEN_CHARS_MAX: Final = 16_384
AUDIENCES_KEPT_MAX: Final = 1_024
SIGNATURES_KEPT_MAX: Final = 10_000
"""Checked signatures that are cached: a mandate is checked at every action."""
_VERIFIED: Final = msgspec.json.Decoder(dict[str, Any])
_CLAIMS_LIMITS: Final = Limits(size_bytes_max=TOKEN_CHARS_MAX, depth_max=PAYLOAD_DEPTH_MAX)
_NO_AUDIENCE: Final = b'"aud":""'
_ID: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")


class MandateClaims(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The signed claims. Claims of type `Any` are read by the modules that own them; the last four are optional."""

    iss: Annotated[str, Meta(description="who gives the task and signs: a person, or `schedule:NAME`")]
    sub: Annotated[str, Meta(description="the agent who gets it")]
    aud: Annotated[
        Any,
        Meta(
            description="the deployment it is for: the origin of its ledger, exactly one",
            extra={"type": "text"},
        ),
    ]
    jti: Annotated[str, Meta(description="the mandate's id: 1 to 64 of `A-Z a-z 0-9 . _ -`")]
    use_case: Annotated[str, Meta(description="the registered use case")]
    purpose: Annotated[
        str,
        Meta(description="what the task is, for people: 1 to 500 printable characters on one line"),
    ]
    grants: Annotated[list[Any], Meta(description="1 to 64 of `[capability, [caveat, ...]]`")]
    caveats: Annotated[list[Any], Meta(description="caveats that hold for every grant")]
    calls_max: Annotated[int, Meta(description="actions that may be started in all, at least 1")]
    not_before_ms: Annotated[int, Meta(description="Unix milliseconds, first instant")]
    expires_at_ms: Annotated[
        int, Meta(description="Unix milliseconds, first instant after; at most 90 days later")
    ]
    budgets: Any = UNSET
    delegation: Any = UNSET
    application: Any = UNSET
    id_token: Any = UNSET


MANDATE: Final = Kind(
    typ=MANDATE_TYP,
    codes=TokenCodes(
        malformed=MANDATE_MALFORMED,
        type=MANDATE_TYPE,
        algorithm=MANDATE_ALGORITHM,
        key=MANDATE_KEY,
        signature=MANDATE_SIGNATURE,
    ),
    what="the mandate",
    form=MandateClaims,
    signer=issuer_id,
    missing="claim {claim} is missing",
    unknown="claim {claim} is unknown, so the token is refused",
)


def claims_of(terms: MandateTerms, *, audience: str) -> dict[str, JSONValue]:
    """Write the claims of these terms; the inverse of `terms_of`."""
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
    return _terms(MANDATE.read(claims), claims)


def verify_mandate(
    token: str,
    *,
    keys_of: Callable[[PrincipalId], Iterable[PublicKey]],
    audience: str,
    application_keys: Callable[[str], Iterable[PublicKey]] = lambda _: (),
) -> Mandate:
    """Verify a mandate token.

    keys_of: the keys registered for a principal, none for an unknown one. application_keys: those of an application;
    only these count if the mandate names an application as its signer.

    Does not check time, budget or state: `shortfall` does, at every action. Raises Malformed (`mandate.malformed`,
    `name.invalid`, `caveat.*`) and Unverified (step `mandate`: `mandate.type`, `mandate.algorithm`, `mandate.key`,
    `mandate.signature`, `mandate.audience`).
    """
    # The claimed application is trusted only together with that application's signature.
    application = ""

    def issuer_of(unverified: Mapping[str, JSONValue]) -> str:
        nonlocal application
        application = _application(unverified)
        return issuer_id(_text(unverified, "iss"))

    claims = verified_claims(
        token,
        typ=MANDATE.typ,
        codes=MANDATE.codes,
        issuer_of=issuer_of,
        keys_of=lambda issuer: application_keys(application) if application else keys_of(PrincipalId(issuer)),
    )
    said = MANDATE.read(claims)
    terms = _terms(said, claims)
    if terms.application and not terms.id_token:
        raise MANDATE_MALFORMED(
            "claim `id_token` is missing: a mandate that an application signs needs the ID token of "
            "its person"
        )
    MANDATE.check_audience(said, audience, code=MANDATE_AUDIENCE)
    return signed(terms, token)


@lru_cache(maxsize=AUDIENCES_KEPT_MAX)
def audience_of(token: str) -> str:
    """Return the deployment that a mandate is for. The caller must have verified the token on receipt.

    Raises Malformed (`mandate.malformed`).
    """
    _, payload, _ = split_compact(token, malformed=MANDATE_MALFORMED)
    try:
        claims = _VERIFIED.decode(from_base64url(payload, malformed=MANDATE_MALFORMED))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        claims = {}
    return _text(claims, "aud")


def is_of_token(claims: bytes, token: str) -> bool:
    """Whether these claims, written by `claims_of` for no audience, are those of the token. Does not verify the token.
    Raises Malformed, Unverified."""
    # A token whose claims are written as ours is compared by its bytes, because a start compares every mandate.
    before, named, after = claims.partition(_NO_AUDIENCE)
    payload = token[token.find(".") + 1 : token.rfind(".")].replace("-", "+").replace("_", "/")
    try:
        said = a2b_base64(payload + "==")
    except (Base64Error, ValueError):
        said = b""
    before += named[:-1]
    if named and said.startswith(before) and said.endswith(after):
        audience = said[len(before) : len(said) - len(after)]
        if 0 <= audience.find(b'"') == len(audience) - 1 and b"\\" not in audience:
            return True
    held = parse(claims)
    return terms_of(held if isinstance(held, dict) else {}) == _signed_terms(token)


@lru_cache(maxsize=SIGNATURES_KEPT_MAX)
def is_signed_with(token: str, keys: tuple[PublicKey, ...]) -> bool:
    """Whether the signature is by the one of these keys that the token names."""
    try:
        jws = read_compact(token, malformed=MANDATE_MALFORMED)
        named = [key for key in keys if key.thumbprint == jws.header.get("kid")]
        for key in named:
            check_compact(jws, key, algorithm=MANDATE_ALGORITHM, signature=MANDATE_SIGNATURE)
    except (Malformed, Unverified):
        return False
    return bool(named)


def mandate_in(token: str) -> Mandate:
    """Read a mandate from a token that was verified on receipt. Raises Malformed and Unverified."""
    return signed(_signed_terms(token), token)


def signed(terms: MandateTerms, token: str) -> Mandate:
    """Combine terms and token into a mandate; for callers that verified the token, or stored it verified."""
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
    """Return `text` if it can be the id of a mandate: 1 to 64 of `A-Z a-z 0-9 . _ -`. Raises Malformed."""
    if not _ID.fullmatch(text):
        raise MANDATE_MALFORMED(f"{shown(text)} is not the id of a mandate")
    return text


def _signed_terms(token: str) -> MandateTerms:
    claims = parse(read_compact(token, malformed=MANDATE_MALFORMED).payload, limits=_CLAIMS_LIMITS)
    return terms_of(claims if isinstance(claims, dict) else {})


def _terms(said: MandateClaims, claims: Mapping[str, JSONValue]) -> MandateTerms:
    return MandateTerms(
        id=MandateId(checked_id(said.jti)),
        principal=issuer_id(said.iss),
        agent=agent_id(said.sub),
        use_case=checked_name(said.use_case, what="use case"),
        purpose=said.purpose,
        grants=tuple(_grant(grant) for grant in said.grants),
        caveats=_caveats(said.caveats),
        calls_max=said.calls_max,
        budgets=_budgets(said.budgets),
        not_before=UnixMillis(said.not_before_ms),
        expires_at=UnixMillis(said.expires_at_ms),
        delegability=NOT_DELEGABLE if said.delegation is UNSET else delegability_in(said.delegation),
        application=_application(claims),
        id_token=_id_token(claims),
    )


def _application(claims: Mapping[str, JSONValue]) -> str:
    """Return the application whose key signs, or empty if the principal's own key does. A draft may name an application
    without an ID token, since the token is made for the draft."""
    if "id_token" in claims and "application" not in claims:
        raise MANDATE_MALFORMED("claim `application` is missing, which claim `id_token` needs")
    if "application" not in claims:
        return ""
    if schedule_of(_text(claims, "iss")) is not None:
        raise MANDATE_MALFORMED("a mandate of a schedule must not have claim `application`")
    return checked_name(_text(claims, "application"), what="application")


def _id_token(claims: Mapping[str, JSONValue]) -> str:
    if "id_token" not in claims:
        return ""
    token = _text(claims, "id_token")
    if not 0 < len(token) <= ID_TOKEN_CHARS_MAX or not token.isascii():
        raise MANDATE_MALFORMED(f"claim `id_token` must have 1 to {ID_TOKEN_CHARS_MAX} ASCII characters")
    return token


def _grant(wire: JSONValue) -> Grant:
    match wire:
        case [str(capability), [*caveats]]:
            return Grant(capability=checked_name(capability, what="capability"), caveats=_caveats(caveats))
    raise MANDATE_MALFORMED("a grant must be `[capability, [caveat, ...]]`")


def _caveats(wires: list[JSONValue]) -> tuple[Caveat, ...]:
    if len(wires) > CAVEATS_MAX:
        raise MANDATE_MALFORMED(f"expected at most {CAVEATS_MAX} caveats, got {len(wires)}")
    return tuple(from_wire(wire) for wire in wires)


def _budget_claim(terms: MandateTerms) -> dict[str, JSONValue]:
    """Omit the claim without budgets, so that such a mandate is encoded as before budgets existed."""
    return {"budgets": dict(terms.budgets)} if terms.budgets else {}


def _budgets(claim: JSONValue | UnsetType) -> tuple[tuple[str, int], ...]:
    if claim is UNSET:
        return ()
    if not isinstance(claim, dict) or not claim:
        raise MANDATE_MALFORMED("claim `budgets` must be an object with one limit or more, or absent")
    return checked_limits(claim.items())


def _text(claims: Mapping[str, JSONValue], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str):
        raise MANDATE_MALFORMED(f"claim `{name}` must be text")
    return value
