"""Verify and record a person's signed answer to a deferred action. The signature covers the digest of exactly the
action that will run."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from answerable.core.approval.approval import Answer, Approval, ApprovalId
from answerable.core.approval.assurance_level import check_strength
from answerable.core.approval.challenge import challenge
from answerable.core.approval.emergency_access import GLASS, taken
from answerable.core.approval.passkey_answer import kept_answer
from answerable.core.approval.token import verify_answer
from answerable.core.approval.words import words_of
from answerable.core.containment.reach import reach_of
from answerable.core.ledger.records_approvals import approval_answer
from answerable.core.ledger.subject import principal_subject
from answerable.errors import shown
from answerable.errors.codes.approval import (
    APPROVAL_CHANGED_MEANWHILE,
    APPROVAL_OWN_AGENT,
    APPROVAL_OWN_MANDATE,
)
from answerable.errors.codes.mandate import MANDATE_CLOSED
from answerable.errors.codes.people import PASSKEY_OTHER
from answerable.flows.approval.answering_pace import check_look, counted
from answerable.flows.approval.notify_attention_check import notify_attention_check
from answerable.flows.approval.open_approval import approval_here, approval_page, take_nonce
from answerable.flows.approval.owed_reviews import tell_broken
from answerable.flows.approval.record_view import opened_at
from answerable.flows.approval.typed_names import check_typed
from answerable.flows.counters.count_history import count_answered
from answerable.flows.counters.watch_denials import count_no
from answerable.flows.escalation.propose_narrower import with_proposal
from answerable.flows.people.sign_in import check_passkey
from answerable.flows.recording.name_keys import key_on_record
from answerable.flows.recording.record_entry import key_of, pseudonym_of, sealing_for
from answerable.flows.revocation.deny_waiting import names_of_approval
from answerable.flows.validity.deputy_validity import agent_owners, in_place_of
from answerable.flows.validity.mandate_validity import schedule_owner
from answerable.flows.validity.person_validity import desk_of
from answerable.flows.validity.refuse_revoked import signer_fault, signing_key_of
from answerable.flows.validity.workflow_validity import check_counts_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from answerable.core.approval.token import Verdict
    from answerable.core.approval.words import Words
    from answerable.core.identity.names.principal import PrincipalId, UnixMillis
    from answerable.core.identity.people.passkey import PasskeyAssertion
    from answerable.core.ledger.entry import Entry, Receipt
    from answerable.core.ledger.runs import Run
    from answerable.flows.state.parts import AskingState, AuthorityRegisters, Counters, InProgress, Recorder
    from answerable.ports.ledger import Ledger
    from answerable.ports.registry_store import RegistryStore


async def answer_approval(
    recorder: Recorder,
    authority: AuthorityRegisters,
    asking: AskingState,
    counters: Counters,
    approval_id: str,
    token: str,
    *,
    typed: str = "",
) -> Approval:
    """Verify and record an answer that a person signed with a key file. Return the approval after the answer.

    typed: the name that the person typed, where `name_wanted` requires one.

    Raises Unverified when the signature, its claims or its nonce do not verify, Refused (`approval.unknown`,
    `approval.other_shard`, `approval.not_pending`, `approval.own_mandate`, `approval.own_agent`, `approval.not_asked`,
    `approval.answered_already`, `approval.changed_meanwhile`, `approval.weak_signature`, `approval.not_narrower`; for a
    yes also `approval.typed_name`, `approval.typed_often`, `approval.too_soon`, `approval.too_fast`,
    `break_glass.too_many`, `revoked.*` and `held.*` of the person who answers, and `held.*` and `mandate.closed` of the
    waiting action), Unavailable.
    """
    return await one_at_a_time(
        recorder,
        authority,
        asking,
        counters,
        approval_id,
        partial(_by_key, recorder.ledger, authority.registry, asking, token=token, typed=typed),
    )


async def answer_by_passkey(
    recorder: Recorder,
    authority: AuthorityRegisters,
    asking: AskingState,
    counters: Counters,
    approval_id: str,
    *,
    person: PrincipalId,
    verdict: Verdict,
    comment: str,
    nonce: bytes,
    assertion: PasskeyAssertion,
    reason: str = "",
    narrower: str = "",
    typed: str = "",
    session: str = "",
) -> Approval:
    """Verify and record an answer that a person signed with a passkey in the console. Return the approval after the
    answer.

    person: the signed-in person; the passkey must be theirs. nonce: from `open_to_answer`. reason, narrower: of a no,
    as `words_of` takes them; a signature over other words does not verify. typed: as in `answer_approval`. session: the
    console session in which the person typed. Raises as `answer_approval`, and Unverified (`passkey.*`), Malformed
    (`approval.malformed`, `approval.reason`), Refused (`passkey.off`, `person.*`).
    """
    words = words_of(verdict, reason=reason, comment=comment, narrower=narrower)
    answer = partial(
        _by_passkey,
        recorder.ledger,
        authority,
        asking,
        person=person,
        verdict=verdict,
        words=words,
        nonce=nonce,
        assertion=assertion,
        typed=typed,
        session=session,
    )
    return await one_at_a_time(recorder, authority, asking, counters, approval_id, answer)


async def one_at_a_time(
    recorder: Recorder,
    authority: AuthorityRegisters,
    asking: AskingState,
    counters: Counters,
    approval_id: str,
    read: Callable[[Approval, UnixMillis], tuple[Answer, str, str]],
) -> Approval:
    """Process one answer to an approval at a time. read: return the checked answer, and the thumbprint and public JWK
    of its signing key."""
    with being_answered(asking.under_way, approval_id):
        now = recorder.clock.now()
        approval = approval_here(recorder.ledger, authority, ApprovalId(approval_id))
        answer, key, signer = read(approval, now)
        with counted(asking.openings, asking.limits, approval, answer, now):
            recorded = await answer_on_record(
                recorder, authority, asking, counters, approval, answer, key=key, signer=signer, now=now
            )
            if isinstance(recorded, Approval):
                return recorded
            # 2. The answer counts only if the approval is still the one that was checked.
            check_swapped(is_swapped=authority.approvals.replace(recorded.after, was=recorded.was))
            if answer.verdict == GLASS:
                tell_broken(asking.channel, recorder.clock, recorded.after, recorded.index)
            if recorded.left is not None:
                raise recorded.left
            return recorded.after


@dataclass(frozen=True, slots=True, kw_only=True)
class OnRecord:
    """An answer that is in the ledger and does not count yet. index: of its ledger entry. left: the cancellation of a
    caller who left meanwhile; raise it once the answer counts."""

    was: Approval
    after: Approval
    index: int
    left: BaseException | None


@contextmanager
def being_answered(under_way: InProgress, approval_id: str) -> Iterator[None]:
    """Allow one answer to this approval at a time. Raises Refused (`approval.changed_meanwhile`) if another is in
    progress."""
    answering = under_way.answering
    if approval_id in answering:
        # Two answers checked against the same state would both be recorded, and only one would count.
        raise APPROVAL_CHANGED_MEANWHILE(
            f"approval {shown(approval_id)} is being answered at this moment: reload it and try again"
        )
    answering.add(approval_id)
    try:
        yield
    finally:
        answering.discard(approval_id)


def check_swapped(*, is_swapped: bool) -> None:
    """Refuse an answer if another answer replaced the approval first. Raises Refused (`approval.changed_meanwhile`)."""
    if not is_swapped:
        raise APPROVAL_CHANGED_MEANWHILE("another answer came at the same moment: reload and try again")


def _by_key(
    ledger: Ledger,
    registry: RegistryStore,
    asking: AskingState,
    approval: Approval,
    now: UnixMillis,
    *,
    token: str,
    typed: str,
) -> tuple[Answer, str, str]:
    people = registry.current.principals
    signed = verify_answer(
        token,
        approval=approval,
        audience=ledger.origin,
        keys_of=lambda name: people[name].keys if name in people else (),
        now=now,
    )
    check_typed(
        registry, asking.under_way, approval, person=signed.by, verdict=signed.verdict, typed=typed, now=now
    )
    given = take_nonce(asking.openings, approval.id, signed.nonce, now, by=signed.by)
    opened = opened_at(asking.openings, approval, signed.by, given, now)
    check_strength(asking.limits, approval, passkey=None, page=approval_page(asking.passkeys, approval.id))
    check_look(asking.limits, approval, verdict=signed.verdict, opened_at=opened, now=now)
    answer = Answer(
        by=signed.by,
        groups=people[signed.by].groups,
        verdict=signed.verdict,
        comment=signed.words.comment,
        reason=signed.words.reason,
        narrower=signed.words.narrower,
        at=now,
        token=token,
        opened_at=opened,
    )
    thumbprint = signing_key_of(token)
    signer = next(one.jwk for one in people[signed.by].keys if one.thumbprint == thumbprint)
    return answer, thumbprint, signer


def _by_passkey(
    ledger: Ledger,
    authority: AuthorityRegisters,
    asking: AskingState,
    approval: Approval,
    now: UnixMillis,
    *,
    person: PrincipalId,
    verdict: Verdict,
    words: Words,
    nonce: bytes,
    assertion: PasskeyAssertion,
    typed: str,
    session: str,
) -> tuple[Answer, str, str]:
    check_typed(
        authority.registry,
        asking.under_way,
        approval,
        person=person,
        verdict=verdict,
        typed=typed,
        now=now,
        session=session,
    )
    given = take_nonce(asking.openings, approval.id, nonce, now, by=person)
    signed = challenge(
        nonce=nonce,
        action=approval.shown.digest,
        rendering=approval.card.digest,
        verdict=verdict,
        words=words,
    )
    passkey = check_passkey(authority, asking.passkeys, assertion, challenge=signed)
    if passkey.person != person:
        raise PASSKEY_OTHER(f"this passkey is not registered for {shown(person)}, who is signed in here")
    check_strength(asking.limits, approval, passkey=passkey)
    opened = opened_at(asking.openings, approval, person, given, now)
    check_look(asking.limits, approval, verdict=verdict, opened_at=opened, now=now)
    answer = Answer(
        by=person,
        groups=authority.registry.current.principals[person].groups,
        verdict=verdict,
        comment=words.comment,
        reason=words.reason,
        narrower=words.narrower,
        at=now,
        token=kept_answer(
            approval,
            by=person,
            nonce=nonce,
            verdict=verdict,
            words=words,
            audience=ledger.origin,
            at=now,
            passkey=passkey,
            origins=desk_of(asking.passkeys).origins,
            assertion=assertion,
        ),
        credential=passkey.name,
        opened_at=opened,
    )
    return answer, passkey.key, ""


async def answer_on_record(
    recorder: Recorder,
    authority: AuthorityRegisters,
    asking: AskingState,
    counters: Counters,
    approval: Approval,
    answer: Answer,
    *,
    key: str,
    signer: str,
    now: UnixMillis,
) -> OnRecord | Approval:
    """Check an answer to an approval that the caller holds with `being_answered`, and record it in the ledger. For an
    attention check, return the ended approval: nothing more is to be done. Raises as `answer_approval`."""
    # 0. Record whose key signed, unless the ledger has that already. All other checks follow this await. A crash here
    # leaves only that key entry.
    by_file = signer and not answer.workflow
    keys_ref = (
        await key_on_record(recorder, authority.registry, asking.under_way, answer.by, key)
        if by_file
        else None
    )
    # A workflow's answer is never a deputy's, and a deputy never uses break-glass access in that role.
    alone = bool(answer.workflow) or answer.verdict == GLASS
    place = (
        None
        if alone
        else in_place_of(
            recorder.ledger, authority, asking, approval, answer.by, verdict=answer.verdict, now=now
        )
    )
    if place is not None:
        answer = replace(answer, groups=(*answer.groups, place.group), in_place_of=place)
    if answer.verdict != "deny" and answer.by == schedule_owner(
        approval.principal, authority.registry.current
    ):
        raise APPROVAL_OWN_MANDATE("you own the schedule of this action: another person must approve it")
    if answer.verdict != "deny":
        _refuse_stopped(authority, approval, answer, key)
    after = with_proposal(
        authority.registry, taken(approval, answer, glass_ms=asking.limits.break_glass_ms), answer
    )
    check_counts_once(authority.registry, approval, answer)
    if answer.verdict != "deny" and answer.by in agent_owners(authority, asking.limits, approval):
        raise APPROVAL_OWN_AGENT()
    if approval.canary is not None:
        return await notify_attention_check(
            recorder, authority, asking.canaries, approval, at=now, answer=answer, signer=signer,
            keys_ref=keys_ref,
        )  # fmt: skip
    # 1. The answer is in the ledger before it counts. After a crash here, it counts from the next start on.
    sealing, person = sealing_for(recorder, principal_subject(answer.by)), pseudonym_of(recorder, answer.by)
    asked = key_of(recorder, approval.subject or principal_subject(approval.principal))
    digest = asked.pseudonym(b"action", approval.action.digest)
    in_place = pseudonym_of(recorder, place.of) if place is not None else ""
    registry = authority.registry.current.digest

    def entry(run: Run) -> Entry:
        return approval_answer(
            after, answer, at=now, sealing=sealing, run=run, person=person, digest=digest, signer=signer,
            in_place=in_place, keys_ref=keys_ref, registry=registry,
        )  # fmt: skip

    def placed(receipt: Receipt) -> None:
        count_answered(authority.registry, counters.history, after, at=now, index=receipt.index)
        count_no(authority, counters, recorder.entropy, after, at=now, index=receipt.index)

    receipt, left = await recorder.intents.record(approval.mandate, entry, then=placed)
    return OnRecord(was=approval, after=after, index=receipt.index, left=left)


def _refuse_stopped(authority: AuthorityRegisters, approval: Approval, answer: Answer, key: str) -> None:
    """Refuse any verdict but a no if its signer is revoked or held, or the action is held or its mandate closed. A no
    is always possible. Raises Refused (`revoked.*`, `held.*`, `mandate.closed`)."""
    fault = signer_fault(authority, answer.by, key)
    if fault is not None:
        raise fault
    current = authority.registry.current
    capability = current.capabilities.get(approval.capability)
    reach = reach_of(names_of_approval(authority, approval), current, capability=capability)
    hold = authority.holds.find(reach, answer.at)
    if hold is not None:
        raise hold.refusal()
    if authority.mandates.state(approval.mandate) == "closed":
        raise MANDATE_CLOSED("the mandate of this action is closed: the action can no longer run under it")
