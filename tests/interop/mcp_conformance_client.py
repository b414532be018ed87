"""The client under test of the MCP conformance suite: our SDK's tokens under the MCP SDK's own client.

Run by the suite with the URL of a server, and in the environment with the scenario's name and what it needs. Says on
standard output in one line of JSON what became of it; its exit status is 1 when a tool could not be called.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

import httpx2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from answerable.core.base64url import to_base64url
from answerable.core.identity.keys.keys import SEED_BYTES, SigningKey, new_private_jwk
from answerable.errors import AnswerableError
from answerable.sdk.client_identity import NamedClient, PrivateKeyClient
from answerable.sdk.discovery import ServerMetadata
from answerable.sdk.oauth_http import OAuthHttp, is_loopback, open_oauth_client
from answerable.sdk.resource_tokens import ResourceTokens
from answerable.sdk.token_auth import DPoPAuth
from answerable.sdk.token_client import AccessToken, TokenClient

SCENARIO = os.environ["MCP_CONFORMANCE_SCENARIO"]
CONTEXT: dict[str, Any] = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}"))
VERSION = os.environ["MCP_CONFORMANCE_PROTOCOL_VERSION"]
SESSIONLESS = "2026-07-28"
WITH_DPOP = ("auth/dpop", "auth/dpop-nonce")


def key_in_pem(pem: str) -> SigningKey:
    """The suite hands out PKCS #8; ours are JWKs."""
    private = load_pem_private_key(pem.encode(), password=None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    numbers = private.private_numbers()
    x, y, d = (
        to_base64url(number.to_bytes(32, "big"))
        for number in (numbers.public_numbers.x, numbers.public_numbers.y, numbers.private_value)
    )
    return SigningKey({"kty": "EC", "crv": "P-256", "x": x, "y": y, "d": d})


def fresh_key() -> SigningKey:
    algorithm = "ecdsa-p256-sha256"
    return SigningKey(new_private_jwk(algorithm, os.urandom(SEED_BYTES[algorithm])))


class Agent:
    """One workload with one way to a token, chosen by what it was given as a workload would be configured."""

    def __init__(self, http: OAuthHttp) -> None:
        self._http = http
        self.key = fresh_key() if SCENARIO in WITH_DPOP else None

    async def obtain(self, server: ServerMetadata, *, resource: str, scope: str) -> AccessToken:
        if "valid_jwt" in CONTEXT:
            tokens = TokenClient(server, NamedClient(CONTEXT["client_id"]), http=self._http, key=self.key)
            return await tokens.jwt_bearer(CONTEXT["valid_jwt"], resource=resource, scope=scope)
        own = key_in_pem(CONTEXT["private_key_pem"]) if "private_key_pem" in CONTEXT else fresh_key()
        identity = PrivateKeyClient(CONTEXT.get("client_id", "conformance-workload"), own)
        tokens = TokenClient(server, identity, http=self._http, key=self.key)
        return await tokens.client_credentials(resource=resource, scope=scope)


async def call_a_tool(url: str) -> dict[str, object]:
    async with open_oauth_client() as client:
        http = OAuthHttp(client)
        agent = Agent(http)
        # The suite's authorization servers are on loopback; which port they have is told by the resource only.
        tokens = ResourceTokens(url, http=http, trusts=is_loopback, obtain=agent.obtain)
        auth = DPoPAuth(tokens, agent.key)
        async with httpx2.AsyncClient(auth=auth, trust_env=False, timeout=20) as caller:
            transport = streamable_http_client(url, http_client=caller)
            mode = SESSIONLESS if VERSION == SESSIONLESS else "legacy"
            async with Client(transport, mode=mode, cache=None) as mcp:
                tools = [tool.name for tool in (await mcp.list_tools()).tools]
                result = await mcp.call_tool(tools[0], {})
                return {"called": tools[0], "error": result.is_error}


def cause(error: BaseException) -> BaseException:
    """What our code raised, below the groups and wrappings of the MCP client."""
    if isinstance(error, BaseExceptionGroup):
        return cause(error.exceptions[0])
    inner = error.__cause__ or error.__context__
    return error if isinstance(error, AnswerableError) or inner is None else cause(inner)


def main() -> int:
    try:
        told: dict[str, object] = asyncio.run(call_a_tool(sys.argv[1]))
    except Exception as error:
        found = cause(error)
        code = found.code if isinstance(found, AnswerableError) else type(found).__name__
        told = {"refused": code, "message": str(found)[:300]}
    print(json.dumps(told))
    return 0 if "called" in told else 1


if __name__ == "__main__":
    sys.exit(main())
