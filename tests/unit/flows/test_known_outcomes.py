"""An end that found no room in the log is told later as it was, not as something nobody knows."""

from __future__ import annotations

import asyncio

import pytest

from answerable.core.action.outcome import Outcome
from answerable.core.ledger.tags import Tag
from answerable.errors import Unavailable
from answerable.flows.recovery.settle_open_intents import settle_open_intents
from answerable.testing.builders import Bench
from answerable.testing.fault_injection import Trouble, TroubledLedger
from tests.worlds.parts import to_settle
from tests.worlds.walk import cited, striking

pytestmark = pytest.mark.anyio


class Crowded:
    """The ledger, without room for ends while `crowded` says so."""

    def __init__(self, ledger, code):
        self._ledger = ledger
        self.code = code
        self.crowded = True

    def submit(self, entry):
        if self.crowded and entry.tag in (Tag.OUTCOME, Tag.INDETERMINATE):
            raise Unavailable("no room", code=self.code, port="ledger")
        return self._ledger.submit(entry)

    async def room(self, entry):
        if self.crowded:
            raise Unavailable("no room", code=self.code, port="ledger")

    def __getattr__(self, name):
        return getattr(self._ledger, name)


@pytest.mark.parametrize("code", ["ledger.full", "ledger.busy"])
async def test_the_outcome_is_written_as_it_was_once_there_is_room(code):
    bench = await Bench().registered()
    await bench.issue("m-1")
    bench.recorder.ledger = Crowded(bench.recorder.ledger, code)
    with pytest.raises(Unavailable) as told:
        await bench.act()
    assert told.value.effect == "unknown"
    bench.recorder.ledger.crowded = False
    assert await settle_open_intents(*to_settle(bench.walk)) == 1
    ends = [
        stored for stored in bench.recorder.ledger.replay() if stored.tag in (Tag.OUTCOME, Tag.INDETERMINATE)
    ]
    leaf, fields = bench.opened(ends[0].index)
    assert len(ends) == 1
    assert (ends[0].tag, leaf["status"], fields["result"]) == (Tag.OUTCOME, "succeeded", {"ok": True})
    assert not bench.recorder.open_intents


async def test_while_there_is_no_room_it_stays_open_and_nothing_is_made_up():
    bench = await Bench().registered()
    await bench.issue("m-1")
    bench.recorder.ledger = Crowded(bench.recorder.ledger, "ledger.full")
    with pytest.raises(Unavailable):
        await bench.act()
    with pytest.raises(Unavailable):
        await settle_open_intents(*to_settle(bench.walk))
    assert len(bench.recorder.open_intents) == 1
    tags = {stored.tag for stored in bench.recorder.ledger.replay()}
    assert not tags & {Tag.OUTCOME, Tag.INDETERMINATE}


@pytest.mark.requirement("WALK-10")
async def test_an_outcome_that_found_no_room_is_told_once_by_whoever_settles_and_not_said_to_be_unknown():
    bench = await Bench().registered()
    await bench.issue("m-1")
    await cited(bench)
    raw = bench.recorder.ledger
    bench.upstream.answer = lambda _: Outcome(status="succeeded")
    for _ in range(3):
        bench.recorder.ledger = TroubledLedger(raw, striking("ledger.submit", "full", at=1))
        with pytest.raises(Unavailable):
            await bench.act()
    bench.recorder.ledger = TroubledLedger(raw, Trouble(lambda _n, _m: None), latency=lambda: 5)
    bench.clock.advance(131)
    settled = await asyncio.gather(*(settle_open_intents(*to_settle(bench.walk)) for _ in range(3)))
    assert sum(settled) == 3
    ends = bench.entries(Tag.OUTCOME, Tag.INDETERMINATE)
    assert [end["status"] for end in ends] == ["succeeded"] * 3
    assert {end["intent"] for end in ends} == {effect.intent for effect in bench.upstream.effects}


@pytest.mark.requirement("WALK-03", "WALK-10")
async def test_an_end_that_may_be_on_disk_though_its_write_failed_is_left_to_a_restart_to_look_at():
    bench = await Bench().registered()
    await bench.issue("m-1")
    await cited(bench)
    raw = bench.recorder.ledger
    bench.recorder.ledger = TroubledLedger(raw, striking("ledger.submit", "done", at=1))
    with pytest.raises(Unavailable) as told:
        await bench.act()
    assert (told.value.code, told.value.effect) == ("ledger.poisoned", "unknown")
    (still,) = bench.recorder.open_intents.values()
    assert still.known is None
    bench.clock.advance(131)
    with pytest.raises(Unavailable):
        await settle_open_intents(*to_settle(bench.walk))
    assert [end["status"] for end in bench.entries(Tag.OUTCOME, Tag.INDETERMINATE)] == ["succeeded"]
