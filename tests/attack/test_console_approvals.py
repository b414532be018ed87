"""The card at the console, and answers that a passkey signs: what is shown is what is signed, by whom it must be."""

from __future__ import annotations

import re
from typing import Any

import pytest

from answerable.core.approval.passkey_answer import verify_kept
from answerable.core.approval.typed_name import name_to_type
from answerable.core.containment.hold import holdable
from answerable.flows.revocation.place_hold import place_hold
from answerable.testing.soft_passkey import ORIGIN, SoftPasskey
from tests.probes.console_client import Client, House, challenge_of, console_house
from tests.worlds.parts import to_hold
from tests.worlds.passkey import ADMIN, enrolled

pytestmark = pytest.mark.anyio

HOSTILE = '4711</dd><script>alert(1)</script> hx-get="/sign-out" \u202e\u200bx'


SAID = ("comment", "reason", "narrower")


async def asked(amount: int = 6_000, **desk: Any) -> tuple[House, Any, Client, SoftPasskey]:
    """A refund that waits for an approver, and bob's browser, who is one."""
    house = await console_house(**desk)
    await house.bench.issue()
    approval = (await house.bench.refund(amount)).approval
    assert approval is not None
    device = SoftPasskey(seed="bob")
    await enrolled(house.bench, "bob", device)
    bob = Client(house.app)
    await bob.sign_in(device)
    await bob.page("/")
    return house, approval, bob, device


async def opened(client: Client, approval: Any, verdict: str = "approve", **more: Any) -> Any:
    body = {"verdict": verdict, "rendering": approval.card.hex, "typed": name_to_type(approval), **more}
    return await client.script(f"/approvals/{approval.id}/open", body, signed_in=True)


async def answered(
    client: Client, approval: Any, device: SoftPasskey, said: str = "approve", /, **more: Any
) -> Any:
    """As the page does it. more: members that are sent in place of those that belong there."""
    words = {"comment": "seen", **{name: more[name] for name in SAID if name in more}}
    begun = (await opened(client, approval, said, **words)).json()
    if "options" not in begun:
        raise AssertionError(begun)
    sent = {
        "verdict": said,
        "typed": name_to_type(approval),
        **words,
        "nonce": begun["nonce"],
        "assertion": device.assertion(challenge_of(begun)).members(),
        **more,
    }
    return await client.script(f"/approvals/{approval.id}/answer", sent, signed_in=True)


def state_of(house: House, approval: Any) -> str:
    found = house.bench.authority.approvals.find(approval.id)
    assert found is not None
    return found.state


@pytest.mark.requirement("CONSOLE-12")
async def test_the_card_shows_what_will_run_and_all_that_is_signed():
    _house, approval, bob, _ = await asked()
    page = await bob.page(f"/approvals/{approval.id}")
    assert page.status_code == 200
    for part in (
        "Exactly what will be sent",
        "4711",
        "6000",
        "Claimed by the agent, not verified",
        "Approve once",
    ):
        assert part in page.text
    for pointer in ("/arguments/amount", "/agent", "/chain", "/tool", "/policy_set", "/txn"):
        assert f"<dt>{pointer}</dt>" in page.text
    assert approval.shown.hex in page.text
    assert approval.card.hex in page.text
    assert page.text.index("Deny</button>") < page.text.index("Approve once</button>")
    assert "autofocus" not in page.text
    listed = await bob.page("/approvals")
    assert f"/approvals/{approval.id}" in listed.text
    assert len(page.content) < 20_000


@pytest.mark.requirement("CONSOLE-12")
async def test_a_persons_passkey_approves_at_the_page_and_exactly_that_runs_once():
    house, approval, bob, device = await asked()
    answer = await answered(bob, approval, device)
    assert (answer.status_code, answer.json()) == (200, {"state": "approved"})
    found = house.bench.authority.approvals.find(approval.id)
    assert found is not None
    kept = verify_kept(found.answers[0].token)
    assert (kept.by, kept.verdict, kept.rendering) == ("bob", "approve", approval.card.hex)
    assert (await house.bench.refund(6_000)).outcome is not None
    assert (await house.bench.refund(6_001)).approval is not None
    page = await bob.page(f"/approvals/{approval.id}")
    assert "It is used" in page.text
    assert "Approve once" not in page.text


@pytest.mark.requirement("CONSOLE-12")
async def test_a_no_with_its_reason_ends_it():
    _house, approval, bob, device = await asked()
    answer = await answered(bob, approval, device, "deny", comment="the wrong recipient or object: ask Chen")
    assert answer.json() == {"state": "denied"}
    assert "ask Chen" in (await bob.page(f"/approvals/{approval.id}")).text


@pytest.mark.requirement("CONSOLE-13")
async def test_a_yes_is_no_no_and_each_is_signed_for_itself_once():
    house, approval, bob, device = await asked()
    swapped = await answered(bob, approval, device, "deny", verdict="approve")
    assert (swapped.status_code, swapped.json()["code"]) == (401, "passkey.challenge")
    assert state_of(house, approval) == "pending"
    begun = (await opened(bob, approval)).json()
    sent = {
        "verdict": "approve", "comment": "", "typed": "4711", "nonce": begun["nonce"],
        "assertion": device.assertion(challenge_of(begun)).members(),
    }  # fmt: skip
    other = (await house.bench.refund(7_000)).approval
    assert other is not None
    misled = await bob.script(f"/approvals/{other.id}/answer", sent, signed_in=True)
    assert misled.json()["code"] == "approval.nonce"
    assert (await bob.script(f"/approvals/{approval.id}/answer", sent, signed_in=True)).status_code == 200
    again = await bob.script(f"/approvals/{approval.id}/answer", sent, signed_in=True)
    assert again.status_code in (401, 403)
    assert state_of(house, other) == "pending"


@pytest.mark.requirement("CONSOLE-13")
async def test_the_card_that_was_seen_is_the_one_that_is_signed():
    house, approval, bob, _ = await asked()
    other = (await house.bench.refund(7_000)).approval
    assert other is not None
    for rendering in (other.card.hex, "", None):
        answer = await opened(bob, approval, rendering=rendering)
        assert (answer.status_code, answer.json()["code"]) == (401, "approval.rendering")


@pytest.mark.requirement("CONSOLE-13")
async def test_nobody_answers_with_another_ones_device_session_or_for_their_own_task():
    house, approval, bob, device = await asked()
    alice = await house.signed_in()
    await alice.page("/")
    assert "you gave this task yourself".capitalize() in (await alice.page(f"/approvals/{approval.id}")).text
    assert (await answered(alice, approval, house.device)).json()["code"] == "approval.own_mandate"
    assert (await answered(alice, approval, device)).json()["code"] == "passkey.other"
    dan = SoftPasskey(seed="dan")
    await enrolled(house.bench, "dan", dan)
    outsider = Client(house.app)
    await outsider.sign_in(dan)
    await outsider.page("/")
    assert (await answered(outsider, approval, dan)).json()["code"] == "approval.not_asked"
    stranger = Client(house.app)
    assert (await answered_raw(stranger, approval)).status_code == 401
    assert (
        await bob.ask("POST", f"/approvals/{approval.id}/answer", json={}, headers={"origin": ORIGIN})
    ).json()["code"] == "console.csrf"
    assert state_of(house, approval) == "pending"


async def answered_raw(client: Client, approval: Any) -> Any:
    return await client.script(f"/approvals/{approval.id}/answer", {"verdict": "approve"}, signed_in=True)


@pytest.mark.requirement("CONSOLE-13")
async def test_after_a_hold_no_yes_counts_at_the_page():
    house, approval, bob, device = await asked()
    begun = (await opened(bob, approval)).json()
    await place_hold(*to_hold(house.bench.walk), holdable("agent", "scout"), by=ADMIN)
    sent = {
        "verdict": "approve", "comment": "", "typed": "4711", "nonce": begun["nonce"],
        "assertion": device.assertion(challenge_of(begun)).members(),
    }  # fmt: skip
    answer = await bob.script(f"/approvals/{approval.id}/answer", sent, signed_in=True)
    assert answer.status_code == 403
    assert "Approve once" not in (await bob.page(f"/approvals/{approval.id}")).text


@pytest.mark.requirement("CONSOLE-07")
async def test_hostile_arguments_are_text_on_the_card_and_show_what_they_hide():
    house = await console_house()
    await house.bench.issue()
    approval = (await house.bench.act("refund", {"case": HOSTILE, "amount": 6_000})).approval
    assert approval is not None
    alice = await house.signed_in()
    for path in (f"/approvals/{approval.id}", "/approvals", "/", "/live"):
        text = (await alice.page(path)).text
        assert "<script>alert(1)" not in text
        assert ' hx-get="/sign-out"' not in text
        assert not any(char in text for char in "\u202e\u200b")
    assert "\\u{202e}" in (await alice.page(f"/approvals/{approval.id}")).text


@pytest.mark.requirement("CONSOLE-14")
async def test_what_waits_is_sorted_paged_and_told_of_when_it_changes():
    house, approval, bob, device = await asked()
    for amount in range(6_001, 6_010):
        await house.bench.refund(amount)
    listed = (await bob.page("/approvals?all")).text
    assert len(re.findall("data-item", listed)) == 10
    assert f'href="/approvals/{approval.id}"' in listed
    path = f"/approvals/{approval.id}"
    quiet = await bob.page(f"{path}?part&answers=0", headers={"hx-request": "true"})
    assert (quiet.status_code, quiet.content) == (204, b"")
    await answered(bob, approval, device)
    told = await bob.page(f"{path}?part&answers=0", headers={"hx-request": "true"})
    assert "It is approved" in told.text
    assert "Approve once" not in told.text
    assert "<html" not in told.text
    assert len(re.findall("data-item", (await bob.page("/approvals?state=approved")).text)) == 1
    for wrong in ("/approvals?state=odd", "/approvals?after=-1", "/approvals?after=x"):
        assert (await bob.page(wrong)).status_code == 400
    assert (await bob.page("/approvals/nobody")).status_code == 404
