"""A mandate is worth one budget in one log, however many processes know of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from answerable.core.identity.keys.keys import ed25519_public
from answerable.core.identity.names.principal import PrincipalId
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.mandate import MandateId
from answerable.core.tlog.note import VerifierKey
from answerable.errors import Refused, Unverified
from answerable.flows.approval.answer_approval import answer_approval
from answerable.flows.revocation.close_mandate import close_mandate
from answerable.flows.validity.mandate_validity import shard_elsewhere
from answerable.flows.walk.list_capabilities import list_capabilities
from answerable.sdk.signing import signed_answer
from answerable.testing.builders import Bench, bench_documents, nonce_for
from answerable.testing.memory_ledger import MemoryLedger
from answerable.testing.samples import AUDIENCE, signing_key
from tests.worlds.parts import to_list

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("SHARD-04")]

OTHER = "answerable.test/b"


def beside(bench: Bench, origin: str = OTHER) -> Bench:
    """Another process on the same registers, with a log of its own."""
    key = signing_key(origin)
    walk = bench.walk
    ledger = MemoryLedger(
        key=VerifierKey.ed25519(origin, ed25519_public(key.public)), sign=key.sign, clock=bench.clock
    )
    return Bench(
        clock=bench.clock,
        ledger=ledger,
        registry=walk.authority.registry,
        mandates=walk.authority.mandates,
        approvals=walk.authority.approvals,
        subject_keys=walk.recorder.subject_keys,
    )


async def test_a_mandate_of_one_shard_starts_nothing_in_another():
    a = await Bench().registered()
    await a.issue(calls_max=1)
    b = beside(a)
    with pytest.raises(Refused) as told:
        await b.act()
    assert told.value.code == "mandate.other_shard"
    assert AUDIENCE in told.value.message
    assert OTHER in told.value.message
    assert not b.upstream.effects
    assert not b.entries(Tag.INTENT)
    await a.act()
    assert len(a.upstream.effects) == 1


async def test_the_refusal_in_the_other_shard_is_recorded_there():
    a = await Bench().registered()
    await a.issue()
    b = beside(a)
    with pytest.raises(Refused) as told:
        await b.act()
    [refusal] = b.entries(Tag.REFUSAL)
    assert told.value.entry_index == refusal["index"]
    assert (refusal["code"], refusal["mandate"]) == ("mandate.other_shard", "m-1")


async def test_changing_the_registry_does_not_open_the_other_shard():
    a = await Bench().registered()
    await a.issue()
    b = beside(a)
    for _ in range(2):
        with pytest.raises(Refused) as told:
            await b.act()
        assert told.value.code == "mandate.other_shard"
        await b.registered(bench_documents('@id("all") permit (principal, action, resource);'))


async def test_an_agent_that_has_no_such_mandate_is_not_told_where_it_is():
    a = await Bench().registered()
    await a.issue()
    with pytest.raises(Refused) as told:
        await beside(a).act(agent="rover")
    assert told.value.code == "mandate.other_agent"
    assert AUDIENCE not in told.value.message


async def test_nothing_is_listed_under_a_mandate_of_another_shard():
    a = await Bench().registered()
    await a.issue()
    b = beside(a)
    _, caller = a.request("get_case", {"case": "4711"})
    assert list_capabilities(*to_list(a.walk), caller, "m-1", "crm")
    assert not list_capabilities(*to_list(b.walk), caller, "m-1", "crm")


async def test_a_token_for_one_shard_is_not_taken_in_by_another():
    a = await Bench().registered()
    with pytest.raises(Unverified) as told:
        await beside(a).issue()
    assert told.value.code == "mandate.audience"


async def test_an_action_that_waits_in_one_shard_is_not_answered_in_another():
    a = await Bench().registered()
    await a.issue()
    b = beside(a)
    approval = (await a.refund(9_000)).approval
    assert approval is not None
    token = signed_answer(
        approval,
        nonce=nonce_for(b.walk.asking.openings, b.walk.clock, b.walk.entropy, approval),
        by=PrincipalId("bob"),
        verdict="approve",
        comment="",
        audience=OTHER,
        at=b.clock.now(),
        key=signing_key("bob"),
    )
    with pytest.raises(Refused) as told:
        await answer_approval(
            b.walk.recorder, b.walk.authority, b.walk.asking, b.walk.counters, approval.id, token
        )
    assert told.value.code == "approval.other_shard"
    assert AUDIENCE in told.value.message
    assert not b.entries(Tag.APPROVAL_ANSWER)
    await a.answer(approval)
    await a.refund(9_000)
    assert len(a.upstream.effects) == 1


async def test_a_mandate_is_stopped_from_any_shard():
    a = await Bench().registered()
    await a.issue()
    b = beside(a)
    await close_mandate(b.walk.recorder, b.walk.authority, b.walk.live, "m-1", by="bob")
    with pytest.raises(Refused) as told:
        await a.act()
    assert told.value.code == "mandate.closed"
    assert not a.upstream.effects


async def test_who_closes_a_mandate_elsewhere_says_where_it_was_issued():
    a = await Bench().registered()
    await a.issue()
    await a.issue("m-2")
    b = beside(a)
    await close_mandate(b.walk.recorder, b.walk.authority, b.walk.live, "m-1", by="bob")
    await close_mandate(a.walk.recorder, a.walk.authority, a.walk.live, "m-2", by="bob")
    first, second = a.entries(Tag.MANDATE_ISSUED)
    hashes = [one.leaf_hash.hex() for one in a.walk.recorder.ledger.replay()]
    [there] = b.entries(Tag.MANDATE_CLOSED)
    [here] = a.entries(Tag.MANDATE_CLOSED)
    place, other = first["index"], second["index"]
    assert isinstance(place, int)
    assert isinstance(other, int)
    assert there["mandate_ref"] == {"entry": place, "leaf": hashes[place], "log": AUDIENCE}
    assert here["mandate_ref"] == {"entry": other, "leaf": hashes[other]}


async def test_a_mandate_whose_token_cannot_be_read_is_of_no_shard():
    a = await Bench().registered()
    mandate = replace(await a.issue(), id=MandateId("m-2"), token="damaged")
    a.walk.authority.mandates.add(mandate)
    with pytest.raises(Refused) as told:
        await a.act(mandate="m-2")
    assert told.value.code == "mandate.other_shard"
    assert shard_elsewhere(mandate, AUDIENCE) == ""
