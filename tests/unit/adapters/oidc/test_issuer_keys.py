"""Keys over HTTP from an issuer on loopback: kept, fetched anew, bounded."""

from __future__ import annotations

from functools import partial

import anyio
import pytest

from answerable.adapters.oidc import HttpIssuerKeys, issuer_source
from answerable.errors import Malformed, Unavailable
from answerable.testing import ManualClock
from tests.stand_ins.issuer_server import issuer_server
from tests.worlds.attestation import key_set, public_jwk

pytestmark = pytest.mark.anyio

ONE, TWO = key_set(public_jwk("ES256", kid="one")), key_set(public_jwk("ES256", kid="two"))


@pytest.fixture
def server():
    with issuer_server() as running:
        running.discovery()
        running.page("/keys", ONE)
        yield running


async def code_of(keys, issuer, kid="one") -> str:
    with pytest.raises(Unavailable) as told:
        await keys.key_set(issuer, kid=kid)
    return told.value.code


async def test_keys_are_found_by_discovery_and_kept(server):
    async with HttpIssuerKeys([issuer_source(server.url)], clock=ManualClock()) as keys:
        for _ in range(3):
            assert await keys.key_set(server.url, kid="one") == ONE
    assert server.asked == {"/.well-known/openid-configuration": 1, "/keys": 1}


async def test_an_issuer_that_is_not_configured_is_not_asked(server):
    async with HttpIssuerKeys([], clock=ManualClock()) as keys:
        assert await keys.key_set(server.url, kid="one") is None
    assert not server.asked


async def test_a_given_address_needs_no_discovery(server):
    source = issuer_source(server.url, key_set_url=server.url + "/keys")
    async with HttpIssuerKeys([source], clock=ManualClock()) as keys:
        assert await keys.key_set(server.url, kid="one") == ONE
    assert list(server.asked) == ["/keys"]


async def test_given_keys_need_no_network():
    async with HttpIssuerKeys([issuer_source("cluster", key_set=ONE)], clock=ManualClock()) as keys:
        assert await keys.key_set("cluster", kid="nobody") == ONE
    with pytest.raises(Malformed):
        HttpIssuerKeys([issuer_source("cluster", key_set=b"x")], clock=ManualClock())


async def test_a_new_key_is_fetched_at_once_and_then_once_a_minute_however_many_ask(server):
    clock = ManualClock()
    async with HttpIssuerKeys([issuer_source(server.url)], clock=clock) as keys:
        await keys.key_set(server.url, kid="one")
        server.page("/keys", TWO)
        for number in range(50):
            assert await keys.key_set(server.url, kid=f"made-up-{number}") == ONE
        assert server.asked["/keys"] == 1
        clock.advance(60)
        async with anyio.create_task_group() as group:
            for number in range(50):
                group.start_soon(partial(keys.key_set, server.url, kid=f"made-up-{number}"))
        assert server.asked["/keys"] == 2
        assert await keys.key_set(server.url, kid="two") == TWO


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("max-age=1", 60),
        ("public, max-age=120", 120),
        ("max-age=99999999", 3600),
        ("max-age=junk", 300),
        ("no-store", 60),
        ("no-cache, max-age=900", 60),
        ("s-maxage=900", 300),
        ("", 300),
    ],
)
async def test_keys_are_kept_as_long_as_allowed_within_bounds(header, seconds, server):
    clock = ManualClock()
    server.page("/keys", ONE, cache_control=header)
    async with HttpIssuerKeys([issuer_source(server.url)], clock=clock) as keys:
        await keys.key_set(server.url, kid="one")
        clock.advance(seconds - 0.5)
        await keys.key_set(server.url, kid="one")
        assert server.asked["/keys"] == 1
        clock.advance(0.5)
        await keys.key_set(server.url, kid="one")
        assert server.asked["/keys"] == 2


async def test_a_withdrawn_key_does_not_live_on_because_nobody_answers(server):
    clock = ManualClock()
    async with HttpIssuerKeys([issuer_source(server.url)], clock=clock) as keys:
        await keys.key_set(server.url, kid="one")
        server.page("/keys", b"", status=500)
        clock.advance(60)
        assert await keys.key_set(server.url, kid="two") == ONE, "it may still be used"
        clock.advance(300)
        assert await code_of(keys, server.url) == "issuer.answer"
        asked = server.asked["/keys"]
        assert await code_of(keys, server.url) == "issuer.answer"
        assert server.asked["/keys"] == asked, "not asked again at once"
        server.page("/keys", TWO)
        clock.advance(5)
        assert await keys.key_set(server.url, kid="two") == TWO


@pytest.mark.parametrize(
    ("path", "page"),
    [
        ("/keys", (404, {}, b"")),
        ("/keys", (302, {"location": "/elsewhere"}, b"")),
        ("/keys", (200, {}, b"x" * 300_000)),
        ("/keys", (200, {}, b"[]")),
        ("/keys", (200, {"content-encoding": "gzip"}, b"\x1f\x8b")),
        ("/.well-known/openid-configuration", (200, {}, b"x" * 200_000)),
        ("/.well-known/openid-configuration", (200, {}, b"{}")),
        ("/.well-known/openid-configuration", (500, {}, b"")),
    ],
)
async def test_answers_that_are_not_of_the_protocol_are_no_keys(path, page, server):
    server.page("/elsewhere", ONE)
    server.pages[path] = page
    async with HttpIssuerKeys([issuer_source(server.url)], clock=ManualClock()) as keys:
        assert await code_of(keys, server.url) == "issuer.answer"
    assert not server.asked["/elsewhere"]


async def test_an_issuer_that_is_not_there_is_told_of():
    async with HttpIssuerKeys([issuer_source("http://127.0.0.1:9")], clock=ManualClock()) as keys:
        assert await code_of(keys, "http://127.0.0.1:9") == "issuer.unreachable"


async def test_an_issuer_that_does_not_answer_is_not_waited_for(server):
    server.gate.clear()
    source = issuer_source(server.url)
    async with HttpIssuerKeys([source], clock=ManualClock(), answer_seconds_max=0.2) as keys:
        assert await code_of(keys, server.url) == "issuer.unreachable"
    server.gate.set()
