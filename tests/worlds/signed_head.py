"""Heads of messages as an attacker with a good key would send them: signed, whatever becomes of the body."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from answerable.core.base64url import to_base64url
from answerable.core.identity.proof.http_signature import SignedRequest, sign_request
from answerable.flows.tokens.verify_caller import CallerVerifier
from answerable.testing.samples import signing_key

if TYPE_CHECKING:
    from tests.worlds.gateway import World


def signed_head(
    world: World, body: bytes, *framing: str, agent: str = "scout", path: str = "/mcp/crm"
) -> bytes:
    """The head of a POST that this agent signed over a body, as on the wire. framing: how long that is said to be."""
    key, host = signing_key(agent), world.url.removeprefix("http://")
    prover = world.gateway.needs.prover
    assert isinstance(prover, CallerVerifier)
    signed = sign_request(
        SignedRequest(method=b"POST", authority=host.encode(), target=path.encode(), body=body),
        algorithm=key.algorithm,
        keyid=key.public.thumbprint,
        created=world.walk.clock.now() // 1000,
        nonce=f"{prover.epoch}.{to_base64url(os.urandom(16))}",
        sign=key.sign,
    )
    fields = (
        f"POST {path} HTTP/1.1", f"Host: {host}", "Content-Type: application/json",
        f"Content-Digest: {signed.content_digest.decode()}", f"Signature-Input: {signed.signature_input.decode()}",
        f"Signature: {signed.signature.decode()}", *(framing or [f"Content-Length: {len(body)}"]),
    )  # fmt: skip
    return "\r\n".join((*fields, "", "")).encode()
