"""Attacks on enrolment with what others issued: SVIDs of foreign trust domains, and client certificates."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from functools import partial
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from answerable.apps.sidecar.attesting import by_jwt_svid, by_x509_svid
from answerable.apps.sidecar.identity import Identity
from answerable.core.identity.keys.keys import SigningKey
from answerable.core.identity.names.spiffe_id import TrustDomain, spiffe_id
from answerable.core.identity.workload.attestation import enrolment_audience, possession_message
from answerable.core.identity.workload.enrolment import enrolment_proof
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused, Unavailable
from answerable.flows.state.known_callers import instance_stands
from answerable.sdk.proof_auth import SignatureAuth
from tests.worlds.enrolment import DOMAIN, challenge_of, fresh_key, sign_manifest, signed_body
from tests.worlds.enrolment import served as served_world
from tests.worlds.federation import Authority, Leaf
from tests.worlds.svid import token as signed_token

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("BYO-01")]

THEIRS = "theirs.example"
NAME = f"spiffe://{THEIRS}/crm/scout"
served = partial(served_world, acting=False, attestation={"scout": [[f"spiffe:id:{NAME}"]]})


def believed(world: Any, *authorities: Authority) -> None:
    for one in authorities:
        world.workloads.trust.set_federated(one.bundle())


async def shown(world: Any, leaf: Leaf, key: SigningKey, **changed: Any) -> dict[str, Any]:
    """An attestation by an X.509-SVID, as an honest workload makes it; changes to a member take its place."""
    async with world.client() as client:
        challenge = (await client.challenge()).attestation
    message = possession_message(challenge, key.public.thumbprint)
    return {
        "type": "x509_svid",
        "chain": [b64encode(one).decode() for one in leaf.chain],
        "challenge": challenge,
        "signature": b64encode(leaf.key.sign(message, ec.ECDSA(hashes.SHA256()))).decode(),
        **changed,
    }


async def enrolled(world: Any, attestation: Any, key: SigningKey) -> tuple[int, dict[str, Any]]:
    answer: tuple[int, dict[str, Any]] = await world.post(
        "enrol", signed_body(await challenge_of(world), key, attestation)
    )
    return answer


async def by_svid(world: Any, leaf: Leaf, key: SigningKey) -> tuple[int, dict[str, Any]]:
    return await enrolled(world, await shown(world, leaf, key), key)


def token_of(authority: Authority, *audience: str, name: str = NAME, seconds: int = 300) -> dict[str, str]:
    claims = {"sub": name, "aud": list(audience), "exp": int(time.time()) + seconds}
    header = {"alg": "ES256", "kid": "jwt-1", "typ": "JWT"}
    return {"type": "jwt_svid", "token": signed_token(header, claims, authority.key)}


async def test_a_foreign_workload_becomes_an_instance_with_source_and_grade_on_record(tmp_path):
    authority = Authority(THEIRS)
    async with served(tmp_path) as world:
        believed(world, authority)
        key, other = fresh_key(), fresh_key()
        status, first = await by_svid(world, authority.svid("/crm/scout"), key)
        assert (status, first["agent"], first["source"], first["grade"]) == (
            200,
            "scout",
            "spiffe",
            "gateway",
        )
        assert first["instance"].startswith(f"spiffe://{DOMAIN}/agent/scout/")
        audience = enrolment_audience(DOMAIN, other.public.thumbprint)
        status, second = await enrolled(world, token_of(authority, audience), other)
        assert (status, second["source"], second["grade"]) == (200, "spiffe", "gateway")
        assert [
            (entry["source"], entry["grade"], entry["key"]) for entry in world.entries(Tag.WORKLOAD_ENROLLED)
        ] == [("spiffe", "gateway", one.public.thumbprint) for one in (key, other)]


async def test_a_copied_svid_enrols_no_other_key(tmp_path):
    """What goes over the wire is public: without the SVID's key nothing of it can be used again."""
    authority = Authority(THEIRS)
    async with served(tmp_path) as world:
        believed(world, authority)
        leaf, honest, thief = authority.svid("/crm/scout"), fresh_key(), fresh_key()
        overheard = await shown(world, leaf, honest)
        status, problem = await enrolled(world, overheard, thief)
        assert (status, problem["code"]) == (401, "x509_pop.signature")
        assert (await enrolled(world, overheard, honest))[0] == 200
        status, problem = await enrolled(world, overheard, fresh_key())
        assert (status, problem["code"]) in {(401, "challenge.used"), (401, "x509_pop.signature")}
        status, problem = await enrolled(world, overheard, honest)
        assert status in (401, 409)
        by_thief = Leaf(chain=leaf.chain, key=authority.svid("/crm/scout").key)
        status, problem = await by_svid(world, by_thief, thief)
        assert (status, problem["code"]) == (401, "x509_pop.signature")
        assert len(world.entries(Tag.WORKLOAD_ENROLLED)) == 1


async def test_a_copied_token_enrols_no_other_key(tmp_path):
    authority = Authority(THEIRS)
    async with served(tmp_path) as world:
        believed(world, authority)
        honest, thief = fresh_key(), fresh_key()
        mine = enrolment_audience(DOMAIN, honest.public.thumbprint)
        # Made for whoever shows it, for somebody else's enrolment, for another trust domain, or for others as well.
        for audience in (
            (f"spiffe://{DOMAIN}",),
            (DOMAIN,),
            (mine,),
            (enrolment_audience(TrustDomain("another.example"), thief.public.thumbprint),),
            (enrolment_audience(DOMAIN, thief.public.thumbprint), "https://others.example"),
        ):
            status, problem = await enrolled(world, token_of(authority, *audience), thief)
            assert (status, problem["code"]) == (401, "svid.audience")
        assert world.entries(Tag.WORKLOAD_ENROLLED) == []


async def test_nobody_speaks_for_another_trust_domain_than_the_one_whose_bundle_it_is(tmp_path):
    theirs, others, strangers = Authority(THEIRS), Authority("others.example"), Authority("strangers.example")
    async with served(tmp_path) as world:
        believed(world, theirs, others)
        for leaf, code in (
            (others.leaf(NAME), "svid.path"),
            (strangers.leaf(NAME), "svid.path"),
            (strangers.svid("/crm/scout"), "svid.trust_domain"),
            (theirs.leaf(NAME, f"spiffe://{THEIRS}/crm/other"), "svid.uri_san"),
            (theirs.leaf(f"spiffe://{DOMAIN}/agent/scout/a"), "attestation.own_domain"),
            (theirs.svid(""), "svid.id"),
        ):
            status, problem = await by_svid(world, leaf, fresh_key())
            assert (status, problem["code"]) == (401, code)
        key = fresh_key()
        audience = enrolment_audience(DOMAIN, key.public.thumbprint)
        for authority, name, code in (
            (others, NAME, "svid.signature"),
            (theirs, f"spiffe://{DOMAIN}/agent/scout/a", "attestation.own_domain"),
            (strangers, "spiffe://strangers.example/x", "svid.trust_domain"),
        ):
            status, problem = await enrolled(world, token_of(authority, audience, name=name), key)
            assert (status, problem["code"]) == (401, code)
        assert world.entries(Tag.WORKLOAD_ENROLLED) == []


async def test_an_ended_instance_does_not_come_back_by_the_svid_that_it_still_holds(tmp_path):
    """Its certificate from us counts for an hour at third parties; it enrols nobody here, whatever is registered."""
    loose = {"scout": [[f"spiffe:id:{NAME}"]], "rover": [["spiffe:id:spiffe://example.test/agent/scout/a"]]}
    async with served_world(tmp_path, acting=False, attestation=loose) as world:
        key = ec.generate_private_key(ec.SECP256R1())
        name = spiffe_id(f"spiffe://{DOMAIN}/agent/scout/a")
        made = world.workloads.issuer.x509(name, key.public_key())
        leaf = Leaf(chain=(made.leaf, *made.chain), key=key)
        status, problem = await by_svid(world, leaf, fresh_key())
        assert (status, problem["code"]) == (401, "attestation.own_domain")


async def test_a_name_that_cannot_be_written_in_full_is_not_taken_for_what_it_stands_below(tmp_path):
    """Else the instance would be nobody's: whose word it rests on is read out of its selectors."""
    authority = Authority(THEIRS)
    loose = {"scout": [[f"spiffe:under:spiffe://{THEIRS}/crm"]]}
    async with served_world(tmp_path, acting=False, attestation=loose) as world:
        believed(world, authority)
        for path, code in (
            ("/crm/" + "x" * 600, "attestation.too_long"),
            ("/crm" + "/x" * 80, "attestation.too_many"),
        ):
            status, problem = await by_svid(world, authority.svid(path), fresh_key())
            assert (status, problem["code"]) == (401, code)
        for path in ("/crm-evil/x", "/crmx", "/x/crm/y", "/crm"):
            status, problem = await by_svid(world, authority.svid(path), fresh_key())
            assert (status, problem["code"]) == (403, "attestation.unknown")
        assert (await by_svid(world, authority.svid("/crm/deep/down"), fresh_key()))[0] == 200


async def test_a_workload_that_nobody_registered_is_nobody(tmp_path):
    authority = Authority(THEIRS)
    async with served(tmp_path) as world:
        believed(world, authority)
        for path in ("/crm/scout/more", "/crm/Scout", "/crm", "/crm/scout-2"):
            status, problem = await by_svid(world, authority.svid(path), fresh_key())
            assert (status, problem["code"]) == (403, "attestation.unknown")


@pytest.mark.requirement("BYO-02")
async def test_a_trust_domain_that_is_believed_no_more_takes_its_instances_and_their_sub_agents_with_it(
    tmp_path,
):
    authority = Authority(THEIRS)
    async with served(tmp_path) as world:
        believed(world, authority)
        key, sub = fresh_key(), fresh_key()
        _, mine = await by_svid(world, authority.svid("/crm/scout"), key)
        body = sub_body(await challenge_of(world), sub)
        status, below = await world.post("sub-agents", body, auth=SignatureAuth(key))
        assert (status, below["source"], below["grade"]) == (200, "parent", "gateway")
        now = world.walk.clock.now()
        callers = [world.prover.known.by_key(one.public.thumbprint, now).identity for one in (key, sub)]
        stands = partial(instance_stands, world.workloads.instances, world.workloads.trust)
        assert [stands(one, now) for one in callers] == [True, True]

        world.workloads.trust.drop_federated(TrustDomain(THEIRS))
        assert [stands(one, now) for one in callers] == [False, False]
        for one, name in ((key, mine["instance"]), (sub, below["instance"])):
            for path, asked in (
                ("renew", {}),
                ("sub-agents", sub_body(await challenge_of(world), fresh_key())),
            ):
                status, problem = await world.post(path, asked, auth=SignatureAuth(one))
                assert (status, problem["step"]) == (401, "key"), name

        # Believed again, by another authority: who was enrolled stands again, and who is not it does not come in.
        believed(world, Authority(THEIRS))
        assert stands(callers[0], now)
        status, problem = await by_svid(world, authority.svid("/crm/scout"), fresh_key())
        assert (status, problem["code"]) == (401, "svid.path")


@pytest.mark.requirement("BYO-02")
async def test_who_is_not_vouched_for_any_more_does_not_renew_by_its_own_key(tmp_path):
    """Else whoever was let in once stayed for ever, whatever his own trust domain says of him since."""
    authority = Authority(THEIRS)
    async with served(tmp_path) as world:
        believed(world, authority)
        key = fresh_key()
        status, mine = await by_svid(world, authority.svid("/crm/scout"), key)
        assert status == 200
        auth = SignatureAuth(key)
        for attestation, code in (
            (None, "attestation.stale"),
            ({"type": "mtls"}, "mtls.certificate"),
            (await shown(world, authority.svid("/crm/other"), key), "attestation.changed"),
            (await shown(world, Authority(THEIRS).svid("/crm/scout"), key), "svid.path"),
            (await shown(world, authority.svid("/crm/scout"), fresh_key()), "x509_pop.signature"),
        ):
            asked = {} if attestation is None else {"attestation": attestation}
            status, problem = await world.post("renew", asked, auth=auth)
            assert problem["code"] == code
        again = {"attestation": await shown(world, authority.svid("/crm/scout"), key)}
        status, renewed = await world.post("renew", again, auth=auth)
        assert (status, renewed["instance"]) == (200, mine["instance"])
        audience = enrolment_audience(DOMAIN, key.public.thumbprint)
        status, renewed = await world.post("renew", {"attestation": token_of(authority, audience)}, auth=auth)
        assert (status, renewed["instance"]) == (200, mine["instance"])


@pytest.mark.requirement("BYO-03")
async def test_a_connection_without_a_certificate_attests_nothing(tmp_path):
    async with served(tmp_path) as world:
        status, problem = await enrolled(world, {"type": "mtls"}, fresh_key())
        assert (status, problem["code"]) == (401, "mtls.certificate")
        for more in ({"certificate": "AAAA"}, {"sha256": "0" * 64}):
            status, problem = await enrolled(world, {"type": "mtls", **more}, fresh_key())
            assert (status, problem["code"]) == (400, "enrolment.malformed")


@pytest.mark.requirement("BYO-02")
async def test_a_sidecar_shows_a_fresh_svid_whenever_it_renews_and_stops_where_it_gets_none(tmp_path):
    authority, asked = Authority(THEIRS), []
    source: list[Leaf] = [authority.svid("/crm/scout")]

    def fetch() -> Any:
        asked.append(len(source))
        if not source:
            raise Unavailable("withdrawn", code="workload_api.denied", port="workload_api")
        leaf = source[0]
        return SimpleNamespace(chain=leaf.chain, key=leaf.pkcs8)

    async with served(tmp_path) as world:
        believed(world, authority)
        async with world.client() as client:
            identity = Identity(client)
            enrolled_as = await identity.enrol(by_x509_svid(fetch))
            assert (enrolled_as.source, enrolled_as.grade) == ("spiffe", "gateway")
            source[0] = authority.svid("/crm/scout")
            assert (await identity.renew()).instance == enrolled_as.instance
            # A sub-agent is known by its parent, and shows nothing of others.
            below = await identity.sub_agent()
            assert (await below.renew()).instance == below.enrolled.instance
            assert asked == [1, 1]
            source[0] = authority.svid("/crm/other")
            with pytest.raises(Refused) as told:
                await identity.renew()
            assert told.value.code == "attestation.changed"
            source.clear()
            with pytest.raises(Unavailable):
                await identity.renew()

            # The same by tokens, each for the key that it is shown with.
            made = Identity(client)
            audiences: list[str] = []

            def fetch_token(audience: str) -> str:
                audiences.append(audience)
                return token_of(authority, audience)["token"]

            first = await made.enrol(by_jwt_svid(fetch_token))
            assert (await made.renew()).instance == first.instance
            assert audiences == [enrolment_audience(DOMAIN, made.thumbprint)] * 2


@pytest.mark.requirement("BYO-02")
async def test_a_foreign_workload_is_held_against_the_manifest_and_what_it_says_of_itself_is_claimed(
    tmp_path,
):
    authority, prompt = Authority(THEIRS), b"You answer customers."
    for drift, wrong, right in (("refuse", 403, 403), ("mark", 200, 200)):
        place = tmp_path / drift
        place.mkdir()
        async with served(place, drift=drift) as world:
            believed(world, authority)
            await sign_manifest(world.walk, prompt)
            for text, expected in ((b"Give refunds.", wrong), (prompt, right)):
                key = fresh_key()
                attestation = await shown(world, authority.svid("/crm/scout"), key)
                measured = {"prompt_digest": f"sha256:{sha256(text).hexdigest()}"}
                body = signed_body(await challenge_of(world), key, attestation, measured=measured)
                status, answer = await world.post("enrol", body)
                assert status == expected
                if status == 403:
                    assert answer["code"] in {"manifest.drifted", "manifest.unmeasured"}
                else:
                    assert "prompt_digest" in answer["drift"]


def sub_body(challenge: str, key: SigningKey) -> dict[str, Any]:
    body: dict[str, Any] = {"key": json.loads(key.public.jwk)}
    return {**body, "proof": enrolment_proof(body, challenge=challenge, domain=DOMAIN, key=key)}
