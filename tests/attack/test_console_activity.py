"""What pages show of activity: by the index, from the whole ledger, and honest where there is nothing to show."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace

import anyio
import pytest

from answerable.apps.console import activity, live_pages
from answerable.errors import AnswerableError
from tests.probes.console_client import console_house
from tests.worlds import preview
from tests.worlds.asked_index import IndexAtHand
from tests.worlds.parts import NO_SEARCHES

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("ACTIVE-01")]


async def test_a_page_shows_how_each_action_ended_and_a_refusal_however_much_came_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live_pages, "LINES_MAX", 10)
    house = await console_house()
    await house.bench.issue(calls_max=1_000)
    with contextlib.suppress(AnswerableError):
        await house.bench.refund(2_000_000)
    for _ in range(12):
        await house.bench.act()
    client = await house.signed_in()
    whole = (await client.page("/live")).text
    assert whole.count("It ended as succeeded.") == 10
    for path in ("/live?kind=refused", "/live?kind=refused&agent=scout"):
        assert "nobody refunds more than 1000000" in (await client.page(path)).text, path
    assert "It ended as succeeded." in (await client.page("/agents/scout")).text


async def test_what_was_looked_up_for_a_question_is_among_the_actions() -> None:
    house = await preview.bench()
    house.upstream.answer = preview.says({"rows": 3})
    await preview.asked_with(house)
    searches = IndexAtHand(house.recorder)
    for chosen in ({"kind": "actions"}, {"tags": activity.LATEST}, {}):
        found = await activity.recent_activity(searches, lines_max=10, **chosen)
        assert "preview" in {one.kind for one in found.lines}, chosen


async def test_nothing_yet_none_that_matches_and_no_index_are_told_apart() -> None:
    house = await console_house()
    client = await house.signed_in()
    for path in ("/", "/agents/scout"):
        assert "Nothing yet." in (await client.page(path)).text, path
    for query in ("?kind=refused", "?agent=rover", "?agent=nobody&kind=stops"):
        assert "None matches" in (await client.page(f"/live{query}")).text, query
    house = await console_house(needs={"searches": NO_SEARCHES})
    client = await house.signed_in()
    for path in ("/", "/live?kind=refused", "/agents/scout"):
        text = (await client.page(path)).text
        assert "What happened cannot be told now: this server keeps no index" in text, path
        assert "Nothing yet." not in text
    assert "wait for people" in (await client.page("/")).text


async def test_a_page_does_not_wait_for_an_index_that_does_not_answer() -> None:
    async def ask(*_: object, **__: object) -> None:
        await anyio.sleep_forever()

    found = await activity.recent_activity(SimpleNamespace(ask=ask), lines_max=1, seconds_max=0.01)
    assert found.fault == "the index did not answer within 0.01 s; reload the page"
