"""Find approvals that are answered here, and open one or a list for one answer: with a nonce that is used up once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.approval.approval import Approval, ApprovalId
from answerable.core.approval.batch import batch_of
from answerable.errors import shown
from answerable.errors.codes.approval import (
    APPROVAL_BATCH,
    APPROVAL_BATCH_OFF,
    APPROVAL_NONCE,
    APPROVAL_NOT_PENDING,
    APPROVAL_OTHER_SHARD,
    APPROVAL_UNKNOWN,
)
from answerable.flows.escalation.approval_nonces import give_nonce, used_nonce
from answerable.flows.validity.mandate_validity import shard_elsewhere

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.approval.batch import Batch
    from answerable.core.approval.token import Verdict
    from answerable.core.identity.names.principal import AgentId, UnixMillis
    from answerable.flows.state.parts import AuthorityRegisters
    from answerable.flows.state.passkey_desk import PasskeyState
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.ports.approval_register import ApprovalRegister
    from answerable.ports.challenge_register import OpeningRegister
    from answerable.ports.clock import Clock
    from answerable.ports.entropy import Entropy
    from answerable.ports.ledger import Ledger
    from answerable.ports.mandate_register import MandateRegister


def open_to_answer(
    ledger: Ledger,
    authority: AuthorityRegisters,
    openings: OpeningRegister,
    entropy: Entropy,
    approval_id: str,
    *,
    to: str = "",
) -> tuple[bytes, Approval, UnixMillis]:
    """Return a nonce for one answer, the approval, and when the nonce expires, Unix milliseconds. to: who opens the
    approval.

    Raises Refused (`approval.unknown`, `approval.other_shard`, `approval.not_pending`), Unavailable.
    """
    now = authority.clock.now()
    approval = approval_here(ledger, authority, ApprovalId(approval_id))
    state = approval.state_at(now)
    if state != "pending":
        raise APPROVAL_NOT_PENDING(
            f"approval {shown(approval_id)} is {state}, so it can no longer be answered"
        )
    nonce, ends = give_nonce(openings, authority.clock, entropy, approval.id, to=to)
    return nonce, approval, ends


def approval_page(passkeys: PasskeyState | None, approval_id: str) -> str:
    """Return the console URL at which people answer this approval; empty where there is no console."""
    origins = passkeys.origins if passkeys is not None else ()
    return f"{origins[0]}/approvals/{approval_id}" if origins else ""


def still_waits(approvals: ApprovalRegister, clock: Clock, approval_id: str) -> bool:
    """Whether people still have to answer. Also true for an approval that this process does not know."""
    approval = approvals.find(ApprovalId(approval_id))
    return approval is None or approval.state_at(clock.now()) == "pending"


def was_asked_by(approvals: ApprovalRegister, agent: AgentId, approval_id: str) -> bool:
    """Whether this approval exists and this agent requested it. Raises Unavailable."""
    approval = approvals.find(ApprovalId(approval_id))
    return approval is not None and approval.agent == agent


def approval_here(ledger: Ledger, authority: AuthorityRegisters, approval_id: ApprovalId) -> Approval:
    """Return an approval that is answered in this process's shard. Raises Refused (`approval.unknown`,
    `approval.other_shard`)."""
    approval = authority.approvals.find(approval_id)
    if approval is None:
        raise APPROVAL_UNKNOWN(f"there is no approval {shown(approval_id)}")
    _require_own_shard(ledger, authority.mandates, approval)
    return approval


def take_nonce(
    openings: OpeningRegister, about: str, nonce: bytes, now: UnixMillis, *, by: str
) -> UnixMillis:
    """Use up a nonce and return when it was given, Unix milliseconds. about: the subject that it was given for. by: who
    answers with it.

    Raises Unverified (`approval.nonce`), Unavailable.
    """
    given = used_nonce(openings, about, nonce, now, by=by)
    if given is None:
        raise APPROVAL_NONCE(
            "the nonce of the answer is not valid: it was issued for another approval or person, "
            "has expired or was used before; open the approval again"
        )
    return given


def _require_own_shard(ledger: Ledger, mandates: MandateRegister, approval: Approval) -> None:
    """Refuse an approval whose mandate lives in another shard. Question, answer and action must be in the mandate's
    log; an answer recorded in another log would be lost to it."""
    mandate = mandates.find(approval.mandate)
    shard = shard_elsewhere(mandate, ledger.origin) if mandate is not None else None
    if shard is not None:
        raise APPROVAL_OTHER_SHARD(
            f"approval {shown(approval.id)} waits in shard {shown(shard)}, this is shard "
            f"{shown(ledger.origin)}: answer it there"
        )


def opening_of(batch: Batch) -> ApprovalId:
    """Return the key under which nonces for this exact list are stored. It contains a space, so it cannot equal an
    approval id."""
    return ApprovalId(f"many {batch.root.hex()}")


def signed_list(
    approvals: ApprovalRegister, limits: WalkLimits, ids: Sequence[str], verdict: Verdict
) -> Batch:
    """Return the list that was signed, with the cards as displayed. It includes approvals that have ended since."""
    check_batch(limits, len(ids), verdict)
    found = [approvals.find(ApprovalId(name)) for name in ids]
    unknown = next((name for name, one in zip(ids, found, strict=True) if one is None), None)
    if unknown is not None:
        raise APPROVAL_UNKNOWN(f"there is no approval {shown(unknown)}")
    return batch_of(one for one in found if one is not None)


def check_batch(limits: WalkLimits, count: int, verdict: Verdict) -> None:
    """Check whether one answer may be given to this many approvals. Raises Malformed (`approval.batch`) and Refused
    (`approval.batch_off`)."""
    if verdict not in ("approve", "deny"):
        # Break-glass access is for one action, which one person then answers for.
        raise APPROVAL_BATCH("the answer to a group of approvals must be `approve` or `deny`")
    most = limits.batch_items_max
    if not most:
        raise APPROVAL_BATCH_OFF()
    if not 1 <= count <= most:
        raise APPROVAL_BATCH(f"expected 1 to {most} approvals in one answer, got {count}")


def take_batch_nonce(
    openings: OpeningRegister, batch: Batch, nonce: bytes, now: UnixMillis, *, by: str
) -> UnixMillis:
    """As `take_nonce`, of a list that was opened for one answer."""
    given = used_nonce(openings, opening_of(batch), nonce, now, by=by)
    if given is None:
        raise APPROVAL_NONCE(
            "the nonce of the answer is not valid: it was issued for another group or person, "
            "has expired or was used before; open the group again"
        )
    return given
