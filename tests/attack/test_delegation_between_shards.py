"""What was handed on reaches the process that owns its mandate, whole, and is counted there alone."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from answerable.core.identity.principal import AgentId, PrincipalId, UnixMillis
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.authority import Authority, authority_of
from answerable.core.mandate.delegability import Delegability
from answerable.core.mandate.hop_signing import HopTerms, issue_root, sign_hop
from answerable.core.mandate.hop_token import Mission, confirmation_of
from answerable.core.mandate.mission import authority_hash
from answerable.errors import Refused
from answerable.flows.delegations import Delegations
from answerable.flows.forward_action import forward_action
from answerable.flows.issue_mandate import issue_mandate
from answerable.flows.list_capabilities import list_capabilities
from answerable.sdk.signing import signed_mandate
from answerable.testing.delegation import ISSUER, SERVICE, trusted
from answerable.testing.samples import mandate_terms, signing_key
from tests.link_world import BASE, door, link_of, shard

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("LINE-03")]

A = f"{BASE}/a"


async def two_shards(directory, *, calls_max=20):
    """a, which owns the mandate; b, which knows it and the way to a; and a chain from scout to rover."""
    a = await shard("a").registered()
    now = a.clock.now()
    terms = replace(
        mandate_terms(),
        principal=PrincipalId("alice"),
        agent=AgentId("scout"),
        calls_max=calls_max,
        not_before=now,
        expires_at=UnixMillis(now + 3_600_000),
        delegability=Delegability(depth_max=1, width_max=1, to=("agent:rover",)),
    )
    mandate = await issue_mandate(a.walk, signed_mandate(terms, audience=A, key=signing_key("alice")))
    b = shard("b", a)
    b.walk.link = link_of(directory, "b")
    for bench in (a, b):
        bench.walk.delegations = Delegations(keys_of=trusted, audience=lambda: ISSUER)

    def hop(agent, authority, **more):
        return HopTerms(
            jti=f"hop-{agent}",
            agent=agent,
            confirmation=confirmation_of(signing_key(agent).public),
            audiences=(ISSUER,),
            authority=authority,
            issued_at=now,
            expires_at=UnixMillis(now // 1000 * 1000 + 200_000),
            **more,
        )

    authority = authority_of(mandate)
    mission = Mission(id=mandate.id, authority_hash=authority_hash(mandate, audience=A))
    root = issue_root(
        hop("scout", authority, depth_limit=2), issuer=ISSUER, principal="alice", mission=mission, key=SERVICE
    )
    narrow = Authority(scopes=("crm.read",), constraints=authority.constraints)
    return a, b, (root, sign_hop((root,), hop("rover", narrow), key=signing_key("scout")))


def asked(bench, chain, *, agent="rover", key="", mandate=""):
    action, caller = bench.request("get_case", {"case": "4711"}, agent=agent, mandate=mandate)
    action = msgspec.structs.replace(action, delegation="~".join(chain))
    return action, msgspec.structs.replace(caller, key=signing_key(key or agent).public.thumbprint)


async def test_what_was_handed_on_is_governed_by_the_owner_of_the_mandate_at_its_root(tmp_path):
    a, b, chain = await two_shards(tmp_path / "links", calls_max=2)
    async with door(tmp_path / "links", "a", a):
        for bench in (b, a):
            answer = await forward_action(bench.walk, *asked(bench, chain))
            assert answer.outcome is not None
            assert answer.outcome.status == "succeeded"
        with pytest.raises(Refused) as told:
            await forward_action(b.walk, *asked(b, chain))
    assert (told.value.code, told.value.log) == ("mandate.budget_spent", A)
    intents = a.entries(Tag.INTENT)
    assert [one["agent"] for one in intents] == ["rover", "rover"]
    assert intents[0]["hops"] == intents[1]["hops"]
    assert not b.entries(Tag.INTENT, Tag.REFUSAL)
    assert (len(a.upstream.effects), len(b.upstream.effects)) == (2, 0)


async def test_a_chain_of_somebody_else_is_refused_and_recorded_where_it_arrived(tmp_path):
    a, b, chain = await two_shards(tmp_path / "links")
    async with door(tmp_path / "links", "a", a):
        for parts, code in (
            ({"agent": "scout"}, "delegation.holder_binding_failed"),
            ({"key": "scout"}, "delegation.holder_binding_failed"),
            ({"chain": (chain[1],)}, "delegation.signature_invalid"),
            ({"chain": ("nonsense",)}, "delegation.malformed"),
        ):
            with pytest.raises(Refused) as told:
                await forward_action(b.walk, *asked(b, **{"chain": chain, **parts}))
            assert told.value.code == code
    assert [one["code"] for one in b.entries(Tag.REFUSAL)][-1] == "delegation.malformed"
    assert not a.entries(Tag.INTENT, Tag.REFUSAL)


async def test_the_owner_asks_everything_again_and_believes_no_chain_of_another_service(tmp_path):
    a, b, chain = await two_shards(tmp_path / "links")
    a.walk.delegations = Delegations(audience=lambda: ISSUER)
    async with door(tmp_path / "links", "a", a):
        with pytest.raises(Refused) as told:
            await forward_action(b.walk, *asked(b, chain))
        assert (told.value.code, told.value.log) == ("delegation.signature_invalid", A)
        a.walk.delegations = Delegations(keys_of=trusted, audience=lambda: ISSUER)
        with pytest.raises(Refused) as told:
            await forward_action(b.walk, *asked(b, chain, mandate="m-9"))
    assert told.value.code == "delegation.mission_altered"
    assert not a.upstream.effects


async def test_what_was_handed_on_and_could_be_used_elsewhere_is_listed_here_too(tmp_path):
    a, b, chain = await two_shards(tmp_path / "links")
    found = []
    for bench in (a, b):
        _, caller = asked(bench, chain)
        found.append(list_capabilities(bench.walk, caller, "", "crm", delegation="~".join(chain)))
    assert found[0] == found[1] == {("tools/call", "get_case")}
