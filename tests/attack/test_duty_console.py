"""Duty in the console: whose turn it is, who has seen it, and handing one's own duty on, by nobody else."""

from __future__ import annotations

from typing import Any

import pytest

from answerable.core.approval.typed_name import name_to_type
from answerable.core.ledger.tags import Tag
from answerable.testing.builders import POLICIES, bench_documents
from answerable.testing.soft_passkey import SoftPasskey
from tests.probes.console_client import Client, House, challenge_of, console_house
from tests.worlds.duty import READS_WAIT, delegate, duty_document, tell, waiting
from tests.worlds.passkey import enrolled

ALWAYS_QUIET = {"from": "00:00", "until": "00:00"}

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("DUTY-07")]


async def on_duty(*people: str, **spec: Any) -> tuple[House, dict[str, tuple[Client, SoftPasskey]]]:
    """The console, with bob on call and carol behind him; and browsers of these people, signed in."""
    house = await console_house()
    await house.bench.registered([duty_document(**spec)])
    await house.bench.issue()
    browsers: dict[str, tuple[Client, SoftPasskey]] = {}
    for name in people:
        device = house.device if name == "alice" else SoftPasskey(seed=name)
        if name != "alice":
            await enrolled(house.bench, name, device)
        client = Client(house.app)
        await client.sign_in(device)
        browsers[name] = (client, device)
    return house, browsers


async def handed_on(
    client: Client, device: SoftPasskey, over: dict[str, Any] | None = None, **wanted: Any
) -> Any:
    """The form of the page, and its script. over: members of what is sent for the answer."""
    await client.page("/duty")
    body = {"group": "approvers", "to": "dan", "hours": 24, "reason": "away", **wanted}
    opened = await client.script("/duty/open", body, signed_in=True)
    if opened.status_code != 200:
        return opened
    said = opened.json()
    given = {
        "claims": said["claims"],
        "nonce": said["nonce"],
        "assertion": device.assertion(challenge_of(said)).members(),
        **(over or {}),
    }
    return await client.script("/duty/give", given, signed_in=True)


async def test_the_inbox_says_whose_turn_it_is_and_puts_it_first():
    house, browsers = await on_duty("bob", "carol")
    asked = await waiting(house.bench)
    bob, carol = browsers["bob"][0], browsers["carol"][0]
    assert "your turn" in (await bob.page("/approvals")).text
    text = (await carol.page("/approvals")).text
    assert "your turn" not in text
    assert "your group, others are asked first" in text
    assert "next people notified in 1 min" in text
    assert "Notified now: bob" in (await carol.page(f"/approvals/{asked.id}")).text
    house.wait(60)
    # Carol has opened the card, so that it is seen, and not passed on for that.
    assert "your turn" not in (await carol.page("/approvals")).text
    house.wait(60)
    assert "your turn" in (await carol.page("/approvals")).text


async def test_of_one_risk_what_is_mine_stands_before_what_is_others():
    house, browsers = await on_duty("carol", escalation=[{"afterSeconds": 60, "ask": "second"}])
    older = await waiting(house.bench, 6000)
    house.wait(61)
    newer = await waiting(house.bench, 7000)
    text = (await browsers["carol"][0].page("/approvals")).text
    assert text.index(older.id) < text.index(newer.id)
    assert text.count("your turn") == 1


async def test_opening_the_card_counts_as_seen_and_looking_at_the_list_does_not():
    house, browsers = await on_duty("alice", "bob")
    asked = await waiting(house.bench)
    register = house.bench.asking.duties.register
    await browsers["bob"][0].page("/approvals")
    await browsers["bob"][0].page("/")
    await browsers["alice"][0].page(f"/approvals/{asked.id}")
    assert register.first_view(asked.id) is None, "alice gave the task: it is not for her"
    house.wait(5)
    await browsers["bob"][0].page(f"/approvals/{asked.id}")
    assert register.first_view(asked.id) == house.bench.clock.now()


async def test_a_person_hands_their_duty_on_and_the_deputy_finds_it_is_their_turn():
    house, browsers = await on_duty("bob", "dan")
    bob, device = browsers["bob"]
    dan, dans = browsers["dan"]
    asked = await waiting(house.bench)
    assert "others answer this" in (await dan.page("/approvals")).text
    assert (await handed_on(bob, device)).status_code == 200
    assert "dan for bob" in (await bob.page("/duty")).text
    assert "your turn" in (await dan.page("/approvals")).text
    card = (await dan.page(f"/approvals/{asked.id}")).text
    assert "Approve once" in card
    opened = (
        await dan.script(
            f"/approvals/{asked.id}/open",
            {"verdict": "approve", "rendering": asked.card.hex, "typed": name_to_type(asked)},
            signed_in=True,
        )
    ).json()
    said = {
        "verdict": "approve",
        "comment": "",
        "typed": name_to_type(asked),
        "nonce": opened["nonce"],
        "assertion": dans.assertion(challenge_of(opened)).members(),
    }
    answer = await dan.script(f"/approvals/{asked.id}/answer", said, signed_in=True)
    assert answer.json() == {"state": "approved"}
    assert "dan for bob said yes" in (await bob.page(f"/approvals/{asked.id}")).text


async def test_terms_that_are_changed_on_the_way_are_signed_by_nobody():
    house, browsers = await on_duty("bob")
    bob, device = browsers["bob"]
    await bob.page("/duty")
    body = {"group": "approvers", "to": "dan", "hours": 1, "reason": "away"}
    said = (await bob.script("/duty/open", body, signed_in=True)).json()
    for change in ({"to": "carol"}, {"until_ms": said["claims"]["until_ms"] + 1}, {"iss": "carol"}):
        refused = await handed_on(bob, device, over={"claims": {**said["claims"], **change}})
        assert refused.status_code == 401, refused.text
    assert house.bench.entries(Tag.DUTY) == []


async def test_nobody_hands_on_what_is_not_theirs_or_to_whom_may_not():
    _, browsers = await on_duty("bob", "dan")
    bob, device = browsers["bob"]
    for wanted, status in (
        ({"to": "scout"}, 403),
        ({"to": "bob"}, 400),
        ({"group": "sales"}, 403),
        ({"group": 7}, 400),
        ({"hours": 0}, 400),
        ({"hours": "24"}, 400),
        ({"hours": 15 * 24}, 400),
        ({"reason": ""}, 400),
    ):
        assert (await handed_on(bob, device, **wanted)).status_code == status, wanted
    dan, dans = browsers["dan"]
    assert (await handed_on(dan, dans, to="bob")).status_code == 403


async def test_without_the_token_of_the_session_or_from_another_site_nothing_is_handed_on_or_ended():
    house, browsers = await on_duty("bob")
    bob, device = browsers["bob"]
    await bob.page("/duty")
    body = {"group": "approvers", "to": "dan", "hours": 1, "reason": "away"}
    assert (await bob.script("/duty/open", body)).status_code == 403
    foreign = {"origin": "https://evil.example", "sec-fetch-site": "cross-site", "x-csrf-token": bob.csrf}
    assert (await bob.ask("POST", "/duty/open", json=body, headers=foreign)).status_code == 403
    one = await delegate(house.bench)
    assert (await bob.form("/duty/end", csrf="no", id=one.id)).status_code == 403
    stranger = Client(house.app)
    assert (await stranger.script("/duty/open", body)).status_code == 401
    assert (await stranger.page("/duty")).status_code == 303
    assert not house.bench.asking.duties.register.find(one.id).ended_at
    assert device


async def test_who_is_stood_in_for_and_who_stands_in_may_end_it_and_nobody_else_and_only_fresh():
    house, browsers = await on_duty("bob", "carol", "dan")
    one = await delegate(house.bench)
    carol, bob = browsers["carol"][0], browsers["bob"][0]
    assert one.id not in (await carol.page("/duty")).text
    assert (await carol.form("/duty/end", id=one.id)).status_code == 404
    house.wait(301)
    assert (await bob.form("/duty/end", id=one.id)).status_code == 401
    await bob.confirm(browsers["bob"][1])
    assert (await bob.form("/duty/end", id=one.id)).status_code == 303
    two = await delegate(house.bench)
    dan = browsers["dan"][0]
    await dan.confirm(browsers["dan"][1])
    assert (await dan.form("/duty/end", id=two.id)).status_code == 303
    assert [entry["change"] for entry in house.bench.entries(Tag.DUTY)].count("ended") == 2


async def test_the_first_page_says_which_group_has_nobody_on_call():
    _, browsers = await on_duty(
        "bob", shifts=[{"people": ["bob"], "begins": "2026-01-01T00:00", "ends": "2026-01-02T00:00"}]
    )
    bob = browsers["bob"][0]
    assert "1</span> group has nobody on call" in (await bob.page("/")).text
    page = (await bob.page("/duty")).text
    assert "nobody: the whole group is notified" in page
    assert "nobody on " in page


async def test_without_a_duty_the_pages_say_so_and_everybody_is_asked():
    house = await console_house()
    await house.bench.issue()
    client = await house.signed_in()
    asked = await waiting(house.bench)
    assert "No group has a duty" in (await client.page("/duty")).text
    assert "nobody on call" not in (await client.page("/")).text
    assert "Notified now" not in (await client.page(f"/approvals/{asked.id}")).text


async def test_a_reason_of_markup_is_text():
    house, browsers = await on_duty("bob")
    await delegate(house.bench, reason="<script>alert(1)</script>")
    text = (await browsers["bob"][0].page("/duty")).text
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text
    assert await tell(house.bench) == []


async def test_in_quiet_hours_the_inbox_says_that_nobody_is_asked():
    house, browsers = await on_duty("bob")
    await house.bench.registered(
        [*bench_documents(POLICIES + READS_WAIT), duty_document(quietHours=ALWAYS_QUIET)]
    )
    await house.bench.act()
    text = (await browsers["bob"][0].page("/approvals")).text
    assert "your group, nobody is asked at this hour" in text
    assert await tell(house.bench) == []
