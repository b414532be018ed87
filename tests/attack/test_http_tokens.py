"""Tokens of a real authorization server: narrowed, taken back, told of honestly, and never wider than was asked for."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from answerable.adapters.http_target.kind import HttpTargetSettings, built, faults_of
from answerable.core.canonical import freeze
from answerable.errors import Refused, Unavailable
from answerable.testing.clock import ManualClock
from tests.probes.waiting import past
from tests.stand_ins.authorization_server import (
    OFFLINE,
    OPAQUE,
    SECRET,
    SIGNER,
    AuthorizationServer,
    authorization_server,
)
from tests.stand_ins.resource_server import ResourceServer, Seen, resource_server
from tests.worlds.http_target import (
    READ,
    SECRETS,
    Secrets,
    api_of,
    asked,
    directly,
    oauth_settings,
    order,
    world,
)

pytestmark = pytest.mark.anyio

REQUESTS: Any = [{"methods": ["GET", "POST"], "path": "/cases/7"}]


@pytest.fixture(scope="module")
def server() -> Iterator[AuthorizationServer]:
    with authorization_server() as running:
        yield running


@pytest.fixture(scope="module")
def api(server: AuthorizationServer) -> Iterator[ResourceServer]:
    with api_of(server) as running:
        yield running


class LyingServer:
    """Answers a token request with what a test says, and writes down what was asked. Not a real one: real ones do not
    lie on demand."""

    def __init__(self, **said: Any) -> None:
        self.said = {
            "access_token": "token-of-a-lying-server",
            "token_type": "Bearer",
            "expires_in": 60,
            **said,
        }
        self.asked: list[Seen] = []

    def check(self, seen: Seen) -> str | None:
        self.asked.append(seen)
        return "read:case write:case"

    def settings(self, api: ResourceServer) -> HttpTargetSettings:
        api.answer = self.answer
        settings = HttpTargetSettings(
            base_url=api.url,
            auth="client_credentials",
            token_url=api.url + "/token",
            revocation_url=api.url + "/revoke",
            client_id="broker",
            secret="file:client",
            is_introspected=True,
        )
        assert not faults_of(settings)
        return settings

    def answer(self, seen: Seen) -> tuple[int, dict[str, str], bytes]:
        self.asked.append(seen)
        body = json.dumps({name: value for name, value in self.said.items() if value is not None}).encode()
        return 200, {"content-type": "application/json"}, b"" if seen.target == "/revoke" else body


@pytest.mark.requirement("HTTPLEASE-07")
async def test_the_broker_keeps_to_requests_and_the_server_to_scopes(
    server: AuthorizationServer, api: ResourceServer
) -> None:
    target = built(oauth_settings(server, api), world(SECRETS))
    credential = await target.issuer.issue(order())
    assert (await asked(target, credential))["status"] == 200
    with pytest.raises(Refused):
        await asked(target, credential, "/cases/8")
    wide = {"scopes": ["read:case"], "resource": [OPAQUE], "requests": REQUESTS}
    other = await target.issuer.issue(order(2, scope=freeze(wide)))
    assert (await asked(target, other, method="POST"))["status"] == 403, (
        "the broker lets it, the API does not"
    )


@pytest.mark.requirement("HTTPLEASE-07")
async def test_what_the_server_does_not_grant_is_a_fault_of_the_scope_or_a_token_that_can_nothing(
    server: AuthorizationServer, api: ResourceServer
) -> None:
    target = built(oauth_settings(server, api), world(SECRETS))
    elsewhere = {"scopes": ["read:case"], "resource": ["https://other.example/api"], "requests": REQUESTS}
    with pytest.raises(Refused) as refused:
        await target.issuer.issue(order(scope=freeze(elsewhere)))
    assert refused.value.code == "lease.scope"
    assert not await target.issuer.live()
    # This server leaves out scopes that it does not know, without a word.
    unknown = {"scopes": ["admin:all"], "resource": [OPAQUE], "requests": REQUESTS}
    credential = await target.issuer.issue(order(scope=freeze(unknown)))
    assert not await target.issuer.granted(credential.lease) or await target.issuer.granted(
        credential.lease
    ) == (f"audience {OPAQUE}",)
    assert (await asked(target, credential))["status"] == 403


@pytest.mark.requirement("HTTPLEASE-07")
async def test_details_of_the_action_are_in_its_token_and_a_type_that_the_server_does_not_know_refuses(
    server: AuthorizationServer,
) -> None:
    detail: Any = {"type": "case", "identifier": '7 & "8"', "actions": ["read"]}
    target = built(oauth_settings(server), world(SECRETS))
    wanted: Any = {"resource": [OPAQUE], "requests": REQUESTS, "authorization_details": [detail]}
    credential = await target.issuer.issue(order(scope=freeze(wanted)))
    said = server.introspected(credential.secret.reveal("token"))
    assert said["authorization_details"] == [detail]
    assert "scope" not in said, "nothing is granted beside them"
    assert f"detail {freeze(detail).bytes.decode()}" in await target.issuer.granted(credential.lease)
    odd: Any
    for odd in ({"type": "everything"}, {"type": "case"}):
        with pytest.raises(Refused) as refused:
            await target.issuer.issue(order(2, scope=freeze({**wanted, "authorization_details": [odd]})))
        assert refused.value.code == "lease.scope"


@pytest.mark.requirement("HTTPLEASE-07")
async def test_an_exchanged_token_is_never_wider_than_its_subject(server: AuthorizationServer) -> None:
    secrets = Secrets({**SECRETS, "file:subject": server.token("read:case").encode()})
    target = built(
        oauth_settings(server, auth="token_exchange", subject_token="file:subject"), world(secrets)
    )
    await target.issuer.issue(order())
    wide = {"scopes": ["read:case", "write:case"], "resource": [OPAQUE], "requests": REQUESTS}
    with pytest.raises(Refused) as refused:
        await target.issuer.issue(order(2, scope=freeze(wide)))
    assert refused.value.code == "lease.scope"


@pytest.mark.requirement("HTTPLEASE-07")
@pytest.mark.parametrize(
    "said",
    [
        {"scope": "read:case write:case"},
        {"scope": ["read:case"]},
        {"token_type": "DPoP"},
        {"expires_in": "60"},
        {"expires_in": -1},
        {"access_token": "two words"},
        {"access_token": "a\r\nx-admin: 1"},
        {"access_token": None},
        {"authorization_details": [{"type": "everything"}]},
        {"refresh_token": 7},
    ],
)
async def test_a_token_that_is_not_what_was_asked_for_is_taken_back_and_not_used(
    said: dict[str, Any],
) -> None:
    lying = LyingServer(**said)
    with resource_server(lying.check) as api:
        target = built(lying.settings(api), world(SECRETS))
        with pytest.raises(Unavailable) as odd:
            await target.issuer.issue(order())
        assert odd.value.code == "lease.target"
        assert SECRET not in odd.value.message
        usable = said.get("access_token", "token-of-a-lying-server") == "token-of-a-lying-server"
        assert [one.target for one in lying.asked] == ["/token"] + ["/revoke"] * usable
        assert not await target.issuer.live()


@pytest.mark.requirement("HTTPLEASE-08")
async def test_a_token_that_was_taken_back_is_unknown_to_the_server_and_refused_by_the_api(
    server: AuthorizationServer, api: ResourceServer
) -> None:
    target = built(oauth_settings(server, api), world(SECRETS))
    credential = await target.issuer.issue(order())
    token = credential.secret.reveal("token")
    assert server.introspected(token)["scope"] == "read:case"
    assert await directly(api.url, token) == 200
    assert (await target.issuer.revoke(credential.lease)).is_gone
    assert server.introspected(token) == {"active": False}
    assert await directly(api.url, token) == 401


@pytest.mark.requirement("HTTPLEASE-08")
async def test_a_token_that_an_api_checks_by_itself_is_said_to_live_on_until_it_ends(
    server: AuthorizationServer,
) -> None:
    scope = freeze({"scopes": ["read:case"], "resource": [OFFLINE], "requests": REQUESTS})
    target = built(oauth_settings(server, is_introspected=False), world(SECRETS))
    assert not target.issuer.traits.revocable
    credential = await target.issuer.issue(order(scope=scope))
    token = credential.secret.reveal("token")
    revoked = await target.issuer.revoke(credential.lease)
    claims = json.loads(_payload(token))
    assert not revoked.is_gone
    assert abs(revoked.live_until - claims["exp"] * 1000) <= 2_000
    assert revoked.left
    assert jwt.decode(token, await _keys(server), algorithms=["ES256"]).claims["scope"] == "read:case"
    again = await target.issuer.revoke(credential.lease)
    assert again.live_until == revoked.live_until
    with pytest.raises(Unavailable):
        await asked(target, credential)


@pytest.mark.requirement("HTTPLEASE-08")
async def test_the_server_itself_ends_what_nobody_revoked_where_its_tokens_are_short(
    server: AuthorizationServer, api: ResourceServer
) -> None:
    server.tell(ttl=2)
    try:
        target = built(oauth_settings(server, api, token_seconds=2), world(SECRETS))
        assert (target.issuer.traits.ends_by, target.issuer.traits.ttl_seconds_min) == ("target", 2)
        credential = await target.issuer.issue(order())
        token = credential.secret.reveal("token")
        assert credential.expires_at <= time.time() * 1000 + 2_000
        assert await directly(api.url, token) == 200
        await past(credential.expires_at + 100)
        assert await directly(api.url, token) == 401
        with pytest.raises(Unavailable):
            await asked(target, credential)
        assert (await target.issuer.revoke(credential.lease)).is_gone
    finally:
        server.tell(ttl=600)


@pytest.mark.requirement("HTTPLEASE-08")
async def test_a_token_whose_answer_never_came_is_said_to_be_left(server: AuthorizationServer) -> None:
    lying = LyingServer()
    with resource_server(lying.check) as api:
        settings = lying.settings(api)
        lying.said = {"padding": "x" * 70_000}
        target = built(settings, world(SECRETS))
        with pytest.raises(Unavailable) as odd:
            await target.issuer.issue(order())
        assert odd.value.effect == "none", "an answer that holds no token made none for us"
        api.answer = _hang_up
        with pytest.raises(Unavailable) as lost:
            await target.issuer.issue(order(2))
        assert lost.value.effect == "unknown"
        revoked = await target.issuer.revoke(order(2).name)
        assert not revoked.is_gone
        assert revoked.left == ("a token that the server may have made and nobody received",)


@pytest.mark.requirement("HTTPLEASE-09")
@pytest.mark.parametrize("ahead", [-3_600, 0, 3_600])
async def test_how_long_a_token_lives_does_not_depend_on_whose_clock_is_right(
    server: AuthorizationServer, ahead: int
) -> None:
    clock = ManualClock(round((time.time() + ahead) * 1000))
    target = built(oauth_settings(server), world(SECRETS, clock=clock))
    wanted = order(ttl_ms=(ahead + 60) * 1000)
    credential = await target.issuer.issue(wanted)
    assert credential.expires_at == wanted.expires_at
    clock.advance(61)
    with pytest.raises(Unavailable):
        await asked(target, credential)
    assert (await target.issuer.revoke(credential.lease)).is_gone
    assert server.introspected(credential.secret.reveal("token")) == {"active": False}


@pytest.mark.requirement("HTTPLEASE-09")
@pytest.mark.parametrize(
    ("client", "auth", "secret"),
    [
        ("poster", "post", SECRET.encode()),
        ("signer", "private_key_jwt", SIGNER.as_pem(private=True)),
        ("signer", "private_key_jwt", json.dumps(SIGNER.as_dict(private=True)).encode()),
    ],
)
async def test_our_client_proves_itself_as_the_server_asks(
    server: AuthorizationServer, client: str, auth: str, secret: bytes
) -> None:
    settings = oauth_settings(server, client_id=client, client_auth=auth, issuer=server.issuer)
    target = built(settings, world(Secrets({"file:client": secret})))
    credential = await target.issuer.issue(order())
    assert credential.account == client
    assert (await target.issuer.revoke(credential.lease)).is_gone


@pytest.mark.requirement("HTTPLEASE-09")
@pytest.mark.parametrize(
    ("auth", "secret"),
    [
        ("basic", b"not the secret"),
        ("private_key_jwt", b"not a key"),
        ("private_key_jwt", SECRET.encode()),
        ("post", b"\xff"),
    ],
)
async def test_a_wrong_secret_of_our_client_issues_nothing_and_is_not_told(
    server: AuthorizationServer, auth: str, secret: bytes
) -> None:
    target = built(oauth_settings(server, client_auth=auth), world(Secrets({"file:client": secret})))
    with pytest.raises((Refused, Unavailable)) as refused:
        await target.issuer.issue(order())
    # What the server refuses it would refuse again.
    code = "lease.denied" if secret == b"not the secret" else "lease.target"
    assert (refused.value.code, refused.value.effect) == (code, "none")
    assert secret.decode("latin-1") not in refused.value.message
    assert not await target.issuer.live()


@pytest.mark.requirement("HTTPLEASE-03", "BROKER-12")
@pytest.mark.parametrize("status", [400, 401, 429, 500, 503])
async def test_a_server_that_repeats_our_secret_in_its_error_gets_it_into_no_message(status: int) -> None:
    lying = LyingServer()
    with resource_server(lying.check) as api:
        target = built(lying.settings(api), world(SECRETS))
        repeated = json.dumps({"error": SECRET, "error_description": SECRET}).encode()
        api.answer = lambda seen: (status, {}, repeated)
        with pytest.raises((Refused, Unavailable)) as failed:
            await target.issuer.issue(order())
        assert failed.value.retry is (status >= 429)
        assert SECRET not in repr(failed.value)
        assert failed.value.effect == "none", (
            "a server that answers and gives no token leaves none with anybody"
        )
        assert (await target.issuer.revoke(order().name)).is_gone


@pytest.mark.requirement("HTTPLEASE-03")
async def test_client_secret_and_tokens_are_in_no_log_or_error(
    server: AuthorizationServer, api: ResourceServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    target = built(oauth_settings(server, api), world(SECRETS))
    credential = await target.issuer.issue(order(scope=READ))
    token = credential.secret.reveal("token")
    found = await asked(target, credential, "/cases/7/echo")
    await target.issuer.revoke(credential.lease)
    told = caplog.text + repr(found) + repr(credential) + repr(target.issuer)
    assert token not in told
    assert SECRET not in told
    assert SECRET.replace(" ", "+") not in told


def _hang_up(seen: Seen) -> tuple[int, dict[str, str], bytes]:
    raise ConnectionResetError


def _payload(token: str) -> bytes:
    from base64 import urlsafe_b64decode

    part = token.split(".")[1]
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


async def _keys(server: AuthorizationServer) -> KeySet:
    import httpx2

    async with httpx2.AsyncClient(trust_env=False) as client:
        return KeySet.import_key_set((await client.get(server.issuer + "/jwks")).json())
