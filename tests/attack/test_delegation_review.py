"""Consents that are exchanged again and again, or taken back too late: what they say binds whatever came of them."""

from __future__ import annotations

import pytest
from msgspec import structs

from answerable.core.identity.names.principal import AgentId
from answerable.core.identity.proof.caller import VerifiedCaller
from answerable.core.mandate import delegation_terms as terms
from answerable.core.mandate.authority import Authority
from answerable.core.mandate.constraint import MaxSubtree
from answerable.core.mandate.hop_token import read_hop
from answerable.core.mandate.revocation import Revocation, RevocationTarget
from answerable.flows.walk.list_capabilities import list_capabilities
from answerable.testing.builders import Bench
from answerable.testing.samples import signing_key
from tests.worlds.parts import to_list
from tests.worlds.token import narrow, succeeded, token_world, why_not

pytestmark = pytest.mark.anyio


def few_calls(root: str, calls: int) -> Authority:
    held = read_hop(root).authority
    kept = tuple(one for one in held.constraints if one.key != "calls")
    return Authority(scopes=("crm.read",), constraints=(*kept, MaxSubtree(key="calls", bound=calls)))


async def exchanged(world, root, consent, agent="researcher") -> str:
    answer = await world.exchange(agent, root, consent=consent)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


@pytest.mark.requirement("ATTACKD-01")
async def test_a_consent_exchanged_again_and_used_by_itself_spends_no_more_than_it_allows(tmp_path):
    async with token_world(tmp_path) as world:
        await world.mandate()
        root = await world.root()
        consent = world.handed((root,), "orchestrator", "researcher", few_calls(root, 2))
        chains = [(root, await exchanged(world, root, consent)) for _ in range(3)]
        chains.append((root, consent))
        called = [await world.call("researcher", chain=chain) for chain in chains]
        assert [succeeded(one) for one in called] == [True, True, False, False]
        assert "budget of 2 calls is spent" in why_not(called[2])
        # Another consent of the same giver is an account of its own.
        other = world.handed((root,), "orchestrator", "researcher", few_calls(root, 1))
        assert succeeded(await world.call("researcher", chain=(root, await exchanged(world, root, other))))


@pytest.mark.requirement("ATTACKD-01")
async def test_a_consent_for_one_action_is_for_one_action_however_often_it_is_exchanged(tmp_path):
    async with token_world(tmp_path) as world:
        await world.mandate()
        root = await world.root()
        consent = world.handed(
            (root,), "orchestrator", "researcher", narrow(("crm.read",), root), more={terms.SINGLE_USE: True}
        )
        chains = [(root, await exchanged(world, root, consent)) for _ in range(2)]
        called = [await world.call("researcher", chain=chain) for chain in chains]
        assert [succeeded(one) for one in called] == [True, False]


@pytest.mark.requirement("ATTACKD-02")
async def test_a_consent_that_is_taken_back_ends_what_it_was_exchanged_for(tmp_path):
    async with token_world(tmp_path) as world:
        await world.mandate()
        root = await world.root()
        read = narrow(("crm.read",), root)
        consent = world.handed((root,), "orchestrator", "researcher", read)
        other = world.handed((root,), "orchestrator", "researcher", read)
        token, kept = await exchanged(world, root, consent), await exchanged(world, root, other)
        below = world.handed((root, token), "researcher", "writer", read)
        assert succeeded(await world.call("researcher", chain=(root, token)))
        await world.post("/oauth/revoke", "orchestrator", {"token": f"{root}~{consent}"})
        assert not succeeded(await world.call("researcher", chain=(root, token)))
        assert not succeeded(await world.call("writer", chain=(root, token, below)))
        assert succeeded(await world.call("researcher", chain=(root, kept)))


@pytest.mark.requirement("ATTACKD-03")
@pytest.mark.parametrize("kind", ["agent", "key", "mandate", "owner"])
async def test_whoever_was_revoked_is_shown_nothing_any_more(kind):
    bench = await Bench().registered()
    await bench.issue("m-1")
    _, caller = bench.request("get_case", {})
    caller = structs.replace(caller, key=signing_key("scout").public.thumbprint)
    names = {"agent": "scout", "key": caller.key, "mandate": "m-1", "owner": "alice"}
    assert list_capabilities(*to_list(bench.walk), caller, "m-1", "crm")
    what = RevocationTarget(kind, names[kind])
    bench.authority.revocations.add(Revocation(what=what, at=bench.clock.now(), by="operator"))
    assert list_capabilities(*to_list(bench.walk), caller, "m-1", "crm") == frozenset()


@pytest.mark.requirement("ATTACKD-03")
async def test_whoever_was_handed_on_by_a_revoked_hop_is_shown_nothing_any_more(tmp_path):
    async with token_world(tmp_path) as world:
        await world.mandate()
        root = await world.root()
        hop = world.handed((root,), "orchestrator", "researcher", narrow(("crm.read",), root))
        seen = []
        caller = VerifiedCaller(
            agent=AgentId("researcher"),
            proof="signature",
            binding="test",
            sequence=1,
            message_digest=bytes(32),
            at=world.now(),
            key=signing_key("researcher").public.thumbprint,
        )
        for _ in range(2):
            seen.append(
                bool(list_capabilities(*to_list(world.walk), caller, "", "crm", delegation=f"{root}~{hop}"))
            )
            await world.post("/oauth/revoke", "orchestrator", {"token": f"{root}~{hop}"})
        assert seen == [True, False]


@pytest.mark.requirement("ATTACKD-01")
async def test_an_agent_that_signs_by_itself_names_no_consent_and_so_nobody_elses_account(tmp_path):
    async with token_world(tmp_path) as world:
        await world.mandate()
        root = await world.root()
        own = world.handed((root,), "orchestrator", "researcher", few_calls(root, 1))
        claim = {
            terms.CONSENT: {terms.CONSENT_HASH: read_hop(own).raw.hash, terms.CONSENT_LIMITS: {"calls": 9}}
        }
        forged = world.handed((root,), "orchestrator", "writer", narrow(("crm.read",), root), more=claim)
        assert succeeded(await world.call("writer", chain=(root, forged)))
        assert succeeded(await world.call("researcher", chain=(root, own))), "its account was emptied"
