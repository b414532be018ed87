"""What was handed on to another agent and reaches another process than the owner of its mandate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from answerable.core.identity.principal import UnixMillis
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.authority import authority_of
from answerable.core.mandate.delegability import Delegability
from answerable.core.mandate.delegation_chain import SEPARATOR
from answerable.core.mandate.hop_signing import HopTerms, issue_root, sign_hop
from answerable.core.mandate.hop_token import Mission, confirmation_of
from answerable.core.mandate.token import signed
from answerable.errors import Refused
from answerable.flows.delegations import Delegations
from answerable.flows.forward_action import forward_action
from answerable.sdk.signing import signed_mandate
from answerable.testing.builders import Bench
from answerable.testing.delegation import ISSUER, MISSION, SERVICE, trusted
from answerable.testing.samples import mandate_terms, signing_key
from tests.link_world import A, door, link_of, shard

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("BUDGET-07")]


class HandedOn:
    """Scout, whose mandate is of shard a, hands it on to rover, who goes to shard b."""

    def __init__(self, a: Bench, b: Bench) -> None:
        self.a, self.b = a, b
        self.now = UnixMillis(a.clock.now() - a.clock.now() % 1000)
        terms = replace(
            mandate_terms(), delegability=Delegability(depth_max=1, width_max=2, to=("agent:rover",))
        )
        mandate = signed(terms, signed_mandate(terms, audience=A, key=signing_key("alice")))
        a.walk.mandates.add(mandate)
        for bench in (a, b):
            bench.walk.delegations = Delegations(keys_of=trusted, audience=lambda: ISSUER)
        self.authority = authority_of(mandate)
        first = issue_root(
            self.terms("scout", depth_limit=2),
            issuer=ISSUER,
            principal="alice",
            mission=Mission(id="m-1", authority_hash=MISSION.authority_hash),
            key=SERVICE,
        )
        self.chain = SEPARATOR.join(
            (first, sign_hop((first,), self.terms("rover"), key=signing_key("scout")))
        )

    def terms(self, agent: str, **more: int) -> HopTerms:
        return HopTerms(
            jti=f"hop-{agent}",
            agent=agent,
            confirmation=confirmation_of(signing_key(agent).public),
            audiences=(ISSUER,),
            authority=self.authority,
            issued_at=self.now,
            expires_at=UnixMillis(self.now + 60_000),
            **more,
        )

    async def sent(self, *, agent: str = "rover", key: str = "rover", chain: str = "", mandate: str = ""):
        action, caller = self.b.request("get_case", {"case": "4711"}, mandate=mandate, agent=agent)
        return await forward_action(
            self.b.walk,
            structs.replace(action, delegation=chain or self.chain),
            structs.replace(caller, key=signing_key(key).public.thumbprint),
        )


async def handed_on(directory: Path) -> HandedOn:
    a = await shard("a").registered()
    b = shard("b", a)
    b.walk.link = link_of(directory, "b")
    return HandedOn(a, b)


async def test_a_chain_goes_with_the_action_and_is_judged_and_counted_by_the_owner(tmp_path):
    world = await handed_on(tmp_path / "links")
    async with door(tmp_path / "links", "a", world.a):
        answer = await world.sent()
    assert answer.outcome is not None
    assert (answer.outcome.status, answer.log) == ("succeeded", A)
    [intent] = world.a.entries(Tag.INTENT)
    assert (intent["agent"], intent["mandate"]) == ("rover", "m-1")
    assert len(intent["hops"]) == len(intent["accounts"]) == 2
    assert not world.b.entries(Tag.INTENT, Tag.REFUSAL)
    assert len(world.a.upstream.effects) == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"agent": "scout"}, "delegation.holder_binding_failed"),
        ({"key": "scout"}, "delegation.holder_binding_failed"),
        ({"chain": "a.b.c"}, "delegation.malformed"),
    ],
)
async def test_a_chain_that_is_not_the_callers_own_goes_nowhere_and_is_refused_where_it_arrived(
    tmp_path, changes, code
):
    world = await handed_on(tmp_path / "links")
    async with door(tmp_path / "links", "a", world.a):
        with pytest.raises(Refused) as told:
            await world.sent(**changes)
    assert told.value.code == code
    assert told.value.log == ""
    assert len(world.b.entries(Tag.REFUSAL)) == 1
    assert not world.a.entries(Tag.INTENT, Tag.REFUSAL)


async def test_the_owner_judges_the_chain_again_by_what_it_knows_itself(tmp_path):
    world = await handed_on(tmp_path / "links")
    world.a.walk.delegations = Delegations()
    async with door(tmp_path / "links", "a", world.a):
        with pytest.raises(Refused) as told:
            await world.sent()
        assert told.value.code.startswith("delegation.")
        assert told.value.log == A
        world.a.walk.delegations = world.b.walk.delegations
        with pytest.raises(Refused) as told:
            await world.sent(mandate="m-2")
    assert told.value.code == "delegation.mission_altered"
    assert not world.a.upstream.effects
