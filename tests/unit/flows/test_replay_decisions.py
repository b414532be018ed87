"""The ledger's decisions, asked again a stretch at a time: each entry read once, and nobody in the way."""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from answerable.apps.control_api.application import control_app
from answerable.core.identity.proof.channel import CHANNEL_EXTENSION, Channel, PeerCredentials
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused
from answerable.flows.policy import replay_decisions as flow
from answerable.flows.policy.replay_decisions import Stretch, replay_decisions
from answerable.flows.state.policy_desk import AskedAgain
from answerable.testing.builders import POLICIES, Bench, bench_documents
from answerable.testing.clock import ManualClock
from answerable.verify import citation_index
from answerable.verify.ledger_replay import replay_entries
from tests.worlds.control import Product

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from answerable.core.ledger.entry import StoredEntry
    from answerable.wiring.walk import Walk

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("ANSWER-09")]

PATIENCE_SECONDS = 60.0
"""How long a thread waits for what never comes, so that a test fails and does not hang."""


class CountedLedger:
    """A ledger that counts what is read of it, in order and by index."""

    def __init__(self, ledger: Any) -> None:
        self._ledger = ledger
        self.read: list[int] = []
        self.fetched: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def replay(self, start: int = 0) -> Iterator[StoredEntry]:
        for stored in self._ledger.replay(start):
            self.read.append(stored.index)
            yield stored

    def entry(self, index: int) -> StoredEntry:
        self.fetched.append(index)
        return self._ledger.entry(index)


class HastyClock(ManualClock):
    """Of which every look takes a while."""

    def monotonic(self) -> float:
        self.advance(0.3)
        return super().monotonic()


async def wrote(actions: int = 12) -> Bench:
    bench = await Bench().registered(bench_documents(POLICIES))
    await bench.issue(calls_max=1_000)
    for number in range(actions):
        await bench.act(arguments={"case": str(number)})
        if number % 4 == 0:
            await bench.refund(6_000 + number)
        if number % 4 == 1:
            with pytest.raises(Refused):
                await bench.refund(2_000_000)
    bench.recorder.ledger = CountedLedger(bench.recorder.ledger)
    return bench


async def pages(walk: Walk, asked: AskedAgain, *, start: int = 0, **given: int) -> list[Stretch]:
    found = [await replay_decisions(walk.recorder, asked, start=start, **given)]
    while found[-1].end < walk.recorder.ledger.size:
        found.append(await replay_decisions(walk.recorder, asked, start=found[-1].end, **given))
    return found


async def test_a_whole_ledger_is_asked_in_stretches_and_each_entry_is_read_once():
    bench = await wrote()
    ledger: Any = bench.recorder.ledger
    asked = AskedAgain()
    found = await pages(bench.walk, asked, entries=5)
    assert len(found) > 5
    assert ledger.read == [*range(ledger.size)]
    alone = replay_entries(ledger._ledger.replay(), bench.recorder.subject_keys.find)
    assert sum(sum(one.counts.values()) for one in found) == len(list(alone))
    assert {verdict for one in found for verdict in one.counts} == {"same"}
    assert set(ledger.fetched) <= {one.index for one in ledger._ledger.replay() if one.tag != Tag.INTENT}


async def test_a_stretch_in_the_middle_is_asked_of_what_stands_before_it():
    bench = await wrote()
    middle = bench.recorder.ledger.size // 2
    found = await replay_decisions(bench.recorder, AskedAgain(), start=middle)
    assert set(found.counts) == {"same"}
    assert (found.start, found.end) == (middle, bench.recorder.ledger.size)
    bounded = await replay_decisions(bench.recorder, AskedAgain(), start=middle, stop=middle + 4)
    assert (bounded.end, sum(bounded.counts.values()) <= 4) == (middle + 4, True)
    nothing = await replay_decisions(bench.recorder, AskedAgain(), start=middle, stop=middle)
    assert (nothing.end, nothing.counts) == (middle, {})
    beyond = await replay_decisions(bench.recorder, AskedAgain(), start=bench.recorder.ledger.size + 5)
    assert not beyond.counts


async def test_one_call_does_no_more_than_its_time_and_the_next_goes_on(monkeypatch):
    monkeypatch.setattr(flow, "AT_ONCE", 1)
    monkeypatch.setattr(flow, "READ_AT_ONCE", 2)
    bench = await wrote()
    bench.walk.clock = bench.recorder.clock = bench.authority.clock = HastyClock(bench.clock.now())
    asked, middle = AskedAgain(), bench.recorder.ledger.size // 2
    found = await pages(bench.walk, asked, start=middle)
    reading = [one for one in found if one.reading]
    assert len(reading) > 1
    assert all((one.end, not one.counts) == (middle, True) for one in reading)
    assert len(found) > len(reading) + 2
    assert {verdict for one in found for verdict in one.counts} == {"same"}
    assert isinstance(bench.recorder.ledger, CountedLedger)
    assert bench.recorder.ledger.read.count(0) == 1


async def test_what_is_written_down_after_a_decision_does_not_count_for_it():
    bench = await wrote(2)
    asked = AskedAgain()
    await replay_decisions(bench.recorder, asked)
    entries = [*bench.recorder.ledger.replay()]
    (intent, *_) = [one for one in entries if one.tag == Tag.INTENT]
    places = asked.places
    before = citation_index.StatedBefore(
        places, bench.recorder.ledger.entry, bench.recorder.subject_keys.find
    )
    leaf = bench.opened(intent.index)[0]
    assert before.mandate(leaf, intent.index) is not None
    assert before.policy_set(leaf, intent.index) is not None
    early = citation_index.StatedBefore(places, bench.recorder.ledger.entry, bench.recorder.subject_keys.find)
    assert early.mandate(leaf, 1) is None
    assert early.policy_set(leaf, 1) is None


async def test_a_forgotten_place_is_found_by_what_the_decision_says_of_it(monkeypatch):
    monkeypatch.setattr(citation_index, "PLACES_MAX", 1)
    bench = await wrote(2)
    found = await replay_decisions(bench.recorder, AskedAgain())
    assert found.counts["same"] >= 3
    assert set(found.counts) <= {"same", "not_disclosed"}


async def test_a_mandate_whose_key_was_destroyed_since_is_not_remembered():
    bench = await wrote(2)
    asked = AskedAgain()
    first = await replay_decisions(bench.recorder, asked)
    assert set(first.counts) == {"same"}
    find = bench.recorder.subject_keys.find
    leaf = next(one for one in bench.recorder.ledger.replay() if one.tag == Tag.MANDATE_ISSUED)
    gone = leaf.attachment[1:17]
    bench.recorder.subject_keys.find = lambda key: None if key == gone else find(key)
    again = await replay_decisions(bench.recorder, asked)
    assert again.counts["erased"] > 0
    assert sum(again.counts.values()) == sum(first.counts.values())


@asynccontextmanager
async def control_of(walk: Walk) -> AsyncIterator[httpx2.AsyncClient]:
    app = control_app(Product(walk=walk, log_key="", published=None))

    async def from_peer(scope: Any, receive: Any, send: Any) -> None:
        peer = PeerCredentials(pid=1, uid=os.geteuid(), gid=1)
        channel = Channel(connection=1, sequence=1, peer=peer)
        await app({**scope, "extensions": {CHANNEL_EXTENSION: channel}}, receive, send)

    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=from_peer), base_url="http://x") as http:
        yield http


async def test_calls_and_actions_are_served_in_the_middle_of_a_long_replay():
    bench = await wrote()
    begun, go_on = threading.Event(), threading.Event()
    find = bench.recorder.subject_keys.find
    loop_thread = threading.get_ident()

    def patient(key: bytes) -> Any:
        # The thread that asks stops here, in the middle of its work, until others were served.
        if threading.get_ident() != loop_thread:
            begun.set()
            assert go_on.wait(PATIENCE_SECONDS), "nobody was served while this waited"
        return find(key)

    bench.recorder.subject_keys.find = patient
    async with control_of(bench.walk) as http:
        replaying = asyncio.create_task(http.get("/v1/decisions/replay"))
        assert await asyncio.to_thread(begun.wait, PATIENCE_SECONDS)
        status = await http.get("/v1/status")
        assert status.status_code == 200, status.text
        for _ in range(5):
            assert (await bench.act()).outcome is not None
        assert not replaying.done()
        go_on.set()
        answer = await replaying
        assert answer.status_code == 200
        assert set(answer.json()["counts"]) == {"same"}


async def test_what_is_asked_for_is_held_to_its_bounds():
    bench = await wrote(2)
    async with control_of(bench.walk) as http:
        for query in ({"start": "x"}, {"stop": "-1"}, {"entries": "0"}, {"entries": "20001"}):
            answer = await http.get("/v1/decisions/replay", params=query)
            assert (answer.status_code, answer.json()["code"]) == (400, "request.query"), query
        page = (await http.get("/v1/decisions/replay", params={"start": "0", "entries": "3"})).json()
        assert (page["next"], page["reading"]) == (3, False)
        page = (await http.get("/v1/decisions/replay", params={"start": "3", "stop": "6"})).json()
        assert page["next"] is None
