"""Bodies of the enrolment door, and the self-proof over them."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from answerable.apps.enrolment import documents
from answerable.apps.enrolment.pace import Pace
from answerable.core.identity.keys.compact_jws import signed_statement
from answerable.core.identity.names.principal import AgentId
from answerable.core.identity.names.spiffe_id import agent_instance_id, trust_domain
from answerable.core.identity.workload.enrolment import (
    PROOF_TYP,
    certificate_request_key,
    enrolment_proof,
    verified_enrolment_proof,
)
from answerable.errors import AnswerableError, Malformed, Refused, Unverified
from answerable.sdk.enrolment import certificate_request
from answerable.testing.samples import signing_key

HERE = trust_domain("example.test")
KEY = json.loads(signing_key("i-1").public.jwk)


def read(body: Any, known: frozenset[str] = documents.ENROL_MEMBERS) -> documents.Request:
    return documents.request_in(json.dumps(body).encode(), known, bytes_max=100_000)


def test_what_was_measured_and_what_was_claimed_stay_apart():
    found = read({"measured": {"model_name": "m"}, "claimed": {"model_name": "c", "model_version": "2"}},
                 documents.RENEW_MEMBERS)  # fmt: skip
    assert found.measured is not None
    assert dict(found.measured.values) == {"model_name": ("m", "sidecar"), "model_version": ("2", "claimed")}
    assert read({}, documents.RENEW_MEMBERS).measured is None


@pytest.mark.parametrize(
    "attestation",
    [
        {"type": "unix", "pid": 1},
        {"type": "unix", "selectors": []},
        {"type": "join_token"},
        {"type": "join_token", "token": "x", "agent": "scout"},
        {"type": "parent"},
        {"type": "spiffe"},
        {"type": 1},
        {},
        "unix",
        [],
    ],
)
def test_an_attestation_has_its_members_and_no_others(attestation):
    with pytest.raises(Malformed):
        read({"attestation": attestation, "key": KEY, "proof": "x"})


def test_a_proof_is_for_one_request_one_challenge_one_domain_and_one_key():
    key, request = signing_key("i-1"), {"key": KEY, "attestation": {"type": "unix"}}
    proof = enrolment_proof(request, challenge="c-1", domain=HERE, key=key)
    assert verified_enrolment_proof(proof, request, key=key.public, domain=HERE) == "c-1"
    swapped: list[tuple[str, Any, Any, Any]] = [
        (proof, {**request, "key": {}}, key.public, HERE),
        (proof, request, signing_key("i-2").public, HERE),
        (proof, request, key.public, trust_domain("elsewhere.test")),
        (proof[:-2] + "AA", request, key.public, HERE),
    ]
    for token, body, by, domain in swapped:
        with pytest.raises(AnswerableError) as error:
            verified_enrolment_proof(token, body, key=by, domain=domain)
        assert isinstance(error.value, Unverified | Malformed)
    other = signed_statement({"aud": HERE, "challenge": "c", "request": "x"}, typ="other+jwt", key=key)
    with pytest.raises(Unverified):
        verified_enrolment_proof(other, request, key=key.public, domain=HERE)
    more = signed_statement(
        {"aud": HERE, "challenge": "c", "request": "x", "more": 1}, typ=PROOF_TYP, key=key
    )
    with pytest.raises(Malformed):
        verified_enrolment_proof(more, request, key=key.public, domain=HERE)
    with pytest.raises(Malformed):
        verified_enrolment_proof("x" * 3000, request, key=key.public, domain=HERE)


def test_a_certificate_request_is_for_a_key_on_p256_whose_owner_signed_it():
    key = ec.generate_private_key(ec.SECP256R1())
    der = certificate_request(key)
    assert certificate_request_key(der) == key.public_key()
    assert read({"csr": b64encode(der).decode()}, documents.RENEW_MEMBERS).csr == key.public_key()
    other = certificate_request(ec.generate_private_key(ec.SECP384R1()))
    broken = der[:-1] + bytes([der[-1] ^ 1])
    for bad in (other, broken, b"", b"x" * 5000):
        with pytest.raises((Malformed, Unverified)):
            certificate_request_key(bad)


def test_one_instance_asks_so_often_in_a_minute_and_another_is_not_held_up_by_it():
    pace = Pace(3)
    for _ in range(3):
        pace.count(agent_instance_id(HERE, AgentId("scout"), "00"), at=5.0)
    with pytest.raises(Refused):
        pace.count(agent_instance_id(HERE, AgentId("scout"), "00"), at=64.9)
    pace.count(agent_instance_id(HERE, AgentId("scout"), "01"), at=64.9)
    pace.count(agent_instance_id(HERE, AgentId("scout"), "00"), at=65.0)


@pytest.mark.requirement("NEIGHBOUR-07")
def test_more_members_than_any_request_has_are_refused_before_they_are_parsed():
    body = b'{"key":[' + b",".join([b"1"] * 2_001) + b"]}"
    with pytest.raises(Malformed) as refused:
        documents.request_in(body, frozenset({"key"}), bytes_max=262_144)
    assert refused.value.code == "json.nodes"
