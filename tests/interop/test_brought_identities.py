"""Agents that bring an identity of others, from enrolment through Cedar to the ledger and its story."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

from answerable.core.ledger.tags import Tag
from answerable.sdk.gateway_address import client_tls, open_client
from answerable.sdk.keyfile import create_key, public_jwk
from tests.interop.certified_provider import AUDIENCE, certified_provider
from tests.interop.programs import go_workload_api
from tests.probes.demo_run import ROOT
from tests.worlds.token_shapes import AZURE_V2
from tests.worlds.up import OWNERSHIP, SETTINGS, WAIT_SECONDS_MAX, House, environment, house, registry

ACTING = ROOT / "tests/system/acting_agent.py"
POLICIES = """\
    @id("reads")
    permit(principal, action in Action::"read", resource)
    when { context.agent.grade == "gateway" };
    @id("notes")
    permit(principal, action in Action::"write", resource);
    @id("notes-of-the-vouched-for")
    @reason("only who a trust domain vouches for writes notes")
    forbid(principal, action in Action::"write", resource)
    unless { context.agent.source == "spiffe" && context.agent.grade == "gateway" };
"""


def documents(place: Path, **attestation: list[list[str]]) -> str:
    """A CRM with a reading and a writing tool, Ada with a key, and one mandate template for each agent."""
    ada = place / "ada.jwk"
    if not ada.exists():
        (place / "ada.pub.jwk").write_text(public_jwk(create_key(ada, seed=os.urandom(32))))
    crm = json.dumps([str(ROOT / "examples/servers/crm.py"), "--database", str(place / "crm.db")])
    people = registry(**attestation).replace(
        "{displayName: Ada, groups: [leads]}", "{displayName: Ada, groups: [leads], keyFile: ada.pub.jwk}"
    )
    more = [
        f"""\
apiVersion: answerable/v1
kind: Server
metadata: {{name: crm}}
spec: {{command: {json.dumps(sys.executable)}, args: {crm}}}
"""
    ]
    for tool, kind, text in (
        ("customer_read", "read", ""),
        ("note_add", "write", ", {name: text, type: string}"),
    ):
        more.append(f"""\
apiVersion: answerable/v1
kind: Capability
metadata: {{name: crm.{tool.replace("_", "-")}}}
spec:
  server: crm
  target: {tool}
  kind: {kind}
  environment: production
  tier: 1
  sensitivity: internal
  resource: {{type: Case, argument: case_id}}
  arguments: [{{name: case_id, type: string, required: true}}{text}]
  ownership: {OWNERSHIP}
""")
    for agent in attestation:
        more.append(f"""\
apiVersion: answerable/v1
kind: MandateTemplate
metadata: {{name: for-{agent}}}
spec:
  useCase: support
  agent: {agent}
  purpose: Work on a case
  grants: [{{capability: crm.customer-read, resources: ["4711"]}}, {{capability: crm.note-add, resources: ["4711"]}}]
  environment: production
  callsMax: 10
  ttlSeconds: 600
""")
    more.append(f"""\
apiVersion: answerable/v1
kind: PolicySet
metadata: {{name: how-known}}
spec:
  policies: |
{POLICIES}""")
    return "---\n".join((people, *more))


async def mandate_for(home: House, agent: str) -> str:
    await home.serving()
    issue = ("mandate", "issue", f"for-{agent}", "--as", "ada", "--key", str(home.root / "ada.jwk"), "--yes")
    return (await asyncio.to_thread(home.command, *issue)).strip()


async def acted(home: House, agent: str, *shown: str, gateway: str = "") -> dict[str, Any]:
    """What the agent said of a run under `agent up`: who it was, what it read and wrote, and its sub-agent."""
    mandate = await mandate_for(home, agent)
    where = ("--gateway", gateway or f"unix:{home.data / 'gateway.sock'}", "--mandate", mandate)
    line = home.line("agent", "up", "--agent", agent, *where, *shown, "--", sys.executable, str(ACTING))
    done = await asyncio.to_thread(
        subprocess.run,
        line,
        capture_output=True,
        text=True,
        env=environment(),
        timeout=WAIT_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr + home.said
    told: dict[str, Any] = json.loads(done.stdout)
    return told | {"mandate": mandate}


pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="the sidecar keeps its keys by Linux's means"),
]
THEIRS = "theirs.example"
NAME = f"spiffe://{THEIRS}/crm/desk"


class TheirApi:
    """The Workload API of go-spiffe in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.address = self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def told(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        assert self._line() == "done"


@contextmanager
def their_api() -> Iterator[TheirApi]:
    command = [str(go_workload_api()), THEIRS, NAME]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield TheirApi(process)
        process.terminate()


async def believing(home: House, domain: str) -> None:
    """Until the bundle of this domain is here."""

    def believed() -> bool:
        shown = json.loads(home.command("trust", "show", "--json"))
        return any(one["trust_domain"] == domain and one["state"] == "ok" for one in shown["federated"])

    while not await asyncio.to_thread(believed):  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0.1)


def evidence_of(home: House, tag: Tag) -> list[Any]:
    return [(one.get("agent"), one.get("evidence"), one.get("instance")) for one in home.entries(tag)]


@pytest.mark.requirement("BYO-04", "BYO-01", "FED-12")
async def test_a_workload_of_a_foreign_spiffe_source_acts_as_policy_says_of_its_evidence(tmp_path):
    with their_api() as api:
        settings = SETTINGS + f'federation = ["{THEIRS} workload_api {api.address}"]\n'
        async with house(tmp_path, settings) as home:
            await home.start()
            await asyncio.to_thread(home.apply, documents(home.root, desk=[[f"spiffe:id:{NAME}"]]))
            await believing(home, THEIRS)
            told = await acted(home, "desk", "--spiffe-socket", api.address)
            who = told["who"]
            assert (who["source"], who["grade"]) == ("spiffe", "gateway")
            assert who["instance"].startswith("spiffe://answerable.local/agent/desk/")
            assert (told["read"]["refused"], told["noted"]["refused"]) == (False, False)
            assert told["sub"]["instance"] == f"{who['instance']}/sub-1"
            story = await asyncio.to_thread(home.command, "timeline", told["mandate"])
            assert "shown by spiffe, measured by the gateway" in story
            assert who["instance"] in story
            await home.stop(signal.SIGTERM)
            evidence = {"grade": "gateway", "source": "spiffe"}
            assert evidence_of(home, Tag.INTENT) == [("desk", evidence, who["instance"])] * 2


@pytest.mark.requirement("BYO-04", "BYO-01")
async def test_what_their_source_gives_to_another_workload_or_takes_back_starts_nothing(tmp_path):
    with their_api() as api:
        settings = SETTINGS + f'federation = ["{THEIRS} workload_api {api.address}"]\n'
        async with house(tmp_path, settings) as home:
            await home.start()
            await asyncio.to_thread(home.apply, documents(home.root, desk=[[f"spiffe:id:{NAME}"]]))
            await believing(home, THEIRS)
            line = ("agent", "up", "--agent", "desk", "--gateway", home.tcp)
            api.told(f"give spiffe://{THEIRS}/crm/other")
            await asyncio.to_thread(home.command, *line, "--spiffe-socket", api.address, "--", "true", code=1)
            wanted = (*line, "--spiffe-socket", api.address, "--spiffe-id", NAME, "--", "true")
            said = await asyncio.to_thread(partial(home.command, *wanted, code=1))
            assert "no such SVID" in said
            api.told("withdraw")
            said = await asyncio.to_thread(
                partial(home.command, *line, "--spiffe-socket", api.address, "--", "true", code=1)
            )
            assert "register this process there" in said
            await home.stop(signal.SIGTERM)
            assert home.entries(Tag.WORKLOAD_ENROLLED) == []


@pytest.mark.requirement("BYO-04", "BYO-01", "FED-12")
@pytest.mark.parametrize("kind", ["x509", "jwt"])
async def test_a_workload_of_another_answerable_is_enrolled_by_the_svid_that_it_gets_there(tmp_path, kind):
    """Their house attests the very process that holds the agent's keys here, by its kernel's word."""
    for name in ("theirs", "ours"):
        (tmp_path / name).mkdir()
    theirs_settings = SETTINGS + f'trust_domain = "{THEIRS}"\n'
    async with house(tmp_path / "theirs", theirs_settings) as theirs:
        await theirs.start()
        await asyncio.to_thread(theirs.apply, registry(desk=[[f"unix:uid:{os.getuid()}"]]))
        address = f"unix://{theirs.api}"
        settings = SETTINGS + f'federation = ["{THEIRS} workload_api {address}"]\n'
        async with house(tmp_path / "ours", settings) as home:
            await home.start()
            await believing(home, THEIRS)
            # Each process has a name of its own there, below that of its agent.
            below = f"spiffe:under:spiffe://{THEIRS}/agent/desk"
            await asyncio.to_thread(home.apply, documents(home.root, desk=[[below]]))
            told = await acted(home, "desk", "--svid", kind, "--spiffe-socket", address)
            who = told["who"]
            assert (who["source"], who["grade"]) == ("spiffe", "gateway")
            assert (told["read"]["refused"], told["noted"]["refused"]) == (False, False)
            await home.stop(signal.SIGTERM)
            evidence = {"grade": "gateway", "source": "spiffe"}
            assert evidence_of(home, Tag.INTENT) == [("desk", evidence, who["instance"])] * 2
        await theirs.stop(signal.SIGTERM)
        # Their ledger tells which documents their workload was given.
        issued = [one["kind"] for one in theirs.entries(Tag.SVID_ISSUED)]
        assert issued == [kind]


@pytest.mark.requirement("BYO-03", "BYO-04")
async def test_a_client_certificate_enrols_or_calls_by_itself_and_policy_sees_which_evidence_it_is(tmp_path):
    certificate = made_certificates(tmp_path)
    settings = SETTINGS.replace(
        "port = 0\n",
        f"""port = 0
tls_certificate = "file:{tmp_path / "server.pem"}"
tls_key = "file:{tmp_path / "server.key"}"
tls_client_ca = "file:{tmp_path / "ca.pem"}"
""",
    )
    async with house(tmp_path, settings) as home:
        await home.start()
        known = {"certified": [[f"mtls:sha256:{certificate}"]]}
        await asyncio.to_thread(home.apply, documents(home.root, **known))

        def shown(name: str) -> tuple[str, ...]:
            return (
                "--gateway-ca", f"file:{tmp_path / 'ca.pem'}", "--client-certificate",
                f"file:{tmp_path / name}.pem", "--client-key", f"file:{tmp_path / name}.key",
            )  # fmt: skip

        told = await acted(home, "certified", *shown("client"), gateway=home.tcp)
        who = told["who"]
        assert (who["source"], who["grade"]) == ("mtls", "gateway")
        assert told["read"]["refused"] is False
        assert told["noted"]["refused"] is True
        assert "only who a trust domain vouches for writes notes" in told["noted"]["text"]
        assert told["sub"]["instance"] == f"{who['instance']}/sub-1"
        story = await asyncio.to_thread(home.command, "timeline", told["mandate"])
        assert "shown by mtls, measured by the gateway" in story

        # Another certificate of the same authority passes the handshake and is nobody; none does not pass it.
        line = ("agent", "up", "--agent", "certified", "--gateway", home.tcp)
        await asyncio.to_thread(partial(home.command, *line, *shown("other"), "--", "true", code=1))
        await asyncio.to_thread(partial(home.command, *line, *shown("client")[:2], "--", "true", code=1))
        unix = (*line[:-1], f"unix:{home.data / 'gateway.sock'}", *shown("client"), "--", "true")
        said = await asyncio.to_thread(partial(home.command, *unix, code=1))
        assert "https://" in said

        # Without enrolling: the connection alone, each message under the mandate that it names.
        mandate = await mandate_for(home, "certified")
        read, noted = await called_directly(home, tmp_path, mandate)
        assert (read, noted) == (False, True)
        await home.stop(signal.SIGTERM)
        evidence = {"grade": "gateway", "source": "mtls"}
        assert evidence_of(home, Tag.INTENT) == [
            ("certified", evidence, who["instance"]),
            ("certified", evidence, None),
        ]
        assert [(one["by"], one["evidence"]) for one in home.entries(Tag.REFUSAL)] == [
            (["notes-of-the-vouched-for"], evidence)
        ] * 2


async def called_directly(home: House, place: Path, mandate: str) -> tuple[bool, bool]:
    """Whether reading and noting were refused to a plain MCP client with the client certificate."""
    tls = client_tls(
        authorities=str(place / "ca.pem"),
        certificate=str(place / "client.pem"),
        key=str(place / "client.key"),
    )
    http, base = open_client(home.tcp, tls=tls)
    http.headers["answerable-mandate"] = mandate
    async with (
        http,
        Client(
            streamable_http_client(f"{base}/mcp/crm", http_client=http), mode="2026-07-28", cache=None
        ) as client,
    ):
        read = await client.call_tool("customer_read", {"case_id": "4711"})
        noted = await client.call_tool("note_add", {"case_id": "4711", "text": "Read."})
    return bool(read.is_error), bool(noted.is_error)


def made_certificates(place: Path) -> str:
    """An authority, a server on loopback and two clients, all of OpenSSL's making; the SHA-256 of the first client."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=place, capture_output=True, check=True, timeout=60)

    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    usage = ("-addext", "keyUsage=critical,keyCertSign")
    openssl("req", "-x509", *new, "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.pem", *usage)
    names = {"server": "serverAuth", "client": "clientAuth", "other": "clientAuth"}
    for name, purpose in names.items():
        openssl(
            "req", "-x509", *new, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem",
            "-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "basicConstraints=critical,CA:FALSE",
            "-addext", "keyUsage=critical,digitalSignature", "-addext", f"extendedKeyUsage={purpose}",
            "-addext", "subjectAltName=IP:127.0.0.1",
        )  # fmt: skip
    pem = (place / "client.pem").read_text()
    return sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


@pytest.mark.requirement("BYO-04", "BYO-05")
async def test_a_workload_with_a_cloud_identity_acts_as_policy_says_of_its_evidence(tmp_path):
    with certified_provider(AZURE_V2.path) as provider:
        token = tmp_path / "token"
        token.touch(mode=0o600)
        token.write_text(provider.token(header=AZURE_V2.header, **AZURE_V2.with_claims(client_id=None)))
        settings = SETTINGS + f'oidc_issuers = ["{provider.issuer} {AUDIENCE} azure"]\n'
        async with house(tmp_path, settings) as home:
            await home.start()
            known = [[f"azure:tenant:{AZURE_V2.claims['tid']}", f"azure:app:{AZURE_V2.claims['azp']}"]]
            await asyncio.to_thread(home.apply, documents(home.root, clouded=known))
            told = await acted(home, "clouded", "--oidc-token", f"file:{token}")
            assert (told["who"]["source"], told["who"]["grade"]) == ("oidc", "gateway")
            assert (told["read"]["refused"], told["noted"]["refused"]) == (False, True)
            story = await asyncio.to_thread(home.command, "timeline", told["mandate"])
            assert "shown by oidc, measured by the gateway" in story
            await home.stop(signal.SIGTERM)
            evidence = {"grade": "gateway", "source": "oidc"}
            assert evidence_of(home, Tag.INTENT) == [("clouded", evidence, told["who"]["instance"])]
