"""A person's signed agreement to lift a hold: a compact JWS whose header `typ` is `answerable-lift+jwt`.

Laws: it covers one hold, exactly as it was placed; an old statement is refused; all claims are present and no others;
nobody lifts a hold that they placed, under any key; the same person counts once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta, Struct

from answerable.core.containment.hold import REASON_CHARS_MAX, Agreement
from answerable.core.identity.keys.compact_jws import TokenCodes
from answerable.core.identity.names.principal import PrincipalId
from answerable.core.statement import Kind
from answerable.errors.codes.containment import (
    HOLD_AGREED_ALREADY,
    HOLD_LIFTED_ALREADY,
    HOLD_OWN,
    LIFT_ALGORITHM,
    LIFT_AUDIENCE,
    LIFT_KEY,
    LIFT_MALFORMED,
    LIFT_OTHER,
    LIFT_SIGNATURE,
    LIFT_STALE,
    LIFT_TYPE,
)

if TYPE_CHECKING:
    from answerable.core.containment.hold import Hold
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot

LIFT_TYP: Final = "answerable-lift+jwt"


class LiftClaims(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The claims that a person signs to lift a hold."""

    iss: Annotated[str, Meta(description="the person who says so")]
    aud: Annotated[str, Meta(description="the log of the deployment, exactly one")]
    hold: Annotated[str, Meta(description="the id of the hold")]
    digest: Annotated[
        str,
        Meta(
            description="SHA-256 of the hold as it was placed, hex: of the canonical JSON (RFC 8785) object with the "
            "members `at`, `by`, `expires_at`, `id`, `kind`, `name`, `reason`, `rule` and `source`"
        ),
    ]
    reason: Annotated[str, Meta(description="why it may go on: 1 to 500 printable characters")]
    iat_ms: Annotated[int, Meta(description="when it was signed, Unix milliseconds")]


LIFT: Final = Kind(
    typ=LIFT_TYP,
    codes=TokenCodes(
        malformed=LIFT_MALFORMED,
        type=LIFT_TYPE,
        algorithm=LIFT_ALGORITHM,
        key=LIFT_KEY,
        signature=LIFT_SIGNATURE,
    ),
    what="the lift",
    form=LiftClaims,
)


def verified_lift(
    token: str, *, hold: Hold, audience: str, current: RegistrySnapshot, now: UnixMillis
) -> Agreement:
    """Verify an agreement about exactly this hold, by the current registry. `lifted` checks whether it counts.

    Raises Malformed (`lift.malformed`, `name.invalid`) and Unverified (step `lift`: `lift.type`, `lift.algorithm`,
    `lift.key`, `lift.signature`, `lift.audience`, `lift.other`, `lift.stale`).
    """
    claims = LIFT.verified(token, current.person_keys)
    LIFT.check_audience(claims, audience, code=LIFT_AUDIENCE)
    if (claims.hold, claims.digest) != (hold.id, hold.digest):
        raise LIFT_OTHER(
            "the lift was signed for another hold or another state of it: look at the hold again, "
            "and sign anew"
        )
    LIFT.check_age(claims, now, code=LIFT_STALE)
    if not 0 < len(claims.reason) <= REASON_CHARS_MAX or not claims.reason.isprintable():
        raise LIFT_MALFORMED(
            f"claim `reason` of a lift must have 1 to {REASON_CHARS_MAX} printable characters on one line"
        )
    return Agreement(
        by=PrincipalId(claims.iss), key=LIFT.key_of(token), reason=claims.reason, at=now, token=token
    )


def lifted(hold: Hold, agreement: Agreement, *, current: RegistrySnapshot) -> Hold:
    """Return the hold with one more agreement; lifted, once there are enough.

    Raises Refused: `hold.lifted_already`, `hold.own`, `hold.agreed_already`.
    """
    if hold.lifted_at:
        raise HOLD_LIFTED_ALREADY(f"hold {hold.id} has been lifted already")
    if agreement.by == hold.by:
        raise HOLD_OWN()
    for earlier in hold.agreed:
        if earlier.by == agreement.by or _keys(current, earlier) & _keys(current, agreement):
            raise HOLD_AGREED_ALREADY()
    agreed = (*hold.agreed, agreement)
    enough = len(agreed) >= hold.persons_to_lift
    return replace(hold, agreed=agreed, lifted_at=max(agreement.at, 1) if enough else 0)


def _keys(current: RegistrySnapshot, agreement: Agreement) -> set[str]:
    """Return every key with which this person could have signed."""
    return {agreement.key, *(one.thumbprint for one in current.person_keys(agreement.by))}
