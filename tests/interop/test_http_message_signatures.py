"""Our profile against an implementation of RFC 9421 by others: each verifies what the other signed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import http_message_signatures as others
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from http_message_signatures import algorithms

from answerable.core.base64url import from_base64url_32
from answerable.core.identity.keys.keys import SEED_BYTES, Algorithm, SigningKey, new_private_jwk
from answerable.core.identity.proof.http_signature import request_from_http
from answerable.core.identity.proof.session import SessionKey
from answerable.errors import Unverified
from answerable.flows.tokens.verify_caller import CallerVerifier
from answerable.testing.entropy import SeededEntropy
from tests.worlds.proof import AUTHORITY, BODY, FixedRegistry, ProofWorld, agent, request

URL = f"http://{AUTHORITY}/mcp?case=4711"
COVERED = ("@method", "@authority", "@request-target", "content-digest", "answerable-mandate")
OTHERS = {"ed25519": algorithms.ED25519, "ecdsa-p256-sha256": algorithms.ECDSA_P256_SHA256}


@dataclass
class Message:
    """The interface that the other implementation documents."""

    method: str = "POST"
    url: str = URL
    headers: dict[str, str] = field(default_factory=dict)


class OneKey(others.HTTPSignatureKeyResolver):
    def __init__(self, key: object) -> None:
        self.key = key

    def resolve_public_key(self, key_id: str) -> object:
        return self.key.public_key() if hasattr(self.key, "public_key") else self.key

    def resolve_private_key(self, key_id: str) -> object:
        return self.key


def pair(algorithm: Algorithm) -> tuple[SigningKey, object]:
    """One key as ours and as theirs."""
    jwk = new_private_jwk(algorithm, SeededEntropy(algorithm).bytes(SEED_BYTES[algorithm]))
    secret = from_base64url_32(str(jwk["d"]))
    assert secret is not None
    if algorithm == "ed25519":
        return SigningKey(jwk), Ed25519PrivateKey.from_private_bytes(secret)
    return SigningKey(jwk), derive_private_key(int.from_bytes(secret, "big"), SECP256R1())


def sign_by_others(world: ProofWorld, theirs: object, method: type, key_id: str, nonce: str) -> Message:
    message = Message(headers={"Host": AUTHORITY, "Answerable-Mandate": "m-1"})
    others.HTTPMessageSigner(signature_algorithm=method, key_resolver=OneKey(theirs)).sign(
        message,
        key_id=key_id,
        created=datetime.fromtimestamp(world.clock.now() / 1000, UTC),
        nonce=nonce,
        label="answerable",
        tag="answerable-1",
        covered_component_ids=COVERED,
        body=BODY,
    )
    return message


def verified_here(verifier: CallerVerifier, message: Message, body: bytes = BODY) -> str:
    headers = [(name.lower().encode(), value.encode()) for name, value in message.headers.items()]
    received = request_from_http(message.method, b"/mcp?case=4711", headers, body)
    return verifier.verify(received).agent


@pytest.mark.requirement("PROOF-07")
@pytest.mark.parametrize("algorithm", list(OTHERS))
def test_what_others_sign_in_our_profile_verifies_here(algorithm: Algorithm) -> None:
    world = ProofWorld()
    ours, theirs = pair(algorithm)
    world.registry.swap(agent("crm", ours))
    message = sign_by_others(world, theirs, OTHERS[algorithm], ours.public.thumbprint, world.nonce())
    assert verified_here(world.verifier, message) == "crm"
    again = sign_by_others(world, theirs, OTHERS[algorithm], ours.public.thumbprint, world.nonce())
    with pytest.raises(Unverified):
        verified_here(world.verifier, again, BODY + b" ")


@pytest.mark.requirement("PROOF-07")
def test_a_mac_made_by_others_under_our_session_verifies_here() -> None:
    world = ProofWorld()
    secrets: list[bytes] = []
    made = SessionKey.__init__

    def remember(self: SessionKey, key: bytes) -> None:
        secrets.append(key)
        made(self, key)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SessionKey, "__init__", remember)
        session = world.session()
    server_side, client_side = secrets
    assert server_side == client_side
    message = sign_by_others(world, client_side, algorithms.HMAC_SHA256, session.answer.session, "1")
    assert verified_here(world.verifier, message) == "crm"


@pytest.mark.requirement("PROOF-07")
@pytest.mark.parametrize("algorithm", list(OTHERS))
def test_what_we_sign_verifies_with_the_software_of_others(algorithm: Algorithm) -> None:
    world = ProofWorld()
    ours, theirs = pair(algorithm)
    world.registry = FixedRegistry(agent("crm", ours))
    now = datetime.now(UTC)
    signed = world.signed(request(target="/mcp?case=4711"), key=ours, created=now.timestamp())
    message = Message(
        headers={
            "Host": AUTHORITY,
            "Answerable-Mandate": "m-1",
            "Content-Digest": signed.content_digest.decode(),
            "Signature-Input": signed.signature_input.decode(),
            "Signature": signed.signature.decode(),
        }
    )
    verifier = others.HTTPMessageVerifier(signature_algorithm=OTHERS[algorithm], key_resolver=OneKey(theirs))
    results = verifier.verify(
        message, max_age=timedelta(minutes=1), expect_tag="answerable-1", expect_label="answerable"
    )
    assert [result.label for result in results] == ["answerable"]
    assert set(results[0].covered_components) == {f'"{name}"' for name in (*COVERED, "@signature-params")}
    message.headers["Answerable-Mandate"] = "m-2"
    with pytest.raises(others.InvalidSignature):
        verifier.verify(
            message, max_age=timedelta(minutes=1), expect_tag="answerable-1", expect_label="answerable"
        )
