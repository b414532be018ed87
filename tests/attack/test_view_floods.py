"""Opening a question again and again keeps nobody else from answering it, a no least of all."""

from __future__ import annotations

import pytest

from answerable.core.approval.view_challenges import PER_OPENING_MAX
from answerable.flows.approval.answer_approval import answer_approval
from answerable.flows.approval.answer_as_workflow import open_to_workflow
from answerable.flows.approval.open_approval import open_to_answer
from answerable.sdk.signing import signed_answer
from answerable.testing.samples import AUDIENCE, signing_key
from tests.worlds.workflow import CHECK, waiting

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("SIGN-02")]


@pytest.mark.parametrize("flooder", ["workflow", "person"])
async def test_whoever_opens_a_question_all_day_does_not_end_the_openings_of_others(flooder: str):
    bench, approval = await waiting(600_000)
    walk = bench.walk
    nonce, _, _ = open_to_answer(
        walk.recorder.ledger, walk.authority, walk.asking.openings, walk.entropy, approval.id, to="carol"
    )
    for _ in range(2 * PER_OPENING_MAX):
        if flooder == "workflow":
            open_to_workflow(
                walk.recorder.ledger,
                walk.authority,
                walk.asking.openings,
                walk.limits,
                walk.entropy,
                walk.authority.registry.current.workflows[CHECK],
                approval.id,
            )
        else:
            open_to_answer(
                walk.recorder.ledger,
                walk.authority,
                walk.asking.openings,
                walk.entropy,
                approval.id,
                to="dan",
            )
    token = signed_answer(
        approval,
        nonce=nonce,
        by="carol",
        verdict="deny",
        audience=AUDIENCE,
        at=bench.clock.now(),
        key=signing_key("carol"),
    )
    assert (
        await answer_approval(walk.recorder, walk.authority, walk.asking, walk.counters, approval.id, token)
    ).state == "denied"
