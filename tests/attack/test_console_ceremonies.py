"""What a stolen cookie and another person's passkey do together: a step-up of one person is nobody else's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from answerable.adapters.sqlite import SqlitePasskeyRegister, SqliteStore
from answerable.apps.console.sessions import REFUSED_MAX
from answerable.core.ledger.tags import Tag
from answerable.flows.people.invite_person import invite_person
from answerable.flows.recovery.recall_passkeys import RecalledPasskeys
from answerable.testing.soft_passkey import SoftPasskey
from tests.probes.console_client import Client, House, challenge_of, console_house, registration_members
from tests.worlds.passkey import ADMIN, enrolled

pytestmark = pytest.mark.anyio

FRESH_SECONDS = 300


async def robbed(house: House) -> tuple[Client, Client, SoftPasskey]:
    """Alice, who showed who she is long ago; bob with her cookie and her pages' token; and bob's own device."""
    own = SoftPasskey(seed="bob")
    await enrolled(house.bench, "bob", own)
    alice = await house.signed_in()
    await alice.page("/passkeys")
    house.wait(FRESH_SECONDS + 1)
    thief = Client(house.app, cookie=alice.cookie, csrf=alice.csrf, address="203.0.113.9")
    return alice, thief, own


def answered(begun: dict[str, Any], device: SoftPasskey) -> dict[str, Any]:
    return {"ceremony": begun["ceremony"], "assertion": device.assertion(challenge_of(begun)).members()}


async def nothing_is_open_to(thief: Client) -> None:
    assert (await thief.form("/stop", kind="everything", name="")).status_code == 401
    assert (await thief.script("/enrol/begin", {}, signed_in=True)).json()["code"] == "console.not_fresh"


def refusals(house: House) -> list[dict[str, Any]]:
    return [one for one in house.bench.entries(Tag.PASSKEY) if one["change"] == "session_refused"]


@pytest.mark.requirement("CEREMONY-01")
async def test_a_stolen_cookie_and_a_public_sign_in_by_ones_own_passkey_confirm_nothing():
    house = await console_house()
    _, thief, own = await robbed(house)
    begun = (await Client(house.app).script("/sign-in/begin", {})).json()
    answer = await thief.script("/confirm/finish", answered(begun, own), signed_in=True)
    assert (answer.status_code, answer.json()["code"]) == (401, "passkey.purpose")
    await nothing_is_open_to(thief)


@pytest.mark.requirement("CEREMONY-01")
async def test_her_own_challenge_signed_by_another_persons_device_confirms_nothing():
    house = await console_house()
    _, thief, own = await robbed(house)
    begun = (await thief.script("/confirm/begin", {}, signed_in=True)).json()
    answer = await thief.script("/confirm/finish", answered(begun, own), signed_in=True)
    assert (answer.status_code, answer.json()["code"]) == (401, "passkey.other")
    await nothing_is_open_to(thief)


@pytest.mark.requirement("CEREMONY-02")
async def test_what_one_session_began_no_other_session_finishes_though_it_is_of_the_same_person():
    house = await console_house()
    alice, other = await house.signed_in(), await house.signed_in()
    for one in (alice, other):
        await one.page("/passkeys")
    house.wait(FRESH_SECONDS + 1)
    begun = (await alice.script("/confirm/begin", {}, signed_in=True)).json()
    answer = await other.script("/confirm/finish", answered(begun, house.device), signed_in=True)
    assert answer.json()["code"] == "passkey.holder"
    await nothing_is_open_to(other)
    assert (await other.confirm(house.device)).status_code == 200
    begun = (await other.script("/enrol/begin", {}, signed_in=True)).json()
    made = registration_members(SoftPasskey(seed="new").registration(challenge_of(begun)))
    sent = {"ceremony": begun["ceremony"], "registration": made, "label": "new"}
    for client, signed_in, code in (
        (alice, True, "passkey.holder"),
        (Client(house.app), False, "passkey.ceremony"),
    ):
        answer = await client.script("/enrol/finish", sent, signed_in=signed_in)
        assert answer.json()["code"] == code
    assert len(house.bench.asking.passkeys.register.of("alice")) == 1


@pytest.mark.requirement("CEREMONY-02")
@pytest.mark.parametrize("way", ["sign-in", "enrol"])
async def test_what_one_browser_began_no_other_browser_finishes(way):
    house = await console_house()
    here, there = Client(house.app, headers={"user-agent": "one"}), Client(house.app)
    if way == "sign-in":
        begun = (await here.script("/sign-in/begin", {})).json()
        sent = {**answered(begun, house.device), "next": "/"}
    else:
        invited = await invite_person(
            house.bench.recorder, house.bench.authority, house.bench.asking.passkeys, "bob", by=ADMIN
        )
        begun = (await here.script("/enrol/begin", {"code": invited.code})).json()
        made = registration_members(SoftPasskey(seed="bob").registration(challenge_of(begun)))
        sent = {"ceremony": begun["ceremony"], "registration": made, "label": "mine"}
    answer = await there.script(f"/{way}/finish", sent)
    assert (answer.json()["code"], there.cookie) == ("passkey.holder", "")
    assert not house.bench.asking.passkeys.register.of("bob")


@pytest.mark.requirement("CEREMONY-03")
async def test_who_is_not_the_person_of_a_session_is_on_record_and_a_few_end_it():
    house = await console_house()
    alice, thief, own = await robbed(house)
    codes = []
    for _ in range(REFUSED_MAX + 1):
        begun = (await thief.script("/confirm/begin", {}, signed_in=True)).json()
        if "ceremony" not in begun:
            codes.append(begun["code"])
            break
        answer = await thief.script("/confirm/finish", answered(begun, own), signed_in=True)
        codes.append(answer.json()["code"])
        if len(codes) == 1:
            assert "1 failed authentications" in (await alice.page("/passkeys")).text
    assert codes == ["passkey.other"] * REFUSED_MAX + ["console.signed_out"]
    assert (await alice.page("/agents")).status_code == 303
    found = refusals(house)
    assert [one["code"] for one in found] == ["passkey.other"] * REFUSED_MAX
    leaf, payload = house.bench.opened(next(
        one.index for one in house.bench.recorder.ledger.replay()
        if json.loads(one.leaf).get("change") == "session_refused"
    ))  # fmt: skip
    assert (payload["person"], payload["shown_by"]) == ("alice", "bob")
    assert (payload["address"], leaf["session"]) == ("203.0.113.9", found[-1]["session"])


@pytest.mark.requirement("CEREMONY-04")
async def test_a_cookie_in_another_browser_ends_its_session_and_is_on_record():
    house = await console_house()
    alice = await house.signed_in()
    thief = Client(house.app, cookie=alice.cookie, headers={"user-agent": "curl/8"}, address="203.0.113.9")
    answer = await thief.page("/agents")
    assert (answer.status_code, "console.browser" in answer.text) == (401, True)
    assert (await thief.page("/agents")).status_code == 303
    assert (await alice.page("/agents")).status_code == 303
    [leaf] = refusals(house)
    assert leaf["code"] == "console.browser"


@pytest.mark.requirement("CEREMONY-04")
async def test_what_was_shown_at_one_address_does_not_count_at_another():
    house = await console_house()
    alice = await house.signed_in()
    await alice.page("/passkeys")
    thief = Client(house.app, cookie=alice.cookie, csrf=alice.csrf, address="203.0.113.9")
    await nothing_is_open_to(thief)
    assert (await alice.form("/stop", kind="agent", name="scout")).status_code == 303


@pytest.mark.requirement("CEREMONY-05")
async def test_a_person_sees_where_and_when_their_sessions_began_and_were_last_used():
    house = await console_house()
    alice = await house.signed_in()
    house.wait(60)
    elsewhere = Client(house.app, cookie=alice.cookie, address="203.0.113.9")
    await elsewhere.page("/agents")
    other = Client(house.app, headers={"user-agent": "Firefox of a laptop"}, address="198.51.100.4")
    await other.sign_in(house.device)
    text = (await other.page("/passkeys")).text
    for piece in (
        "Firefox of a laptop",
        "from 192.0.2.7",
        "last used",
        "from 203.0.113.9",
        "from 198.51.100.4",
        "opened by passkey alice&#39;s phone",
    ):
        assert piece in text, piece


@pytest.mark.requirement("CEREMONY-08")
async def test_a_second_invitation_ends_the_first_in_a_restored_register_too(tmp_path):
    store = SqliteStore.open(tmp_path / "registers.db")
    house = await console_house(register=SqlitePasskeyRegister(store))
    walk = house.bench.walk
    first = await invite_person(walk.recorder, walk.authority, walk.asking.passkeys, "bob", by=ADMIN)
    begun = (await Client(house.app).script("/enrol/begin", {"code": first.code})).json()
    copy = SqliteStore.open(tmp_path / "copy.db")
    older = SqlitePasskeyRegister(copy)
    older.invite(first.invitation)
    second = await invite_person(walk.recorder, walk.authority, walk.asking.passkeys, "bob", by=ADMIN)
    thief = Client(house.app)
    answer = await thief.script("/enrol/begin", {"code": first.code})
    assert (answer.status_code, answer.json()["code"]) == (401, "invitation.refused")
    made = registration_members(SoftPasskey(seed="thief").registration(challenge_of(begun)))
    sent = {"ceremony": begun["ceremony"], "registration": made, "label": "mine"}
    assert (await thief.script("/enrol/finish", sent)).json()["code"] == "invitation.refused"
    recalled = RecalledPasskeys(
        subject_keys=walk.recorder.subject_keys, passkeys=walk.asking.passkeys, clock=walk.clock
    )
    for stored in walk.recorder.ledger.replay():
        if stored.tag == Tag.PASSKEY:
            recalled.note(stored)
    walk.asking.passkeys.register = older
    await recalled.restored()
    assert (await thief.script("/enrol/begin", {"code": first.code})).json()["code"] == "invitation.refused"
    walk.asking.passkeys.register = SqlitePasskeyRegister(store)
    assert (await Client(house.app).script("/enrol/begin", {"code": second.code})).status_code == 200
    for one in (store, copy):
        one.close()
