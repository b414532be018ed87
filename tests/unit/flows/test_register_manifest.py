"""Registering manifests: signed by who owns the agent, recorded first, in force until its signer loses agent or key."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis
from answerable.core.ledger.tags import Tag
from answerable.core.registry.manifests.manifest_token import signed_manifest
from answerable.core.registry.parsing.active import stored_form
from answerable.errors import AnswerableError, Malformed, Refused, Unavailable, Unverified
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.validity.manifest_standing import standing_manifest
from answerable.flows.workloads.register_manifest import CLOCK_AHEAD_MS_MAX, register_manifest
from answerable.testing.builders import Bench, bench_documents
from answerable.testing.contracts.manifest_register import SCOUT, sample_manifest, sample_signed
from answerable.testing.fault_injection import Trouble, TroubledLedger
from answerable.testing.samples import signing_key
from answerable.verify.leaf_shapes import ManifestLeaf
from tests.worlds.parts import to_apply
from tests.worlds.walk import fields_of, stored_of

if TYPE_CHECKING:
    from answerable.core.registry.manifests.manifest_token import SignedManifest
    from answerable.testing.fault_injection import Fault

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("MANIFEST-07")]


async def registered(bench: Bench, signed: SignedManifest) -> SignedManifest:
    return await register_manifest(
        bench.recorder, bench.authority, bench.asking.under_way, bench.live, signed.token, by="operator"
    )


async def with_scout(bench: Bench, **changes: Any) -> None:
    documents: list[Any] = bench_documents()
    for one in documents:
        if one["kind"] == "Agent" and one["metadata"]["name"] == "scout":
            one["spec"]["ownership"] |= changes.pop("ownership", {})
            one["spec"] |= changes
    await apply_registry(*to_apply(bench.walk), documents, by="operator", prune=True)


async def test_a_manifest_that_its_owner_signed_is_in_the_ledger_and_in_force():
    bench = await Bench().registered()
    signed = await registered(bench, sample_signed())
    assert standing_manifest(bench.authority, SCOUT) == signed
    (leaf,) = bench.entries(Tag.MANIFEST_REGISTERED)
    assert (leaf["agent"], leaf["manifest"], leaf["signed"]) == ("scout", signed.digest, signed.signed_at)
    assert "alice" not in str(leaf)
    (fields,) = fields_of(bench, Tag.MANIFEST_REGISTERED)
    signer = signing_key("alice").public.jwk
    assert fields == {"by": "alice", "person": "operator", "signer": signer, "token": signed.token}


async def test_the_leaf_has_the_shape_that_verifiers_expect():
    bench = await Bench().registered()
    signed = await registered(bench, sample_signed())
    (stored,) = stored_of(bench, Tag.MANIFEST_REGISTERED)
    leaf = msgspec.json.decode(stored.leaf, type=ManifestLeaf)
    assert (leaf.agent, leaf.manifest) == ("scout", signed.digest)


async def test_an_agent_without_a_manifest_has_none():
    bench = await Bench().registered()
    assert standing_manifest(bench.authority, SCOUT) is None


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (sample_signed(owner="carol").token, "manifest.not_an_owner"),
        (sample_signed(replace(sample_manifest(), agent=AgentId("nobody"))).token, "manifest.agent_inactive"),
        (sample_signed(replace(sample_manifest(), environment="staging")).token, "manifest.environment"),
        (sample_signed(owner="erin").token, "manifest.key"),
        (sample_signed(at=CLOCK_AHEAD_MS_MAX + 1).token, "manifest.future"),
        ("a.b.c", "manifest.malformed"),
    ],
    ids=["not the owner", "no agent", "environment", "stranger", "future", "garbage"],
)
async def test_what_does_not_fit_is_neither_recorded_nor_in_force(token: str, code: str):
    bench = await Bench().registered()
    size = bench.recorder.ledger.size
    with pytest.raises(AnswerableError) as raised:
        await register_manifest(
            bench.recorder, bench.authority, bench.asking.under_way, bench.live, token, by="operator"
        )
    assert raised.value.code == code
    assert bench.recorder.ledger.size == size
    assert standing_manifest(bench.authority, SCOUT) is None


async def test_an_old_manifest_does_not_come_back_and_leaves_no_entry():
    bench = await Bench().registered()
    old, new = sample_signed(), sample_signed(sample_manifest(model="gpt-5"), at=1)
    await registered(bench, old)
    await registered(bench, new)
    size = bench.recorder.ledger.size
    with pytest.raises(Malformed) as raised:
        await registered(bench, old)
    assert raised.value.code == "manifest.older"
    assert bench.recorder.ledger.size == size
    assert standing_manifest(bench.authority, SCOUT) == new


async def test_the_one_in_force_again_is_no_change_and_no_entry():
    bench = await Bench().registered()
    signed = await registered(bench, sample_signed())
    size = bench.recorder.ledger.size
    assert await registered(bench, sample_signed()) == signed
    assert bench.recorder.ledger.size == size


async def test_two_at_once_are_taken_one_after_the_other():
    bench = await Bench().registered()
    tokens = [sample_signed(sample_manifest(model=f"gpt-{n}"), at=n) for n in range(4)]
    answers = await asyncio.gather(*(registered(bench, one) for one in tokens), return_exceptions=True)
    taken = [one for one in answers if not isinstance(one, BaseException)]
    assert standing_manifest(bench.authority, SCOUT) == tokens[-1]
    assert len(bench.entries(Tag.MANIFEST_REGISTERED)) == len(taken)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"ownership": {"owner": "carol"}}, "manifest.not_an_owner"),
        ({"status": "suspended"}, "manifest.agent_inactive"),
        ({"environment": "staging"}, "manifest.environment"),
        ({"tier": 3}, "manifest.tier"),
    ],
    ids=["another owner", "suspended", "another environment", "another tier"],
)
async def test_a_manifest_falls_with_what_it_stood_on(changes: dict[str, Any], code: str):
    bench = await Bench().registered()
    await registered(bench, sample_signed())
    await with_scout(bench, **changes)
    with pytest.raises(Refused) as raised:
        standing_manifest(bench.authority, SCOUT)
    assert raised.value.code == code


async def test_a_manifest_falls_with_the_key_that_signed_it():
    bench = await Bench().registered()
    await registered(bench, sample_signed())
    documents: list[Any] = bench_documents()
    for one in documents:
        if one["kind"] == "Principal" and one["metadata"]["name"] == "alice":
            one["spec"]["keys"] = []
    await apply_registry(*to_apply(bench.walk), documents, by="operator", prune=True)
    with pytest.raises(Refused) as raised:
        standing_manifest(bench.authority, SCOUT)
    assert raised.value.code == "manifest.signer_key"


async def test_the_backup_owner_may_sign_and_the_agent_itself_may_not():
    bench = await Bench().registered()
    await registered(bench, sample_signed(owner="bob"))
    own = signed_manifest(
        sample_manifest(), owner=PrincipalId("alice"), key=signing_key("scout"), at=UnixMillis(1)
    )
    with pytest.raises(Unverified) as raised:
        await register_manifest(
            bench.recorder, bench.authority, bench.asking.under_way, bench.live, own, by="operator"
        )
    assert raised.value.code == "manifest.key"


@pytest.mark.parametrize("fault", ["full", "undone", "done"])
async def test_what_could_not_be_recorded_is_not_in_force(fault: Fault):
    bench = await Bench().registered()
    raw = bench.recorder.ledger
    bench.recorder.ledger = TroubledLedger(
        raw, Trouble(lambda _n, method: fault if "submit" in method else None)
    )
    with pytest.raises(Unavailable):
        await registered(bench, sample_signed())
    assert standing_manifest(bench.authority, SCOUT) is None
    bench.recorder.ledger = raw
    assert await registered(bench, sample_signed()) == standing_manifest(bench.authority, SCOUT)


@pytest.mark.parametrize("turns", range(8))
async def test_a_caller_who_leaves_leaves_nothing_half_done(turns: int):
    bench = await Bench().registered()
    bench.recorder.ledger = TroubledLedger(
        bench.recorder.ledger, Trouble(lambda _n, _m: None), latency=lambda: 3
    )
    task = asyncio.create_task(registered(bench, sample_signed()))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    is_in_force = standing_manifest(bench.authority, SCOUT) is not None
    assert is_in_force == (len(bench.entries(Tag.MANIFEST_REGISTERED)) == 1)
    assert not bench.asking.under_way.applying.locked()


async def test_an_owner_who_is_replaced_while_the_manifest_waits_signs_in_vain():
    bench = await Bench().registered()
    async with bench.asking.under_way.applying:
        waiting = asyncio.create_task(registered(bench, sample_signed()))
        for _ in range(5):
            await asyncio.sleep(0)
        documents: list[Any] = bench_documents()
        for one in documents:
            if one["kind"] == "Agent":
                one["spec"]["ownership"] |= {"owner": "carol"}
        bench.authority.registry.put(stored_form(documents))
    with pytest.raises(Refused) as raised:
        await waiting
    assert raised.value.code == "manifest.not_an_owner"
    assert bench.entries(Tag.MANIFEST_REGISTERED) == []
