"""Workload tokens of an OpenID provider that others wrote, and tokens shaped like Kubernetes' and GitHub's."""

from __future__ import annotations

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from answerable.adapters.oidc import HttpIssuerKeys, issuer_source
from answerable.adapters.system import SystemClock
from answerable.core.identity.names.principal import AgentId
from answerable.core.identity.workload.attestation import RegistrationEntry, matching_agent
from answerable.core.identity.workload.oidc_claims import IssuerTerms
from answerable.errors import AnswerableError
from answerable.testing import ManualClock
from tests.stand_ins.issuer_server import issuer_server
from tests.stand_ins.oidc_provider import SUBJECT, oidc_provider, tokens_of
from tests.stand_ins.ports import free_port
from tests.worlds.attestation import (
    AUDIENCE,
    Authority,
    attestor,
    claims,
    curve_key,
    github_claims,
    key_set,
    kubernetes_claims,
    public_jwk,
    token,
)

pytestmark = [pytest.mark.anyio]


@pytest.fixture(scope="module")
def provider():
    with oidc_provider() as url:
        yield url


@pytest.mark.requirement("ATTEST-05", "ATTEST-07")
async def test_an_id_token_of_a_real_provider_attests(provider):
    text = tokens_of(provider)["id_token"]
    terms = (IssuerTerms(issuer=provider, audience=AUDIENCE),)
    clock = SystemClock()
    async with HttpIssuerKeys([issuer_source(provider)], clock=clock) as keys:
        found = await attestor(keys=keys, issuers=terms, clock=clock).oidc(text)
    assert (found.source, found.grade) == ("oidc", "gateway")
    assert {f"oidc:iss:{provider}", f"oidc:sub:{SUBJECT}", f"oidc:aud:{AUDIENCE}"} <= set(found.selectors)
    entry = RegistrationEntry(
        agent=AgentId("biller"), selectors=frozenset({f"oidc:iss:{provider}", f"oidc:sub:{SUBJECT}"})
    )
    assert matching_agent([entry], found.selectors) == "biller"


@pytest.mark.requirement("ATTEST-05")
async def test_its_token_for_another_client_and_its_opaque_access_token_do_not(provider):
    terms = (IssuerTerms(issuer=provider, audience=AUDIENCE),)
    clock = SystemClock()
    mine, other = tokens_of(provider), tokens_of(provider, "somebody-else")
    async with HttpIssuerKeys([issuer_source(provider)], clock=clock) as keys:
        desk = attestor(keys=keys, issuers=terms, clock=clock)
        for text, code in (
            (other["id_token"], "oidc.audience"),
            (mine["access_token"], "oidc.malformed"),
            (mine["id_token"][:-8] + "AAAAAAAA", "oidc.signature"),
        ):
            with pytest.raises(AnswerableError) as told:
                await desk.oidc(text)
            assert told.value.code == code
        late = ManualClock(now=clock.now())
        late.advance(2 * 3600)
        with pytest.raises(AnswerableError) as told:
            await attestor(keys=keys, issuers=terms, clock=late).oidc(mine["id_token"])
        assert told.value.code == "oidc.expired"


@pytest.mark.requirement("ATTEST-06", "ATTEST-07")
@pytest.mark.parametrize("kind", ["kubernetes", "github"])
@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
async def test_tokens_shaped_like_theirs_attest_over_discovery(kind, algorithm):
    clock = ManualClock()
    with issuer_server() as server:
        server.discovery(
            id_token_signing_alg_values_supported=[algorithm], subject_types_supported=["public"]
        )
        server.page(
            "/keys", key_set(public_jwk(algorithm, use="sig", alg=algorithm)), cache_control="max-age=600"
        )
        terms = (IssuerTerms(issuer=server.url, audience=AUDIENCE, kind=kind),)
        shaped = kubernetes_claims if kind == "kubernetes" else github_claims
        text = token(shaped(iss=server.url), algorithm, typ=None if kind == "kubernetes" else "JWT")
        async with HttpIssuerKeys([issuer_source(server.url)], clock=clock) as keys:
            found = await attestor(keys=keys, issuers=terms, clock=clock).oidc(text)
    expected = {
        "kubernetes": {"k8s:ns:prod", "k8s:sa:biller", "k8s:pod:biller-5c4d"},
        "github": {
            "github:repository:acme/biller",
            "github:ref:refs/heads/main",
            "github:environment:production",
        },
    }
    assert expected[kind] <= set(found.selectors)
    assert f"oidc:iss:{server.url}" in found.selectors


@pytest.mark.requirement("ATTEST-07", "ATTEST-05")
async def test_a_rotated_key_attests_at_once_and_a_withdrawn_one_no_more():
    clock = ManualClock()
    old, new = public_jwk("ES256", "old"), public_jwk("ES256", "new")
    with issuer_server() as server:
        server.discovery()
        server.page("/keys", key_set(old), cache_control="max-age=600")
        terms = (IssuerTerms(issuer=server.url, audience=AUDIENCE),)
        async with HttpIssuerKeys([issuer_source(server.url)], clock=clock) as keys:
            desk = attestor(keys=keys, issuers=terms, clock=clock)
            assert await desk.oidc(token(claims(iss=server.url), "ES256", "old"))
            clock.advance(61)
            server.page("/keys", key_set(new))
            assert await desk.oidc(token(claims(iss=server.url), "ES256", "new"))
            with pytest.raises(AnswerableError) as told:
                await desk.oidc(token(claims(iss=server.url), "ES256", "old"))
            assert told.value.code == "oidc.key"
    assert server.asked["/keys"] == 2


@pytest.mark.requirement("ATTEST-07")
async def test_over_tls_only_the_configured_authorities_of_an_issuer_are_believed(tmp_path):
    """Such as a cluster's own authority, which no system store has."""
    root, other = Authority("cluster-root"), Authority("other-root")
    port = free_port()
    url = f"https://localhost:{port}"
    pages = {"/keys": key_set(public_jwk("ES256"))}
    with tls_server(root, port, pages, tmp_path):
        source = issuer_source(url, key_set_url=url + "/keys", authorities=root.pem.decode())
        async with HttpIssuerKeys([source], clock=SystemClock()) as keys:
            assert await keys.key_set(url, kid="ES256-issuer") == pages["/keys"]
        for authorities in (other.pem.decode(), ""):
            source = issuer_source(url, key_set_url=url + "/keys", authorities=authorities)
            async with HttpIssuerKeys([source], clock=SystemClock()) as keys:
                with pytest.raises(AnswerableError) as told:
                    await keys.key_set(url, kid="ES256-issuer")
                assert told.value.code == "issuer.unreachable"


class tls_server:
    """HTTPS on loopback under a certificate of this authority."""

    def __init__(self, authority: Authority, port: int, pages: dict[str, bytes], directory) -> None:
        class Door(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = pages[self.path]
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*server_files(authority, directory))
        self._server = ThreadingHTTPServer(("127.0.0.1", port), Door)
        self._server.handle_error = lambda *_: None
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def __enter__(self) -> tls_server:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def server_files(authority: Authority, directory) -> tuple[str, str]:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = curve_key("server")
    leaf = authority.leaf(key, "localhost", hosts=("localhost",))
    certificate, secret = directory / "server.pem", directory / "server.key"
    certificate.write_bytes(x509.load_der_x509_certificate(leaf).public_bytes(Encoding.PEM))
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return str(certificate), str(secret)
