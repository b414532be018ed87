"""Sign and verify the steps of publishing policy sets: compact JWS whose header `typ` is `answerable-policy+jwt`.

Laws: a step is good for one change, from one digest to another, and for nothing else; a stale step is refused; all
claims are present and no others; nobody publishes their own proposal, under whichever key.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Final, Literal

from msgspec import Meta, Struct

from answerable.core.canonical import freeze, parse
from answerable.core.identity.keys.compact_jws import TokenCodes
from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.core.registry.parsing.in_force import POLICY_SET
from answerable.core.statement import Kind
from answerable.errors import Refused, shown
from answerable.errors.codes.policy import (
    PUBLICATION_ALGORITHM,
    PUBLICATION_AUDIENCE,
    PUBLICATION_GROUP,
    PUBLICATION_KEY,
    PUBLICATION_MALFORMED,
    PUBLICATION_OTHER,
    PUBLICATION_OWN,
    PUBLICATION_SIGNATURE,
    PUBLICATION_STALE,
    PUBLICATION_TYPE,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot

PUBLICATION_TYP: Final = "answerable-policy+jwt"
STEPS: Final = ("propose", "publish", "rollback")
COMMENT_CHARS_MAX: Final = 1000

PublicationStep = Literal["propose", "publish", "rollback"]


class StepClaims(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The claims that a person signs for a step."""

    iss: Annotated[str, Meta(description="the person who takes the step")]
    aud: Annotated[str, Meta(description="the log of the deployment, exactly one")]
    step: Annotated[str, Meta(description="`propose`, `publish` or `rollback`")]
    before: Annotated[
        str,
        Meta(
            description="digest of the policy sets in force: SHA-256 of the canonical JSON object of the documents by "
            "`PolicySet/<name>`, hex"
        ),
    ]
    after: Annotated[str, Meta(description="digest of the policy sets as they are to be, likewise")]
    proposal: Annotated[
        str,
        Meta(
            description="of `publish`: the first 32 hex digits of SHA-256 of the author's token; else empty"
        ),
    ]
    attached: Annotated[
        str,
        Meta(
            description="of `propose`: SHA-256 of the attached JSON text, hex, or empty for none; else empty"
        ),
    ]
    comment: Annotated[str, Meta(description="at most 1,000 characters")]
    iat_ms: Annotated[int, Meta(description="when it was signed, Unix milliseconds")]


PUBLICATION: Final = Kind(
    typ=PUBLICATION_TYP,
    codes=TokenCodes(
        malformed=PUBLICATION_MALFORMED,
        type=PUBLICATION_TYPE,
        algorithm=PUBLICATION_ALGORITHM,
        key=PUBLICATION_KEY,
        signature=PUBLICATION_SIGNATURE,
    ),
    what="the step",
    form=StepClaims,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedStep:
    """A step with a verified signature. key: thumbprint. at: time of signing, Unix milliseconds."""

    by: PrincipalId
    key: str
    step: PublicationStep
    before: str
    after: str
    proposal: str
    attached: str
    comment: str
    at: UnixMillis
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The content of a step to be signed; see the claims."""

    step: PublicationStep
    before: str
    after: str
    proposal: str = ""
    attached: str = ""
    comment: str = ""


def step_claims(terms: Terms, *, by: PrincipalId, audience: str, at: UnixMillis) -> StepClaims:
    """Return the claims to sign. at: the current time."""
    return StepClaims(
        iss=by,
        aud=audience,
        step=terms.step,
        before=terms.before,
        after=terms.after,
        proposal=terms.proposal,
        attached=terms.attached,
        comment=terms.comment,
        iat_ms=at,
    )


def verified_step(
    token: str, *, wanted: PublicationStep, audience: str, current: RegistrySnapshot, now: UnixMillis
) -> SignedStep:
    """Verify a step against the current registry. `publisher_fault` checks whether the person may take it.

    Raises Malformed (`publication.malformed`, `name.invalid`) and Unverified (step `publication`: `publication.type`,
    `publication.algorithm`, `publication.key`, `publication.signature`, `publication.audience`, `publication.other`,
    `publication.stale`).
    """
    claims = PUBLICATION.verified(token, current.person_keys)
    PUBLICATION.check_audience(claims, audience, code=PUBLICATION_AUDIENCE)
    if claims.step != wanted:
        raise PUBLICATION_OTHER(f"expected a signature to {wanted}, got one to {shown(claims.step, 40)}")
    PUBLICATION.check_age(claims, now, code=PUBLICATION_STALE)
    if len(claims.comment) > COMMENT_CHARS_MAX:
        raise PUBLICATION_MALFORMED(f"a comment has at most {COMMENT_CHARS_MAX} characters")
    return SignedStep(
        by=PrincipalId(claims.iss),
        key=PUBLICATION.key_of(token),
        step=wanted,
        before=claims.before,
        after=claims.after,
        proposal=claims.proposal,
        attached=claims.attached,
        comment=claims.comment,
        at=UnixMillis(claims.iat_ms),
        token=token,
    )


def publisher_fault(signed: SignedStep, *, group: str, current: RegistrySnapshot) -> Refused | None:
    """Return why this person may not put policy sets into force: `publication.group`. group: empty for no
    restriction."""
    person = current.principals[signed.by]
    if group and group not in person.groups:
        return PUBLICATION_GROUP(
            f"{signed.by} is not in group {shown(group)}, whose members publish policy sets"
        )
    return None


def own_fault(
    signed: SignedStep, *, author: PrincipalId, key: str, current: RegistrySnapshot
) -> Refused | None:
    """Return why this counts as publishing one's own proposal: `publication.own`. key: thumbprint of the proposal's
    signing key.

    Neither a second key of the author helps, nor a second person who now has the proposal's signing key: the registry
    never has one key or one login under two names at a time.
    """
    publisher, proposer = current.principals[signed.by], current.principals.get(author)
    theirs = {one.thumbprint for one in publisher.keys}
    own = {key, *(one.thumbprint for one in (proposer.keys if proposer is not None else ()))}
    if signed.by == author or theirs & own:
        return PUBLICATION_OWN(f"{author} proposed this: another person must publish it, with their own key")
    return None


def proposal_id(token: str) -> str:
    """Return the id of a proposal, derived from its signed token, so that it identifies exactly one."""
    return sha256(token.encode()).hexdigest()[:32]


def policy_documents(documents: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the policy sets among registered documents, by `kind/name`."""
    return {key: text for key, text in sorted(documents.items()) if key.startswith(POLICY_SET)}


def documents_digest(documents: Mapping[str, bytes]) -> str:
    """Return the SHA-256, hex, of the canonical JSON object of these documents by their keys."""
    return freeze({key: parse(text) for key, text in documents.items()}).hex
