"""Servers that want an agent's credentials, or its tokens, for themselves."""

from __future__ import annotations

import logging

import httpx2
import pytest

from answerable.errors import AnswerableError, Malformed, Refused, Unavailable, Unverified
from answerable.sdk.client_identity import NamedClient
from answerable.sdk.delegation import token_for
from answerable.sdk.discovery import resource_metadata, server_metadata
from answerable.sdk.oauth_http import ANSWER_BYTES_MAX, OAuthHttp, checked_url, open_oauth_client
from answerable.sdk.token_auth import DPoPAuth
from answerable.sdk.token_client import TokenClient, TokenExchange
from tests.worlds.token_server import (
    KEY,
    RESOURCE_METADATA,
    SECRET,
    SERVER_METADATA,
    Said,
    granted,
    serving,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def server():
    with serving() as made:
        yield made


@pytest.fixture
def other():
    with serving() as made:
        yield made


@pytest.fixture
async def http():
    async with open_oauth_client() as client:
        yield OAuthHttp(client)


def code_of(caught) -> str:
    assert isinstance(caught.value, AnswerableError)
    return caught.value.code


@pytest.mark.requirement("CONF-03")
async def test_a_resource_that_speaks_for_another_gets_no_token(server, http):
    for said in ("https://bank.example/mcp", server.resource + "/", server.url, server.resource.upper(), ""):
        server.answers[RESOURCE_METADATA] = Said(
            body={"resource": said, "authorization_servers": [server.url]}
        )
        server.answers["/mcp"] = Said(status=401)
        async with httpx2.AsyncClient(auth=DPoPAuth(server.tokens(http), KEY)) as client:
            with pytest.raises(Unverified) as caught:
                await client.post(server.resource)
        assert code_of(caught) == "discovery.resource"
    assert not server.posts("/token")


@pytest.mark.requirement("CONF-03")
async def test_an_issuer_that_is_spelled_otherwise_is_another_issuer(server, http):
    for said in (server.url + "/", server.url.replace("127.0.0.1", "localhost"), "https://bank.example", ""):
        server.answers[SERVER_METADATA] = Said(body={"issuer": said, "token_endpoint": server.url + "/token"})
        # What a fallback would find is right; the search ends before it.
        server.answers["/.well-known/openid-configuration"] = Said(
            body={"issuer": server.url, "token_endpoint": server.url + "/token"}
        )
        with pytest.raises(Unverified) as caught:
            await server_metadata(http, server.url)
        assert code_of(caught) == "discovery.issuer"


@pytest.mark.requirement("CONF-03")
async def test_a_resource_cannot_name_metadata_of_another_origin(server, other, http):
    with pytest.raises(Unverified) as caught:
        await resource_metadata(http, server.resource, named=other.url + "/metadata")
    assert code_of(caught) == "discovery.origin"
    assert not other.seen


@pytest.mark.requirement("CONF-03")
async def test_an_issuer_that_the_author_does_not_trust_hears_nothing(server, other, http):
    server.answers[RESOURCE_METADATA] = Said(
        body={"resource": server.resource, "authorization_servers": [other.url]}
    )
    server.answers["/mcp"] = Said(status=401)
    tokens = server.tokens(http, trusts=lambda issuer: issuer == server.url)
    async with httpx2.AsyncClient(auth=DPoPAuth(tokens, KEY)) as client:
        with pytest.raises(Unverified) as caught:
            await client.post(server.resource)
    assert code_of(caught) == "discovery.untrusted"
    assert not other.seen


@pytest.mark.requirement("CONF-03")
@pytest.mark.parametrize(
    ("url", "near"),
    [
        ("http://as.example/token", ""),
        ("http://127.0.0.1.evil.example/token", ""),
        ("http://127.0.0.1:9/token", "https://evil.example/mcp"),
        ("https://[::1]/token", "https://evil.example/mcp"),
    ],
)
async def test_tokens_go_over_tls_and_nobody_elsewhere_sends_us_to_loopback(url, near):
    with pytest.raises(Unverified) as caught:
        checked_url(url, near=near)
    assert code_of(caught) == "discovery.insecure"


@pytest.mark.requirement("CONF-03")
@pytest.mark.parametrize(
    "url", ["https://a@b.example/", "file:///etc/passwd", "https://as.example/?x=1", "//as.example"]
)
async def test_a_url_with_two_readings_is_not_used(url):
    with pytest.raises(Malformed):
        checked_url(url)


@pytest.mark.requirement("CONF-04")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_credential_is_never_redirected(server, other, http, status):
    for target in (other.url + "/token", server.url + "/elsewhere"):
        server.answers["/token"] = Said(status=status, headers={"location": target})
        with pytest.raises(Unavailable) as caught:
            await server.client(http).client_credentials(resource=server.resource)
        assert code_of(caught) == "oauth.answer"
    assert not other.seen
    assert not server.posts("/elsewhere")


@pytest.mark.requirement("CONF-04")
async def test_metadata_are_redirected_within_their_origin_only_and_not_for_ever(server, other, http):
    found = server.answers[SERVER_METADATA]
    server.answers["/moved"] = found
    server.answers[SERVER_METADATA] = Said(status=302, headers={"location": "/moved"})
    assert (await server_metadata(http, server.url)).issuer == server.url
    for target in (other.url + SERVER_METADATA, SERVER_METADATA, "", "http://[::1"):
        server.answers[SERVER_METADATA] = Said(status=302, headers={"location": target})
        with pytest.raises(Unavailable) as caught:
            await server_metadata(http, server.url)
        assert (code_of(caught), caught.value.effect) == ("oauth.answer", "none")
    assert not other.seen


@pytest.mark.requirement("CONF-04")
@pytest.mark.parametrize(
    "said",
    [
        Said(body=b'{"access_token":"' + b"a" * ANSWER_BYTES_MAX + b'"}'),
        Said(body=b'{"access_token":"a","access_token":"b","token_type":"DPoP"}'),
        Said(body=b"[]"),
        Said(body=b"<html>"),
        Said(body=b"[" * 1000 + b"]" * 1000),
        Said(body=b"\x1f\x8b", headers={"content-encoding": "gzip"}),
    ],
    ids=["long", "duplicate", "list", "page", "deep", "packed"],
)
async def test_an_answer_that_is_long_or_has_two_readings_is_none(server, http, said):
    server.answers["/token"] = said
    with pytest.raises(Unavailable) as caught:
        await server.client(http).client_credentials(resource=server.resource)
    assert code_of(caught) == "oauth.answer"


@pytest.mark.requirement("CONF-04")
@pytest.mark.parametrize(
    "body",
    [
        b'{"delegation":"a","delegation":"b"}',
        b"[]",
        b"<html>",
        b'{"delegation":NaN}',
        b'{"delegation":"\xff"}',
    ],
    ids=["duplicate", "list", "page", "no number", "no text"],
)
async def test_an_answer_of_our_own_token_service_has_one_reading_or_is_none(body):
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, content=body))
    async with httpx2.AsyncClient(transport=transport) as client:
        with pytest.raises(Unavailable) as caught:
            await token_for(client, "http://gateway.test", mandate="m-1", auth=KEY)
    assert code_of(caught) == "token.answer"


@pytest.mark.requirement("CONF-04")
async def test_no_more_of_an_answer_is_read_than_is_taken(server, http):
    # All of it would be a hundred times as much, and then some that never comes.
    content = b" " * ANSWER_BYTES_MAX * 2
    server.answers["/token"] = Said(body=content, headers={"content-length": str(len(content) * 50)})
    with pytest.raises(Unavailable) as caught:
        await server.client(http).client_credentials(resource=server.resource)
    assert f"more than {ANSWER_BYTES_MAX} bytes" in str(caught.value)


@pytest.mark.requirement("CONF-04")
async def test_a_server_that_does_not_answer_is_given_up_on(server):
    async with open_oauth_client() as client:
        server.answers["/token"] = Said(headers={"content-length": "100"}, body=b"{")
        with pytest.raises(Unavailable) as caught:
            await server.client(OAuthHttp(client, seconds_max=0.3)).client_credentials(resource="r")
    assert (code_of(caught), caught.value.effect) == ("oauth.slow", "unknown")


@pytest.mark.requirement("CONF-05")
@pytest.mark.parametrize(
    "said",
    [
        Said(status=400, body={"error": "invalid_grant", "error_description": f"bad {SECRET} given"}),
        Said(
            status=400, body={"error": "invalid_grant", "error_description": "eyJhbGciOiJub25lIn0.e30.c2ln"}
        ),
        Said(status=500, body={"error_description": SECRET}),
        Said(body=SECRET.encode()),
        Said(body={"access_token": SECRET, "token_type": "Bearer"}),
        Said(body={"access_token": f"{SECRET}\r\nx: y", "token_type": "DPoP"}),
        Said(status=302, headers={"location": "http://127.0.0.1:1/token"}),
    ],
)
async def test_no_credential_gets_into_an_error_or_a_log(server, http, said, caplog):
    caplog.set_level(logging.DEBUG)
    server.answers["/token"] = said
    wanted = TokenExchange(subject_token=SECRET, subject_token_type="t", consent=SECRET, delegation=SECRET)
    with pytest.raises(AnswerableError) as caught:
        await server.client(http).exchange(wanted)
    fault = caught.value
    shown = [str(fault), repr(fault), repr(fault.__dict__), repr(wanted), caplog.text]
    assert not [text for text in shown if SECRET[:16] in text or "eyJhbGci" in text]
    assert fault.__cause__ is None


@pytest.mark.requirement("CONF-05")
async def test_a_token_does_not_show_itself(server, http):
    server.answers["/token"] = granted(delegation=f"{SECRET}~{SECRET}")
    token = await server.client(http).client_credentials(resource=server.resource)
    assert token.token == SECRET
    assert SECRET[:16] not in repr(token)


@pytest.mark.requirement("CONF-06")
@pytest.mark.parametrize("error", ["invalid_grant", "invalid_scope", "unauthorized_client", "use_dpop_nonce"])
async def test_a_refused_workload_token_is_neither_sent_again_nor_replaced_by_another_grant(
    server, http, error
):
    server.answers["/token"] = Said(status=400, body={"error": error})
    client = TokenClient(server.metadata(), NamedClient("workload"), http=http)
    with pytest.raises(Refused) as caught:
        await client.jwt_bearer(SECRET, resource=server.resource)
    assert caught.value.reasons == (error,)
    assert [one.form["grant_type"] for one in server.posts("/token")] == [
        "urn:ietf:params:oauth:grant-type:jwt-bearer"
    ]


@pytest.mark.requirement("CONF-06")
async def test_a_refusal_is_remembered_so_that_calls_do_not_hammer_the_server(server, http):
    server.answers["/mcp"] = Said(status=401)
    server.answers["/token"] = Said(status=400, body={"error": "invalid_client"})
    async with httpx2.AsyncClient(auth=DPoPAuth(server.tokens(http), KEY)) as client:
        for _ in range(5):
            with pytest.raises(Refused):
                await client.post(server.resource)
    assert len(server.posts("/token")) == 1


@pytest.mark.requirement("CONF-06")
async def test_a_resource_that_refuses_every_token_gets_no_more_than_one_a_request(server, http):
    server.answers["/mcp"] = Said(status=401, headers={"www-authenticate": 'DPoP error="invalid_token"'})
    server.answers["/token"] = granted()
    async with httpx2.AsyncClient(auth=DPoPAuth(server.tokens(http), KEY)) as client:
        assert (await client.post(server.resource)).status_code == 401
        assert len(server.posts("/token")) == 1
        assert len(server.posts("/mcp")) == 2


@pytest.mark.requirement("CONF-08")
async def test_a_token_that_is_not_bound_to_the_agents_key_is_thrown_away(server, http):
    server.answers["/token"] = granted(token_type="Bearer")
    with pytest.raises(Unverified) as caught:
        await server.client(http).client_credentials(resource=server.resource)
    assert code_of(caught) == "token.unbound"


@pytest.mark.requirement("CONF-08")
async def test_a_token_is_sent_to_no_other_origin(server, other, http):
    server.answers["/mcp"] = lambda seen: Said(status=200 if "authorization" in seen.headers else 401)
    server.answers["/token"] = granted()
    async with httpx2.AsyncClient(auth=DPoPAuth(server.tokens(http), KEY)) as client:
        assert (await client.post(server.resource)).status_code == 200
        for url in (other.resource, server.resource.replace("127.0.0.1", "localhost")):
            with pytest.raises(Malformed) as caught:
                await client.post(url)
            assert code_of(caught) == "token.elsewhere"
    assert not other.seen
