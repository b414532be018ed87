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
    from answerable.flows.state.walk import Walk


async def notify_attention_check(
    walk: Walk,
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
    sealing = sealing_for(walk, principal_subject(answer.by)) if answer is not None else None
    person = pseudonym_of(walk, answer.by) if answer is not None else ""
    entry = canary_told(
        approval,
        ended,
        at=at,
        answer=answer,
        sealing=sealing,
        person=person,
        signer=signer,
        keys_ref=keys_ref,
        registry=walk.registry.current.digest,
    )
    _, left = await record_entry(walk, entry)
    # 2. It ends for everybody who may answer.
    answers = (*approval.answers, answer) if answer is not None else approval.answers
    after = replace(approval, state="void", answers=answers, canary=ended)
    if not walk.approvals.replace(after, was=approval):
        raise APPROVAL_CHANGED_MEANWHILE(
            "this approval was ended by another person at the same moment: reload it and try again"
        )
    if walk.canaries.waiting is not None:
        walk.canaries.waiting.discard(approval.id)
    if left is not None:
        raise left
    return after


async def tell_ended_canaries(walk: Walk) -> None:
    """Reveal the attention checks that nobody can answer any more: expired, or ended for another reason.

    Raises Unavailable.
    """
    now, desk = walk.clock.now(), walk.canaries
    if desk.waiting is None:
        desk.waiting = {
            one.id
            for one in walk.approvals.all(pending_only=False, now=now)
            if one.canary is not None and not one.canary.ended and _is_ours(walk, one)
        }
    for name in sorted(desk.waiting):
        approval = walk.approvals.find(name)
        if approval is None or approval.canary is None or approval.canary.ended:
            desk.waiting.discard(name)
        elif approval.state_at(now) != "pending" and name not in walk.under_way.answering:
            walk.under_way.answering.add(name)
            try:
                await notify_attention_check(walk, approval, at=now)
            except Refused:
                # It was answered, held or revoked a moment ago: the next call checks it again.
                continue
            finally:
                walk.under_way.answering.discard(name)


def _is_ours(walk: Walk, approval: Approval) -> bool:
    mandate = walk.mandates.find(approval.mandate)
    return mandate is None or shard_elsewhere(mandate, walk.ledger.origin) is None
