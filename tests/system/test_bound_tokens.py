"""Tokens of clients that are no registered keys: an enrolled instance with its SVIDs, and a process of this machine.

All doors are real: the instance enrols over the Unix socket, shows its certificate in a TLS handshake, and acts at an
upstream that runs.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from answerable.adapters.uvicorn_front import TLSMaterial, add_client_authorities, tls_context
from answerable.core.identity.keys.keys import SigningKey
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.names.spiffe_id import SpiffeId
from answerable.core.identity.svid.jwt_svid import jwt_svid
from answerable.core.ledger.tags import Tag
from answerable.core.mandate import oauth_terms as oauth
from answerable.core.mandate.hop_token import read_hop
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.workloads import hand_out_svid
from answerable.main.doors import gateway_app
from answerable.sdk.enrolment import EnrolmentClient, certificate_request
from answerable.sdk.gateway_address import open_client
from answerable.sdk.proof_auth import SignatureAuth
from answerable.testing.samples import signing_key
from answerable.wiring.settings import load_settings
from tests.unit.adapters.uvicorn_front.test_front import Authority, client_context, serving
from tests.unit.adapters.uvicorn_front.test_svid_front import pem
from tests.worlds.enrolment import UNIX, fresh_key
from tests.worlds.gateway import modern, modern_headers
from tests.worlds.parts import to_apply
from tests.worlds.token import READ, TokenWorld, agent_document, succeeded, token_world

pytestmark = pytest.mark.anyio

OTHER_PROCESS = """\
import http.client, json, socket, sys
place, path, body, headers = json.load(sys.stdin)
connection = http.client.HTTPConnection("localhost")
connection.sock = socket.socket(socket.AF_UNIX)
connection.sock.connect(place)
connection.request("POST", path, body.encode(), headers)
answer = connection.getresponse()
json.dump([answer.status, dict(answer.getheaders()), answer.read().decode()], sys.stdout)
"""
"""A request over the gateway's Unix socket by a process of its own, which the kernel tells from this one."""


@dataclass(kw_only=True)
class Doors:
    """The doors of a running product once more, over TLS and over a Unix socket."""

    world: TokenWorld
    home: Path
    servers: Authority
    tls: str
    uds: Path

    @asynccontextmanager
    async def enrolment(self) -> AsyncIterator[EnrolmentClient]:
        """Of this process, which the kernel knows over the socket."""
        http, base = open_client(f"unix:{self.uds}")
        async with http:
            yield EnrolmentClient(http, base)

    async def instance(self, key: SigningKey, *, csr: bytes = b"") -> tuple[SpiffeId, tuple[bytes, ...]]:
        """This process enrols as an instance with this key."""
        async with self.enrolment() as client:
            found = await client.enrol(await client.challenge(), key=key, attestation=UNIX, csr=csr)
        assert found.agent == "orchestrator"
        return found.instance, found.chain

    async def renewed(self, key: SigningKey, *, csr: bytes) -> tuple[bytes, ...]:
        """Another certificate of the same instance."""
        async with self.enrolment() as client:
            return (await client.renew(SignatureAuth(key), csr=csr)).chain

    def holding(self, chain: tuple[bytes, ...], key: ec.EllipticCurvePrivateKey) -> ssl.SSLContext:
        """A TLS client that shows this certificate."""
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return client_context(self.home, self.servers.pem, (b"".join(map(pem, chain)), private, None))

    def by_tls(self, shown: ssl.SSLContext) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(verify=shown, base_url=self.tls, trust_env=False, timeout=30)

    def by_socket(self) -> httpx2.AsyncClient:
        transport = httpx2.AsyncHTTPTransport(uds=str(self.uds))
        return httpx2.AsyncClient(transport=transport, base_url="http://localhost", timeout=30)


@asynccontextmanager
async def doors(home: Path, **agent: Any) -> AsyncIterator[Doors]:
    """agent: what the orchestrator is known by besides its key."""
    servers = Authority()
    certificate, key, _ = servers.leaf("localhost")
    context = tls_context(TLSMaterial(certificate=certificate, key=key))
    async with token_world(home) as world:
        await apply_registry(*to_apply(world.walk), [agent_document("orchestrator", **agent)], by="operator")
        desk = world.product.identity.desk
        bundle = desk.bundle(desk.domain)
        assert bundle is not None
        add_client_authorities(context, bundle.x509_authorities)
        app, uds = gateway_app(load_settings(home / "house"), world.product), home / "doors"
        async with serving(app, tcp=("127.0.0.1", 0), uds=uds, context=context) as bound:
            assert bound.tcp_address is not None
            await world.mandate()
            tls = f"https://localhost:{bound.tcp_address[1]}"
            yield Doors(world=world, home=home, servers=servers, tls=tls, uds=uds)


def exchanging() -> tuple[str, str, dict[str, str]]:
    """Path, body and fields of an exchange of the mandate, with no proof but that of the connection."""
    form = {
        "grant_type": oauth.GRANT_EXCHANGE,
        "subject_token": "m-1",
        "subject_token_type": oauth.TYPE_MANDATE,
    }
    return "/oauth/token", urlencode(form), {"content-type": "application/x-www-form-urlencoded"}


def acting(chain: str) -> tuple[str, str, dict[str, str]]:
    """The same of an action under a chain."""
    body = modern("tools/call", {"name": "customer_read", "arguments": READ})
    named = modern_headers("tools/call", "customer_read").items()
    return "/mcp/crm", body.decode(), {
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "answerable-delegation": chain,
        **{name.replace("_", "-"): value for name, value in named},
    }  # fmt: skip


async def sent(client: httpx2.AsyncClient, asked: tuple[str, str, dict[str, str]]) -> httpx2.Response:
    path, body, headers = asked
    return await client.post(path, content=body.encode(), headers=headers)


async def sent_by_another(
    uds: Path, asked: tuple[str, str, dict[str, str]], *, within: tuple[str, ...] = ()
) -> httpx2.Response:
    """The same from another process of the same user. within: the program that starts it."""
    started = await asyncio.create_subprocess_exec(
        *within, sys.executable, "-c", OTHER_PROCESS,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, _ = await asyncio.wait_for(started.communicate(json.dumps([str(uds), *asked]).encode()), 60)
    status, headers, text = json.loads(said)
    kind = {name: value for name, value in headers.items() if name.lower() == "content-type"}
    return httpx2.Response(status, headers=kind, text=text)


def svid_form(token: str) -> dict[str, str]:
    return {"client_assertion_type": oauth.CLIENT_JWT_SPIFFE, "client_assertion": token}


@pytest.mark.requirement("TOKEN-09")
async def test_an_instance_that_shows_its_jwt_svid_and_its_key_gets_a_token_and_acts_with_it(tmp_path):
    async with doors(tmp_path, attestation=[[f"unix:uid:{os.getuid()}"]]) as ours:
        world, key = ours.world, fresh_key()
        instance, _ = await ours.instance(key)
        svid = await hand_out_svid.jwt_svid(world.product.workloads, instance, (world.url,))
        asked: dict[str, Any] = {"by": "svid", "requested_token_type": oauth.TYPE_ACCESS, **svid_form(svid)}
        answer = await world.exchange("orchestrator", "m-1", dpop=key, **asked)
        assert answer.status_code == 200, answer.text
        assert answer.json()["token_type"] == "DPoP"
        token = answer.json()["access_token"]
        hop = read_hop(token)
        assert (hop.agent, hop.confirmation.thumbprint) == ("orchestrator", key.public.thumbprint)
        assert succeeded(await world.call("orchestrator", chain=(token,), dpop=True, key=key))
        [intent] = world.entries(Tag.INTENT)
        assert (intent["agent"], intent["proof"]["kind"]) == ("orchestrator", "dpop")
        # The registered key of the agent itself is not the key of this instance, nor is that of another agent.
        for name in ("orchestrator", "stranger"):
            other = await world.call("orchestrator", chain=(token,), dpop=True, key=signing_key(name))
            assert other.status_code == 401, name
            other = await world.exchange("orchestrator", "m-1", dpop=signing_key(name), **asked)
            assert (other.status_code, other.json()["error"]) == (400, "invalid_grant"), name
        # A JWT-SVID alone can be copied, so nothing is bound to it.
        bare = await world.exchange("orchestrator", "m-1", **asked)
        assert (bare.status_code, bare.json()["answerable_code"]) == (400, "oauth.invalid_request")
        # Whoever ended is no client any more, however long its JWT-SVID would live.
        async with ours.enrolment() as client:
            await client.end(SignatureAuth(key))
        ended = await world.exchange("orchestrator", "m-1", dpop=key, **asked)
        assert (ended.status_code, ended.json()["answerable_code"]) == (401, "proof.key")
        assert (await world.call("orchestrator", chain=(token,), dpop=True, key=key)).status_code == 401


@pytest.mark.requirement("TOKEN-09")
async def test_a_jwt_svid_for_anybody_else_too_or_whose_time_is_over_is_no_proof(tmp_path):
    async with doors(tmp_path, attestation=[[f"unix:uid:{os.getuid()}"]]) as ours:
        world, key = ours.world, fresh_key()
        instance, _ = await ours.instance(key)
        now = world.now()
        signing = world.product.identity.desk.signing(now)

        def svid(*audience: str, until: int = 60_000) -> str:
            """As the trust domain signs it."""
            return jwt_svid(
                id=instance,
                audience=audience or (world.url,),
                issued_at=UnixMillis(now - 600_000),
                expires_at=UnixMillis(now + until),
                kid=signing.authority.jwt_kid,
                sign=signing.jwt,
            )

        async def code(token: str) -> tuple[int, str]:
            answer = await world.exchange("orchestrator", "m-1", by="svid", dpop=key, **svid_form(token))
            return answer.status_code, answer.json().get("answerable_code", "")

        assert await code(svid()) == (200, "")
        assert await code(svid("https://billing.example")) == (401, "svid.audience")
        assert await code(svid(world.url, "https://billing.example")) == (401, "client.audience")
        assert await code(svid(f"{world.url}/oauth/token")) == (401, "svid.audience")
        assert await code(svid(until=-300_000)) == (401, "svid.expired")


@pytest.mark.requirement("TOKEN-10")
async def test_a_token_of_a_certificate_is_of_use_with_that_certificate_alone(tmp_path):
    async with doors(tmp_path, attestation=[[f"unix:uid:{os.getuid()}"]]) as ours:
        key, first, second = fresh_key(), *(ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        _, chain = await ours.instance(key, csr=certificate_request(first))
        shown = ours.holding(chain, first)
        other = ours.holding(await ours.renewed(key, csr=certificate_request(second)), second)
        async with ours.by_tls(shown) as client:
            answer = await sent(client, exchanging())
            assert answer.status_code == 200, answer.text
            found = answer.json()
            assert found["token_type"] == "N_A"
            assert read_hop(found["access_token"]).confirmation.method == "x5t#S256"
            assert succeeded(await sent(client, acting(found["delegation"])))
        [intent] = ours.world.entries(Tag.INTENT)
        assert (intent["agent"], intent["proof"]["kind"]) == ("orchestrator", "svid")
        # Also over a new connection: what binds is the certificate. Another one of the same instance is another.
        async with ours.by_tls(shown) as client:
            assert succeeded(await sent(client, acting(found["delegation"])))
        async with ours.by_tls(other) as client:
            assert not succeeded(await sent(client, acting(found["delegation"])))
            assert (await sent(client, exchanging())).status_code == 200
        signed = await ours.world.call("orchestrator", chain=(found["delegation"],))
        assert not succeeded(signed)
        codes = [one["code"] for one in ours.world.entries(Tag.REFUSAL)]
        assert codes == ["delegation.holder_binding_failed"] * 2


@pytest.mark.requirement("TOKEN-10")
async def test_a_token_of_a_process_is_of_use_to_that_process_alone(tmp_path):
    async with doors(tmp_path, unixUids=[os.getuid()]) as ours:
        async with ours.by_socket() as client:
            answer = await sent(client, exchanging())
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert found["token_type"] == "N_A"
        assert read_hop(found["access_token"]).confirmation.method == "answerable_process"
        async with ours.by_socket() as client:
            assert succeeded(await sent(client, acting(found["delegation"])))
        [intent] = ours.world.entries(Tag.INTENT)
        assert (intent["agent"], intent["proof"]["kind"]) == ("orchestrator", "unix_peer")
        # The same user, and so the same agent, in another process.
        assert not succeeded(await sent_by_another(ours.uds, acting(found["delegation"])))
        signed = await ours.world.call("orchestrator", chain=(found["delegation"],))
        assert not succeeded(signed)
        codes = [one["code"] for one in ours.world.entries(Tag.REFUSAL)]
        assert codes == ["delegation.holder_binding_failed"] * 2
        assert (await sent_by_another(ours.uds, exchanging())).status_code == 200
