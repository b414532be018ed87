"""What was handed on, at the doors: copied, cut, grafted, taken elsewhere, and used after it has ended."""

from __future__ import annotations

import pytest

from answerable.core.ledger.tags import Tag
from answerable.core.mandate import oauth_terms as oauth
from answerable.core.mandate.constraint import Prefix
from answerable.core.mandate.hop_token import confirmation_of, read_hop
from answerable.core.mandate.mandate import MandateId
from answerable.core.mandate.revocation import RevocationTarget
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.revocation.revoke_authority import revoke_authority
from answerable.testing import delegation as forger
from answerable.testing.samples import signing_key
from tests.attack.test_delegation_names import TRICKS
from tests.worlds.parts import to_apply
from tests.worlds.token import agent_document, documents, narrow, succeeded, token_world, why_not

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("LINE-01")]


def codes(world):
    return [one["code"] for one in world.entries(Tag.REFUSAL)]


async def handed(world):
    """root, researcher's and writer's hop."""
    root = await world.root()
    second = world.handed((root,), "orchestrator", "researcher", narrow(("crm.read",), root))
    return root, second, world.handed((root, second), "researcher", "writer", narrow(("crm.read",), second))


async def test_a_copied_chain_is_of_use_to_nobody_else(tmp_path):
    async with token_world(tmp_path) as world:
        await world.mandate()
        chain = await handed(world)
        for agent in ("stranger", "orchestrator", "researcher"):
            for meta in (False, True):
                why_not(await world.call(agent, chain=chain, meta=meta))
        assert set(codes(world)) == {"delegation.holder_binding_failed"}
        assert (await world.call("writer", chain=(chain[0],), dpop=True)).status_code == 401
        assert succeeded(await world.call("writer", chain=chain))
        assert len(world.entries(Tag.INTENT)) == 1


async def test_a_chain_that_was_cut_turned_round_grafted_or_claimed_for_another_mandate_is_refused(tmp_path):
    async with token_world(tmp_path) as world:
        await world.mandate()
        await world.mandate(identity="m-2")
        root, second, third = await handed(world)
        other = await world.root("m-2")
        for chain, code in (
            ((root, third), "delegation.signature_invalid"),
            ((third,), "delegation.signature_invalid"),
            ((second, third), "delegation.signature_invalid"),
            ((second, root, third), "delegation.signature_invalid"),
            ((root, second, second, third), "delegation.signature_invalid"),
            ((other, second, third), "delegation.par_hash_mismatch"),
            ((root, second, third, third), "delegation.signature_invalid"),
            ((root, second, third + "x"), "delegation."),
        ):
            why_not(await world.call("writer", chain=chain))
            assert codes(world)[-1].startswith(code), chain
        why_not(await world.call("writer", chain=(root, second, third), mandate="m-2"))
        assert codes(world)[-1] == "delegation.mission_altered"
        # Without the chain there is nothing that the writer may do, and that is in the record.
        why_not(await world.call("writer", mandate="m-1"))
        assert codes(world)[-1] == "mandate.other_agent"
        assert not world.entries(Tag.INTENT)


async def test_a_hop_that_somebody_else_signed_is_refused_whatever_it_says(tmp_path):
    async with token_world(tmp_path) as world:
        await world.mandate()
        root, second, _ = await handed(world)
        claims = forger.claims_in(second)
        for key in ("stranger", "researcher"):
            made = forger.forged(claims, signing_key(key))
            why_not(await world.call("researcher", chain=(root, made)))
            assert codes(world)[-1] == "delegation.signature_invalid"
        # A root of one's own making, under the name of the service.
        made = forger.forged(forger.claims_in(root), signing_key("orchestrator"))
        why_not(await world.call("orchestrator", chain=(made,)))
        assert codes(world)[-1] == "delegation.signature_invalid"
        # What its holder signs, but wider than it holds itself.
        wide = dict(claims)
        wide["authorization_details"] = forger.claims_in(root)["authorization_details"]
        third = {**forger.claims_in((await handed(world))[2]), "par_hash": read_hop(second).raw.hash}
        third["authorization_details"] = wide["authorization_details"]
        why_not(
            await world.call("writer", chain=(root, second, forger.forged(third, signing_key("researcher"))))
        )
        assert codes(world)[-1] == "delegation.not_narrower"
        assert not world.entries(Tag.INTENT)


async def test_a_hop_for_one_server_is_for_no_other(tmp_path):
    async with token_world(tmp_path) as world:
        await world.mandate()
        root = await world.root()
        audiences = (f"{world.url}/mcp/elsewhere",)
        hop = world.handed(
            (root,), "orchestrator", "researcher", narrow(("crm.read",), root), audiences=audiences
        )
        why_not(await world.call("researcher", chain=(root, hop)))
        assert codes(world) == ["delegation.audience_mismatch"]
        good = (f"{world.url}/mcp/crm",)
        hop = world.handed((root,), "orchestrator", "researcher", narrow(("crm.read",), root), audiences=good)
        assert succeeded(await world.call("researcher", chain=(root, hop)))


@pytest.mark.parametrize(
    "how", ["suspended", "retired", "gone", "revoked", "key", "mandate", "hop", "closed"]
)
async def test_what_stops_anybody_above_stops_everybody_below_at_the_next_call(tmp_path, how):
    async with token_world(tmp_path) as world:
        await world.mandate()
        root, second, third = await handed(world)
        assert succeeded(await world.call("writer", chain=(root, second, third)))
        match how:
            case "suspended" | "retired":
                changed = agent_document("researcher", status=how)
                rest = [one for one in documents(tmp_path) if one != agent_document("researcher")]
                await apply_registry(*to_apply(world.walk), [*rest, changed], by="operator")
            case "gone":
                rest = [one for one in documents(tmp_path) if one != agent_document("researcher")]
                await apply_registry(*to_apply(world.walk), rest, by="operator", prune=True)
            case "closed":
                world.walk.authority.mandates.close(MandateId("m-1"))
            case _:
                what = {
                    "revoked": RevocationTarget("agent", "researcher"),
                    "key": RevocationTarget("key", signing_key("orchestrator").public.thumbprint),
                    "mandate": RevocationTarget("mandate", "m-1"),
                    "hop": RevocationTarget("hop", read_hop(second).raw.hash),
                }[how]
                await revoke_authority(
                    world.walk.recorder, world.walk.authority, world.walk.live, what, by="operator"
                )
        why_not(await world.call("writer", chain=(root, second, third)))
        assert len(world.entries(Tag.INTENT)) == 1
        answer = await world.exchange("writer", third, delegation=f"{root}~{second}")
        assert answer.status_code == 400
        assert answer.json()["error"] == "invalid_grant"
        found = await world.post("/oauth/introspect", "orchestrator", {"token": f"{root}~{second}~{third}"})
        assert found.json().get("active", False) is False


@pytest.mark.requirement("LINE-02")
async def test_a_token_for_a_capability_of_tier_3_is_good_for_one_action(tmp_path):
    async with token_world(tmp_path, tiers={"crm.note": 3}) as world:
        await world.mandate()
        token = await world.root(requested_token_type=oauth.TYPE_ACCESS, scope="crm.note")
        assert read_hop(token).raw.claims["answerable_single_use"] is True
        note = {"case_id": "4711", "text": "called back"}
        answers = []

        async def act():
            answers.append(succeeded(await world.call("orchestrator", "note_add", note, chain=(token,))))

        await world.at_once(act, times=8)
        assert answers.count(True) == 1
        assert len(world.entries(Tag.INTENT)) == 1
        assert set(codes(world)) == {"mandate.budget_spent"}
        # What has tier 1 alone is good for as long as it lives.
        token = await world.root(requested_token_type=oauth.TYPE_ACCESS, scope="crm.read")
        for _ in range(2):
            assert succeeded(await world.call("orchestrator", chain=(token,)))


@pytest.mark.requirement("LINE-02")
async def test_nobody_empties_the_budget_of_another_by_naming_a_hop_after_it(tmp_path):
    async with token_world(tmp_path) as world:
        await world.mandate(calls_max=3)
        await world.mandate(identity="m-2", calls_max=2)
        root = await world.root()
        for jti in ("m-2", read_hop(root).jti + "x"):
            hop = world.handed((root,), "orchestrator", "researcher", narrow(("crm.read",), root), jti=jti)
            assert succeeded(await world.call("researcher", chain=(root, hop)))
        for _ in range(2):
            assert succeeded(await world.call("orchestrator", mandate="m-2"))


async def test_an_approval_is_for_the_agent_that_asked_for_it(tmp_path):
    policies = """@id("all") permit(principal, action, resource);
    @id("ask") @reason("a person reads it") @approve("approvers:1")
    forbid(principal, action == Action::"crm.note", resource);\n"""
    async with token_world(tmp_path, policies=policies) as world:
        await world.mandate()
        root = await world.root()
        note = {"case_id": "4711", "text": "called back"}
        chains: dict[str, tuple[str, ...]] = {"orchestrator": (root,)}
        for agent in ("researcher", "writer"):
            hop = world.handed((root,), "orchestrator", agent, narrow(("crm.note",), root))
            chains[agent] = (root, hop)
        asked = [await world.call(agent, "note_add", note, chain=chain) for agent, chain in chains.items()]
        assert [succeeded(one) for one in asked] == [False] * 3
        assert [one["agent"] for one in world.entries(Tag.APPROVAL_ASKED)] == [*chains]
        waiting = {
            one.agent: one for one in world.walk.authority.approvals.all(pending_only=True, now=world.now())
        }
        await world.approve(waiting["researcher"])
        assert not succeeded(await world.call("writer", "note_add", note, chain=chains["writer"]))
        assert succeeded(await world.call("researcher", "note_add", note, chain=chains["researcher"]))
        assert not succeeded(await world.call("researcher", "note_add", note, chain=chains["researcher"]))


async def test_a_hop_for_a_key_that_its_agent_has_not_is_of_use_to_nobody(tmp_path):
    async with token_world(tmp_path) as world:
        await world.mandate()
        root = await world.root()
        hop = world.handed(
            (root,),
            "orchestrator",
            "researcher",
            narrow(("crm.read",), root),
            confirmation=confirmation_of(signing_key("stranger").public),
        )
        for agent in ("researcher", "stranger"):
            why_not(await world.call(agent, chain=(root, hop)))
        assert set(codes(world)) == {"delegation.holder_binding_failed"}


@pytest.mark.slow
@pytest.mark.requirement("DELEG-08")
async def test_no_spelling_of_a_resource_gets_past_the_bound_of_a_hop(tmp_path):
    async with token_world(tmp_path) as world:
        await world.mandate()
        root = await world.root()
        bound = Prefix(key="resource:crm.read", prefix="reports/2026")
        hop = world.handed((root,), "orchestrator", "researcher", narrow(("crm.read",), root, bound))
        for name in TRICKS:
            answer = await world.call("researcher", arguments={"case_id": name}, chain=(root, hop))
            assert not succeeded(answer), name
        assert world.entries(Tag.INTENT) == [], "nothing was begun"
        assert set(codes(world)) == {"delegation.ceiling_exceeded", "arguments.invalid"}
        # So that the refusals mean something: this one gets as far as the CRM, which has no such case.
        await world.call("researcher", arguments={"case_id": "reports/2026/x"}, chain=(root, hop))
        assert len(world.entries(Tag.INTENT)) == 1
