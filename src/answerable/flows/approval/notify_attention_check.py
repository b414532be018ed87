"""Reveal that a question was an attention check: when somebody has answered it, or when its time is over."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from answerable.core.ledger.records_canaries import canary_told
from answerable.core.ledger.subject import principal_subject
from answerable.errors import Refused
from answerable.errors.codes.approval import APPROVAL_CHANGED_MEANWHILE
from answerable.flows.recording.record_entry import pseudonym_of, record_entry, sealing_for
from answerable.flows.validity.mandate_validity import shard_elsewhere

if TYPE_CHECKING:
    from answerable.core.approval.approval import Answer, Approval
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.ledger.leaves import Reference
    from answerable.flows.state.canary_desk import AttentionCheckState
    from answerable.flows.state.parts import AskingState, AuthorityRegisters, Recorder
    from answerable.ports.ledger import Ledger
    from answerable.ports.mandate_register import MandateRegister


async def notify_attention_check(
    recorder: Recorder,
    authority: AuthorityRegisters,
    canaries: AttentionCheckState,
    approval: Approval,
    *,
    at: UnixMillis,
    answer: Answer | None = None,
    signer: str = "",
    keys_ref: Reference | None = None,
) -> Approval:
    """Record that an approval was an attention check, end it, and return it. answer: the checked answer that ended it.
    signer: the public JWK that signed the answer. keys_ref: the entry that names that key as the person's.

    Raises Refused (`approval.changed_meanwhile`), Unavailable.
    """
    canary = approval.canary
    assert canary is not None  # noqa: S101 - whoever calls this has looked
    if answer is None:
        ended = replace(canary, ended="unseen")
    else:
        ended = replace(canary, ended="caught" if answer.verdict == "deny" else "let_through")
    # 1. The ledger says that it was a test. After a crash here, it is revealed again, and counts once.
    sealing = sealing_for(recorder, principal_subject(answer.by)) if answer is not None else None
    person = pseudonym_of(recorder, answer.by) if answer is not None else ""
    entry = canary_told(
        approval,
        ended,
        at=at,
        answer=answer,
        sealing=sealing,
        person=person,
        signer=signer,
        keys_ref=keys_ref,
        registry=authority.registry.current.digest,
    )
    _, left = await record_entry(recorder, entry)
    # 2. It ends for everybody who may answer.
    answers = (*approval.answers, answer) if answer is not None else approval.answers
    after = replace(approval, state="void", answers=answers, canary=ended)
    if not authority.approvals.replace(after, was=approval):
        raise APPROVAL_CHANGED_MEANWHILE(
            "this approval was ended by another answer at the same moment: reload it and try again"
        )
    if canaries.waiting is not None:
        canaries.waiting.discard(approval.id)
    if left is not None:
        raise left
    return after


async def tell_ended_canaries(recorder: Recorder, authority: AuthorityRegisters, asking: AskingState) -> None:
    """Reveal the attention checks that nobody can answer any more: expired, or ended for another reason.

    Raises Unavailable.
    """
    now, desk = recorder.clock.now(), asking.canaries
    if desk.waiting is None:
        desk.waiting = {
            one.id
            for one in authority.approvals.all(pending_only=False, now=now)
            if one.canary is not None
            and not one.canary.ended
            and _is_ours(recorder.ledger, authority.mandates, one)
        }
    for name in sorted(desk.waiting):
        approval = authority.approvals.find(name)
        if approval is None or approval.canary is None or approval.canary.ended:
            desk.waiting.discard(name)
        elif approval.state_at(now) != "pending" and name not in asking.under_way.answering:
            asking.under_way.answering.add(name)
            try:
                await notify_attention_check(recorder, authority, asking.canaries, approval, at=now)
            except Refused:
                # It was answered, held or revoked a moment ago: the next call checks it again.
                continue
            finally:
                asking.under_way.answering.discard(name)


def _is_ours(ledger: Ledger, mandates: MandateRegister, approval: Approval) -> bool:
    mandate = mandates.find(approval.mandate)
    return mandate is None or shard_elsewhere(mandate, ledger.origin) is None
