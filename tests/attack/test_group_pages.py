"""Groups at the console: the odd one first, the list that is signed whole on the page, and one answer to it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from answerable.apps.console import ConsoleServices, console_app
from answerable.core.approval.batch_answer import verify_kept_batch
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused
from answerable.flows.state.walk_limits import WalkLimits
from answerable.flows.validity.group_waiting import groups_waiting
from answerable.testing.soft_passkey import ORIGIN, SoftPasskey
from tests.attack.test_passkey_answers import answered as answered_alone
from tests.probes.console_client import Client, challenge_of
from tests.worlds.alike import asked_many, pay, paying_bench, seen
from tests.worlds.parts import NO_SEARCHES
from tests.worlds.passkey import enrolled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.approval.approval import Approval
    from answerable.testing.builders import Bench

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("GROUP-06")]


async def browsing(count: int, *, by: str = "bob", odd: dict[str, str] | None = None, **more: Any) -> Any:
    """A bench at which so many payments wait, a browser of whoever is signed in, and their device."""
    bench = await paying_bench(**more)
    waiting = await asked_many(bench, count, **(odd or {}))
    app = console_app(ConsoleServices(walk=bench.walk, origin=ORIGIN, searches=NO_SEARCHES))
    await enrolled(bench, by, device := SoftPasskey(seed=by))
    client = Client(app)
    await client.sign_in(device)
    await client.page("/")
    return bench, waiting, client, device


async def answered(
    client: Client, device: SoftPasskey, approvals: Sequence[Approval], verdict: str = "approve", **more: Any
) -> Any:
    """As the page does it."""
    said = {"verdict": verdict, "comment": "seen"}
    body = {**said, "seen": {**seen(approvals)}}
    opened = await client.script("/groups/open", body, signed_in=True)
    if opened.status_code != 200:
        return opened
    begun = opened.json()
    sent = {
        **said, "nonce": begun["nonce"], "ids": begun["ids"],
        "assertion": device.assertion(challenge_of(begun)).members(), **more,
    }  # fmt: skip
    return await client.script("/groups/answer", sent, signed_in=True)


def group_of(bench: Bench) -> str:
    return groups_waiting(bench.authority.approvals, bench.asking.under_way, bench.clock).groups[0].id


async def test_many_are_one_line_with_the_odd_one_first_and_each_can_be_opened():
    bench, waiting, bob, _ = await browsing(30, odd={"n17": "Mallory Ltd"})
    page = await bob.page("/approvals")
    assert len(re.findall("data-item", page.text)) == 1
    assert "1 of 30 differs" in page.text
    assert "Mallory Ltd" in page.text
    assert f'href="/approvals/{waiting[17].id}"' in page.text
    assert "30 in all, 1 to look at" in page.text
    listed = await bob.page("/approvals?all")
    assert len(re.findall("data-item", listed.text)) == 30
    group = await bob.page(f"/groups/{group_of(bench)}")
    assert group.status_code == 200
    assert group.text.index("Not like the others") < group.text.index(waiting[17].id)
    assert group.text.index(waiting[17].id) < group.text.index(waiting[0].id)
    rows = re.findall(r'<tr data-id="([^"]+)" data-rendering="([0-9a-f]{64})"', group.text)
    assert dict(rows) == seen([one for one in waiting if one is not waiting[17]])
    for number in (0, 29):
        assert f"INV-{number:04d}" in group.text
    assert "100 to 129" in group.text, "of numbers the range, and the sum of those that are answered"


async def test_one_tap_answers_the_alike_ones_and_leaves_the_odd_one():
    bench, waiting, bob, device = await browsing(30, odd={"n17": "Mallory Ltd"})
    answer = await answered(bob, device, waiting)
    assert answer.json() == {"answered": 29, "left_out": {}}
    for one in waiting:
        found = bench.authority.approvals.find(one.id)
        assert found.state == ("pending" if one is waiting[17] else "approved")
    said = verify_kept_batch(bench.authority.approvals.find(waiting[0].id).answers[0].token)
    assert (said.by, said.size) == ("bob", 29)


async def test_who_may_not_say_yes_reads_why_and_may_say_no():
    bench, waiting, alice, device = await browsing(5, by="alice")
    page = await alice.page(f"/groups/{group_of(bench)}")
    assert "You gave this task yourself" in page.text
    assert "Approve these" not in page.text
    refused = (await answered(alice, device, waiting)).json()
    assert (refused["answered"], len(refused["left_out"])) == (0, 5)
    assert (await answered(alice, device, waiting, "deny")).json()["answered"] == 5


@pytest.mark.requirement("PACE-02")
@pytest.mark.parametrize("tier", [2, 3])
async def test_a_line_among_many_is_no_look_at_the_card_of_one(tier: int):
    limits = WalkLimits(look_seconds_min=(0, 0, 10, 10), approvals_pending_per_agent_max=300)
    bench, waiting, bob, device = await browsing(5, tier=tier, limits=limits)
    await bob.page(f"/groups/{group_of(bench)}")
    bench.clock.advance(60)
    with pytest.raises(Refused) as told:
        await answered_alone(bench, waiting[0], device)
    assert told.value.code == "approval.too_soon", "they saw a line, and no card"
    await bob.page(f"/approvals/{waiting[0].id}")
    bench.clock.advance(10)
    await answered_alone(bench, waiting[0], device)
    (leaf,) = bench.entries(Tag.APPROVAL_ANSWER)
    assert leaf["at"] - leaf["opened"] == 10_000
    if tier == 2:
        # Of the list, the lines are what was signed.
        assert (await answered(bob, device, waiting[1:])).json() == {"answered": 4, "left_out": {}}
        assert {one["at"] - one["opened"] for one in bench.entries(Tag.APPROVAL_ANSWER)} == {10_000, 70_000}


async def test_what_is_critical_or_goes_to_different_places_has_no_button_for_all():
    bench, waiting, bob, device = await browsing(5, tier=3)
    page = await bob.page(f"/groups/{group_of(bench)}")
    assert "Approve these" not in page.text
    assert "Deny these 5" in page.text
    assert (await answered(bob, device, waiting)).json()["code"] == "approval.none_alike"
    bench, waiting, bob, device = await browsing(0)
    waiting = [await pay(bench, number, f"payee {number}") for number in range(5)]
    page = await bob.page(f"/groups/{group_of(bench)}")
    assert "They do not all go to the same place" in page.text
    assert "Approve these" not in page.text
    assert (await answered(bob, device, waiting)).json()["code"] == "approval.not_together"


async def test_no_foreign_page_no_other_list_and_no_second_use_gets_an_answer_to_many():
    bench, waiting, bob, device = await browsing(6)
    begun = (
        await bob.script(
            "/groups/open", {"verdict": "approve", "seen": {**seen(waiting[:5])}}, signed_in=True
        )
    ).json()
    sent = {
        "verdict": "approve", "comment": "", "nonce": begun["nonce"], "ids": begun["ids"],
        "assertion": device.assertion(challenge_of(begun)).members(),
    }  # fmt: skip
    for headers in (
        {"origin": "http://evil.test", "sec-fetch-site": "cross-site", "x-csrf-token": bob.csrf},
        {"origin": ORIGIN, "sec-fetch-site": "same-origin"},
    ):
        refused = await bob.ask("POST", "/groups/answer", json=sent, headers=headers)
        assert refused.status_code in (401, 403)
    more = {**sent, "ids": [*begun["ids"], waiting[5].id]}
    assert (await bob.script("/groups/answer", more, signed_in=True)).status_code == 401
    for body in (
        {**sent, "ids": "x"},
        {**sent, "ids": [1]},
        {**sent, "comment": 7},
        {**sent, "verdict": "break_glass"},
    ):
        assert (await bob.script("/groups/answer", body, signed_in=True)).status_code == 400
    assert (
        await bob.script("/groups/open", {"verdict": "approve", "seen": []}, signed_in=True)
    ).status_code == 400
    stranger = Client(bob.app)
    assert (await stranger.page(f"/groups/{group_of(bench)}")).status_code in (303, 307, 401)
    assert {bench.authority.approvals.find(one.id).state for one in waiting} == {"pending"}
    assert (await bob.script("/groups/answer", sent, signed_in=True)).json()["answered"] == 5
    assert (await bob.script("/groups/answer", sent, signed_in=True)).status_code == 401, "the nonce is used"
    assert bench.authority.approvals.find(waiting[5].id).state == "pending"


async def test_what_agents_write_is_never_markup_on_the_page_of_a_group():
    hostile = "<script>alert(1)</script> \u202e\u200bx"
    bench, _, bob, _ = await browsing(0)
    for number in range(5):
        await pay(bench, number, note=f"{hostile} {number}")
    await pay(bench, 5, hostile)
    for path in ("/approvals", f"/groups/{group_of(bench)}"):
        page = (await bob.page(path)).text
        assert "<script>alert" not in page
        assert "\u202e" not in page


async def test_two_hundred_fit_on_one_page_of_less_than_sixty_kilobytes():
    bench, _, bob, _ = await browsing(200)
    page = await bob.page(f"/groups/{group_of(bench)}")
    assert len(re.findall("<tr data-id", page.text)) == 200
    assert len(page.content) < 60_000
    assert (await bob.page("/groups/nothing")).status_code == 404
