"""Our bundle endpoint, our client, and those of others, over real TLS on loopback."""

from __future__ import annotations

import asyncio
import json
import ssl
from base64 import b64encode
from contextlib import asynccontextmanager
from hashlib import sha256

import anyio
import httpx2
import pytest

from answerable.errors import Unavailable
from set_up import ROOT
from tests.interop.programs import go_program
from tests.stand_ins.bundle_server import OurEndpoint, ran, read_by_py_spiffe
from tests.worlds.federation import (
    SERVER_PATH,
    Authority,
    spiffe_endpoint,
    web_endpoint,
)
from verifiers import GO_SPIFFE

pytestmark = pytest.mark.anyio

DOMAIN = "ours.example"
SERVER_ID = f"spiffe://{DOMAIN}{SERVER_PATH}"
SECONDS_MAX = 30
GO_FEDERATION = ROOT / "tests/interop/go_federation"


@pytest.fixture
def ours() -> Authority:
    return Authority(DOMAIN)


@asynccontextmanager
async def spiffe_served(ours, **how):
    endpoint, leaf = OurEndpoint(ours.bundle(**how)), ours.svid()
    endpoint.tls.use_svid(leaf.chain, leaf.pkcs8)
    async with endpoint.open():
        yield endpoint


@asynccontextmanager
async def web_served(ours, tmp_path):
    web, endpoint = Authority(), OurEndpoint(ours.bundle())
    (tmp_path / "ca.pem").write_bytes(web.pem)
    endpoint.tls.use_pem(*web.leaf("127.0.0.1", "localhost").pem())
    async with endpoint.open():
        yield endpoint


@pytest.mark.requirement("FED-09")
@pytest.mark.requirement("FED-02")
async def test_our_client_reads_our_endpoint_by_spiffe_id(ours):
    async with spiffe_served(ours, sequence=7, hint=42) as endpoint:
        fetched = await spiffe_endpoint(DOMAIN, endpoint.url(), known=ours.bundle()).fetch()
        assert fetched == ours.bundle(sequence=7, hint=42)


@pytest.mark.requirement("FED-09")
@pytest.mark.requirement("FED-03")
async def test_our_client_reads_our_endpoint_by_web_certificate(ours, tmp_path):
    async with web_served(ours, tmp_path) as endpoint:
        for url in (endpoint.url(), endpoint.url().replace("127.0.0.1", "localhost")):
            fetched = await web_endpoint(DOMAIN, url, ca=str(tmp_path / "ca.pem")).fetch()
            assert fetched == ours.bundle()


@pytest.mark.requirement("FED-09")
async def test_nobody_is_asked_who_they_are_and_caches_may_keep_it_for_the_hint(ours, tmp_path):
    async with web_served(ours, tmp_path) as endpoint:
        context = ssl.create_default_context(cafile=tmp_path / "ca.pem")
        async with httpx2.AsyncClient(verify=context, trust_env=False) as client:
            got = await client.get(endpoint.url())
            assert got.status_code == 200
            assert got.headers["content-type"] == "application/json"
            assert got.headers["cache-control"] == "public, max-age=60"
            assert "www-authenticate" not in got.headers
            head = await client.head(endpoint.url())
            assert (head.status_code, head.content) == (200, b"")
            assert (await client.post(endpoint.url(), content=b"{}")).status_code == 405
            assert (await client.get(endpoint.url("/other"))).status_code == 404


@pytest.mark.requirement("FED-10")
async def test_the_certificate_is_replaced_without_closing_listener_or_connection(ours, tmp_path):
    renewed = Authority(DOMAIN)
    async with spiffe_served(ours) as endpoint:
        lax = ssl.create_default_context()
        lax.check_hostname, lax.verify_mode = False, ssl.CERT_NONE
        async with httpx2.AsyncClient(verify=lax, trust_env=False) as standing:
            assert (await standing.get(endpoint.url())).status_code == 200
            leaf = renewed.svid()
            endpoint.tls.use_svid(leaf.chain, leaf.pkcs8)
            endpoint.bundle = renewed.bundle(sequence=2)
            with pytest.raises(Unavailable) as told:
                await spiffe_endpoint(DOMAIN, endpoint.url(), known=ours.bundle()).fetch()
            assert told.value.code == "bundle.untrusted"
            fetched = await spiffe_endpoint(DOMAIN, endpoint.url(), known=renewed.bundle()).fetch()
            assert fetched.sequence == 2
            assert (await standing.get(endpoint.url())).json()["spiffe_sequence"] == 2


@pytest.mark.requirement("FED-10")
async def test_what_cannot_be_used_leaves_the_certificate_before_in_place(ours):
    async with spiffe_served(ours) as endpoint:
        other, leaf = ours.svid(), ours.svid()
        for chain, key in (
            (leaf.chain, other.pkcs8),
            ((b"none",), leaf.pkcs8),
            (leaf.chain, b"none"),
            ((), leaf.pkcs8),
            (leaf.chain * 200, leaf.pkcs8),
        ):
            with pytest.raises(Unavailable) as told:
                endpoint.tls.use_svid(chain, key)
            assert told.value.code == "bundle.tls"
            assert "PRIVATE" not in told.value.message
        assert (await spiffe_endpoint(DOMAIN, endpoint.url(), known=ours.bundle()).fetch()) == ours.bundle()


@pytest.mark.requirement("FED-10")
async def test_before_the_first_certificate_no_handshake_succeeds(ours):
    endpoint = OurEndpoint(ours.bundle())
    async with endpoint.open():
        with pytest.raises(Unavailable):
            await spiffe_endpoint(DOMAIN, endpoint.url(), known=ours.bundle()).fetch()


@pytest.mark.requirement("FED-11")
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_openssl_verifies_the_chain_against_the_bundle(ours, tmp_path, version):
    (tmp_path / "authority.pem").write_bytes(ours.pem)
    (tmp_path / "other.pem").write_bytes(Authority(DOMAIN).pem)
    async with spiffe_served(ours) as endpoint:
        # Without a server name: the certificate must come all the same.
        command = [
            "openssl",
            "s_client",
            "-connect",
            f"127.0.0.1:{endpoint.port}",
            "-noservername",
            "-showcerts",
        ]
        command += ["-no-CApath", "-no-CAstore", "-purpose", "sslserver", "-verify_return_error", version]
        good = await ran(*command, "-CAfile", tmp_path / "authority.pem", given="Q\n")
        assert good.returncode == 0, good.stderr
        assert "Verify return code: 0 (ok)" in good.stdout
        bad = await ran(*command, "-CAfile", tmp_path / "other.pem", given="Q\n")
        assert bad.returncode != 0
        assert "certificate verify failed" in bad.stderr
    shown = await ran("openssl", "x509", "-noout", "-ext", "subjectAltName", given=good.stdout)
    assert f"URI:{SERVER_ID}" in shown.stdout


@pytest.mark.requirement("FED-11")
async def test_py_spiffe_reads_the_document(ours, tmp_path):
    async with web_served(ours, tmp_path) as endpoint:
        context = ssl.create_default_context(cafile=tmp_path / "ca.pem")
        async with httpx2.AsyncClient(verify=context, trust_env=False) as client:
            document = (await client.get(endpoint.url())).text
    read = await read_by_py_spiffe(document, DOMAIN)
    assert read == {"domain": DOMAIN, "jwt": ["jwt-1"], "x509": [sha256(ours.der).hexdigest()]}


def expected(ours, sequence, hint):
    return {"x509": [b64encode(ours.der).decode()], "jwt": ["jwt-1"], "sequence": sequence, "hint": hint}


@pytest.mark.requirement("FED-11")
async def test_go_spiffe_fetches_from_our_endpoint_by_spiffe_id(ours, tmp_path):
    program = go_program(GO_FEDERATION, GO_SPIFFE)
    (tmp_path / "known.json").write_bytes(ours.document())
    (tmp_path / "stranger.json").write_bytes(Authority(DOMAIN).document())
    async with spiffe_served(ours, sequence=9, hint=77) as endpoint:
        command = (program, "fetch-spiffe", DOMAIN, endpoint.url())
        done = await ran(*command, SERVER_ID, tmp_path / "known.json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == expected(ours, 9, 77)
        for identity, known in ((SERVER_ID + "x", "known.json"), (SERVER_ID, "stranger.json")):
            assert (await ran(*command, identity, tmp_path / known)).returncode == 1


@pytest.mark.requirement("FED-11")
async def test_go_spiffe_fetches_from_our_endpoint_by_web_certificate(ours, tmp_path):
    program = go_program(GO_FEDERATION, GO_SPIFFE)
    async with web_served(ours, tmp_path) as endpoint:
        done = await ran(program, "fetch-web", DOMAIN, endpoint.url(), tmp_path / "ca.pem")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == expected(ours, 1, 60)


@pytest.mark.requirement("FED-11")
@pytest.mark.parametrize("profile", ["https_web", "https_spiffe"])
async def test_our_client_fetches_from_go_spiffe(ours, tmp_path, profile):
    program, web = go_program(GO_FEDERATION, GO_SPIFFE), Authority()
    leaf = ours.svid() if profile == "https_spiffe" else web.leaf("127.0.0.1")
    chain, key = leaf.pem()
    for name, content in {
        "bundle.json": ours.document(sequence=5),
        "chain.pem": chain,
        "key.pem": key,
        "ca.pem": web.pem,
    }.items():
        (tmp_path / name).write_bytes(content)
    process = await asyncio.create_subprocess_exec(
        str(program),
        "serve",
        DOMAIN,
        *(str(tmp_path / name) for name in ("bundle.json", "chain.pem", "key.pem")),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        with anyio.fail_after(SECONDS_MAX):
            port = int(await process.stdout.readline())
        url = f"https://127.0.0.1:{port}/"
        endpoint = (
            spiffe_endpoint(DOMAIN, url, known=ours.bundle())
            if profile == "https_spiffe"
            else web_endpoint(DOMAIN, url, ca=str(tmp_path / "ca.pem"))
        )
        assert (await endpoint.fetch()) == ours.bundle(sequence=5)
    finally:
        process.kill()
        await process.wait()
