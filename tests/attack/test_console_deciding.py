"""What the page about deciding tells, and what it does not tell of other people or of tests that are not over."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from answerable.apps.console.deciding_pages import length, percent
from tests.probes.console_client import console_house
from tests.worlds.canary import TESTED, canary_on

pytestmark = pytest.mark.anyio


def words(page: str) -> str:
    """What a person reads."""
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


@pytest.mark.requirement("OVERSIGHT-01")
async def test_a_person_sees_rules_groups_tiers_and_themselves_and_nobody_else():
    house = await console_house()
    await house.bench.issue("m-1")
    client = await house.signed_in()
    assert "You have not answered anything" in words((await client.page("/deciding")).text)
    await house.bench.refund(10)
    assert "1 action, nobody was asked" in words((await client.page("/deciding")).text)
    for amount, by in ((6_000, "bob"), (6_001, "bob")):
        asked = (await house.bench.refund(amount)).approval
        house.bench.clock.advance(4)
        await house.bench.answer(asked, by=by)
    page = await client.page("/deciding")
    assert page.status_code == 200
    told = words(page.text)
    assert "refund-large 100 % approved 2 decided, half of them within 4.0 s, 0 in less than 3 s" in told
    assert "ran alone 3 actions, 2 questions, half answered within 4.0 s" in told
    assert "approvers 100 % approved" in told
    assert "bob" not in told
    assert "You have not answered anything" in told
    assert len(page.content) < 60_000


@pytest.mark.requirement("OVERSIGHT-05")
async def test_the_page_counts_no_test_before_it_is_over():
    house = await console_house()
    house.bench.walk.limits = house.bench.asking.limits = replace(TESTED)
    await house.bench.issue("m-1", calls_max=100)
    asked = (await house.bench.refund(6_000)).approval
    await house.bench.answer(asked, verdict="deny")
    client = await house.signed_in()
    canary = await canary_on(house.bench)
    assert "No test question was asked" in words((await client.page("/deciding")).text)
    card = (await client.page(f"/approvals/{canary.id}")).text
    assert "test" not in words(card).lower()
    await house.bench.answer(canary, verdict="deny")
    assert "1 of 1 that were answered were caught" in words((await client.page("/deciding")).text)
    told = words((await client.page(f"/approvals/{canary.id}")).text)
    assert "This was a test" in told
    assert "it was caught" in told
    assert "What would run has changed since it was shown" not in told


@pytest.mark.requirement("OVERSIGHT-01")
def test_shares_and_times_are_never_rounded_to_all_or_nothing():
    assert (percent(0, 0), percent(0, 9), percent(9, 9)) == (None, 0, 100)
    assert (percent(999, 1000), percent(1, 1000), percent(1, 3)) == (99, 1, 33)
    assert (length(None), length(999), length(3_000), length(90_000)) == (
        "no data",
        "999 ms",
        "3.0 s",
        "1.5 min",
    )
