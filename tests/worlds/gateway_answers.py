"""How a person answers in the world of gateway tests."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from answerable.core.approval.approval import Answer as PersonsAnswer
from answerable.core.identity.names.principal import PrincipalId
from answerable.sdk.signing import signed_answer
from answerable.testing.samples import signing_key

if TYPE_CHECKING:
    from tests.worlds.gateway import World


def approve(world: World, approval_id: str, by: str = "bob") -> None:
    """Bob says yes, straight into the register; how people answer is tested elsewhere."""
    found = next(
        one for one in world.walk.authority.approvals.all(pending_only=True, now=world.walk.clock.now())
    )
    assert found.id == approval_id
    token = signed_answer(
        found,
        nonce=bytes(32),
        by=PrincipalId(by),
        verdict="approve",
        audience=world.walk.recorder.ledger.origin,
        at=world.walk.clock.now(),
        key=signing_key(by),
    )
    answer = PersonsAnswer(
        by=PrincipalId(by),
        groups=("approvers",),
        verdict="approve",
        comment="",
        at=world.walk.clock.now(),
        token=token,
    )
    assert world.walk.authority.approvals.replace(
        replace(found, state="approved", answers=(answer,)), was=found
    )
