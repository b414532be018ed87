"""Tokens that name a manifest: ours say what was measured and stands; what others write into theirs is nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from answerable.core.canonical import parse
from answerable.core.identity.keys.compact_jws import read_compact
from answerable.core.identity.names import spiffe_terms as terms
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.names.spiffe_id import spiffe_id, trust_domain
from answerable.core.identity.proof.http_signature import request_from_http
from answerable.core.identity.svid.jwt_svid import jwt_svid as signed_jwt
from answerable.core.identity.svid.jwt_svid import verified_jwt_svid
from answerable.core.identity.svid.svid_keys import jwk_text
from answerable.core.identity.svid.trust_bundle import TrustBundle
from answerable.core.identity.svid.wit_svid import verified_wit_svid
from answerable.core.identity.workload.instance import ShownManifest
from answerable.core.identity.workload.oidc_claims import IssuerTerms
from answerable.errors import Unverified
from answerable.errors.codes.identity import SVID_MALFORMED
from answerable.flows.workloads.enrol_workload import enrol, renew
from answerable.flows.workloads.follow_manifests import compare_running
from answerable.flows.workloads.hand_out_svid import jwt_svid, wit_svid
from answerable.testing.recording_upstream import sample_tools
from tests.attack.test_drift_laundering import (
    CRUEL,
    MADE,
    WHOLE,
    code_of,
    enrolled,
    manifest,
    seen,
    world,
)
from tests.attack.test_tool_drift_attacks import POISONED
from tests.worlds.attestation import AUDIENCE, ISSUER, GivenKeys, attestor, claims, key_set, public_jwk, token
from tests.worlds.enrolment import attested_documents, enrolling, key_of
from tests.worlds.proof import ProofWorld

if TYPE_CHECKING:
    from answerable.core.identity.workload.instance import Instance
    from answerable.flows.trust_domain.workloads import Workloads

pytestmark = pytest.mark.anyio

SHARED = ec.generate_private_key(ec.SECP256R1())


def claim_in(text: str) -> Any:
    found = parse(read_compact(text, malformed=SVID_MALFORMED).payload)
    assert isinstance(found, dict)
    return found.get(terms.MANIFEST)


async def tokens_of(workloads: Workloads, instance: Instance) -> tuple[str, str]:
    """A JWT-SVID and a WIT-SVID, as their readers accept them."""
    public = SHARED.public_key()
    now = workloads.recorder.clock.now()
    jwt = await jwt_svid(workloads, instance.id, ("somebody",))
    wit = await wit_svid(workloads, instance.id, public, jwk_text(public, alg="ES256"))
    found = verified_jwt_svid(jwt, audience="somebody", bundle_of=workloads.trust.bundle, now=now)
    assert found.id == verified_wit_svid(wit, bundle_of=workloads.trust.bundle, now=now).id == instance.id
    return jwt, wit


@pytest.mark.requirement("MANIFEST-15")
async def test_a_token_names_the_manifest_that_its_instance_was_measured_by_while_that_stands() -> None:
    bench, workloads = await world("mark")
    before = await enrolled(workloads, WHOLE, "i-0")
    assert [claim_in(one) for one in await tokens_of(workloads, before)] == [None, None]
    digest = await manifest(bench)
    one = await enrolled(workloads, WHOLE)
    # Nobody measured the model, so the whole is no better than claimed; what was measured is told beside it.
    fields = {"code_digest": "sidecar", "prompt_digest": "sidecar", "tools_digest": "gateway"}
    measured = {"digest": digest, "drifted": False, "grade": "claimed", "measured": fields}
    assert [claim_in(text) for text in await tokens_of(workloads, one)] == [measured] * 2
    # The tools that the gateway sees count, too, and so does a parent that has drifted.
    bench.upstream.lists("crm", POISONED)
    read = {"code_digest": "sidecar", "prompt_digest": "sidecar"}
    assert claim_in((await tokens_of(workloads, one))[0]) == {**measured, "drifted": True, "measured": read}
    bench.upstream.lists("crm", sample_tools())
    sub = await enrolled(workloads, None, "s-1", one.id)
    await renew(workloads, one.id, measured=CRUEL)
    left = {"code_digest": "sidecar", "tools_digest": "gateway"}
    for drifted in (one, sub):
        claim = claim_in((await tokens_of(workloads, drifted))[0])
        assert claim == {**measured, "drifted": True, "measured": left}
    # One that nothing was held against yet names none.
    await manifest(bench, replace(MADE, tier=3), at=1)
    assert [claim_in(text) for text in await tokens_of(workloads, one)] == [None, None]
    await compare_running(workloads, {})
    assert claim_in((await tokens_of(workloads, before))[0])["digest"] != digest


@pytest.mark.requirement("MANIFEST-14")
@pytest.mark.requirement("MANIFEST-15")
async def test_a_manifest_of_which_nothing_was_measured_is_claimed_in_token_and_walk() -> None:
    bench, workloads = await world()
    digest = await manifest(bench, replace(MADE, prompt_digest="", code_digest="", tools_digest=""))
    one = await enrolled(workloads, None)
    assert claim_in((await tokens_of(workloads, one))[1]) == {
        "digest": digest,
        "drifted": False,
        "grade": "claimed",
        "measured": {},
    }
    assert seen(workloads, "i-1").manifest_grade == "claimed"


@pytest.mark.requirement("MANIFEST-15")
async def test_what_a_foreign_token_says_of_its_manifest_makes_nothing_measured() -> None:
    """Somebody whose issuer is believed writes our own claim into his token, with the very digest in force."""
    documents = attested_documents({"scout": [["oidc:sub:workload-1"]]})
    bench, workloads = await enrolling(documents)
    digest = await manifest(bench)
    workloads.attestor = attestor(
        clock=bench.clock,
        keys=GivenKeys(**{ISSUER: key_set(public_jwk("ES256"))}),
        issuers=(IssuerTerms(issuer=ISSUER, audience=AUDIENCE),),
    )
    lie = {"digest": digest, "drifted": False, "grade": "kernel"}
    evidence = await workloads.attestor.oidc(token(claims(**{terms.MANIFEST: lie})))
    assert not [one for one in evidence.selectors if digest in one]
    asked = enrol(workloads, evidence=evidence, key=key_of("i-1"), measured=None)
    assert await code_of(asked) == "manifest.unmeasured"
    assert list(workloads.instances.live()) == []


@pytest.mark.requirement("MANIFEST-15")
@pytest.mark.parametrize("name", ["spiffe://corp.example/scout", "spiffe://example.test/agent/scout/i-1"])
async def test_a_foreign_jwt_svid_with_our_claim_proves_no_caller_and_no_instance_of_ours(name: str) -> None:
    """Also one that calls itself an instance of ours: it is of the domain that signs, or of nobody."""
    bench, workloads = await world()
    digest = await manifest(bench)
    key, now = ec.generate_private_key(ec.SECP256R1()), bench.clock.now()
    text = signed_jwt(
        id=spiffe_id(name),
        audience=("answerable.test",),
        issued_at=now,
        expires_at=UnixMillis(now + 60_000),
        kid="k",
        sign=key,
        manifest=ShownManifest(digest, "kernel", drifted=False),
    )
    assert claim_in(text)["digest"] == digest
    theirs = trust_domain("corp.example")
    bundles = {
        theirs: TrustBundle(trust_domain=theirs, jwt_authorities={"k": jwk_text(key.public_key())}),
        workloads.trust.domain: workloads.trust.bundle(workloads.trust.domain),
    }
    if spiffe_id(name).trust_domain == theirs:
        read = verified_jwt_svid(text, audience="answerable.test", bundle_of=bundles.get, now=now)
        assert str(read.id) == name
    else:
        with pytest.raises(Unverified, match="no key"):
            verified_jwt_svid(text, audience="answerable.test", bundle_of=bundles.get, now=now)
    proof = ProofWorld()
    fields = [(b"host", b"gateway.test"), (b"authorization", f"Bearer {text}".encode())]
    with pytest.raises(Unverified) as told:
        proof.verifier.verify(request_from_http("POST", b"/mcp/crm", fields, b"{}"))
    assert told.value.step == "credential"
