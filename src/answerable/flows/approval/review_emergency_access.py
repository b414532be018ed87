"""Verify and record another person's review of a use of break-glass access, signed with a key file or a passkey."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from answerable.core.approval.approval import ApprovalId, Review
from answerable.core.approval.assurance_level import asked_strength, check_strength
from answerable.core.approval.emergency_access import Owed, owed_review
from answerable.core.approval.passkey_review import kept_review, review_challenge
from answerable.core.approval.review import check_reviewer, verify_review
from answerable.core.approval.words import COMMENT_CHARS_MAX
from answerable.core.identity.names.principal import PrincipalId
from answerable.core.ledger import records_reviews
from answerable.core.ledger.subject import principal_subject
from answerable.errors import shown
from answerable.errors.codes.approval import (
    APPROVAL_CHANGED_MEANWHILE,
    APPROVAL_UNKNOWN,
    REVIEW_DONE,
    REVIEW_MALFORMED,
    REVIEW_NOT_OWED,
    REVIEW_OWN,
)
from answerable.errors.codes.people import PASSKEY_OTHER
from answerable.flows.approval.open_approval import approval_page, take_nonce
from answerable.flows.approval.owed_reviews import answering_groups
from answerable.flows.escalation.approval_nonces import give_nonce
from answerable.flows.people.sign_in import check_passkey
from answerable.flows.recording.name_keys import key_on_record
from answerable.flows.recording.record_entry import pseudonym_of, record_entry, sealing_for
from answerable.flows.validity.deputy_validity import agent_owners
from answerable.flows.validity.mandate_validity import schedule_owner
from answerable.flows.validity.person_validity import desk_of
from answerable.flows.validity.refuse_revoked import signer_fault, signing_key_of

if TYPE_CHECKING:
    from answerable.core.approval.approval import Approval
    from answerable.core.approval.review import Judgement
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.identity.people.passkey import PasskeyAssertion
    from answerable.flows.state.parts import AskingState, AuthorityRegisters, InProgress, Recorder
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.ports.approval_register import ApprovalRegister
    from answerable.ports.challenge_register import OpeningRegister
    from answerable.ports.clock import Clock
    from answerable.ports.entropy import Entropy


async def review_emergency_access(
    recorder: Recorder, authority: AuthorityRegisters, asking: AskingState, approval_id: str, token: str
) -> Approval:
    """Verify and record a review signed with a key file. Return the approval after the review.

    Raises Unverified when the signature or its claims do not verify, Refused (`approval.unknown`, `review.*`,
    `approval.changed_meanwhile`, `approval.weak_signature`, `registry.changed_meanwhile`, `revoked.*`, `held.*`),
    Unavailable.
    """
    now = recorder.clock.now()
    owed = owed_at(authority.approvals, asking.limits, approval_id)
    people = authority.registry.current.principals
    said = verify_review(
        token,
        keys_of=lambda name: people[name].keys if name in people else (),
        audience=recorder.ledger.origin,
        approval=owed.approval,
        answer=owed.answer,
        now=now,
    )
    check_strength(
        asking.limits, owed.approval, passkey=None, page=approval_page(asking.passkeys, approval_id)
    )
    key = signing_key_of(token)
    review = Review(by=said.by, verdict=said.verdict, comment=said.comment, at=now, token=token)
    signer = next(one.jwk for one in people[said.by].keys if one.thumbprint == key)
    return await _recorded(
        recorder, authority, asking.under_way, asking.limits, owed, review, key=key, signer=signer
    )


async def review_by_passkey(
    recorder: Recorder,
    authority: AuthorityRegisters,
    asking: AskingState,
    approval_id: str,
    *,
    person: PrincipalId,
    verdict: Judgement,
    comment: str,
    nonce: bytes,
    assertion: PasskeyAssertion,
) -> Approval:
    """Verify and record a review signed with a passkey in the console.

    person: the signed-in person. nonce: from `open_to_review`. Raises as `review_emergency_access`, and Unverified
    (`passkey.*`, `approval.nonce`), Malformed (`review.malformed`), Refused (`passkey.off`, `person.*`).
    """
    if len(comment) > COMMENT_CHARS_MAX:
        raise REVIEW_MALFORMED(f"a comment has at most {COMMENT_CHARS_MAX} characters")
    now = recorder.clock.now()
    owed = owed_at(authority.approvals, asking.limits, approval_id)
    take_nonce(asking.openings, _nonce_of(owed), nonce, now, by=person)
    signed = review_challenge(owed.approval, owed.answer, nonce=nonce, verdict=verdict, comment=comment)
    passkey = check_passkey(authority, asking.passkeys, assertion, challenge=signed)
    if passkey.person != person:
        raise PASSKEY_OTHER(f"this passkey is not registered for {shown(person)}, who is signed in here")
    check_strength(asking.limits, owed.approval, passkey=passkey)
    token = kept_review(
        owed.approval,
        owed.answer,
        by=person,
        nonce=nonce,
        verdict=verdict,
        comment=comment,
        audience=recorder.ledger.origin,
        at=now,
        passkey=passkey,
        origins=desk_of(asking.passkeys).origins,
        assertion=assertion,
    )
    review = Review(by=person, verdict=verdict, comment=comment, at=now, token=token, credential=passkey.name)
    return await _recorded(
        recorder, authority, asking.under_way, asking.limits, owed, review, key=passkey.key, signer=""
    )


def open_to_review(
    approvals: ApprovalRegister,
    openings: OpeningRegister,
    limits: WalkLimits,
    clock: Clock,
    entropy: Entropy,
    approval_id: str,
    *,
    to: str = "",
) -> tuple[bytes, Owed, UnixMillis]:
    """Return a nonce for one review, the owed review, and when the nonce expires, Unix milliseconds. to: who opens it.

    Raises Refused (`approval.unknown`, `review.not_owed`, `review.done`).
    """
    owed = owed_at(approvals, limits, approval_id)
    if owed.approval.review is not None:
        raise REVIEW_DONE(f"{owed.approval.review.by} has reviewed this already")
    nonce, ends = give_nonce(openings, clock, entropy, _nonce_of(owed), to=to)
    return nonce, owed, ends


def owed_at(approvals: ApprovalRegister, limits: WalkLimits, approval_id: str) -> Owed:
    """Return the review of this approval, owed or done. Raises Refused (`approval.unknown`, `review.not_owed`)."""
    approval = approvals.find(ApprovalId(approval_id))
    if approval is None:
        raise APPROVAL_UNKNOWN(f"there is no approval {shown(approval_id)}")
    owed = owed_review(approval, review_ms=limits.glass_review_ms)
    if owed is None:
        raise REVIEW_NOT_OWED()
    return owed


def _nonce_of(owed: Owed) -> str:
    """Return the key of nonces for this review. It contains a space, so a nonce for answering an approval cannot serve
    for its review."""
    return f"review {owed.approval.id}"


def check_may_review(authority: AuthorityRegisters, limits: WalkLimits, owed: Owed, review: Review) -> None:
    """Check that this person may give the review. Raises Refused (`review.*`)."""
    person = authority.registry.current.principals.get(review.by)
    current = authority.registry.current
    if review.by in {
        schedule_owner(owed.approval.principal, current),
        *agent_owners(authority, limits, owed.approval),
    }:
        raise REVIEW_OWN("you own an agent or the schedule of this action: another person must review it")
    check_reviewer(
        owed.approval,
        review,
        broken=owed.answer,
        groups=person.groups if person is not None else (),
        asked=answering_groups(owed.approval),
    )


async def _recorded(
    recorder: Recorder,
    authority: AuthorityRegisters,
    under_way: InProgress,
    limits: WalkLimits,
    owed: Owed,
    review: Review,
    *,
    key: str,
    signer: str,
) -> Approval:
    reviewing, name = under_way.answering, owed.approval.id
    if name in reviewing:
        # Two reviews checked against the same state would both be recorded, and only one would count.
        raise APPROVAL_CHANGED_MEANWHILE(
            f"approval {shown(name)} is being reviewed at this moment: reload it and try again"
        )
    reviewing.add(name)
    try:
        return await _recorded_alone(
            recorder, authority, under_way, limits, owed, review, key=key, signer=signer
        )
    finally:
        reviewing.discard(name)


async def _recorded_alone(
    recorder: Recorder,
    authority: AuthorityRegisters,
    under_way: InProgress,
    limits: WalkLimits,
    owed: Owed,
    review: Review,
    *,
    key: str,
    signer: str,
) -> Approval:
    # 0. Record whose key signed, unless the ledger has that already. All other checks follow this await.
    keys_ref = (
        await key_on_record(recorder, authority.registry, under_way, review.by, key) if signer else None
    )
    fault = signer_fault(authority, review.by, key)
    if fault is not None:
        raise fault
    check_may_review(authority, limits, owed, review)
    approval = owed.approval
    # 1. The review is in the ledger before it counts. After a crash here, the person reviews again.
    entry = records_reviews.glass_reviewed(
        approval,
        review,
        at=review.at,
        sealing=sealing_for(recorder, principal_subject(review.by)),
        person=pseudonym_of(recorder, review.by),
        signer=signer,
        late=owed.state(review.at) == "overdue",
        keys_ref=keys_ref,
        asks=asked_strength(limits, approval),
    )
    _, left = await record_entry(recorder, entry)
    # 2. The review counts only on the approval that was checked. If the approval was used meanwhile, `_again` retries.
    after = replace(approval, review=review)
    if not authority.approvals.replace(after, was=approval):
        after = _again(authority.approvals, approval, review)
    if left is not None:
        raise left
    return after


def _again(approvals: ApprovalRegister, approval: Approval, review: Review) -> Approval:
    """Apply the review to an approval that ran or expired at the same moment. A second review of it does not count."""
    found = approvals.find(approval.id)
    if found is not None and found.review is None:
        after = replace(found, review=review)
        if approvals.replace(after, was=found):
            return after
    raise APPROVAL_CHANGED_MEANWHILE(
        f"approval {shown(approval.id)} was changed by another answer at the same moment: reload it and try again"
    )
