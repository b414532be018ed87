"""Issuing and closing mandates: signed by who may, recorded first, once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from answerable.core.identity.names.principal import AgentId, PrincipalId
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.mandate import Grant, Mandate, MandateId
from answerable.errors import AnswerableError, Malformed, Refused, Unavailable
from answerable.flows.revocation.close_mandate import close_mandate
from answerable.flows.tokens.issue_mandate import issue_mandate
from answerable.sdk.signing import signed_mandate
from answerable.testing.builders import Bench, bench_documents
from answerable.testing.fault_injection import Trouble, TroubledLedger, TroubledMandates
from answerable.testing.samples import AUDIENCE, mandate_terms, signing_key
from tests.worlds.parts import to_issue
from tests.worlds.walk import fields_of

if TYPE_CHECKING:
    from answerable.core.mandate.mandate import MandateTerms
    from answerable.testing.fault_injection import Fault

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("WALK-09")]


def token(terms: MandateTerms, *, key: str = "alice", audience: str = AUDIENCE) -> str:
    return signed_mandate(terms, audience=audience, key=signing_key(key))


@pytest.mark.parametrize(
    ("terms", "key", "audience", "code"),
    [
        (mandate_terms(), "bob", AUDIENCE, "mandate.key"),
        (mandate_terms(), "alice", "elsewhere.test", "mandate.audience"),
        (replace(mandate_terms(), agent=AgentId("nobody")), "alice", AUDIENCE, "mandate.agent_inactive"),
        (replace(mandate_terms(), use_case="sales"), "alice", AUDIENCE, "mandate.use_case"),
        (replace(mandate_terms(), principal=PrincipalId("dan")), "dan", AUDIENCE, "mandate.not_an_issuer"),
        (
            replace(mandate_terms(), grants=(Grant(capability="crm.delete"),)),
            "alice",
            AUDIENCE,
            "mandate.capability_unknown",
        ),
    ],
    ids=["key", "audience", "agent", "use case", "issuer", "capability"],
)
async def test_a_mandate_that_does_not_fit_is_neither_recorded_nor_in_force(
    terms: MandateTerms, key: str, audience: str, code: str
):
    bench = await Bench().registered()
    size = bench.recorder.ledger.size
    with pytest.raises(AnswerableError) as told:
        await issue_mandate(*to_issue(bench.walk), token(terms, key=key, audience=audience))
    assert told.value.code == code
    assert bench.recorder.ledger.size == size
    assert not list(bench.authority.mandates.all())


async def test_an_expired_mandate_is_not_issued():
    bench = await Bench().registered()
    bench.clock.advance(3601)
    with pytest.raises(Refused) as told:
        await issue_mandate(*to_issue(bench.walk), token(mandate_terms()))
    assert told.value.code == "mandate.expired"


async def test_a_member_of_an_issuer_group_may_issue():
    documents = bench_documents()
    for one in documents:
        assert isinstance(one, dict)
        if one["kind"] == "UseCase":
            assert isinstance(one["spec"], dict)
            one["spec"]["issuers"] = ["sales"]
    bench = await Bench().registered(documents)
    assert (await bench.issue(principal="dan")).principal == "dan"


async def test_a_mandate_is_issued_once_even_when_two_bring_it_together():
    bench = await Bench().registered()
    found = await asyncio.gather(bench.issue(), bench.issue(agent="rover"), return_exceptions=True)
    assert isinstance(found[0], Mandate)
    assert isinstance(found[1], Malformed)
    with pytest.raises(Malformed) as told:
        await bench.issue()
    assert told.value.code == "mandate.duplicate"
    assert [entry["agent"] for entry in bench.entries(Tag.MANDATE_ISSUED)] == ["scout"]
    assert not bench.asking.under_way.issuing


async def test_a_closed_mandate_cannot_be_issued_again():
    bench = await Bench().registered()
    await bench.issue()
    await close_mandate(bench.recorder, bench.authority, bench.live, "m-1", by="alice")
    with pytest.raises(Malformed):
        await bench.issue()
    with pytest.raises(Refused):
        await bench.act()


@pytest.mark.parametrize("fault", ["full", "undone", "done"])
async def test_what_could_not_be_recorded_is_not_in_force(fault: Fault):
    bench = await Bench().registered()
    raw = bench.recorder.ledger
    bench.recorder.ledger = TroubledLedger(
        raw, Trouble(lambda _n, method: fault if "submit" in method else None)
    )
    with pytest.raises(Unavailable):
        await bench.issue()
    assert bench.authority.mandates.find(MandateId("m-1")) is None
    bench.recorder.ledger = raw
    await bench.issue()


@pytest.mark.parametrize("fault", ["undone", "done"])
async def test_a_register_that_fails_leaves_a_mandate_that_can_be_issued_or_is(fault: Fault):
    bench = await Bench().registered()
    raw = bench.authority.mandates
    bench.authority.mandates = TroubledMandates(
        raw, Trouble(lambda _n, method: fault if method == "mandates.add" else None)
    )
    with pytest.raises(Unavailable):
        await bench.issue()
    bench.authority.mandates = raw
    if fault == "undone":
        await bench.issue()
    assert (await bench.act()).outcome is not None


async def test_closing_stops_at_once_even_when_it_cannot_be_recorded_and_is_recorded_when_repeated():
    bench = await Bench().registered()
    await bench.issue()
    raw = bench.recorder.ledger
    bench.recorder.ledger = TroubledLedger(
        raw, Trouble(lambda _n, method: "full" if "submit" in method else None)
    )
    with pytest.raises(Unavailable):
        await close_mandate(bench.recorder, bench.authority, bench.live, "m-1", by="alice")
    bench.recorder.ledger = raw
    with pytest.raises(Refused) as told:
        await bench.act()
    assert told.value.code == "mandate.closed"
    await close_mandate(bench.recorder, bench.authority, bench.live, "m-1", by="alice")
    (entry,), (fields,) = bench.entries(Tag.MANDATE_CLOSED), fields_of(bench, Tag.MANDATE_CLOSED)
    assert (entry["mandate"], fields["by"]) == ("m-1", "alice")


@pytest.mark.requirement("SAME-17")
async def test_closing_a_mandate_denies_what_waits_under_it_and_says_so_in_the_ledger():
    bench = await Bench().registered()
    await bench.issue()
    await bench.issue("m-2")
    waiting = (await bench.refund(6000)).approval
    asked = (await bench.refund(7000)).approval
    other = (await bench.refund(6000, mandate="m-2")).approval
    assert waiting is not None
    assert asked is not None
    assert other is not None
    granted = await bench.answer(asked)
    assert granted.state == "approved"
    await close_mandate(bench.recorder, bench.authority, bench.live, "m-1", by="alice")
    states = {
        one.id: one.state for one in bench.authority.approvals.all(pending_only=False, now=bench.clock.now())
    }
    assert states == {waiting.id: "denied", granted.id: "denied", other.id: "pending"}
    (entry,) = bench.entries(Tag.MANDATE_CLOSED)
    assert set(entry["approvals"]) == {waiting.id, granted.id}
    with pytest.raises(Refused) as told:
        await bench.answer(waiting)
    assert told.value.code == "mandate.closed"


@pytest.mark.requirement("SAME-17")
async def test_nobody_lets_run_what_waits_under_a_mandate_that_is_closed():
    bench = await Bench().registered()
    await bench.issue()
    waiting = (await bench.refund(6000)).approval
    assert waiting is not None
    # As where the question came at the very moment of the closing, or the registers had no room for its end.
    bench.authority.mandates.close(MandateId("m-1"))
    with pytest.raises(Refused) as told:
        await bench.answer(waiting)
    assert told.value.code == "mandate.closed"
    assert (await bench.answer(waiting, verdict="deny")).state == "denied"


async def test_what_is_not_known_cannot_be_closed():
    bench = await Bench().registered()
    with pytest.raises(Refused) as told:
        await close_mandate(bench.recorder, bench.authority, bench.live, "m-9", by="alice")
    assert told.value.code == "mandate.unknown"
