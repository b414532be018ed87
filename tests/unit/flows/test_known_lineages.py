"""What was handed on, at calls after the first: remembered of it is what its registry says, nothing of who calls."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import pytest

from answerable.core.identity.names.principal import AgentId, UnixMillis
from answerable.core.identity.proof.caller import VerifiedCaller
from answerable.core.mandate.authority import authority_of
from answerable.core.mandate.delegability import Delegability
from answerable.core.mandate.delegation_chain import SEPARATOR
from answerable.core.mandate.hop_signing import HopTerms, issue_root, sign_hop
from answerable.core.mandate.hop_token import Mission, confirmation_of
from answerable.core.mandate.token import signed
from answerable.errors import Refused
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.state import delegations
from answerable.flows.state.delegations import Delegations
from answerable.flows.validity import verify_lineage
from answerable.sdk.signing import signed_mandate
from answerable.testing.builders import Bench, bench_documents
from answerable.testing.delegation import ISSUER, MISSION, NOW, SERVICE, trusted
from answerable.testing.samples import AUDIENCE, mandate_terms, signing_key
from tests.worlds.parts import to_apply

pytestmark = [pytest.mark.anyio]


class HandedOn:
    """A bench whose scout hands its mandate on to rover."""

    def __init__(self, bench: Bench) -> None:
        self.walk = bench.walk
        terms = replace(
            mandate_terms("m-1"),
            delegability=Delegability(depth_max=1, width_max=2, to=("agent:rover",)),
            grants=mandate_terms("m-1").grants[:1],
        )
        mandate = signed(terms, signed_mandate(terms, audience=AUDIENCE, key=signing_key("alice")))
        self.walk.authority.mandates.add(mandate)
        self.walk.verification.delegations = Delegations(keys_of=trusted, audience=lambda: ISSUER)
        self.authority = authority_of(mandate)
        self.chain = self.chain_for((ISSUER,))

    def chain_for(self, audiences: tuple[str, ...]) -> str:
        first = issue_root(
            self.terms("scout", audiences, depth_limit=2),
            issuer=ISSUER,
            principal="alice",
            mission=Mission(id="m-1", authority_hash=MISSION.authority_hash),
            key=SERVICE,
        )
        second = sign_hop((first,), self.terms("rover", audiences), key=signing_key("scout"))
        return SEPARATOR.join((first, second))

    def terms(self, agent: str, audiences: tuple[str, ...], **more: int) -> HopTerms:
        return HopTerms(
            jti=f"hop-{agent}",
            agent=agent,
            confirmation=confirmation_of(signing_key(agent).public),
            audiences=audiences,
            authority=self.authority,
            issued_at=NOW,
            expires_at=UnixMillis(NOW + 60_000),
            **more,
        )

    def call(
        self, *, agent: str = "rover", key: str = "", mandate: str = "", server: str = "crm", chain: str = ""
    ):
        caller = VerifiedCaller(
            agent=AgentId(agent),
            proof="dpop",
            binding="",
            sequence=1,
            message_digest=bytes(32),
            at=NOW,
            key=signing_key(key or agent).public.thumbprint,
        )
        by = verify_lineage.presented(
            self.walk.recorder.ledger, self.walk.verification, mandate, chain or self.chain, NOW
        )
        return verify_lineage.verify_lineage(self.walk.authority, caller, by, server=server)

    def refused(self, **changes: str) -> str:
        with pytest.raises(Refused) as no:
            self.call(**changes)
        return no.value.code


@pytest.fixture
async def handed_on() -> HandedOn:
    return HandedOn(await Bench().registered())


async def test_what_a_chain_stands_for_is_found_out_once_for_a_registry(handed_on, monkeypatch):
    first = handed_on.call()
    assert [hop.agent for hop in first.hops] == ["scout", "rover"]
    assert first.mandate.id == "m-1"

    def asked_again(*_: object) -> None:
        raise AssertionError("it was found out already")

    monkeypatch.setattr(verify_lineage, "chain_mandate", asked_again)
    assert handed_on.call() is first


async def test_a_remembered_chain_is_of_use_to_the_holder_of_its_last_hop_alone(handed_on):
    handed_on.call()
    assert handed_on.refused(agent="scout") == "delegation.holder_binding_failed"
    assert handed_on.refused(key="scout") == "delegation.holder_binding_failed"
    assert handed_on.refused(agent="scout", key="rover") == "delegation.holder_binding_failed"


async def test_a_remembered_chain_is_refused_under_another_mandate(handed_on):
    handed_on.call()
    handed_on.call(mandate="m-1")
    assert handed_on.refused(mandate="m-2") == "delegation.mission_altered"


async def test_a_chain_for_one_server_is_refused_on_another_however_often_it_was_used(handed_on):
    chain = handed_on.chain_for((f"{ISSUER}/mcp/crm",))
    handed_on.call(chain=chain)
    assert handed_on.refused(chain=chain, server="files") == "delegation.audience_mismatch"
    handed_on.call(chain=chain)


@pytest.mark.parametrize(
    ("kind", "name", "spec", "code"),
    [
        ("Agent", "scout", {"status": "suspended"}, "mandate.agent_inactive"),
        ("Agent", "rover", {"status": "suspended"}, "delegation.revoked"),
        ("Principal", "alice", {"keys": []}, "mandate.issuer_key"),
    ],
)
async def test_what_the_registry_took_away_ends_a_remembered_chain(handed_on, kind, name, spec, code):
    handed_on.call()
    documents = json.loads(json.dumps(bench_documents()))
    for document in documents:
        if (document["kind"], document["metadata"]["name"]) == (kind, name):
            document["spec"] |= spec
    await apply_registry(*to_apply(handed_on.walk), documents, by="operator")
    assert handed_on.refused() == code
    back = json.loads(json.dumps(bench_documents()))
    for document in back:
        if document["kind"] == "Agent":
            document["spec"]["status"] = "active"
    await apply_registry(*to_apply(handed_on.walk), back, by="operator")
    handed_on.call()


async def test_what_is_kept_of_a_chain_is_bounded_whatever_servers_are_asked_for(handed_on, monkeypatch):
    monkeypatch.setattr(delegations, "LINEAGES_MAX", 3)
    for number in range(10):
        handed_on.call(server=f"server-{number}")
    known = handed_on.walk.verification.delegations.known(handed_on.chain, NOW)
    assert 0 < len(known.lineages) <= 3


async def test_who_has_a_part_is_counted_once_and_away_from_what_serves_others(handed_on, monkeypatch):
    register, loop, found = handed_on.walk.authority.mandates, threading.get_ident(), []
    counted = register.admit

    def admit(*given, **named):
        found.append(threading.get_ident() != loop)
        return counted(*given, **named)

    monkeypatch.setattr(register, "admit", admit)
    delegation_lineage = handed_on.call()
    for expected in (True, False, False):
        assert (
            await verify_lineage.admit_receivers(
                handed_on.walk.authority, delegation_lineage.mandate, delegation_lineage.hops
            )
            is expected
        )
    assert found == [True]
    monkeypatch.setattr(verify_lineage, "ADMITTED_MAX", 1)
    handed_on.walk.authority.admitted = {("m-2", "a", "b")}
    assert await verify_lineage.admit_receivers(
        handed_on.walk.authority, delegation_lineage.mandate, delegation_lineage.hops
    )
    assert len(handed_on.walk.authority.admitted) == 1
    assert not await verify_lineage.admit_receivers(
        handed_on.walk.authority, delegation_lineage.mandate, delegation_lineage.hops[:1]
    )
