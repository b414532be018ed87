"""Certificates of enrolled instances: whom they name, who believes them, and what has to be there before they leave."""

from __future__ import annotations

from base64 import b64decode, b64encode
from functools import partial
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from answerable.core.identity.names.principal import AgentId
from answerable.core.identity.svid.trust_bundle import parse_bundle
from answerable.core.identity.svid.x509_svid import verified_x509_svid
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused, Unavailable
from answerable.flows.revocation.end_instance import end_instance
from answerable.flows.workloads.enrol_workload import enrol
from answerable.flows.workloads.hand_out_svid import jwt_svid, wit_svid, x509_svid
from answerable.sdk.enrolment import certificate_request
from answerable.sdk.proof_auth import SignatureAuth
from tests.worlds.enrolment import (
    DOMAIN,
    challenge_of,
    enrolling,
    evidence_of,
    fresh_key,
    key_of,
    signed_body,
)
from tests.worlds.enrolment import served as served_world

pytestmark = pytest.mark.anyio
served = partial(served_world, acting=False)


@pytest.mark.requirement("ENROL-08")
async def test_a_certificate_request_names_nobody_but_the_instance(tmp_path):
    async with served(tmp_path) as world:
        svid_key = ec.generate_private_key(ec.SECP256R1())
        wish = x509.SubjectAlternativeName(
            [x509.UniformResourceIdentifier(f"spiffe://{DOMAIN}/agent/rover/0000")]
        )
        builder = (
            x509.CertificateSigningRequestBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "rover")]))
            .add_extension(wish, critical=True)
            .add_extension(x509.BasicConstraints(ca=True, path_length=3), critical=True)
        )
        csr = builder.sign(svid_key, hashes.SHA256()).public_bytes(Encoding.DER)
        token = world.workloads.attestor.new_join_token("first", AgentId("scout"))
        key = fresh_key()
        body = signed_body(
            await challenge_of(world),
            key,
            {"type": "join_token", "token": token},
            csr=b64encode(csr).decode(),
        )
        status, answer = await world.post("enrol", body)
        assert status == 200, answer
        leaf = x509.load_der_x509_certificate(b64decode(answer["x509_svid"]["chain"][0]))
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.UniformResourceIdentifier) == [answer["instance"]]
        assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        assert leaf.public_key() == svid_key.public_key()
        # It was in the ledger before it left.
        (issued,) = world.entries(Tag.SVID_ISSUED)
        assert issued["serial"] == f"{leaf.serial_number:x}"
        # One whose signature is another key's is refused.
        broken = bytearray(csr)
        broken[-1] ^= 1
        status, problem = await world.post(
            "renew", {"csr": b64encode(bytes(broken)).decode()}, auth=SignatureAuth(key)
        )
        assert status in (400, 401), problem
        assert len(world.entries(Tag.SVID_ISSUED)) == 1


@pytest.mark.requirement("ENROL-08")
async def test_the_bundle_of_the_door_verifies_what_the_door_issued(tmp_path):
    async with served(tmp_path) as world:
        token = world.workloads.attestor.new_join_token("first", AgentId("scout"))
        async with world.client() as client:
            csr = certificate_request(ec.generate_private_key(ec.SECP256R1()))
            shown: Any = {"type": "join_token", "token": token}
            enrolled = await client.enrol(
                await client.challenge(), key=fresh_key(), attestation=shown, csr=csr
            )
        async with httpx2.AsyncClient(trust_env=False) as http:
            response = await http.get(f"{world.url}/identity/v1/bundle")
        assert response.headers["content-type"] == "application/json"
        bundle = parse_bundle(response.content, domain=DOMAIN)
        assert bundle.sequence
        found = verified_x509_svid(enrolled.chain, bundle_of={DOMAIN: bundle}.get, now=world.walk.clock.now())
        assert found.id == enrolled.instance


@pytest.mark.requirement("ENROL-08")
async def test_no_document_leaves_that_the_ledger_does_not_hold_or_whose_instance_has_ended(monkeypatch):
    bench, workloads = await enrolling()
    one = await enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:1:1")
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    numbers = key.public_numbers()
    x, y = (b64encode(n.to_bytes(32, "big"), altchars=b"-_").rstrip(b"=").decode() for n in
            (numbers.x, numbers.y))  # fmt: skip
    jwk = f'{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}'
    await x509_svid(workloads, one.id, key)
    await jwt_svid(workloads, one.id, ("them",))
    await wit_svid(workloads, one.id, key, jwk)
    issued = bench.entries(Tag.SVID_ISSUED)
    assert [entry["kind"] for entry in issued] == ["x509", "jwt", "wit"]
    assert all(entry["instance"] == str(one.id) for entry in issued)
    assert [bool(entry["key"]) for entry in issued] == [True, False, True]
    submit = bench.recorder.ledger.submit

    def full(entry):
        raise Unavailable("the disk is full", code="ledger.full", port="ledger")

    monkeypatch.setattr(bench.recorder.ledger, "submit", full)
    with pytest.raises(Unavailable):
        await x509_svid(workloads, one.id, key)
    monkeypatch.setattr(bench.recorder.ledger, "submit", submit)
    await end_instance(workloads, one.id, because="asked")
    with pytest.raises(Refused):
        await jwt_svid(workloads, one.id, ("them",))
    assert len(bench.entries(Tag.SVID_ISSUED)) == 3
