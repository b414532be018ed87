"""The review that a broken glass owes: by another person, signed, in time, once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from answerable.adapters.sqlite.approval_rows import body_of, from_body
from answerable.core.approval.emergency_access import owed_review
from answerable.core.ledger.opened import disclosures_of
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.revocation import RevocationTarget
from answerable.errors import Malformed, Refused, Unverified
from answerable.flows.approval.owed_reviews import reviews
from answerable.flows.approval.review_emergency_access import review_emergency_access
from answerable.flows.state.walk_limits import WalkLimits
from answerable.testing.builders import bench_documents
from answerable.testing.samples import signing_key
from answerable.verify.leaf_rules import Fault, read_leaf
from answerable.wiring.telemetry import MetricsText
from tests.worlds.glass import BREAKABLE, broken, now, review_token, reviewed, waiting
from tests.worlds.mandate import changed
from tests.worlds.revocation import revoke_now
from tests.worlds.stories import lines_of

pytestmark = pytest.mark.anyio
HOURS_48_MS = 48 * 3_600_000


@pytest.mark.requirement("GLASS-06")
async def test_a_broken_glass_owes_a_review_by_another_person():
    bench, approval = await waiting()
    assert reviews(bench.authority.approvals, bench.walk.limits, bench.clock) == []
    await broken(bench, approval)
    (owed,) = reviews(bench.authority.approvals, bench.walk.limits, bench.clock)
    assert (owed.approval.id, owed.answer.by) == (approval.id, "dan")
    assert owed.due_at == owed.answer.at + HOURS_48_MS
    assert owed.state(owed.answer.at) == "owed"
    after = await reviewed(bench, now(bench, approval))
    assert after.review is not None
    assert (after.review.by, after.review.verdict) == ("bob", "justified")
    assert reviews(bench.authority.approvals, bench.walk.limits, bench.clock) == []
    assert [
        one.approval.id
        for one in reviews(bench.authority.approvals, bench.walk.limits, bench.clock, open_only=False)
    ] == [approval.id]


@pytest.mark.requirement("GLASS-06")
async def test_it_is_owed_whether_the_action_ran_or_not_and_a_review_changes_nothing_of_that():
    bench, approval = await waiting()
    await broken(bench, approval)
    await reviewed(bench, now(bench, approval), verdict="unjustified")
    assert (await bench.refund(6000)).outcome is not None, "a review is no no"
    used = now(bench, approval)
    assert (used.state, used.review is not None) == ("used", True)
    bench, approval = await waiting()
    await broken(bench, approval)
    assert (await bench.refund(6000)).outcome is not None
    assert now(bench, approval).state == "used"
    assert (await reviewed(bench, now(bench, approval))).state == "used"


@pytest.mark.requirement("GLASS-06")
@pytest.mark.parametrize("by", ["dan", "alice"])
async def test_who_broke_it_or_gave_the_task_does_not_review_it(by: str):
    given = changed(bench_documents(BREAKABLE), "Principal", "dan", groups=["sales", "approvers"])
    bench, approval = await waiting(documents=given)
    await broken(bench, approval)
    with pytest.raises(Refused) as told:
        await reviewed(bench, now(bench, approval), by=by)
    assert told.value.code == "review.own"
    assert len(reviews(bench.authority.approvals, bench.walk.limits, bench.clock)) == 1


@pytest.mark.requirement("GLASS-06")
async def test_who_is_not_asked_or_does_not_stand_does_not_review_it():
    given = changed(bench_documents(BREAKABLE), "Principal", "bob", groups=["audit"])
    bench, approval = await waiting(documents=given)
    await broken(bench, approval)
    with pytest.raises(Refused) as told:
        await reviewed(bench, now(bench, approval), by="bob")
    assert told.value.code == "review.not_asked"
    revoke_now(bench, RevocationTarget("key", signing_key("carol").public.thumbprint))
    with pytest.raises(Refused) as revoked:
        await reviewed(bench, now(bench, approval), by="carol")
    assert revoked.value.code == "revoked.key"


@pytest.mark.requirement("GLASS-06")
@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"key": "scout"}, "review.key"),
        ({"audience": "another.test/ledger"}, "review.audience"),
        ({"action": "0" * 64}, "review.other"),
        ({"answer": "0" * 64}, "review.other"),
        ({"verdict": "fine"}, "review.malformed"),
        ({"comment": "x" * 1001}, "review.malformed"),
        ({"comment": " "}, "review.no_comment"),
    ],
)
async def test_only_a_signed_review_of_this_very_thing_counts(more: dict[str, Any], code: str):
    bench, approval = await waiting()
    await broken(bench, approval)
    with pytest.raises((Malformed, Refused, Unverified)) as told:
        await reviewed(bench, now(bench, approval), **more)
    assert told.value.code == code
    assert len(reviews(bench.authority.approvals, bench.walk.limits, bench.clock)) == 1


@pytest.mark.requirement("GLASS-06")
async def test_a_review_is_given_once_and_fresh():
    bench, approval = await waiting()
    await broken(bench, approval)
    token = review_token(bench, now(bench, approval))
    bench.clock.advance(5 * 60)
    with pytest.raises(Unverified) as stale:
        await review_emergency_access(bench.recorder, bench.authority, bench.asking, approval.id, token)
    assert stale.value.code == "review.stale"
    await reviewed(bench, now(bench, approval))
    with pytest.raises(Refused) as twice:
        await reviewed(bench, now(bench, approval), by="carol")
    assert twice.value.code == "review.done"
    bench, approval = await waiting()
    approved = await bench.answer(approval)
    with pytest.raises(Refused) as nothing:
        await review_emergency_access(bench.recorder, bench.authority, bench.asking, approved.id, token)
    assert nothing.value.code == "review.not_owed"


@pytest.mark.requirement("GLASS-07")
async def test_past_its_time_it_is_overdue_and_late_when_it_comes():
    bench, approval = await waiting(limits=WalkLimits(glass_review_ms=600_000))
    await broken(bench, approval)
    bench.clock.advance(600)
    (owed,) = reviews(bench.authority.approvals, bench.walk.limits, bench.clock)
    assert owed.state(bench.clock.now()) == "overdue"
    await reviewed(bench, now(bench, approval))
    (leaf,) = bench.entries(Tag.GLASS_REVIEWED)
    assert (leaf["approval"], leaf["verdict"], leaf["late"]) == (approval.id, "justified", True)


@pytest.mark.requirement("GLASS-07")
async def test_the_ledger_and_the_timeline_say_who_found_what():
    bench, approval = await waiting()
    await broken(bench, approval)
    await reviewed(bench, now(bench, approval), verdict="unjustified", comment="two approvers were awake")
    (stored,) = [one for one in bench.recorder.ledger.replay() if one.tag == Tag.GLASS_REVIEWED]
    assert not isinstance(read_leaf(stored.leaf), Fault)
    assert "bob" not in stored.leaf.decode()
    names = {one.name for one in disclosures_of(stored, bench.recorder.subject_keys.find) or ()}
    assert names == {"comment", "person_name", "signer", "token"}
    found = lines_of(bench.recorder, approval.id)
    (line,) = [one for one in found if "found the broken glass" in one.text]
    assert "unjustified" in line.text
    assert "comment: two approvers were awake" in line.details


@pytest.mark.requirement("GLASS-07")
async def test_it_survives_in_the_register():
    bench, approval = await waiting()
    await broken(bench, approval)
    after = await reviewed(bench, now(bench, approval))
    kept = from_body(body_of(after), state=after.state)
    assert kept == after
    assert owed_review(replace(kept, review=None), review_ms=1) is not None


@pytest.mark.requirement("GLASS-07")
async def test_whoever_watches_the_figures_sees_what_is_owed_and_overdue():
    bench, approval = await waiting(limits=WalkLimits(glass_review_ms=600_000))
    text = MetricsText(bench.walk.recorder, bench.walk.authority, bench.walk.deciding)
    assert b'answerable_reviews{state="owed"} 0.0' in await text.text()
    await broken(bench, approval)
    bench.clock.advance(2)
    assert b'answerable_reviews{state="owed"} 1.0' in await text.text()
    bench.clock.advance(600)
    assert b'answerable_reviews{state="overdue"} 1.0' in await text.text()
    await reviewed(bench, now(bench, approval))
    bench.clock.advance(2)
    assert b'answerable_reviews{state="overdue"} 0.0' in await text.text()
