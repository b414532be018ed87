"""Tokens of the token service name the manifest of who they are issued to, and nobody is believed who writes one in."""

from __future__ import annotations

from typing import Any

import pytest

from answerable.core.canonical import parse
from answerable.core.identity.keys.compact_jws import read_compact
from answerable.core.identity.names.principal import PrincipalId
from answerable.core.ledger.tags import Tag
from answerable.core.mandate import oauth_terms as oauth
from answerable.core.mandate.delegation_terms import INSTANCE, MANIFEST
from answerable.core.mandate.revocation import RevocationTarget
from answerable.core.registry.manifests.manifest import Manifest
from answerable.core.registry.manifests.manifest_drift import Measured
from answerable.core.registry.manifests.manifest_token import signed_manifest
from answerable.errors.codes.identity import STATEMENT_MALFORMED
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.revocation.revoke_authority import revoke_authority
from answerable.flows.workloads.enrol_workload import enrol
from answerable.flows.workloads.register_manifest import register_manifest
from answerable.testing.samples import signing_key
from tests.worlds.enrolment import evidence_of, key_of
from tests.worlds.parts import to_apply
from tests.worlds.token import TokenWorld, agent_document, narrow, succeeded, token_world

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("MANIFEST-20")]

PROMPT = f"sha256:{'1' * 64}"
LIE = "e" * 64


async def manifest(
    world: TokenWorld, agent: str, *, model: str = "claude-sonnet-4-5", prompt: str = ""
) -> str:
    made = Manifest(agent=agent, model_name=model, prompt_digest=prompt, environment="production", tier=1)
    token = signed_manifest(made, owner=PrincipalId("alice"), key=signing_key("alice"), at=world.now())
    return (
        await register_manifest(
            world.walk.recorder,
            world.walk.authority,
            world.walk.asking.under_way,
            world.walk.live,
            token,
            by="operator",
        )
    ).digest


def claim_in(token: str, name: str = MANIFEST):
    claims = parse(read_compact(token, malformed=STATEMENT_MALFORMED).payload)
    assert isinstance(claims, dict)
    return claims.get(name)


async def action_token(world: TokenWorld, agent: str, subject: str, **more: Any) -> tuple[str, ...]:
    """Hops, root first, the last of which is good for actions."""
    answer = await world.exchange(agent, subject, requested_token_type=oauth.TYPE_ACCESS, **more)
    assert answer.status_code == 200, answer.text
    return tuple(answer.json()["delegation"].split("~"))


async def test_every_token_names_the_manifest_and_the_intent_under_it_the_same(tmp_path):
    async with token_world(tmp_path) as world:
        await world.mandate()
        before = await world.root()
        assert claim_in(before) is None
        digest = await manifest(world, "orchestrator")
        root = await world.root()
        (token,) = await action_token(world, "orchestrator", "m-1")
        assert claim_in(root) == claim_in(token) == digest
        for chain in ((root,), (token,)):
            assert succeeded(await world.call("orchestrator", chain=chain))
        # Also where it comes as an access token with a proof of possession, as other people's clients send it.
        by_dpop = {"by": "assertion", "dpop": signing_key("orchestrator")}
        (bound,) = await action_token(world, "orchestrator", "m-1", **by_dpop)
        assert claim_in(bound) == digest
        assert succeeded(await world.call("orchestrator", chain=(bound,), dpop=True))
        intents = world.entries(Tag.INTENT)
        assert [one["manifest"] for one in intents] == [digest] * 3
        # Nobody measured a caller with a registered key.
        assert {one["manifest_grade"] for one in intents} == {"claimed"}
        cited = [one for one in world.entries(Tag.CITED) if one["kind"] == "hop" and one.get("manifest")]
        assert {one["manifest"] for one in cited} == {digest}


async def test_an_instance_is_named_with_what_was_measured_and_so_is_its_action(tmp_path):
    async with token_world(tmp_path) as world:
        spec = {"attestation": [["unix:uid:1000"]]}
        await apply_registry(*to_apply(world.walk), [agent_document("orchestrator", **spec)], by="operator")
        await world.mandate()
        digest = await manifest(world, "orchestrator", prompt=PROMPT)
        one = await enrol(
            world.product.workloads,
            evidence=evidence_of("unix:uid:1000"),
            key=key_of("i-1"),
            process="boot:1:1",
            agent_up=True,
            measured=Measured(values={"prompt_digest": (PROMPT, "sidecar")}),
        )
        (token,) = await action_token(world, "i-1", "m-1")
        assert (claim_in(token), claim_in(token, INSTANCE)) == (digest, str(one.id))
        assert succeeded(await world.call("i-1", chain=(token,)))
        (intent,) = world.entries(Tag.INTENT)
        assert (intent["manifest"], intent["instance"]) == (digest, str(one.id))
        assert intent["manifest_fields"] == {"prompt_digest": "sidecar"}


async def test_a_token_of_before_does_not_make_an_action_look_as_if_it_ran_under_the_old_manifest(tmp_path):
    async with token_world(tmp_path) as world:
        await world.mandate()
        old = await manifest(world, "orchestrator")
        (token,) = await action_token(world, "orchestrator", "m-1")
        (other,) = await action_token(world, "orchestrator", "m-1")
        new = await manifest(world, "orchestrator", model="another")
        assert claim_in(token) == old
        assert succeeded(await world.call("orchestrator", chain=(token,)))
        assert [one["manifest"] for one in world.entries(Tag.INTENT)] == [new]
        # And whoever withdraws the old one ends what was issued to it.
        await revoke_authority(
            world.walk.recorder,
            world.walk.authority,
            world.walk.live,
            RevocationTarget("manifest", old),
            by="operator",
            reason="bad model",
        )
        assert not succeeded(await world.call("orchestrator", chain=(other,)))


async def test_what_an_agent_writes_into_a_hop_that_it_signs_itself_is_believed_of_nobody(tmp_path):
    async with token_world(tmp_path) as world:
        await world.mandate()
        digest = await manifest(world, "researcher")
        root = await world.root()
        lie = {MANIFEST: LIE, INSTANCE: "spiffe://answerable.local/agent/researcher/" + "1" * 32}
        hop = world.handed((root,), "orchestrator", "researcher", narrow(("crm.read",), root), more=lie)
        assert claim_in(hop) == LIE
        assert succeeded(await world.call("researcher", chain=(root, hop)))
        (intent,) = world.entries(Tag.INTENT)
        assert intent["manifest"] == digest
        assert "instance" not in intent
        assert LIE not in {one.get("manifest") for one in world.entries()}
