"""The ledger's decisions, asked again a stretch at a time, by the index: as by one pass over the whole log."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from answerable.api.decision_answers import Replayed
from answerable.apps.control_api.application import control_app
from answerable.core.identity.proof.channel import CHANNEL_EXTENSION, Channel, PeerCredentials
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused
from answerable.flows.forensics import replay_decisions as flow
from answerable.flows.forensics.replay_decisions import replay_decisions
from answerable.flows.forensics.tell_story import StoryTeller
from answerable.ports.search_process import ReplayQuestion
from answerable.testing.builders import POLICIES, Bench, bench_documents
from answerable.verify.ledger_replay import replay_entries
from answerable.verify.stated_before import StatedBefore
from tests.worlds.asked_index import IndexAtHand
from tests.worlds.control import Product
from tests.worlds.stories import teller_of

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("ANSWER-09")]


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
    return bench


def asked(
    teller: StoryTeller, monotonic: Callable[[], float] = lambda: 0.0, *, limit: int = 20_000, **given: int
) -> Replayed:
    question = ReplayQuestion(**{"start": 0, "stop": None, "limit": limit, **given})
    return replay_decisions(teller, question, monotonic=monotonic)


def pages(teller: StoryTeller, *given: Any, **more: int) -> list[Replayed]:
    found = [asked(teller, *given, **more)]
    while found[-1].next is not None:
        found.append(asked(teller, *given, **{**more, "start": found[-1].next}))
    return found


async def test_a_whole_ledger_is_asked_in_stretches_as_in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = await wrote()
    ledger = bench.recorder.ledger
    whole = len([*replay_entries(ledger.replay(), bench.recorder.subject_keys.find)])
    with teller_of(bench.recorder) as teller:
        found = pages(teller, limit=5)
        assert len(found) > 5
        assert sum(one.counts.get("same", 0) for one in found) == whole
        assert {verdict for one in found for verdict in one.counts} == {"same"}
        middle = ledger.size // 2
        half = asked(teller, start=middle)
        assert (set(half.counts), half.next, half.size) == ({"same"}, None, ledger.size)
        bounded = asked(teller, start=middle, limit=4)
        assert (bounded.next, sum(bounded.counts.values()) <= 4) == (middle + 4, True)
        assert asked(teller, start=middle, stop=middle + 4).counts == bounded.counts
        assert (asked(teller, start=middle, stop=middle).counts, asked(teller, start=9_999).counts) == (
            {},
            {},
        )
        # A look at the time takes long: each answer is short, and the next goes on where it ended.
        monkeypatch.setattr(flow, "AT_ONCE", 1)
        hasty = pages(teller, itertools.count(step=0.3).__next__)
        assert len(hasty) > 5
        assert sum(one.counts["same"] for one in hasty if one.counts) == whole


async def test_what_is_written_down_after_a_decision_does_not_count_for_it() -> None:
    bench = await wrote(2)
    (intent, *_) = [one for one in bench.recorder.ledger.replay() if one.tag == Tag.INTENT]
    leaf = bench.opened(intent.index)[0]
    with teller_of(bench.recorder) as teller:
        place = flow._Places(teller).place
        before = StatedBefore(place, teller.log.entry, teller.find)
        assert before.mandate(leaf, intent.index) is not None
        assert before.policy_set(leaf, intent.index) is not None
        early = StatedBefore(place, teller.log.entry, teller.find)
        assert (early.mandate(leaf, 1), early.policy_set(leaf, 1)) == (None, None)


async def test_what_the_index_does_not_find_is_found_by_what_the_decision_says_of_it() -> None:
    bench = await wrote(2)
    intent = [one for one in bench.recorder.ledger.replay() if one.tag == Tag.INTENT][-1]
    leaf = bench.opened(intent.index)[0]
    before = StatedBefore(lambda name: None, bench.recorder.ledger.entry, bench.recorder.subject_keys.find)
    assert before.mandate(leaf, intent.index) is not None


async def test_a_mandate_whose_key_was_destroyed_since_is_not_remembered() -> None:
    bench = await wrote(2)
    find = bench.recorder.subject_keys.find
    with teller_of(bench.recorder) as teller:
        first = asked(teller)
        issued = next(one for one in bench.recorder.ledger.replay() if one.tag == Tag.MANDATE_ISSUED)
        gone = issued.attachment[1:17]
        teller.find = lambda key: None if key == gone else find(key)
        again = asked(teller)
    assert set(first.counts) == {"same"}
    assert again.counts["erased"] > 0
    assert sum(again.counts.values()) == sum(first.counts.values())


async def test_what_is_asked_for_is_held_to_its_bounds() -> None:
    bench = await wrote(2)
    app = control_app(
        Product(walk=bench.walk, log_key="", published=None, searches=IndexAtHand(bench.recorder))
    )

    async def from_peer(scope: Any, receive: Any, send: Any) -> None:
        peer = PeerCredentials(pid=1, uid=os.geteuid(), gid=1)
        channel = Channel(connection=1, sequence=1, peer=peer)
        await app({**scope, "extensions": {CHANNEL_EXTENSION: channel}}, receive, send)

    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=from_peer), base_url="http://x") as http:
        for query in ({"start": "x"}, {"stop": "-1"}, {"entries": "0"}, {"entries": "20001"}):
            answer = await http.get("/v1/decisions/replay", params=query)
            assert (answer.status_code, answer.json()["code"]) == (400, "request.query"), query
        page = (await http.get("/v1/decisions/replay", params={"start": "0", "entries": "3"})).json()
        assert (page["next"], page["reading"]) == (3, False)
        page = (await http.get("/v1/decisions/replay", params={"start": "3", "stop": "6"})).json()
        assert page["next"] is None
