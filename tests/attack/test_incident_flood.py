"""S-19, an approval flood: two hundred similar payments within ten minutes, one of them to somebody else, and then the
one that was denied once more and once more with tiny changes."""

from __future__ import annotations

import re
from typing import Any

import pytest

from answerable.apps.console import ConsoleServices, console_app
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused
from answerable.flows.policy.place_triggered_holds import place_triggered_holds
from answerable.flows.state.walk_limits import WalkLimits
from answerable.testing.builders import Bench
from answerable.testing.soft_passkey import ORIGIN, SoftPasskey
from tests.attack.test_check_answers import found
from tests.attack.test_group_pages import answered, group_of
from tests.probes.console_client import Client, challenge_of
from tests.worlds.alike import pay, paying_bench, paying_documents
from tests.worlds.parts import NO_SEARCHES
from tests.worlds.passkey import enrolled
from tests.worlds.rule import code_of, rule

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("S19-01")]

ODD = 137
SECONDS_BETWEEN = 3
RULE = rule("asks-again-what-was-denied", "denied_variation", limit=2, within="1h")


def arguments(number: int, payee: str = "Acme GmbH") -> dict[str, Any]:
    return {"invoice": f"INV-{number:04d}", "payee": payee, "amount": 100 + number % 50}


async def flood(bench: Bench) -> list[Any]:
    """What becomes of each: an approval, or the code of a refusal."""
    became: list[Any] = []
    for number in range(200):
        payee = "Acme Holdings Ltd" if number == ODD else "Acme GmbH"
        try:
            became.append(await pay(bench, number, payee))
        except Refused as refused:
            became.append(refused.code)
        bench.clock.advance(SECONDS_BETWEEN)
    return became


async def browser_of(bench: Bench, person: str) -> tuple[Client, SoftPasskey]:
    app = console_app(ConsoleServices(walk=bench.walk, origin=ORIGIN, searches=NO_SEARCHES))
    await enrolled(bench, person, device := SoftPasskey(seed=person))
    client = Client(app)
    await client.sign_in(device)
    await client.page("/")
    return client, device


async def deny(client: Client, device: SoftPasskey, approval: Any) -> None:
    """At the card, as the page does it."""
    path = f"/approvals/{approval.id}"
    said = {"verdict": "deny", "reason": "wrong_target", "comment": "not our supplier"}
    body = {**said, "rendering": approval.card.hex}
    begun = (await client.script(f"{path}/open", body, signed_in=True)).json()
    signed = device.assertion(challenge_of(begun)).members()
    sent = {**said, "nonce": begun["nonce"], "assertion": signed}
    assert (await client.script(f"{path}/answer", sent, signed_in=True)).json() == {"state": "denied"}


async def test_no_queue_grows_past_the_bound_of_an_agent():
    bench = await paying_bench(limits=WalkLimits())
    became = await flood(bench)
    assert became.count("approval.too_many") == 180
    assert len(bench.entries(Tag.APPROVAL_ASKED)) == 20
    assert len(bench.entries(Tag.REFUSAL)) == 180, "each is on record"


async def test_the_odd_one_comes_first_gets_no_yes_with_the_others_and_asking_again_ends_it():
    bench = await paying_bench(documents=[*paying_documents(), RULE])
    waiting = await flood(bench)
    odd = waiting[ODD]
    bob, device = await browser_of(bench, "bob")

    inbox = (await bob.page("/approvals")).text
    assert len(re.findall("data-item", inbox)) == 1, "two hundred are one line"
    assert "1 of 200 differs" in inbox
    assert "Acme Holdings Ltd" in inbox
    page = (await bob.page(f"/groups/{group_of(bench)}")).text
    assert page.index(odd.id) < page.index(waiting[0].id)
    assert "where the others have `Acme GmbH`" in page

    # Whatever a page of his sends: the one that differs gets no yes with the others.
    answer = (await answered(bob, device, waiting)).json()
    assert (answer["answered"], answer["left_out"]) == (199, {})
    assert bench.authority.approvals.find(odd.id).state == "pending"
    for number in (0, 136, 138, 199):
        assert (await bench.act("pay", arguments(number), mandate="m-pay")).outcome is not None
    assert await code_of(bench.act("pay", arguments(ODD, "Acme Holdings Ltd"), mandate="m-pay")) == "deferred"

    await deny(bob, device, odd)
    ends = []
    for tried in range(20):
        bench.clock.advance(1)
        again = {**arguments(ODD, "Acme Holdings Ltd"), "note": "please" + "!" * tried}
        try:
            asked = (await bench.act("pay", again, mandate="m-pay")).approval
        except Refused as refused:
            ends.append(refused.code)
            continue
        bench.clock.advance(1)
        await deny(bob, device, asked)
        ends.append("denied by bob")
    assert ends == ["denied by bob"] * 2 + ["held.agent"] * 18, (
        "the third no is the last that anybody is asked for"
    )

    await place_triggered_holds(bench.recorder, bench.authority, bench.live, bench.counters)
    (fired,) = bench.entries(Tag.RULE_FIRED)
    assert (fired["rule"], fired["fired"], fired["owner"]) == (RULE["metadata"]["name"], "held", "scout")
    assert len(bench.entries(Tag.HOLD_PLACED)) == 1
    assert {effect.arguments["payee"] for effect in bench.upstream.effects} == {"Acme GmbH"}
    assert found(bench)[0] == [], "a stranger checks every answer, also those of the list"
