"""Bundle servers that send us elsewhere, send too much, too slowly, or nonsense."""

from __future__ import annotations

import asyncio

import pytest

from answerable.core.identity.svid.trust_bundle import BUNDLE_BYTES_MAX
from answerable.errors import Unavailable
from tests.worlds.federation import (
    Authority,
    answer,
    context_of,
    serving,
    spiffe_endpoint,
)

pytestmark = pytest.mark.anyio

DOMAIN = "partner.example"


@pytest.fixture
def partner() -> Authority:
    return Authority(DOMAIN)


def good(authority: Authority, **how):
    return {"/bundle.json": answer(authority.document(**how), content_type="application/json")}


async def refused(endpoint, code: str) -> str:
    with pytest.raises(Unavailable) as told:
        await endpoint.fetch()
    assert told.value.code == code, told.value.message
    return told.value.message


@pytest.mark.requirement("FED-04")
@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:{plain}/bundle.json",
        "//user:secret@127.0.0.1:{port}/bundle.json",
        "file:///etc/passwd",
        "HTTP://127.0.0.1:{plain}/",
        "",
        "https://127.0.0.1\\@evil.example/",
    ],
)
async def test_redirects_out_of_the_profile_are_not_followed(partner, tmp_path, location):
    async with serving(None, good(partner)) as plain:

        async def respond(_path, writer):
            target = location.format(plain=plain.port, port=server.port)
            writer.write(answer(b"", status="302 Found", location=target))
            await writer.drain()

        async with serving(context_of(partner.svid(), tmp_path), respond) as server:
            await refused(spiffe_endpoint(DOMAIN, server.url(), known=partner.bundle()), "bundle.answer")
            assert len(server.seen) == 1
        assert plain.handshakes == 0


@pytest.mark.requirement("FED-04")
async def test_a_redirect_leads_to_servers_judged_the_same_way_only(partner, tmp_path):
    imposter = Authority(DOMAIN)
    async with serving(context_of(imposter.svid(), tmp_path), good(imposter)) as elsewhere:
        moved = {"/bundle.json": answer(b"", status="307 Temporary Redirect", location=elsewhere.url())}
        async with serving(context_of(partner.svid(), tmp_path), moved) as server:
            await refused(spiffe_endpoint(DOMAIN, server.url(), known=partner.bundle()), "bundle.untrusted")
            assert elsewhere.seen == []


@pytest.mark.requirement("FED-04")
async def test_the_fourth_redirect_is_not_followed_and_none_is_remembered(partner, tmp_path):
    def moved(target):
        return answer(b"", status="302 Found", location=target, set_cookie="track=me; Path=/")

    routes = {"/bundle.json": moved("/1"), "/1": moved("/2"), "/2": moved("/3")}
    routes |= {"/3": answer(partner.document()), "/0": moved("/bundle.json")}
    async with serving(context_of(partner.svid(), tmp_path), routes) as server:
        known = partner.bundle()
        endpoint = spiffe_endpoint(DOMAIN, server.url(), known=known)
        assert (await endpoint.fetch()) == known
        await endpoint.fetch()
        assert [head.split()[1] for head in server.seen] == [b"/bundle.json", b"/1", b"/2", b"/3"] * 2
        assert not any(b"cookie" in head.lower() for head in server.seen)
        await refused(spiffe_endpoint(DOMAIN, server.url("/0"), known=known), "bundle.answer")


@pytest.mark.requirement("FED-05")
async def test_a_document_without_end_is_cut_off(partner, tmp_path):
    sent = 0

    async def endless(_path, writer):
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
            sent += 0x10000
            await writer.drain()

    async with serving(context_of(partner.svid(), tmp_path), endless) as server:
        said = await refused(
            spiffe_endpoint(DOMAIN, server.url(), known=partner.bundle(), seconds=60), "bundle.answer"
        )
        assert str(BUNDLE_BYTES_MAX) in said
    assert sent < 16 * BUNDLE_BYTES_MAX


@pytest.mark.requirement("FED-05")
async def test_a_packed_document_is_not_unpacked(partner, tmp_path):
    routes = {"/bundle.json": answer(b"\x1f\x8b" * 10, content_encoding="gzip")}
    async with serving(context_of(partner.svid(), tmp_path), routes) as server:
        await refused(spiffe_endpoint(DOMAIN, server.url(), known=partner.bundle()), "bundle.answer")


@pytest.mark.requirement("FED-05")
async def test_a_slow_drip_ends_with_its_time(partner, tmp_path):
    async def drip(_path, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with serving(context_of(partner.svid(), tmp_path), drip) as server:
        endpoint = spiffe_endpoint(DOMAIN, server.url(), known=partner.bundle(), seconds=0.6)
        said = await refused(endpoint, "bundle.unreachable")
        assert "0.6 seconds" in said


@pytest.mark.requirement("FED-05")
async def test_a_server_that_never_shakes_hands_ends_with_its_time(partner):
    async with serving(None, {}) as server:
        endpoint = spiffe_endpoint(DOMAIN, server.url(), known=partner.bundle(), seconds=0.6)
        await refused(endpoint, "bundle.unreachable")


@pytest.mark.requirement("FED-05")
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "bundle.malformed"),
        (b"{", "bundle.malformed"),
        (b"[]", "bundle.malformed"),
        (b'{"keys": 1}', "bundle.malformed"),
        (b'{"keys": [], "keys": []}', "bundle.malformed"),
        (b"[" * 100_000, "bundle.malformed"),
    ],
)
async def test_what_is_no_bundle_is_none(partner, tmp_path, body, code):
    async with serving(context_of(partner.svid(), tmp_path), {"/bundle.json": answer(body)}) as server:
        await refused(spiffe_endpoint(DOMAIN, server.url(), known=partner.bundle()), code)


@pytest.mark.requirement("FED-05")
async def test_time_is_counted_over_all_redirects(partner, tmp_path):
    async def slow(path, writer):
        await asyncio.sleep(0.5)
        writer.write(answer(b"", status="302 Found", location=path + "x"))
        await writer.drain()

    async with serving(context_of(partner.svid(), tmp_path), slow) as server:
        endpoint = spiffe_endpoint(DOMAIN, server.url(), known=partner.bundle(), seconds=0.8)
        await refused(endpoint, "bundle.unreachable")
        assert len(server.seen) <= 2
