"""Callers who cheat, on real parts: signatures, Cedar, a log in files, registers in SQLite."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import pytest
from anyio import CancelScope

from answerable.core.action.request import ActionRequest, action_request
from answerable.core.canonical import JSONValue, encode, parse
from answerable.core.identity.keys.keys import SigningKey
from answerable.core.identity.proof.door_refusal import Sender
from answerable.core.identity.proof.http_signature import SignedRequest, sign_request
from answerable.core.ledger.answer import Answer
from answerable.core.ledger.tags import Tag
from answerable.errors import AnswerableError, Refused, Unverified
from answerable.flows.counters.door_desk import DoorDesk, record_door_refusals
from answerable.flows.recovery.settle_open_intents import record_counted_refusals, settle_open_intents
from answerable.flows.tokens.proof_limits import ProofLimits
from answerable.flows.tokens.verify_caller import CallerVerifier
from answerable.flows.walk.govern_action import govern_action
from answerable.testing.builders import Bench, ledger_key
from answerable.testing.disks import FileDisk
from answerable.testing.recording_upstream import Effect, RecordingUpstream
from answerable.testing.samples import signing_key
from answerable.verify.ledger_history import verify_ledger
from tests.worlds.parts import to_govern, to_refuse, to_settle
from tests.worlds.walk import fields_of, sealed_values, stored_of

pytestmark = pytest.mark.anyio

AUTHORITY = "gateway.test"


@dataclass(kw_only=True)
class House:
    """A bench on files with a door that checks proofs."""

    bench: Bench
    door: CallerVerifier
    sent: int = 0

    def signed(
        self, arguments: JSONValue, *, target: str = "refund", mandate: str = "m-1", key: str = "scout"
    ) -> SignedRequest:
        """What an agent's client sends."""
        self.sent += 1
        private: SigningKey = signing_key(key)
        body = encode({"arguments": arguments, "target": target, "mandate": mandate})
        return sign_request(
            SignedRequest(method=b"POST", authority=AUTHORITY.encode(), target=b"/mcp/crm", body=body),
            algorithm="ed25519",
            keyid=private.public.thumbprint,
            created=self.bench.clock.now() // 1000,
            nonce=f"{self.door.epoch}.{self.sent:022d}",
            sign=private.sign,
        )

    async def receive(self, message: SignedRequest, *, body: bytes | None = None) -> Answer:
        """What a door does: prove the caller, parse the very bytes, walk. body: what a broken door would parse."""
        try:
            caller = self.door.verify(message)
        except Unverified as error:
            desk = DoorDesk(**to_refuse(self.bench.walk), known=self.door.known)
            desk.refused("mcp", error, Sender(address="198.51.100.7", port=4711))
            raise
        return await govern_action(*to_govern(self.bench.walk), parsed(body or message.body), caller)

    def recorded(self, tag: Tag) -> list[bytes]:
        """All fields of these entries, each checked against its leaf, as they were sealed."""
        return [
            b"\n".join(sealed_values(self.bench, stored).values()) for stored in stored_of(self.bench, tag)
        ]


def parsed(body: bytes) -> ActionRequest:
    message = parse(body)
    assert isinstance(message, dict)
    return action_request(
        server="crm",
        method="tools/call",
        target=str(message["target"]),
        arguments=message["arguments"],
        mandate_id=str(message["mandate"]),
        message_digest=sha256(body).digest(),
    )


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """When the test is over, the log must be in order to a stranger."""
    bench = Bench()
    disk = FileDisk(tmp_path, bench.clock)
    stores = await disk.opened()
    bench = Bench(
        clock=bench.clock,
        ledger=stores.ledger,
        registry=stores.registry,
        mandates=stores.mandates,
        approvals=stores.approvals,
        subject_keys=stores.subject_keys,
    )
    await bench.registered()
    await bench.issue("m-1")
    await bench.issue("m-2", agent="rover")
    limits = ProofLimits(authorities=frozenset({AUTHORITY}))
    door = CallerVerifier(
        registry=bench.authority.registry, clock=bench.clock, entropy=bench.walk.entropy, limits=limits
    )
    yield House(bench=bench, door=door)
    bench.clock.advance(200)
    await settle_open_intents(*to_settle(bench.walk))
    await record_counted_refusals(bench.recorder, bench.asking.passkeys, bench.counters.quota)
    await disk.closed()
    report = verify_ledger(disk.place / "log", key=ledger_key())
    assert report.errors == 0, report.as_lines()
    assert report.open_intents_total == 0
    assert not bench.upstream.violations


@pytest.mark.requirement("WALK-06")
async def test_what_was_signed_is_what_is_decided_recorded_and_done_whatever_is_done_to_objects(house: House):
    upstream = house.bench.upstream
    message = house.signed({"case": "4711", "amount": 100})
    caller = house.door.verify(message)
    action = parsed(message.body)

    async def meddle(effect: Effect) -> None:
        action.arguments["amount"] = 999_999
        assert isinstance(effect.arguments, dict)
        effect.arguments["seen"] = True

    upstream.before = meddle
    action.arguments["amount"] = 999_999
    await govern_action(*to_govern(house.bench.walk), action, caller)
    (recorded,) = house.recorded(Tag.INTENT)
    assert b'"amount":100,' in recorded
    assert b"999999" not in recorded
    assert fields_of(house.bench, Tag.INTENT)[0]["digest"] == upstream.effects[0].digest


@pytest.mark.requirement("WALK-04", "WALK-06")
async def test_an_approval_cannot_be_moved_to_another_amount_agent_or_mandate(house: House):
    asked = (await house.receive(house.signed({"case": "4711", "amount": 6000}))).approval
    assert asked is not None
    await house.bench.answer(asked)
    await house.bench.issue("m-3")
    moved: tuple[tuple[dict[str, JSONValue], str, str], ...] = (
        ({"case": "4711", "amount": 6001}, "m-1", "scout"),
        ({"case": "4712", "amount": 6000}, "m-1", "scout"),
        ({"case": "4711", "amount": 6000}, "m-3", "scout"),
        ({"case": "4711", "amount": 6000}, "m-2", "rover"),
    )
    for arguments, mandate, key in moved:
        answer = await house.receive(house.signed(arguments, mandate=mandate, key=key))
        assert answer.outcome is None
        assert answer.approval is not None
        assert answer.approval.id != asked.id
    assert not house.bench.upstream.effects
    assert (await house.receive(house.signed({"amount": 6000, "case": "4711"}))).outcome is not None
    assert house.bench.entries(Tag.INTENT)[0]["approval"] == asked.id


@pytest.mark.requirement("WALK-09")
async def test_proofs_that_do_not_fit_get_no_further_than_the_door_and_are_counted(house: House):
    good = house.signed({"case": "4711", "amount": 1})
    await house.receive(good)
    size = house.bench.recorder.ledger.size
    hostile = {
        "replay": good,
        "digest": replace(house.signed({"case": "4711", "amount": 1}), body=b'{"amount":2}'),
        "signature": replace(house.signed({"case": "4711", "amount": 1}), target=b"/mcp/other"),
        "key": house.signed({"case": "4711", "amount": 1}, key="mallory"),
        "authority": replace(house.signed({"case": "4711", "amount": 1}), authority=b"elsewhere.test"),
    }
    for step, message in hostile.items():
        with pytest.raises(Unverified) as told:
            await house.receive(message)
        assert told.value.step == step
    assert house.bench.recorder.ledger.size == size, "nobody unverified can fill the ledger"
    await record_door_refusals(house.bench.recorder, house.bench.authority.registry, house.bench.counters)
    written = house.bench.entries(Tag.DOOR_REFUSAL)
    assert [one["code"] for one in written] == [f"proof.{step}" for step in hostile]
    assert len({one.get("key") for one in written}) == 2, "by scout's key, and by mallory's own"
    assert len(house.bench.upstream.effects) == 1


@pytest.mark.requirement("WALK-09")
async def test_a_good_proof_over_one_message_does_not_carry_another(house: House):
    message = house.signed({"case": "4711", "amount": 1})
    other = encode({"arguments": {"case": "4711", "amount": 5000}, "target": "refund", "mandate": "m-1"})
    with pytest.raises(Unverified) as told:
        await house.receive(message, body=other)
    assert told.value.code == "proof.other_message"
    assert not house.bench.upstream.effects


@pytest.mark.requirement("WALK-09", "WALK-05")
async def test_an_agent_that_borrows_a_mandate_is_refused_under_its_own_name(house: House):
    with pytest.raises(Refused) as told:
        await house.receive(house.signed({"case": "4711", "amount": 1}, mandate="m-1", key="rover"))
    assert told.value.code == "mandate.other_agent"
    entry = house.bench.entries(Tag.REFUSAL)[0]
    assert (entry["agent"], entry["mandate"]) == ("rover", "")
    # What it merely named is kept where the key of its own leads, not in the leaf.
    assert house.bench.opened(int(str(entry["index"])))[1]["mandate_named"] == "m-1"


@pytest.mark.requirement("WALK-07", "WALK-01", "WALK-03", "WALK-08")
async def test_a_storm_of_callers_who_leave_at_any_moment_leaves_every_intent_with_one_end(house: House):
    bench = house.bench
    await bench.issue("m-9", calls_max=40)
    turns = iter(range(10_000))

    async def dawdle(_effect: Effect) -> None:
        for _ in range(next(turns) % 5):
            await asyncio.sleep(0)

    bench.upstream.before = bench.upstream.after = dawdle

    async def caller(number: int) -> None:
        message = house.signed({"case": "4711", "amount": number}, mandate="m-9")
        with CancelScope() as scope:
            loop = asyncio.get_running_loop()
            loop.call_later(0.000_2 * (number % 17), scope.cancel)
            await house.receive(message)

    tasks = [asyncio.create_task(caller(number)) for number in range(1, 121)]
    await asyncio.sleep(0.001)
    for task in tasks[::7]:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(e is None or isinstance(e, AnswerableError | asyncio.CancelledError) for e in ended), ended
    intents, effects = bench.entries(Tag.INTENT), bench.upstream.effects
    assert len(intents) <= 40
    assert {effect.intent for effect in effects} <= {intent["index"] for intent in intents}
    assert len({effect.key for effect in effects}) == len(effects)
    assert len(bench.entries(Tag.OUTCOME, Tag.INDETERMINATE)) == len(intents)
    assert not bench.recorder.open_intents


@pytest.mark.requirement("WALK-05")
async def test_an_agent_that_hammers_fills_neither_the_disk_nor_hides_its_refusals(house: House):
    bench = house.bench
    limits = bench.walk.limits
    told = 0
    for number in range(limits.refusals_recorded_max + 100):
        action, caller = bench.request("refund", {"case": "4711", "amount": 2_000_000 + number})
        with pytest.raises(Refused) as refused:
            await govern_action(*to_govern(bench.walk), action, caller)
        told += refused.value.entry_index is not None
    assert told == len(bench.entries(Tag.REFUSAL)) == limits.refusals_recorded_max
    await record_counted_refusals(bench.recorder, bench.asking.passkeys, bench.counters.quota)
    assert bench.entries(Tag.REFUSALS_COUNTED)[0]["agents"] == {"scout": 100}
    assert isinstance(bench.upstream, RecordingUpstream)
    assert not bench.upstream.effects
