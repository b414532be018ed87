"""Asking for less at the console and from the command line: words are fixed before they are signed, more is refused."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from answerable.apps.control_api.application import control_app
from answerable.core.canonical import encode
from answerable.core.identity.names.principal import UnixMillis
from answerable.sdk.keyfile import create_key
from answerable.testing import recording_upstream
from answerable.testing.builders import Bench, bench_documents
from answerable.testing.clock import ManualClock
from answerable.testing.soft_passkey import SoftPasskey
from tests.attack.test_console_approvals import answered as answered_at_page
from tests.attack.test_console_approvals import asked as asked_at_page
from tests.attack.test_console_approvals import opened
from tests.attack.test_narrower_answers import refused, waiting
from tests.probes.typed_lines import typed
from tests.worlds.control import memory_product

pytestmark = pytest.mark.anyio


@pytest.mark.requirement("REPLY-07")
async def test_at_the_page_a_person_asks_for_less_and_then_gets_a_card_of_that():
    house, approval, bob, device = await asked_at_page(9_000)
    page = (await bob.page(f"/approvals/{approval.id}")).text
    assert 'data-less="amount"' in page
    assert 'max="8999"' in page
    answer = await answered_at_page(
        bob, approval, device, "deny", reason="narrower", narrower={"amount": 5_500}, comment="half"
    )
    assert answer.json() == {"state": "denied"}
    assert (await refused(house.bench)).denial["narrower"]["changed"] == {"amount": 5500}
    page = (await bob.page(f"/approvals/{approval.id}")).text
    assert "proposed instead: {&#34;amount&#34;:5500}" in page
    assert "answer that" not in page
    new = (await house.bench.refund(5_500)).approval
    assert new is not None
    assert (
        f'<a href="/approvals/{new.id}">answer that</a>' in (await bob.page(f"/approvals/{approval.id}")).text
    )
    assert approval.id in (await bob.page(f"/approvals/{new.id}")).text
    assert (await answered_at_page(bob, new, device)).json() == {"state": "approved"}
    assert (await house.bench.refund(5_500)).outcome is not None


@pytest.mark.requirement("REPLY-01", "REPLY-07")
@pytest.mark.parametrize(
    "swapped",
    [
        {"comment": "fine by me"},
        {"reason": "suspicious"},
        {"reason": "narrower", "narrower": {"amount": 8_999}},
        {"verdict": "approve", "reason": ""},
    ],
)
async def test_at_the_page_words_are_fixed_before_they_are_signed(swapped):
    from tests.probes.console_client import challenge_of

    house, approval, bob, device = await asked_at_page(9_000)
    said = {"comment": "seen", "reason": "narrower", "narrower": {"amount": 5_500}}
    begun = (await opened(bob, approval, "deny", **said)).json()
    sent = {
        "verdict": "deny", **said, "typed": "4711", "nonce": begun["nonce"],
        "assertion": device.assertion(challenge_of(begun)).members(), **swapped,
    }  # fmt: skip
    answer = await bob.script(f"/approvals/{approval.id}/answer", sent, signed_in=True)
    assert (answer.status_code, answer.json()["code"]) == (401, "passkey.challenge")
    found = house.bench.authority.approvals.find(approval.id)
    assert found is not None
    assert found.state == "pending"


@pytest.mark.requirement("REPLY-05", "REPLY-07")
@pytest.mark.parametrize(
    ("narrower", "code"),
    [
        ({"amount": 9_001}, "approval.not_narrower"),
        ({"case": "4712"}, "approval.not_narrower"),
        ({}, "approval.not_narrower"),
        ([], "request.body"),
        ({"amount": [0]}, "approval.not_narrower"),
    ],
)
async def test_at_the_page_more_is_refused_before_it_is_signed(narrower, code):
    _, approval, bob, _ = await asked_at_page(9_000)
    answer = await opened(bob, approval, "deny", reason="narrower", narrower=narrower)
    assert answer.json()["code"] == code


@pytest.mark.requirement("REPLY-02", "REPLY-07")
async def test_at_the_page_one_tap_says_why():
    house, approval, bob, device = await asked_at_page()
    page = (await bob.page(f"/approvals/{approval.id}")).text
    assert '<button type="submit" class="pick" name="verdict" value="deny" data-reason="suspicious">' in page
    assert (await answered_at_page(bob, approval, device, "deny", reason="suspicious")).json()[
        "state"
    ] == "denied"
    found = house.bench.authority.approvals.find(approval.id)
    assert found is not None
    assert found.answers[0].reason == "suspicious"
    assert "this looks like an attack or a mistake" in (await bob.page(f"/approvals/{approval.id}")).text
    for reason in ("because", 7):
        other = (await house.bench.refund(7_000)).approval
        assert (await opened(bob, other, "deny", reason=reason)).status_code == 400


@pytest.mark.requirement("REPLY-05", "REPLY-07")
async def test_of_a_list_some_is_kept_in_its_order(monkeypatch):
    monkeypatch.setitem(recording_upstream._ARGUMENTS, "refund", {"case": str, "amount": int, "to": list})
    monkeypatch.setitem(recording_upstream._TYPES, list, "array")
    documents: list[Any] = bench_documents()
    for one in documents:
        if one["kind"] == "Capability" and one["metadata"]["name"] == "crm.refund":
            one["spec"]["arguments"].append({"name": "to", "type": "string_set"})
    from tests.probes.console_client import Client, console_house
    from tests.worlds.passkey import enrolled

    house = await console_house()
    await house.bench.registered(documents)
    await house.bench.issue()
    people = ["ann\u202e@x", "ben@x", "cat@x"]
    asked = (await house.bench.act("refund", {"case": "4711", "amount": 9000, "to": people})).approval
    assert asked is not None
    await enrolled(house.bench, "bob", device := SoftPasskey(seed="bob"))
    bob = Client(house.app)
    await bob.sign_in(device)
    page = (await bob.page(f"/approvals/{asked.id}")).text
    assert page.count('data-keep="to"') == 3
    assert "\u202e" not in page
    for wrong in ([2, 0], [0, 1, 2], [], [0, 0]):
        said = await opened(bob, asked, "deny", reason="narrower", narrower={"to": wrong})
        assert said.json()["code"] == "approval.not_narrower"
    for wrong in ([3], [-1], ["ben@x"], [True]):
        said = await opened(bob, asked, "deny", reason="narrower", narrower={"to": wrong})
        assert said.json()["code"] == "request.body"
    done = await answered_at_page(bob, asked, device, "deny", reason="narrower", narrower={"to": [0, 2]})
    assert done.json() == {"state": "denied"}
    after = house.bench.authority.approvals.find(asked.id)
    assert after is not None
    assert json.loads(after.proposed.bytes)["arguments"]["to"] == ["ann\u202e@x", "cat@x"]


# From the command line, over the control API.


def commands(bench: Bench, root: Path) -> Any:
    """The command line against the control API over this bench, as people with key files."""
    product = replace(memory_product(), walk=bench.walk)
    root.chmod(0o700)
    create_key(root / "bob.jwk", seed=sha256(b"bob").digest())

    @asynccontextmanager
    async def offline(_: Any) -> AsyncIterator[Any]:
        yield control_app(product)

    async def run(*arguments: str) -> Any:
        given = ["approval", *arguments, "--data", str(root)]
        return await asyncio.to_thread(typed, offline, given)

    return run


@pytest.mark.requirement("REPLY-07")
async def test_from_the_command_line_a_person_asks_for_less(tmp_path):
    bench, asked = await waiting(clock=ManualClock(UnixMillis(time.time_ns() // 1_000_000)))
    run = commands(bench, tmp_path)
    who = ("--as", "bob", "--key", str(tmp_path / "bob.jwk"), "--yes")
    for wrong in ("case=4712", "amount", "amount=more", "new=1"):
        assert (await run("narrow", asked.id, *who, "--set", wrong)).exit_code != 0
    assert (await run("narrow", asked.id, *who)).exit_code != 0
    assert (await run("narrow", asked.id, *who, "--keep", "amount=1")).exit_code != 0
    wider = await run("narrow", asked.id, *who, "--set", "amount=9001")
    assert "not narrower" in wider.stderr
    assert bench.authority.approvals.find(asked.id).state == "pending"
    done = await run("narrow", asked.id, *who, "--set", "amount=5500", "--comment", "half")
    assert done.exit_code == 0, done.output
    assert '{"amount":5500}' in done.stdout
    after = bench.authority.approvals.find(asked.id)
    assert encode(json.loads(after.proposed.bytes)["arguments"]) == b'{"amount":5500,"case":"4711"}'
    new = (await bench.refund(5500)).approval
    shown = (await run("show", asked.id)).stdout
    assert "narrower, half, instead" in shown
    assert new is not None
    assert new.id in shown
    listed = json.loads((await run("show", new.id, "--json")).stdout)
    assert listed["narrowable"] == [{"name": "amount", "value": 5500}]


@pytest.mark.requirement("REPLY-02", "REPLY-07")
async def test_from_the_command_line_a_no_has_its_reason(tmp_path):
    bench, asked = await waiting(clock=ManualClock(UnixMillis(time.time_ns() // 1_000_000)))
    run = commands(bench, tmp_path)
    who = ("--as", "bob", "--key", str(tmp_path / "bob.jwk"), "--yes")
    assert (await run("deny", asked.id, *who, "--reason", "because")).exit_code != 0
    assert (await run("deny", asked.id, *who, "--reason", "narrower")).exit_code != 0
    assert bench.authority.approvals.find(asked.id).state == "pending"
    done = await run("deny", asked.id, *who, "--reason", "not_now")
    assert done.exit_code == 0, done.output
    assert bench.authority.approvals.find(asked.id).answers[0].reason == "not_now"
