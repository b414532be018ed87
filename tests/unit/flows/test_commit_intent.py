"""What becomes of an intent that stands in the log although its action conflicts with what changed meanwhile."""

from __future__ import annotations

import pytest

from answerable.core.ledger.commit import CommitRequest, Committed, Conflict
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.budget import Lack
from answerable.core.mandate.mandate import MandateId
from answerable.errors import Refused, Unavailable
from answerable.flows.recovery.settle_open_intents import settle_open_intents
from answerable.testing.builders import Bench
from answerable.testing.fault_injection import TroubledLedger
from tests.worlds.parts import to_settle
from tests.worlds.walk import cited, striking

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("HOUSE-73")]
M1 = MandateId("m-1")


class Overtaken:
    """An intent log that learns of a conflict only when the intent is in the log."""

    def __init__(self, intents, why):
        self._intents, self._why = intents, why

    async def commit(self, request: CommitRequest) -> Conflict:
        found = await self._intents.commit(request)
        assert isinstance(found, Committed)
        return Conflict(why=self._why, receipt=found.receipt)

    def __getattr__(self, name):
        return getattr(self._intents, name)


async def overtaken(why) -> Bench:
    bench = await Bench().registered()
    await bench.issue()
    await cited(bench)
    bench.recorder.intents = Overtaken(bench.recorder.intents, why)
    return bench


LACK = Lack(account="m-1", budget="calls", limit=20, left=0, wanted=1)


@pytest.mark.parametrize(
    ("why", "code"),
    [
        ("mandate.closed", "mandate.closed"),
        ("prepared.used", "prepared.used"),
        ("approval.used", "approval.used"),
        (LACK, "mandate.budget_spent"),
    ],
)
async def test_it_ends_unstarted_before_its_caller_is_refused(why, code):
    bench = await overtaken(why)
    with pytest.raises(Refused) as told:
        await bench.act()
    assert told.value.code == code
    assert not bench.upstream.effects
    (intent,), (end,), (refusal,) = (bench.entries(tag) for tag in (Tag.INTENT, Tag.OUTCOME, Tag.REFUSAL))
    assert end["status"] == "not_started"
    assert (end["intent"], refusal["code"]) == (intent["index"], code)
    assert intent["index"] < end["index"] < refusal["index"]
    assert bench.authority.mandates.calls_used(M1) == 0
    assert not bench.recorder.open_intents


async def test_where_its_end_cannot_be_written_settling_ends_it_unstarted():
    bench = await overtaken("approval.used")
    raw = bench.recorder.ledger
    bench.recorder.ledger = TroubledLedger(raw, striking("ledger.submit", "full", at=1))
    with pytest.raises(Unavailable):
        await bench.act()
    assert len(bench.recorder.open_intents) == 1
    assert await settle_open_intents(*to_settle(bench.walk)) == 1
    (end,) = bench.entries(Tag.OUTCOME)
    assert end["status"] == "not_started"
    assert not bench.upstream.effects
    assert bench.authority.mandates.calls_used(M1) == 0
