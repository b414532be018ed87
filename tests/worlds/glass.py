"""A bench on which dan, of sales, may let large refunds run without the approvers whom they wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from answerable.core.approval.emergency_access import answer_digest, broken_by
from answerable.core.identity.names.principal import PrincipalId
from answerable.core.registry.documents.documents import Principal
from answerable.flows.approval.review_emergency_access import review_emergency_access
from answerable.sdk.signing import signed_review
from answerable.testing.builders import POLICIES, Bench, bench_documents
from answerable.testing.samples import AUDIENCE, signing_key

if TYPE_CHECKING:
    from answerable.core.approval.approval import Approval
    from answerable.core.approval.review import Judgement
    from answerable.flows.state.walk_limits import WalkLimits

REASON = "the power of the customer is off, nobody of the approvers answers"
BREAKABLE = POLICIES.replace('@approve("approvers:1")', '@approve("approvers:1") @break_glass("sales")')
"""Refunds above 5,000; those above 50,000 meet a second forbid, which names nobody."""


async def waiting(
    amount: int = 6000,
    *,
    policies: str = BREAKABLE,
    documents: list[Any] | None = None,
    limits: WalkLimits | None = None,
) -> tuple[Bench, Approval]:
    """A bench on which a refund waits."""
    bench = await Bench(limits=limits).registered(documents or bench_documents(policies))
    await bench.issue()
    approval = (await bench.refund(amount)).approval
    assert approval is not None
    return bench, approval


async def broken(bench: Bench, approval: Approval, *, by: str = "dan", reason: str = REASON) -> Approval:
    """Somebody breaks the glass, with a token signed now."""
    return await bench.answer(approval, by=by, verdict="break_glass", comment=reason)


def review_token(
    bench: Bench, approval: Approval, *, by: str = "bob", verdict: Judgement = "justified", **more: Any
) -> str:
    """A review of this broken glass, signed now."""
    answer = broken_by(approval)
    assert answer is not None
    return signed_review(
        approval=approval.id,
        action=more.get("action", approval.shown.hex),
        answer=more.get("answer", answer_digest(answer)),
        by=PrincipalId(by),
        verdict=verdict,
        comment=more.get("comment", "looked at the case, it was right"),
        audience=more.get("audience", AUDIENCE),
        at=more.get("at", bench.clock.now()),
        key=signing_key(more.get("key", by)),
    )


async def reviewed(bench: Bench, approval: Approval, **more: Any) -> Approval:
    """Somebody reviews it."""
    return await review_emergency_access(
        bench.recorder, bench.authority, bench.asking, approval.id, review_token(bench, approval, **more)
    )


def now(bench: Bench, approval: Approval) -> Approval:
    """How it stands."""
    found = bench.authority.approvals.find(approval.id)
    assert found is not None
    return found


def person(bench: Bench, name: str) -> Principal:
    """As registered."""
    return bench.authority.registry.current.principals[PrincipalId(name)]
