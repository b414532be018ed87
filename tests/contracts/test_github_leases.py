"""Leases on GitHub: the contract of issuers against a stand-in for its REST API, named so."""

from __future__ import annotations

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import RSAKey

from answerable.adapters.github_app import TOKEN_SECONDS, AppTokens, GitHubIssuer
from answerable.adapters.system import SystemClock
from answerable.core.canonical import freeze
from answerable.core.lease.credential import LeaseOrder
from answerable.errors import Malformed, Unavailable
from answerable.targets.bearer_api import JsonApi
from answerable.testing.contracts.credential_issuer import CredentialIssuerContract, IssuerBench
from tests.stand_ins.github_stand_in import APP, INSTALLATION, OWNER, GitHubStandIn

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("GITHUB-01")]

KEY = RSAKey.generate_key(2048)
KEY_PEM = KEY.as_pem(private=True)
SHORT_KEY = generate_private_key(65537, 1024)  # noqa: S505 - to be refused
SHORT_KEY_PEM = SHORT_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
SCOPE = freeze({"repositories": ["octo/hello"], "permissions": {"issues": "read"}})


def scope(**members):
    return freeze({**SCOPE.thaw(), **members})


HOSTILE = (
    scope(repositories=[]),
    scope(repositories=["octo/*"]),
    scope(repositories=["octo/.."]),
    scope(repositories=["octo/hello/../world"]),
    scope(repositories=["other/hello"]),
    scope(repositories=["hello"]),
    scope(repositories=["octo/"]),
    scope(repositories=["octo/hello\n"]),
    scope(repositories="octo/hello"),
    scope(repositories=["octo/hello", None]),
    scope(permissions={}),
    scope(permissions={"issues": "all"}),
    scope(permissions={"issues": None}),
    scope(permissions={"*": "read"}),
    freeze({"repositories": ["octo/hello"]}),
    freeze({"permissions": {"issues": "read"}}),
)


class GitHubBench(IssuerBench):
    scope = SCOPE
    hostile = HOSTILE

    def __init__(self) -> None:
        self.github = GitHubStandIn(KEY)
        self.clock = SystemClock()
        self.issuer = self.issuer_of_a_process(up_seconds=TOKEN_SECONDS)

    def issuer_of_a_process(self, *, up_seconds: int, key=None, clock=None) -> GitHubIssuer:
        clock = clock or self.clock
        return GitHubIssuer(
            api=JsonApi(what="GitHub", url=self.github.url, answer_seconds_max=5),
            app=AppTokens(app=APP, key=lambda: KEY_PEM if key is None else key, clock=clock),
            installation=INSTALLATION,
            owner=OWNER,
            clock=clock,
            started_at=clock.now() - up_seconds * 1000,
        )

    def now(self):
        return self.clock.now()

    async def asked(self, credential, method, path) -> bool:
        headers = {"authorization": f"Bearer {credential.secret.reveal('token')}"}
        async with httpx2.AsyncClient(trust_env=False, headers=headers) as client:
            answer = await client.request(method, self.github.url + path)
        return answer.status_code < 300

    async def use(self, credential) -> bool:
        return await self.asked(credential, "GET", "/repos/octo/hello/issues")

    def neighbours(self):
        tried = {
            "another repository": ("GET", "/repos/octo/world/issues"),
            "another permission": ("GET", "/repos/octo/hello/contents/README"),
            "a higher level": ("POST", "/repos/octo/hello/issues"),
            "minting more": ("POST", f"/app/installations/{INSTALLATION}/access_tokens"),
        }
        return {what: lambda credential, how=how: self.asked(credential, *how) for what, how in tried.items()}

    async def stop(self) -> bool:
        self.github.stop()
        return True

    async def start(self) -> None:
        self.github.start()

    async def passed(self, credential) -> None:
        self.github.skew_ms += credential.expires_at - self.now() + 1


@pytest.fixture
async def bench():
    made = GitHubBench()
    yield made
    await made.issuer.close()
    made.github.stop()


class TestGitHubIssuerOnAStandIn(CredentialIssuerContract):
    """Not proven here: GitHub itself. The process has run for an hour, so that no other can have left a token."""


@pytest.mark.requirement("GITHUB-02")
@pytest.mark.parametrize(
    "given",
    [
        {"repository_selection": "all"},
        {"repositories": [{"name": "hello"}, {"name": "world"}]},
        {"permissions": {"issues": "write"}},
        {"permissions": {"issues": "read", "contents": "read"}},
        {"permissions": {"issues": "owner"}},
        {"permissions": None},
        {"repositories": None},
    ],
)
async def test_a_token_that_is_wider_than_asked_is_ended_and_never_used(bench, given):
    bench.github.given = given
    with pytest.raises(Unavailable) as raised:
        await bench.issuer.issue(bench.order())
    assert "more than was requested" in raised.value.message
    assert raised.value.effect == "none"
    assert not bench.github.tokens
    assert not await bench.issuer.live()


@pytest.mark.requirement("GITHUB-03")
async def test_what_a_killed_broker_left_is_named_until_its_hour_is_over(bench):
    credential = await bench.issuer.issue(bench.order())
    after = bench.issuer_of_a_process(up_seconds=0)
    left = await after.revoke(credential.lease)
    assert not left.is_gone
    assert "before this one" in left.left[0]
    assert 3_590_000 < left.live_until - bench.now() <= 3_600_000
    assert await bench.use(credential)
    assert (await bench.issuer_of_a_process(up_seconds=TOKEN_SECONDS).revoke(credential.lease)).is_gone


@pytest.mark.requirement("GITHUB-03")
async def test_a_token_whose_answer_never_came_is_left_and_named(bench):
    slow = GitHubIssuer(
        api=JsonApi(what="GitHub", url=bench.github.url, answer_seconds_max=0.2),
        app=AppTokens(app=APP, key=lambda: KEY_PEM, clock=bench.clock),
        installation=INSTALLATION,
        owner=OWNER,
        clock=bench.clock,
        started_at=0,
    )
    with bench.github.lock, pytest.raises(Unavailable) as raised:
        await slow.issue(bench.order())
    assert raised.value.effect == "unknown"
    assert await slow.live() == (bench.order().name,)
    left = await slow.revoke(bench.order().name)
    assert not left.is_gone
    assert "never received" in left.left[0]


@pytest.mark.requirement("GITHUB-04")
async def test_no_error_repeats_the_key_or_a_token_of_the_app(bench):
    bench.github.key = RSAKey.generate_key(2048)
    with pytest.raises(Unavailable) as raised:
        await bench.issuer.issue(bench.order())
    assert raised.value.effect == "none"
    signed = bench.github.asked[-1].bearer
    assert signed.count(".") == 2
    assert signed not in repr(raised.value)
    assert not await bench.issuer.live()


@pytest.mark.requirement("GITHUB-04")
@pytest.mark.parametrize("key", [b"canary-no-key", b"", SHORT_KEY_PEM, KEY.as_pem(private=False)])
async def test_a_key_that_is_none_says_so_without_showing_it(bench, key):
    with pytest.raises(Malformed) as malformed:
        AppTokens(app=APP, key=lambda: key, clock=bench.clock).signed()
    assert malformed.value.code == "target.key"
    issuer = bench.issuer_of_a_process(up_seconds=0, key=key)
    with pytest.raises(Unavailable) as raised:
        await issuer.issue(bench.order())
    assert raised.value.effect == "none"
    assert "canary" not in repr(raised.value)


@pytest.mark.requirement("GITHUB-01")
async def test_a_permission_that_the_app_does_not_hold_is_refused_by_github_and_nothing_is_left(bench):
    order = LeaseOrder(
        name=bench.order().name,
        scope=scope(permissions={"contents": "write"}),
        expires_at=bench.order().expires_at,
    )
    with pytest.raises(Unavailable) as raised:
        await bench.issuer.issue(order)
    assert raised.value.effect == "none"
    assert not await bench.issuer.live()


@pytest.mark.requirement("GITHUB-05")
@pytest.mark.parametrize("skew_ms", [-50_000, 50_000])
async def test_a_minute_between_the_clocks_is_no_matter(bench, skew_ms):
    bench.github.skew_ms = skew_ms
    assert await bench.use(await bench.issuer.issue(bench.order()))
