"""A story tells that a stop denied an approval, which stop and whose; what no entry of the log says is not claimed."""

from __future__ import annotations

import pytest

from answerable.core.containment.hold import HoldTarget
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.revocation import RevocationTarget
from answerable.flows.revocation.close_mandate import close_mandate
from answerable.testing.builders import Bench
from tests.worlds.hold import stop
from tests.worlds.incident_statements import incident_of, opened
from tests.worlds.parts import revoked
from tests.worlds.scanned_story import scanned_story
from tests.worlds.stories import told_bench, told_of

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("STORY-02")]


async def asked(bench: Bench, mandate: str, *, amount: int = 7_000) -> str:
    """An approval that waits."""
    await bench.issue(mandate)
    approval = (await bench.refund(amount, mandate=mandate)).approval
    assert approval is not None
    return str(approval.id)


@pytest.mark.requirement("INCIDENT-01")
async def test_a_story_and_an_incident_tell_which_stop_denied_an_approval_that_waited():
    bench = await told_bench()
    approval = await asked(bench, "m-3")
    with told_of(bench.recorder) as told:
        waiting = told(approval)
    assert waiting.gist.approvals == (f"{approval}: no answer in its log",)
    assert waiting.gist.outcomes == {"asked": 1}
    bench.clock.advance(1)
    await stop(bench, HoldTarget("agent", "scout"))
    (hold,) = bench.entries(Tag.HOLD_PLACED)
    assert hold["approvals"] == [approval]
    denied = f"{approval}: denied by #{hold['index']}: uid:1000 stopped agent scout, until it is lifted"
    entries, find = [*bench.recorder.ledger.replay()], bench.recorder.subject_keys.find
    with told_of(bench.recorder) as told:
        for name in (approval, "m-3"):
            answer = told(name)
            assert answer.gist.approvals == (denied,), name
            assert answer.gist.outcomes == {"denied_by_stop": 1}, name
            assert answer.lines[-1].details[-1] == f"waiting approvals that it denied: {approval}", name
        scanned = [one.index for one in scanned_story(entries, approval, find)]
        assert [one.index for one in told(approval).lines] == scanned
        assert denied in told("scout").gist.approvals
    bench.clock.advance(1)
    incident = incident_of(bench, await opened(bench, "agent", "scout", since_ms=1))
    assert denied in incident.story.gist.approvals
    assert incident.story.gist.outcomes == {"succeeded": 2, "refused": 1, "denied_by_stop": 1}


async def test_a_revocation_and_a_close_are_told_as_stops_and_an_answer_before_them_too():
    bench = await told_bench()
    closed, revoked_of = await asked(bench, "m-3"), await asked(bench, "m-4", amount=8_000)
    await bench.answer(bench.authority.approvals.find(revoked_of), comment="agreed")
    await close_mandate(bench.recorder, bench.authority, bench.live, "m-3", by="alice")
    await revoked(bench.walk, RevocationTarget("mandate", "m-4"), by="uid:1000")
    (*_, close), (end,) = bench.entries(Tag.MANDATE_CLOSED), bench.entries(Tag.REVOKED)
    with told_of(bench.recorder) as told:
        assert told(closed).gist.approvals == (
            f"{closed}: denied by #{close['index']}: Mandate m-3 was closed by alice",
        )
        assert told(revoked_of).gist.approvals == (
            f"{revoked_of}: approved by bob, denied by #{end['index']}: uid:1000 revoked mandate m-4, for good",
        )
