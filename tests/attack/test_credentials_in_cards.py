"""An agent puts a credential into an argument: who answers sees of which kind and which it is, and not itself."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

import pytest

from answerable.apps.cli.shown_object import shown_whole
from answerable.apps.control_api import approval_operations
from answerable.core.approval.action_object import object_in
from answerable.core.approval.approval import Approval
from answerable.core.approval.card import WITH_CREDENTIALS, card_of, is_card_of
from answerable.core.approval.credentials import text_without_credentials, without_credentials
from answerable.core.canonical import freeze
from answerable.errors import Unverified
from answerable.flows.validity.group_waiting import groups_waiting
from answerable.testing.samples import action_shown, approval
from answerable.testing.soft_passkey import SoftPasskey
from tests.probes.console_client import Client, House, console_house
from tests.worlds.answers import as_sent
from tests.worlds.passkey import enrolled

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("CEREMONY-17")]

GITHUB = "ghp_" + "A1b2C3d4E5f6G7h8I9j0" + "K1l2M3n4O5p6Q7r8"
MARK = f"[credential: github, fingerprint {sha256(GITHUB.encode()).hexdigest()[:12]}]"
ASKED: dict[str, Any] = {
    "case": "4711",
    "amount": 6_000,
    "api_key": "hunter2-of-the-shop",
    "max_tokens": 4_096,
    "note": f"use {GITHUB} for it",
}


def question(arguments: dict[str, Any] = ASKED, *, name: str = "a-1") -> Approval:
    """One that an agent asked with credentials in it."""
    shown = action_shown(name, {**arguments})
    action = {"arguments": {**arguments}, "method": "tools/call", "server": "crm", "target": "refund"}
    return replace(
        approval(name), action=freeze(action), shown=shown, card=card_of(shown), claimed=f"I found {GITHUB}"
    )


async def waits(*questions: Approval) -> tuple[House, Client]:
    """The questions, and bob at the console."""
    house = await console_house()
    for one in questions:
        house.bench.authority.approvals.add(one)
    device = SoftPasskey(seed="bob")
    await enrolled(house.bench, "bob", device)
    bob = Client(house.app)
    await bob.sign_in(device)
    return house, bob


def nothing_of_it_in(text: str) -> None:
    assert GITHUB not in text
    assert "hunter2" not in text


async def test_the_card_and_every_page_have_kind_and_fingerprint_and_numbers_as_they_are():
    asked = question()
    _, bob = await waits(asked)
    card = asked.card.bytes.decode()
    nothing_of_it_in(card)
    assert MARK in card
    assert "[credential: by its name, fingerprint " in card
    assert ["max_tokens", "4096"] in json.loads(card)["arguments"]
    for path in ("/approvals", f"/approvals/{asked.id}", "/", "/live"):
        page = await bob.page(path)
        assert page.status_code == 200
        nothing_of_it_in(page.text)
    assert MARK in (await bob.page(f"/approvals/{asked.id}")).text
    # What runs, and is signed, is the action as it is.
    assert object_in(asked.shown)["arguments"] == ASKED
    assert is_card_of(asked.card, asked.shown)


async def test_many_that_are_alike_show_none_in_what_differs_either():
    every = [
        question(
            {**ASKED, "api_key": f"hunter2-{number}", "note": GITHUB[:-1] + str(number)}, name=f"a-{number}"
        )
        for number in range(5)
    ]
    house, bob = await waits(*every)
    [group] = groups_waiting(
        house.bench.authority.approvals, house.bench.asking.under_way, house.bench.clock
    ).groups
    assert {one.pointer for one in group.differs} == {"/arguments/api_key", "/arguments/note"}
    page = (await bob.page(f"/groups/{group.id}")).text
    assert page.count("[credential: by its name") >= 5
    assert "hunter2" not in page
    assert GITHUB[:-1] not in page


@pytest.mark.parametrize("whole", [False, True])
async def test_the_api_shows_none_but_to_who_is_about_to_sign(whole):
    asked = question()
    house, _ = await waits(asked)
    query = {"whole": "true"} if whole else {}
    call: Any = SimpleNamespace(walk=house.bench.walk, path={"id": asked.id}, query=query)
    told: Any = await approval_operations.show_approval.run(call)
    if whole:
        assert shown_whole(told) == (asked.shown, asked.card)
        assert GITHUB in told.object
    else:
        nothing_of_it_in(json.dumps(as_sent(told)))
        assert MARK in told.object
        assert MARK in told.action
        with pytest.raises(Unverified):
            shown_whole(told)


async def test_a_card_of_before_is_read_and_one_that_was_changed_is_none():
    asked = question()
    before = card_of(asked.shown, template=WITH_CREDENTIALS)
    assert is_card_of(before, asked.shown)
    assert GITHUB in before.bytes.decode()
    value = asked.card.thaw()
    assert isinstance(value, dict)
    assert not is_card_of(freeze({**value, "template": WITH_CREDENTIALS}), asked.shown)
    assert not is_card_of(freeze({**value, "template": "action/3"}), asked.shown)
    other = json.loads(asked.card.bytes.decode().replace(MARK, MARK.replace("github", "gitlab")))
    assert not is_card_of(freeze(other), asked.shown)


def test_fingerprints_of_words_are_of_one_question_alone_and_those_of_keys_of_all():
    one, other = (without_credentials({"arguments": ASKED}, question=name) for name in ("q-1", "q-2"))
    assert isinstance(one, dict)
    assert isinstance(other, dict)
    for shown in (one["arguments"], other["arguments"]):
        assert isinstance(shown, dict)
        assert shown["note"] == f"use {MARK} for it"
    assert one["arguments"]["api_key"] != other["arguments"]["api_key"]
    plain = {"arguments": {"text": "nothing here", "list": [1, True, None]}, "token_count": 3}
    assert without_credentials(plain, question="q") == plain
    assert text_without_credentials(text_without_credentials(GITHUB)) == text_without_credentials(GITHUB)
