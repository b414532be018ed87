"""Sign people's statements: mandates, answers to approvals, reviews, lifts, policy steps and delegations of duty.

The person's key stays in this process; only the signed statement is sent to the deployment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from answerable.core.approval.batch_answer import BATCH, batch_claims
from answerable.core.approval.deputy_statement import DUTY
from answerable.core.approval.review import REVIEW, ReviewClaims
from answerable.core.approval.token import ANSWER, answer_claims
from answerable.core.approval.words import words_of
from answerable.core.containment.lift import LIFT, LiftClaims
from answerable.core.identity.keys.compact_jws import signed_statement
from answerable.core.incident.incident_statement import INCIDENT, IncidentClaims, check_claims
from answerable.core.mandate.token import MANDATE_TYP, claims_of
from answerable.core.registry.policy_sets.publication import PUBLICATION, step_claims

if TYPE_CHECKING:
    from answerable.core.approval.approval import Approval
    from answerable.core.approval.batch import Batch
    from answerable.core.approval.deputy_statement import DutyTerms
    from answerable.core.approval.review import Judgement
    from answerable.core.approval.token import Verdict
    from answerable.core.containment.hold import Hold
    from answerable.core.identity.keys.keys import SigningKey
    from answerable.core.identity.names.principal import PrincipalId, UnixMillis
    from answerable.core.mandate.mandate import MandateTerms
    from answerable.core.registry.policy_sets.publication import Terms


def signed_mandate(terms: MandateTerms, *, audience: str, key: SigningKey) -> str:
    """Return the mandate token (`typ` answerable-mandate+jwt) for one deployment.

    Raises Malformed (`statement.size`, `json.*`).
    """
    return signed_statement(claims_of(terms, audience=audience), typ=MANDATE_TYP, key=key)


def signed_answer(
    approval: Approval,
    *,
    nonce: bytes,
    by: PrincipalId,
    verdict: Verdict,
    comment: str = "",
    audience: str,
    at: UnixMillis,
    key: SigningKey,
    reason: str = "",
    narrower: str = "",
) -> str:
    """Return the answer token (`typ` answerable-approval+jwt) to exactly the object and the card in this approval.

    nonce: 32 bytes that the deployment issued for this answer. at: now, Unix milliseconds. reason: of a denial, `other`
    if not given. narrower: with reason `narrower`, the values proposed instead, by argument, in canonical JSON. Raises
    Malformed (`approval.malformed`, `approval.reason`, `statement.size`, `json.*`).
    """
    claims = answer_claims(
        approval,
        nonce=nonce,
        by=by,
        verdict=verdict,
        reason=reason,
        comment=comment,
        narrower=narrower,
        audience=audience,
        at=at,
    )
    return ANSWER.sign(claims, key)


def signed_review(
    *,
    approval: str,
    action: str,
    answer: str,
    by: PrincipalId,
    verdict: Judgement,
    comment: str,
    audience: str,
    at: UnixMillis,
    key: SigningKey,
) -> str:
    """Return the review of a break-glass answer (`typ` answerable-review+jwt).

    approval: its id. action, answer: hashes of the executed action and of the signed answer that permitted it, hex. at:
    now, Unix milliseconds. Raises Malformed (`statement.size`, `json.*`).
    """
    claims = ReviewClaims(
        iss=by, aud=audience, approval=approval, action=action, answer=answer, verdict=verdict, comment=comment,
        iat_ms=at,
    )  # fmt: skip
    return REVIEW.sign(claims, key)


def signed_batch(
    batch: Batch,
    *,
    nonce: bytes,
    by: PrincipalId,
    verdict: Literal["approve", "deny"],
    comment: str = "",
    reason: str = "",
    audience: str,
    at: UnixMillis,
    key: SigningKey,
) -> str:
    """Return the answer token (`typ` answerable-approval-batch+jwt) to exactly this list of objects and cards.

    nonce: 32 bytes that the deployment issued for this answer. at: now, Unix milliseconds. reason: of a denial, `other`
    if not given. Raises Malformed (`approval.malformed`, `approval.reason`, `statement.size`, `json.*`).
    """
    words = words_of(verdict, reason=reason, comment=comment)
    claims = batch_claims(batch, nonce=nonce, by=by, verdict=verdict, words=words, audience=audience, at=at)
    return BATCH.sign(claims, key)


def signed_step(terms: Terms, *, by: PrincipalId, audience: str, at: UnixMillis, key: SigningKey) -> str:
    """Return the token of a step in publishing policy sets (`typ` answerable-policy+jwt). at: now, Unix milliseconds.

    Raises Malformed (`statement.size`, `json.*`).
    """
    return PUBLICATION.sign(step_claims(terms, by=by, audience=audience, at=at), key)


def signed_lift(
    hold: Hold, *, by: PrincipalId, reason: str, audience: str, at: UnixMillis, key: SigningKey
) -> str:
    """Return the token (`typ` answerable-lift+jwt) by which a person agrees to lift exactly this hold.

    at: now, Unix milliseconds. Raises Malformed (`statement.size`, `json.*`).
    """
    claims = LiftClaims(iss=by, aud=audience, hold=hold.id, digest=hold.digest, reason=reason, iat_ms=at)
    return LIFT.sign(claims, key)


def signed_duty(terms: DutyTerms, *, key: SigningKey) -> str:
    """Return the token (`typ` answerable-duty+jwt) by which a person makes another person their deputy.

    Raises Malformed (`statement.size`, `json.*`).
    """
    return DUTY.sign(terms.form(), key)


def signed_incident(claims: IncidentClaims, *, key: SigningKey) -> str:
    """Return the token (`typ` answerable-incident+jwt) by which a person opens an incident, notes on it or closes it.

    Raises Malformed (`incident.malformed`, `name.invalid`, `statement.size`, `json.*`).
    """
    check_claims(claims)
    return INCIDENT.sign(claims, key)
