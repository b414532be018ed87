"""What else becomes of passkeys: callers that leave, races, a provider's people, and registers that cannot be told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from answerable.adapters.sqlite import SqlitePasskeyRegister
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.people.oidc_person import ShownPerson
from answerable.core.ledger.entry import entry_of
from answerable.core.ledger.tags import Tag
from answerable.errors import AnswerableError, Malformed, Refused, Unavailable
from answerable.flows.people.enrol_passkey import begin_enrolment, begin_own_enrolment, finish_enrolment
from answerable.flows.people.invite_person import invite_person
from answerable.flows.people.remove_passkey import remove_passkey
from answerable.flows.people.sign_in import record_refused_sign_ins, sign_in_by_provider
from answerable.flows.recovery.recall_passkeys import RecalledPasskeys
from answerable.flows.validity.person_validity import standing_passkey
from answerable.testing.builders import Bench, bench_documents
from answerable.testing.fault_injection import TroubledLedger
from answerable.testing.registers import fresh
from answerable.testing.soft_passkey import SoftPasskey
from tests.worlds.passkey import ADMIN, enrolled, passkey_bench, signed_in
from tests.worlds.walk import stored_of, striking

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("PASSKEY-03")]


async def left_after(turns: int, call: Any) -> None:
    """Begin it, and leave."""
    task = asyncio.create_task(call)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("turns", range(6))
async def test_who_leaves_in_the_middle_leaves_record_and_register_at_one(turns):
    bench = await passkey_bench()
    desk = bench.asking.passkeys
    assert desk is not None
    await left_after(
        turns, invite_person(bench.recorder, bench.authority, bench.asking.passkeys, "alice", by=ADMIN)
    )
    invited = await invite_person(bench.recorder, bench.authority, bench.asking.passkeys, "bob", by=ADMIN)
    begun = begin_enrolment(
        bench.authority, bench.asking.passkeys, bench.walk.entropy, invited.code, browser="b"
    )
    made = SoftPasskey(seed="bob").registration(begun.challenge)
    await left_after(
        turns,
        finish_enrolment(
            bench.recorder, bench.authority, bench.asking.passkeys, begun.id, made, label="key", browser="b"
        ),
    )
    added = [leaf for leaf in bench.entries(Tag.PASSKEY) if leaf["change"] == "added"]
    assert len(added) == len(desk.register.all())
    carol = await enrolled(bench, "carol")
    await left_after(turns, remove_passkey(bench.recorder, bench.asking.passkeys, carol.name, by=ADMIN))
    assert len(bench.entries(Tag.PASSKEY_REMOVED)) == (desk.register.find(carol.id) is None)


async def test_a_device_that_is_here_already_comes_in_for_nobody_else():
    bench = await passkey_bench()
    device = SoftPasskey(seed="alice")
    passkey = await enrolled(bench, "alice", device)
    own = begin_own_enrolment(bench.authority, bench.asking.passkeys, bench.walk.entropy, "bob", session="s")
    with pytest.raises(Malformed) as raised:
        await finish_enrolment(
            bench.recorder,
            bench.authority,
            bench.asking.passkeys,
            own.id,
            device.registration(own.challenge),
            label="mine",
            session="s",
        )
    assert raised.value.code == "passkey.duplicate"
    assert standing_passkey(bench.asking.passkeys, passkey.name) == passkey
    bench.asking.passkeys = None
    assert standing_passkey(bench.asking.passkeys, passkey.name) is None


async def test_another_device_of_a_session_is_on_record_as_let_in_by_its_person_and_comes_back():
    bench = await passkey_bench()
    own = begin_own_enrolment(bench.authority, bench.asking.passkeys, bench.walk.entropy, "bob", session="s")
    made = SoftPasskey(seed="bob").registration(own.challenge)
    passkey = await finish_enrolment(
        bench.recorder, bench.authority, bench.asking.passkeys, own.id, made, label="second", session="s"
    )
    [leaf] = bench.entries(Tag.PASSKEY)
    assert (leaf["invitation"], leaf["by"] == leaf["person"]) == ("", True)
    desk = bench.asking.passkeys
    assert desk is not None
    desk.register = fresh(SqlitePasskeyRegister)
    recalled = RecalledPasskeys(
        subject_keys=bench.recorder.subject_keys, passkeys=bench.asking.passkeys, clock=bench.clock
    )
    for stored in stored_of(bench, Tag.PASSKEY):
        recalled.note(stored)
    assert await recalled.restored() == 1
    assert desk.register.find(passkey.id) == passkey


async def test_what_cannot_be_opened_any_more_does_not_come_back():
    bench = await passkey_bench()
    await enrolled(bench, "alice")
    recalled = RecalledPasskeys(
        subject_keys=bench.recorder.subject_keys, passkeys=bench.asking.passkeys, clock=bench.clock
    )
    for stored in stored_of(bench, Tag.PASSKEY):
        bare = entry_of(Tag.PASSKEY, stored.leaf, b"")
        recalled.note(type(stored)(
            index=stored.index, tag=stored.tag, leaf=bare.leaf, attachment=b"", leaf_hash=stored.leaf_hash
        ))  # fmt: skip
    desk = bench.asking.passkeys
    assert desk is not None
    desk.register = fresh(SqlitePasskeyRegister)
    assert await recalled.restored() == 0
    bench.asking.passkeys = None
    assert await recalled.restored() == 0


async def test_of_two_answers_at_once_the_count_lets_one_pass():
    bench = await passkey_bench()
    device = SoftPasskey(seed="alice")
    await enrolled(bench, "alice", device)
    desk = bench.asking.passkeys
    assert desk is not None

    class Beaten(SqlitePasskeyRegister):
        """Somebody else passed the count in this very moment."""

        def count_up(self, credential_id: bytes, count: int) -> bool:
            super().count_up(credential_id, count)
            return super().count_up(credential_id, count)

    beaten = fresh(Beaten)
    for one in desk.register.all():
        beaten.add(one)
    desk.register = beaten
    with pytest.raises(AnswerableError) as raised:
        signed_in(bench, device)
    assert raised.value.code == "passkey.counter"


class SaysWho:
    """Judges no token: whom a good one is about is what is tested here."""

    def __init__(self, subject: str) -> None:
        self._subject = subject

    async def verify(self, _token: str, *, nonce: str, issuer: str = "") -> ShownPerson:
        assert (nonce, issuer) == ("n", "https://login.example")
        return ShownPerson(issuer="https://login.example", subject=self._subject, logged_in_at=UnixMillis(7))


async def known_bench(*, status: str = "active") -> Bench:
    bench = await passkey_bench()
    documents = bench_documents()
    for one in documents:
        match one:
            case {"kind": "Principal", "metadata": {"name": "carol"}, "spec": dict(spec)}:
                spec |= {"oidc": {"issuer": "https://login.example", "subject": "c-1"}, "status": status}
    return await bench.registered(documents)


async def test_a_provider_says_who_somebody_is_and_the_registry_whether_they_come_in():
    bench = await known_bench()
    with pytest.raises(Refused) as raised:
        await sign_in_by_provider(
            bench.authority, bench.asking, "t", nonce="n", issuer="https://login.example"
        )
    assert raised.value.code == "person.no_provider"
    bench.asking.people = SaysWho("c-1")
    who = await sign_in_by_provider(
        bench.authority, bench.asking, "t", nonce="n", issuer="https://login.example"
    )
    assert (who.person, who.oidc, who.shown_at) == ("carol", ("https://login.example", "c-1"), 7)
    bench.asking.people = SaysWho("c-2")
    with pytest.raises(Refused) as raised:
        await sign_in_by_provider(
            bench.authority, bench.asking, "t", nonce="n", issuer="https://login.example"
        )
    assert raised.value.code == "person.unknown"
    bench = await known_bench(status="disabled")
    bench.asking.people = SaysWho("c-1")
    with pytest.raises(Refused) as raised:
        await sign_in_by_provider(
            bench.authority, bench.asking, "t", nonce="n", issuer="https://login.example"
        )
    assert raised.value.code in ("person.disabled", "person.unknown")


async def test_counts_that_cannot_be_written_down_are_kept_for_later():
    bench = await passkey_bench()
    desk = bench.asking.passkeys
    assert desk is not None
    desk.refused["passkey.unknown"] = 3
    ledger = bench.recorder.ledger
    bench.recorder.ledger = TroubledLedger(ledger, striking("ledger.submit", "undone"))
    with pytest.raises(Unavailable):
        await record_refused_sign_ins(bench.recorder, bench.asking.passkeys)
    desk.refused["passkey.unknown"] += 1
    bench.recorder.ledger = ledger
    await left_after(1, record_refused_sign_ins(bench.recorder, bench.asking.passkeys))
    await record_refused_sign_ins(bench.recorder, bench.asking.passkeys)
    [leaf] = bench.entries(Tag.PASSKEY)
    assert leaf["counts"] == {"passkey.unknown": 4}
