"""Tokens as agents get and use them, against a real server on a real socket, whose side is judged by our own core."""

from __future__ import annotations

import json
from hashlib import sha256

import anyio
import httpx2
import pytest

from answerable.core.base64url import to_base64url
from answerable.core.identity.keys.keys import SEED_BYTES, SigningKey, new_private_jwk
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.proof.client_assertion import verified_assertion
from answerable.core.identity.proof.dpop import check_message, check_proof, check_signature, read_proof
from answerable.errors import Malformed, Refused, Unavailable, Unverified
from answerable.sdk.challenge import Challenge
from answerable.sdk.client_identity import SpiffeClient
from answerable.sdk.discovery import resource_metadata, server_metadata
from answerable.sdk.oauth_http import OAuthHttp, open_oauth_client
from answerable.sdk.resource_tokens import REFUSED_SECONDS, ResourceTokens
from answerable.sdk.system_access import SystemAccess
from answerable.sdk.token_auth import DPoPAuth
from answerable.sdk.token_client import AccessToken, TokenClient, TokenExchange
from tests.worlds.token_server import (
    ASSERTION_KEY,
    KEY,
    RESOURCE_METADATA,
    SECRET,
    SERVER_METADATA,
    Said,
    Seen,
    granted,
    serving,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def server():
    with serving() as made:
        yield made


@pytest.fixture
async def http():
    async with open_oauth_client() as client:
        yield OAuthHttp(client)


def proved(seen: Seen, url: str, *, token: str | None = None):
    """The proof of one request, after every check that a server makes of it."""
    proof = read_proof(seen.headers["dpop"])
    now = UnixMillis(int(proof.issued_at * 1000))
    check_proof(proof, method=seen.method, urls=[url], now=now, skew_seconds_max=5, token=token)
    check_signature(proof, thumbprint=KEY.public.thumbprint)
    if token is not None:
        check_message(proof, sha256(seen.body).digest(), needed=True)
    return proof


@pytest.mark.requirement("CONF-09")
async def test_a_client_shows_who_it_is_by_a_statement_that_our_own_service_takes(server, http):
    server.answers["/token"] = granted()
    await server.client(http).client_credentials(resource=server.resource, scope="crm.read")
    [seen] = server.posts("/token")
    form = seen.form
    claims = verified_assertion(
        form["client_assertion"],
        issuer=server.url,
        key_of=lambda _: ASSERTION_KEY.public,
        now=UnixMillis(int(read_proof(seen.headers["dpop"]).issued_at * 1000)),
    )
    assert (claims.client, claims.thumbprint) == ("support-agent", ASSERTION_KEY.public.thumbprint)
    assert (form["grant_type"], form["resource"], form["scope"]) == (
        "client_credentials",
        server.resource,
        "crm.read",
    )
    proved(seen, server.url + "/token")


@pytest.mark.requirement("CONF-09")
async def test_an_exchange_says_all_that_was_asked_and_nothing_else(server, http):
    details = [{"type": "agent_delegation", "scopes": ["crm.read"]}]
    server.answers["/token"] = granted(
        token_type="dpop",
        scope="crm.read",
        issued_token_type="urn:t",
        delegation="a~b",
        authorization_details=details,
    )

    async def svid(audience: str) -> str:
        return f"svid.for.{to_base64url(audience.encode())}"

    client = TokenClient(server.metadata(), SpiffeClient(svid), http=http, key=KEY)
    token = await client.exchange(
        TokenExchange(
            subject_token=SECRET,
            subject_token_type="urn:s",
            actor_token="actor",
            actor_token_type="urn:a",
            consent="consent",
            delegation="x~y",
            resource=server.resource,
            scope="crm.read crm.write",
            authorization_details=details,
        )
    )
    [seen] = server.posts("/token")
    form = seen.form
    assert json.loads(form.pop("authorization_details")) == details
    assert form == {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": SECRET,
        "subject_token_type": "urn:s",
        "actor_token": "actor",
        "actor_token_type": "urn:a",
        "consent": "consent",
        "delegation": "x~y",
        "resource": server.resource,
        "scope": "crm.read crm.write",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe",
        "client_assertion": f"svid.for.{to_base64url(server.url.encode())}",
    }
    assert (token.scheme, token.scope, token.delegation, token.authorization_details) == (
        "DPoP",
        "crm.read",
        "a~b",
        details,
    )


@pytest.mark.requirement("CONF-09")
async def test_an_actor_token_without_its_type_is_sent_nowhere(server, http):
    for actor in ({"actor_token": "a"}, {"actor_token_type": "t"}):
        with pytest.raises(Malformed):
            await server.client(http).exchange(
                TokenExchange(subject_token=SECRET, subject_token_type="t", **actor)
            )
    assert not server.seen


@pytest.mark.requirement("CONF-07")
async def test_a_demand_for_a_nonce_is_answered_once_with_fresh_proofs(server, http):
    server.answers["/token"] = lambda seen: (
        granted()
        if read_proof(seen.headers["dpop"]).nonce == "n-1"
        else Said(status=400, body={"error": "use_dpop_nonce"}, headers={"dpop-nonce": "n-1"})
    )
    client = server.client(http)
    await client.client_credentials(resource=server.resource)
    first, second = server.posts("/token")
    proofs = [proved(one, server.url + "/token") for one in (first, second)]
    assert [one.nonce for one in proofs] == ["", "n-1"]
    assert proofs[0].identifier != proofs[1].identifier
    assert first.form["client_assertion"] != second.form["client_assertion"]
    # The next token needs no second question.
    await client.client_credentials(resource=server.resource)
    assert len(server.posts("/token")) == 3


@pytest.mark.requirement("CONF-07")
@pytest.mark.parametrize("nonce", ["n-2", "", 'two"readings', "x" * 200])
async def test_a_server_that_is_never_content_with_a_nonce_is_asked_twice_at_most(server, http, nonce):
    server.answers["/token"] = Said(
        status=400, body={"error": "use_dpop_nonce"}, headers={"dpop-nonce": nonce}
    )
    with pytest.raises(Refused):
        await server.client(http).client_credentials(resource=server.resource)
    assert len(server.posts("/token")) == (2 if nonce == "n-2" else 1)


def resource(seen: Seen, server, nonce: str = "") -> Said:
    """A resource that checks each proof, hands out a nonce with each answer, and may want the last one in the proof."""
    if "authorization" not in seen.headers:
        named = f'DPoP resource_metadata="{server.url}{RESOURCE_METADATA}", scope="crm.read"'
        return Said(status=401, headers={"www-authenticate": named})
    scheme, _, token = seen.headers["authorization"].partition(" ")
    assert scheme == "DPoP"
    proof = proved(seen, server.resource, token=token)
    if nonce and proof.nonce != nonce:
        wants = {"www-authenticate": 'DPoP error="use_dpop_nonce"', "dpop-nonce": nonce}
        return Said(status=401, headers=wants)
    return Said(headers={"dpop-nonce": "from-a-200"})


@pytest.mark.requirement("CONF-08")
async def test_every_call_has_a_proof_of_its_own_over_the_token_and_the_body(server, http):
    server.answers["/mcp?x=1"] = server.answers["/mcp"] = lambda seen: resource(seen, server)
    server.answers["/token"] = granted()
    async with httpx2.AsyncClient(auth=DPoPAuth(server.tokens(http), KEY)) as client:
        for body in (b"one", b"two"):
            assert (await client.post(server.resource, content=body)).status_code == 200
        assert (await client.post(server.resource + "?x=1", content=b"three")).status_code == 200
    [asked] = server.posts("/token")
    assert asked.form["scope"] == "crm.read"
    bare, *calls = server.posts("/mcp") + server.posts("/mcp?x=1")
    assert "dpop" not in bare.headers
    proofs = [read_proof(one.headers["dpop"]) for one in calls]
    assert len({one.identifier for one in proofs}) == len({one.message_digest for one in proofs}) == 3
    assert [one.nonce for one in proofs] == ["", "from-a-200", "from-a-200"]


@pytest.mark.requirement("CONF-07")
async def test_a_resource_that_wants_a_nonce_gets_it_once(server, http):
    server.answers["/mcp"] = lambda seen: resource(seen, server, nonce="r-1")
    server.answers["/token"] = granted()
    async with httpx2.AsyncClient(auth=DPoPAuth(server.tokens(http), KEY)) as client:
        assert (await client.post(server.resource)).status_code == 200
    nonces = [read_proof(one.headers["dpop"]).nonce for one in server.posts("/mcp") if "dpop" in one.headers]
    assert nonces == ["", "r-1"]


@pytest.mark.requirement("CONF-06")
async def test_a_token_that_was_revoked_is_replaced_once(server, http):
    revoked: set[str] = set()
    server.answers["/mcp"] = lambda seen: Said(
        status=200 if seen.headers.get("authorization", "DPoP ")[5:] not in {"", *revoked} else 401
    )
    server.answers["/token"] = lambda _: granted(f"token-{len(server.posts('/token'))}")
    async with httpx2.AsyncClient(auth=DPoPAuth(server.tokens(http), KEY)) as client:
        assert (await client.post(server.resource)).status_code == 200
        revoked.add("token-1")
        assert (await client.post(server.resource)).status_code == 200
    assert [one.headers.get("authorization", "") for one in server.posts("/mcp")] == [
        "",
        "DPoP token-1",
        "DPoP token-1",
        "DPoP token-2",
    ]


@pytest.mark.requirement("CONF-06")
async def test_calls_at_the_same_time_share_one_token(server, http):
    server.answers["/mcp"] = lambda seen: resource(seen, server)
    server.answers["/token"] = granted()
    async with (
        httpx2.AsyncClient(auth=DPoPAuth(server.tokens(http), KEY)) as client,
        anyio.create_task_group() as group,
    ):
        for _ in range(8):
            group.start_soon(client.post, server.resource)
    assert len(server.posts("/token")) == 1


async def test_a_token_is_renewed_before_its_end_and_a_refusal_forgotten_in_time(server, http):
    now = [1000.0]
    world = SystemAccess(monotonic=lambda: now[0])
    given: list[str] = []

    async def obtain(found, *, resource: str, scope: str) -> AccessToken:
        given.append(f"t{len(given)}")
        if len(given) == 3:
            raise Refused("no", code="token.refused")
        return AccessToken(
            token=given[-1], scheme="DPoP", resource=resource, scope=scope, ends_at=now[0] + 100
        )

    tokens = ResourceTokens(server.resource, http=http, trusts=bool, obtain=obtain, world=world)
    challenge = Challenge(scheme="", parameters={})
    assert (await tokens.asked(challenge)).token == "t0"
    now[0] += 69
    assert tokens.held() is not None
    now[0] += 2
    assert tokens.held() is None
    assert (await tokens.asked(challenge)).token == "t1"
    now[0] += 100
    for _ in range(2):
        with pytest.raises(Refused):
            await tokens.asked(challenge)
    now[0] += REFUSED_SECONDS
    assert (await tokens.asked(challenge)).token == "t3"


async def test_metadata_are_found_at_every_place_the_standards_name(server, http):
    del server.answers[RESOURCE_METADATA]
    server.answers["/.well-known/oauth-protected-resource"] = Said(
        body={"resource": server.url, "authorization_servers": [server.url + "/tenant"]}
    )
    assert (await resource_metadata(http, server.resource)).resource == server.url
    issuer = server.url + "/tenant"
    document = Said(body={"issuer": issuer, "token_endpoint": server.url + "/token"})
    places = [
        "/.well-known/oauth-authorization-server/tenant",
        "/.well-known/openid-configuration/tenant",
        "/tenant/.well-known/openid-configuration",
    ]
    for place in places:
        server.answers = {place: document}
        assert (await server_metadata(http, issuer)).token_endpoint == server.url + "/token"
    server.seen.clear()
    server.answers = {}
    with pytest.raises(Unverified) as caught:
        await server_metadata(http, issuer)
    assert caught.value.code == "discovery.missing"
    assert [one.path for one in server.seen] == places


@pytest.mark.parametrize(
    "changed",
    [
        {"token_endpoint": ""},
        {"token_endpoint": "http://as.example/token"},
        {"dpop_signing_alg_values_supported": "ES256"},
        {"dpop_signing_alg_values_supported": [1]},
    ],
)
async def test_metadata_without_a_meaning_are_refused(server, http, changed):
    server.answers[SERVER_METADATA] = Said(
        body={"issuer": server.url, "token_endpoint": server.url + "/token"} | changed
    )
    with pytest.raises(Unverified) as caught:
        await server_metadata(http, server.url)
    assert caught.value.code in ("discovery.malformed", "discovery.insecure")


async def test_a_key_that_the_server_takes_no_proofs_of_is_refused_at_once(server, http):
    edwards = SigningKey(new_private_jwk("ed25519", bytes(SEED_BYTES["ed25519"])))
    with pytest.raises(Malformed) as caught:
        TokenClient(
            server.metadata(dpop_algorithms=("ES256",)),
            SpiffeClient(lambda _: None),
            http=http,
            key=edwards,
        )
    assert caught.value.code == "token.algorithm"


async def test_a_server_in_trouble_is_no_refusal(server, http):
    for said in (Said(status=503, body={"error": "temporarily_unavailable"}), Said(status=400, body={})):
        server.answers["/token"] = said
        with pytest.raises(Unavailable) as caught:
            await server.client(http).client_credentials(resource=server.resource)
        assert caught.value.code == "token.unavailable"
