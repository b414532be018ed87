"""A critical action runs only after a person typed its name, and the server is who looks at what they typed."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from answerable.core.approval.typed_name import name_to_type
from answerable.core.identity.names.principal import PrincipalId
from answerable.errors import Refused
from answerable.flows.approval.answer_approval import answer_approval
from answerable.flows.approval.open_approval import open_to_answer
from answerable.flows.approval.typed_names import name_wanted
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.state.typed_tries import TRIES_MAX, TRIES_MILLIS
from answerable.sdk.signing import signed_answer
from answerable.testing.builders import bench_documents
from answerable.testing.samples import AUDIENCE, signing_key
from answerable.testing.soft_passkey import SoftPasskey
from tests.probes.console_client import Client, House, challenge_of, console_house
from tests.worlds.glass import BREAKABLE, REASON
from tests.worlds.parts import to_apply
from tests.worlds.passkey import enrolled

pytestmark = pytest.mark.anyio

WRONG = (
    "",
    "4712",
    "crm.refund",
    " 4711",
    "4711 ",
    "4711\n",
    "４711",
    "4711\u200b",
    "\u202e1174",
    "4711\x00",
    "4" * 100_000,
)
"""Nothing, another object, the capability, blanks, a digit of full width, what hides, what turns around, too much."""


async def house_with(case: str = "4711", **documents: Any) -> tuple[House, Any]:
    """A critical refund for this case that waits for an approver."""
    house = await console_house()
    if documents:
        await apply_registry(*to_apply(house.bench.walk), bench_documents(**documents), by="operator")
    await house.bench.issue()
    approval = (await house.bench.act("refund", {"case": case, "amount": 6_000})).approval
    assert approval is not None
    return house, approval


def token_of(approval: Any, house: House, nonce: bytes, by: str = "bob", verdict: Any = "approve") -> str:
    return signed_answer(
        approval,
        nonce=nonce,
        by=PrincipalId(by),
        verdict=verdict,
        comment=REASON,
        audience=AUDIENCE,
        at=house.bench.clock.now(),
        key=signing_key(by),
    )


async def browser(house: House, person: str = "bob") -> tuple[Client, SoftPasskey]:
    device = SoftPasskey(seed=person)
    await enrolled(house.bench, person, device)
    client = Client(house.app)
    await client.sign_in(device)
    await client.page("/")
    return client, device


async def refused(answer: Any) -> str:
    with pytest.raises(Refused) as told:
        await answer
    return told.value.code


def state_of(house: House, approval: Any) -> str:
    found = house.bench.authority.approvals.find(approval.id)
    assert found is not None
    return found.state


@pytest.mark.requirement("ROOM-01", "ROOM-02")
@pytest.mark.parametrize("wrong", WRONG, ids=range(len(WRONG)))
async def test_with_a_key_file_another_name_lets_nothing_run_and_uses_up_nothing(wrong: str) -> None:
    house, approval = await house_with()
    walk = house.bench.walk
    nonce, _, _ = open_to_answer(
        walk.recorder.ledger, walk.authority, walk.asking.openings, walk.entropy, approval.id
    )
    token = token_of(approval, house, nonce)
    entries = len(house.bench.entries())
    assert (
        await refused(
            answer_approval(
                walk.recorder, walk.authority, walk.asking, walk.counters, approval.id, token, typed=wrong
            )
        )
        == "approval.typed_name"
    )
    assert (state_of(house, approval), len(house.bench.entries())) == ("pending", entries)
    assert (
        await answer_approval(
            walk.recorder, walk.authority, walk.asking, walk.counters, approval.id, token, typed="4711"
        )
    ).state == "approved"


@pytest.mark.requirement("ROOM-01", "ROOM-02")
@pytest.mark.parametrize("wrong", WRONG, ids=range(len(WRONG)))
async def test_at_the_page_another_name_opens_nothing_and_answers_nothing(wrong: str) -> None:
    house, approval = await house_with()
    bob, device = await browser(house)
    path = f"/approvals/{approval.id}"
    said = {"verdict": "approve", "comment": "seen"}
    body = {**said, "rendering": approval.card.hex}
    unopened = await bob.script(f"{path}/open", {**body, "typed": wrong}, signed_in=True)
    if len(wrong) < 10_000:
        assert (unopened.status_code, unopened.json()["code"]) == (403, "approval.typed_name")
    else:
        assert unopened.status_code in (400, 403, 413)
    begun = (await bob.script(f"{path}/open", {**body, "typed": "4711"}, signed_in=True)).json()
    sent = {**said, "nonce": begun["nonce"], "assertion": device.assertion(challenge_of(begun)).members()}
    answer = await bob.script(f"{path}/answer", {**sent, "typed": wrong}, signed_in=True)
    assert answer.status_code in (400, 403, 413)
    assert state_of(house, approval) == "pending"
    answer = await bob.script(f"{path}/answer", {**sent, "typed": "4711"}, signed_in=True)
    assert (answer.status_code, answer.json()) == (200, {"state": "approved"})


@pytest.mark.requirement("ROOM-01")
@pytest.mark.parametrize("odd", [None, 4711, ["4711"], {"name": "4711"}], ids=str)
async def test_at_the_page_what_is_typed_is_text(odd: Any) -> None:
    house, approval = await house_with()
    bob, _ = await browser(house)
    body = {"verdict": "approve", "rendering": approval.card.hex, "typed": odd}
    answer = await bob.script(f"/approvals/{approval.id}/open", body, signed_in=True)
    assert (answer.status_code, answer.json()["code"]) == (400, "request.body")


@pytest.mark.requirement("ROOM-01")
async def test_a_no_needs_no_name_and_a_broken_glass_needs_it() -> None:
    house, approval = await house_with(policies=BREAKABLE)
    walk = house.bench.walk
    nonce, _, _ = open_to_answer(
        walk.recorder.ledger, walk.authority, walk.asking.openings, walk.entropy, approval.id
    )
    broken = token_of(approval, house, nonce, by="dan", verdict="break_glass")
    assert (
        await refused(
            answer_approval(walk.recorder, walk.authority, walk.asking, walk.counters, approval.id, broken)
        )
        == "approval.typed_name"
    )
    dan, _ = await browser(house, "dan")
    body = {"verdict": "break_glass", "comment": REASON, "rendering": approval.card.hex}
    path = f"/approvals/{approval.id}"
    assert (await dan.script(f"{path}/open", body, signed_in=True)).json()["code"] == "approval.typed_name"
    page = (await dan.page(path)).text
    assert 'data-must="4711"' in page
    assert (
        await answer_approval(
            walk.recorder, walk.authority, walk.asking, walk.counters, approval.id, broken, typed="4711"
        )
    ).state == "approved"
    house, approval = await house_with()
    assert (await house.bench.answer(approval, verdict="deny", typed="")).state == "denied"


@pytest.mark.requirement("ROOM-02")
async def test_after_five_wrong_names_that_person_waits_a_minute_for_that_approval_and_nobody_else() -> None:
    house, approval = await house_with()
    other = (await house.bench.refund(7_000)).approval
    assert other is not None
    walk = house.bench.walk
    answer = partial(house.bench.answer, approval)
    for _ in range(TRIES_MAX):
        assert await refused(answer(typed="4712")) == "approval.typed_name"
    assert await refused(answer(typed="4711")) == "approval.typed_often"
    assert await refused(house.bench.answer(approval, by="alice", typed="4711")) == "approval.own_mandate"
    assert (await house.bench.answer(other, typed="4711")).state == "approved"
    house.wait(TRIES_MILLIS / 1000)
    assert (await answer(typed="4711")).state == "approved"
    assert name_wanted(walk.authority.registry, approval) == "4711"


@pytest.mark.requirement("ROOM-02")
async def test_a_no_is_possible_after_any_number_of_wrong_names() -> None:
    house, approval = await house_with()
    for _ in range(TRIES_MAX + 1):
        await refused(house.bench.answer(approval, typed="4712"))
    assert (await house.bench.answer(approval, verdict="deny", typed="")).state == "denied"


@pytest.mark.requirement("ROOM-02")
@pytest.mark.parametrize("step", ["open", "answer"])
async def test_whoever_stole_a_session_keeps_its_person_from_answering_in_no_other_place(step: str) -> None:
    house, approval = await house_with()
    other = (await house.bench.refund(7_000)).approval
    assert other is not None
    stolen, device = await browser(house)
    path = f"/approvals/{approval.id}"
    for one in (approval, other):
        wrong = {
            "open": {"verdict": "approve", "rendering": one.card.hex, "typed": "4712"},
            "answer": {
                "verdict": "approve",
                "nonce": "A" * 43,
                "assertion": device.assertion(b"x" * 32).members(),
                "typed": "4712",
            },
        }[step]
        codes = [
            (await stolen.script(f"/approvals/{one.id}/{step}", wrong, signed_in=True)).json()["code"]
            for _ in range(TRIES_MAX + 1)
        ]
        assert codes == ["approval.typed_name"] * TRIES_MAX + ["approval.typed_often"]
    assert (await house.bench.answer(other, typed="4711")).state == "approved", "with a key file"
    anew = Client(house.app)
    await anew.sign_in(device)
    await anew.page("/")
    body = {"verdict": "approve", "rendering": approval.card.hex, "typed": "4711"}
    assert (await stolen.script(f"{path}/open", body, signed_in=True)).json()[
        "code"
    ] == "approval.typed_often"
    begun = (await anew.script(f"{path}/open", body, signed_in=True)).json()
    sent = {"nonce": begun["nonce"], "assertion": device.assertion(challenge_of(begun)).members()}
    answer = await anew.script(
        f"{path}/answer", {"verdict": "approve", **sent, "typed": "4711"}, signed_in=True
    )
    assert (answer.status_code, answer.json()) == (200, {"state": "approved"})


LOOKS_LIKE = "prоd.customers"
"""Its third letter is Cyrillic."""


@pytest.mark.requirement("ROOM-01")
async def test_a_name_that_only_looks_alike_is_told_by_its_character() -> None:
    house, approval = await house_with(LOOKS_LIKE)
    with pytest.raises(Refused, match=r"its character 3 is U\+006F, in the name it is U\+043E"):
        await house.bench.answer(approval, typed="prod.customers")
    assert (await house.bench.answer(approval, typed=LOOKS_LIKE)).state == "approved"


@pytest.mark.requirement("ROOM-01")
async def test_one_name_has_one_spelling_in_normal_form() -> None:
    house, approval = await house_with("Caf\u00e9")
    assert await refused(house.bench.answer(approval, typed="Cafe")) == "approval.typed_name"
    assert await refused(house.bench.answer(approval, typed="caf\u00e9")) == "approval.typed_name"
    assert (await house.bench.answer(approval, typed="Cafe\u0301")).state == "approved"


@pytest.mark.requirement("ROOM-01")
@pytest.mark.parametrize(
    "hostile",
    ["4711\u202e", "47\u200b11", "4711 ", "a  b", "`4711`", "x" * 41, '4711"><script>alert(1)</script>\n'],
    ids=ascii,
)
async def test_a_name_that_cannot_be_read_or_typed_gives_way_to_the_capability(hostile: str) -> None:
    house, approval = await house_with(hostile)
    assert name_to_type(approval) == "crm.refund"
    assert await refused(house.bench.answer(approval, typed=hostile)) == "approval.typed_name"
    assert (await house.bench.answer(approval, typed="crm.refund")).state == "approved"


@pytest.mark.requirement("ROOM-01")
@pytest.mark.parametrize("made", ["0b5f6c1e-7c1d-4a52-9f3e-6b1d2c3a4f5e", "9f" * 16, "0" * 56 + "6B1D2C3A"])
async def test_of_an_id_that_only_machines_make_its_end_is_typed(made: str) -> None:
    house, approval = await house_with(made)
    assert name_to_type(approval) == made[-8:]
    for other in (made, made[:8], made[-8:].swapcase(), ""):
        if other != made[-8:]:
            assert await refused(house.bench.answer(approval, typed=other)) == "approval.typed_name"
    assert (await house.bench.answer(approval, typed=made[-8:])).state == "approved"


@pytest.mark.requirement("ROOM-01")
async def test_markup_in_a_name_is_text_where_it_is_to_be_typed() -> None:
    house, approval = await house_with('"><b onclick=x>')
    bob, _ = await browser(house)
    page = (await bob.page(f"/approvals/{approval.id}")).text
    assert "<b onclick" not in page
    assert 'data-must="&#34;&gt;&lt;b onclick=x&gt;"' in page
