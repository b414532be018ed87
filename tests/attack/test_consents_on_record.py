"""What was issued is held to what was consented to, by strangers, from the record alone; here the token service lies.

Whoever runs the log also runs the token service. So each lie is told by the real service, its own rule taken out, and
recorded by the real ledger, and is found by a verifier that has neither.
"""

from __future__ import annotations

import dataclasses
from hashlib import sha256

import msgspec
import pytest

from answerable.core.base64url import to_base64url
from answerable.core.canonical import encode
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.authority import authority_of
from answerable.core.mandate.delegation_chain import Hop
from answerable.core.mandate.hop_token import read_hop
from answerable.core.tlog.note import VerifierKey
from answerable.flows.ledger.assemble_evidence import assemble_evidence
from answerable.flows.tokens import exchange_token
from answerable.flows.tokens.find_parent import parent_of
from answerable.testing.samples import signing_key
from answerable.verify.check_tokens_shown import ShownTokens
from answerable.verify.evidence_bundle import verify_evidence
from answerable.verify.ledger_history import verify_ledger
from tests.worlds.gateway import until
from tests.worlds.selected import selected
from tests.worlds.token import narrow, succeeded, token_world

pytestmark = pytest.mark.anyio


async def settled(world) -> None:
    """A hop has its place in the log before its token is answered; on the disk it is a moment later."""
    newest = max(place.entry for place in world.walk.recorder.cited.values())
    await until(lambda: world.walk.recorder.ledger.size > newest)


def in_the_log(world) -> set[str]:
    """What anybody finds who has the log and no key of any subject."""
    key = VerifierKey.parse(world.product.log_key)
    world.product.seal()
    report = verify_ledger(world.home / "house" / "ledger", key=key)
    return {one.rule for one in report.findings if one.severity == "error"}


def bundle(world, reveal=("token",)) -> bytes:
    """All about the mandate, with its tokens shown."""
    product, walk = world.product, world.walk
    product.seal()
    return assemble_evidence(
        selected(walk.recorder.ledger.replay(), mandate="m-1"),
        replay=False,
        reveal=reveal,
        entry=walk.recorder.ledger.entry,
        published=product.published,
        find=walk.recorder.subject_keys.find,
        policy="",
    ).bundle


def in_the_bundle(world, **asked) -> set[str]:
    """What an auditor finds who is shown the tokens."""
    report = verify_evidence(
        bundle(world, **asked), key=VerifierKey.parse(world.product.log_key), tokens=ShownTokens()
    )
    return {one.rule for one in report.findings if one.severity == "error"}


async def exchanged(world, *, scopes=("crm.read",), agent="researcher") -> str:
    """The orchestrator consents to a token for the researcher, which fetches it and acts by it."""
    root = await world.root()
    consent = world.handed((root,), "orchestrator", "researcher", narrow(scopes, root))
    answer = await world.exchange(agent, root, consent=consent)
    assert answer.status_code == 200, answer.text
    chain = tuple(answer.json()["delegation"].split("~"))
    assert succeeded(await world.call(agent, chain=chain))
    return chain[-1]


@pytest.mark.requirement("DELEG-14")
async def test_a_consent_is_written_once_before_the_tokens_issued_for_it_and_each_refers_to_it(tmp_path):
    async with token_world(tmp_path) as world:
        await world.mandate()
        root = await world.root()
        consent = world.handed((root,), "orchestrator", "researcher", narrow(("crm.read",), root))

        async def exchange() -> None:
            assert (await world.exchange("researcher", root, consent=consent)).status_code == 200

        await world.at_once(exchange, times=3)
        cited = world.entries(Tag.CITED)
        [agreed] = [one for one in cited if one["kind"] == "consent"]
        assert (agreed["agent"], agreed["parent"], agreed["mandate"]) == (
            "researcher",
            read_hop(root).jti,
            "m-1",
        )
        await settled(world)
        hops = [one for one in world.entries(Tag.CITED) if one["kind"] == "hop"]
        issued = [one for one in hops if one["agent"] == "researcher"]
        assert [one["consent"]["entry"] for one in issued] == [agreed["index"]] * 3
        assert all(one["index"] > agreed["index"] for one in issued)
        # For a token of its own it asks nobody, and says so.
        assert (await world.exchange("orchestrator", root)).status_code == 200
        await settled(world)
        # Beside it the log cites tools, whenever their server is there.
        hops = [one for one in world.entries(Tag.CITED) if one["kind"] == "hop"]
        assert hops[-1].get("own") is True, hops
        assert (in_the_log(world), in_the_bundle(world)) == (set(), set())
        told = verify_evidence(bundle(world, reveal=("purpose",)), tokens=ShownTokens())
        assert "tokens without which a consent cannot be compared" in str(told.findings)


@pytest.mark.requirement("DELEG-14")
async def test_a_token_of_before_a_restart_refers_to_the_entry_that_its_consent_had_then(tmp_path):
    async with token_world(tmp_path) as world:
        await world.mandate()
        await exchanged(world)
        first = (await world.exchange("orchestrator", "m-1")).json()["access_token"]
        consent = world.handed((first,), "orchestrator", "researcher", narrow(("crm.read",), first))
        kept = (await world.exchange("researcher", first, consent=consent)).json()["delegation"].split("~")
        port = int(world.url.rpartition(":")[2])
    async with token_world(tmp_path, port=port) as world:
        assert succeeded(await world.call("researcher", chain=tuple(kept)))
        again = [one for one in world.entries(Tag.CITED) if one["kind"] == "hop" and "consent" in one]
        consents = {one["index"] for one in world.entries(Tag.CITED) if one["kind"] == "consent"}
        assert len(consents) == 2, "no consent is written down again"
        assert {one["consent"]["entry"] for one in again} == consents
        assert (in_the_log(world), in_the_bundle(world)) == (set(), set())


@pytest.mark.requirement("DELEG-15")
async def test_a_token_for_another_agent_without_any_consent_is_found_in_the_log(tmp_path, monkeypatch):
    def without(desk, client, wanted, confirmation, now):
        parent = parent_of(desk, client, wanted, confirmation, now)
        return msgspec.structs.replace(parent, consent=None)

    async with token_world(tmp_path) as world:
        await world.mandate()
        monkeypatch.setattr(exchange_token, "parent_of", without)
        await exchanged(world)
        assert in_the_log(world) == {"consent.missing"}
        assert in_the_bundle(world) == {"consent.missing"}


@pytest.mark.requirement("DELEG-15")
async def test_a_token_that_refers_to_the_consent_of_another_agent_is_found_in_the_log(tmp_path, monkeypatch):
    async with token_world(tmp_path) as world:
        await world.mandate()
        root = await world.root()
        other = world.handed((root,), "orchestrator", "writer", narrow(("crm.read",), root))

        def swapped(desk, client, wanted, confirmation, now):
            parent = parent_of(desk, client, wanted, confirmation, now)
            hop = world.walk.verification.delegations.verified(f"{root}~{other}", now).leaf
            return msgspec.structs.replace(parent, consent=hop)

        monkeypatch.setattr(exchange_token, "parent_of", swapped)
        consent = world.handed((root,), "orchestrator", "researcher", narrow(("crm.read",), root))
        assert (await world.exchange("researcher", root, consent=consent)).status_code == 200
        await settled(world)
        assert in_the_log(world) == {"reference.kind"}
        assert in_the_bundle(world) == {"reference.kind", "consent.other"}


@pytest.mark.requirement("DELEG-15")
async def test_a_token_with_more_than_was_consented_to_is_found_where_the_tokens_are_shown(
    tmp_path, monkeypatch
):
    async with token_world(tmp_path) as world:
        await world.mandate()
        monkeypatch.setattr(
            exchange_token,
            "_may_have",
            lambda desk, client, parent, wanted: authority_of(parent.mandate),
        )
        await exchanged(world)
        assert in_the_log(world) == set(), "what a token says is sealed"
        assert in_the_bundle(world) == {"consent.wider"}


@pytest.mark.requirement("DELEG-15")
async def test_a_consent_that_the_service_made_up_is_found_where_the_tokens_are_shown(tmp_path, monkeypatch):
    """It takes a hop that the researcher signed itself for what the orchestrator signed."""
    async with token_world(tmp_path) as world:
        await world.mandate()
        root = await world.root()
        real = world.handed((root,), "orchestrator", "researcher", narrow(("crm.read",), root))
        made_up = signed_by(read_hop(real).raw.claims, "researcher")

        def invented(desk, client, wanted, confirmation, now):
            parent = parent_of(desk, client, wanted, confirmation, now)
            assert parent.consent is not None
            return msgspec.structs.replace(parent, consent=as_hop(parent.consent, made_up))

        monkeypatch.setattr(exchange_token, "parent_of", invented)
        assert (await world.exchange("researcher", root, consent=real)).status_code == 200
        await settled(world)
        assert in_the_log(world) == set(), "what a token says is sealed"
        assert in_the_bundle(world) == {"consent.signature"}


def signed_by(claims, agent: str) -> str:
    """The same hop, under the name of the orchestrator's key and signed by another one."""

    header = {"alg": "Ed25519", "kid": signing_key("orchestrator").public.thumbprint, "typ": "at+jwt"}
    signed = f"{to_base64url(encode(header))}.{to_base64url(encode(dict(claims)))}"
    return f"{signed}.{to_base64url(signing_key(agent).sign(signed.encode()))}"


def as_hop(hop: Hop, token: str) -> Hop:

    return dataclasses.replace(hop, token=token, digest=sha256(token.encode()).digest())
