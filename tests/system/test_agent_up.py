"""`answerable agent up` as people run it, with what they show: real tokens, real host keys, real certificates."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from answerable.core.ledger.tags import Tag
from tests.stand_ins.oidc_provider import SUBJECT, oidc_provider, tokens_of
from tests.worlds.attestation import AUDIENCE, ssh_keygen
from tests.worlds.up import SETTINGS, WAIT_SECONDS_MAX, House, environment, house, registry

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="the sidecar keeps its keys by Linux's means"),
]
ASKING = Path(__file__).with_name("asking_agent.py")
HOST = "host-1.example"


@pytest.fixture(scope="module")
def provider():
    with oidc_provider() as url:
        yield url


def kept(house: House, name: str, content: str) -> str:
    """A file of mode 0600, as a reference."""
    place = house.root / name
    place.touch(mode=0o600)
    place.write_text(content)
    return f"file:{place}"


async def agent_up(
    house: House, *shown: str, agent: str = "biller", gateway: str = ""
) -> tuple[int, str, Any]:
    """Exit code, standard error, and what the agent said; it asks for one sub-agent and ends."""
    where = ("--gateway", gateway or house.tcp)
    line = house.line("agent", "up", "--agent", agent, *where, *shown, "--", sys.executable, str(ASKING))
    done = await asyncio.to_thread(
        subprocess.run,
        line,
        input="sub\n",
        capture_output=True,
        text=True,
        env=environment(),
        timeout=WAIT_SECONDS_MAX,
        check=False,
    )
    return done.returncode, done.stderr, [json.loads(line) for line in done.stdout.splitlines()]


async def worked(house: House, *shown: str, source: str, gateway: str = "") -> None:
    """The agent ran with an identity of this source, which the server took up and let go."""
    code, said, (ready, sub) = await agent_up(house, *shown, gateway=gateway)
    assert code == 0, said
    assert ready["source"] == source
    assert (sub["status"], sub["instance"]) == (201, f"{ready['instance']}/sub-1")
    assert json.loads(await asyncio.to_thread(house.command, "agent", "instances", "--json")) == []


async def refused(house: House, *shown: str, because: str) -> str:
    """Nothing was started, and the reason was said."""
    code, said, told = await agent_up(house, *shown)
    # 2 where the options do not fit together.
    assert (code in (1, 2, 3), told) == (True, []), said
    assert because in said, said
    return said


@pytest.mark.requirement("ENROL-20", "ATTEST-05", "ATTEST-07")
async def test_an_agent_is_started_on_a_token_of_a_real_provider(tmp_path, provider):
    settings = SETTINGS + f'oidc_issuers = ["{provider} {AUDIENCE}"]\n'
    async with house(tmp_path, settings) as home:
        await home.start()
        sets = [[f"oidc:iss:{provider}", f"oidc:sub:{SUBJECT}"]]
        await asyncio.to_thread(home.apply, registry(biller=sets, other=[["oidc:sub:somebody-else"]]))
        mine, others = tokens_of(provider), tokens_of(provider, "somebody-else")
        token = kept(home, "token", mine["id_token"] + "\n")
        await worked(home, "--oidc-token", token, source="oidc")
        # The same over the Unix socket: what is shown counts, not where.
        await worked(home, "--oidc-token", token, source="oidc", gateway=f"unix:{home.data / 'gateway.sock'}")
        for text, because in (
            (others["id_token"], "audience"),
            (mine["access_token"], "token"),
            (mine["id_token"][:-8] + "AAAAAAAA", "signature"),
            ("", "token"),
        ):
            said = await refused(home, "--oidc-token", kept(home, "bad", text), because=because)
            assert not text or text not in said
        # A token on the command line would be in the list of processes.
        said = await refused(home, "--oidc-token", mine["id_token"], because="file:PATH")
        assert mine["id_token"] not in said
        await refused(home, "--oidc-token", f"file:{tmp_path / 'nowhere'}", because="cannot be read")
        assert mine["id_token"] not in home.said
        await home.stop(signal.SIGTERM)
        enrolled = [one for one in home.entries(Tag.WORKLOAD_ENROLLED) if not one["parent"]]
        assert [(one["agent"], one["source"], one["grade"]) for one in enrolled] == [
            ("biller", "oidc", "gateway")
        ] * 2


@pytest.mark.requirement("ENROL-20", "ATTEST-07")
async def test_a_provider_that_is_gone_is_named_as_what_is_missing(tmp_path):
    with oidc_provider() as url:
        token = tokens_of(url)["id_token"]
    async with house(tmp_path, SETTINGS + f'oidc_issuers = ["{url} {AUDIENCE}"]\n') as home:
        await home.start()
        await asyncio.to_thread(home.apply, registry(biller=[[f"oidc:iss:{url}"]]))
        await refused(home, "--oidc-token", kept(home, "token", token), because=url)


@pytest.mark.requirement("ENROL-20", "ATTEST-05")
async def test_a_token_of_an_issuer_that_is_not_configured_starts_nothing(tmp_path, provider):
    async with house(tmp_path) as home:
        await home.start()
        await asyncio.to_thread(home.apply, registry(biller=[[f"oidc:iss:{provider}"]]))
        await refused(
            home, "--oidc-token", kept(home, "token", tokens_of(provider)["id_token"]), because="issuer"
        )


@pytest.mark.requirement("ENROL-20", "ATTEST-09")
async def test_an_agent_is_started_on_a_host_key_with_and_without_a_certificate(tmp_path):
    for name in ("ca", "host", "known", "stranger", "withdrawn", "locked"):
        phrase = "a passphrase" if name == "locked" else ""
        ssh_keygen("-t", "ed25519", "-q", "-N", phrase, "-C", name, "-f", name, cwd=tmp_path)
    for name in ("host", "withdrawn"):
        ssh_keygen("-q", "-s", "ca", "-I", name, "-h", "-n", HOST, "-V", "+1h", f"{name}.pub", cwd=tmp_path)
    line = {name: (tmp_path / f"{name}.pub").read_text().strip() for name in ("ca", "known", "withdrawn")}
    (tmp_path / "hosts").write_text(
        f"@cert-authority *.example {line['ca']}\n{HOST} {line['known']}\n@revoked * {line['withdrawn']}\n"
    )
    async with house(tmp_path, SETTINGS + f'ssh_ca = "file:{tmp_path / "hosts"}"\n') as home:
        await home.start()
        await asyncio.to_thread(home.apply, registry(biller=[[f"ssh:host:{HOST}"]]))
        for name in ("host", "known"):
            await worked(home, "--ssh-host-key", f"file:{tmp_path / name}", source="ssh_host_key")
        for name, because in (("stranger", "host"), ("withdrawn", "revoked")):
            await refused(home, "--ssh-host-key", f"file:{tmp_path / name}", because=because)
        await refused(home, "--ssh-host-key", f"file:{tmp_path / 'nowhere'}", because="cannot be read")
        # Nobody is there to type it.
        await refused(home, "--ssh-host-key", f"file:{tmp_path / 'locked'}", because="passphrase")
        # The private key of one host beside the certificate of another.
        os.replace(tmp_path / "stranger", tmp_path / "host")
        await refused(home, "--ssh-host-key", f"file:{tmp_path / 'host'}", because="ssh")


@pytest.mark.requirement("ENROL-20", "ATTEST-08")
async def test_an_agent_is_started_on_a_certificate_that_openssl_made(tmp_path):
    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=tmp_path, capture_output=True, check=True, timeout=60)

    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    for ca in ("ca", "other"):
        extension = ("-addext", "keyUsage=critical,keyCertSign")
        openssl(
            "req", "-x509", *new, "-subj", f"/CN={ca}", "-days", "2", "-keyout", f"{ca}.key", "-out",
            f"{ca}.pem", *extension,
        )  # fmt: skip
        openssl(
            "req", *new, "-subj", f"/CN={HOST}", "-keyout", f"by-{ca}.key", "-out", f"by-{ca}.csr",
            "-addext", "keyUsage=critical,digitalSignature", "-addext", "extendedKeyUsage=clientAuth",
        )  # fmt: skip
        openssl(
            "x509", "-req", "-in", f"by-{ca}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-days", "1",
            "-copy_extensions", "copyall", "-out", f"by-{ca}.pem",
        )  # fmt: skip

    def shown(certificate: str, key: str) -> tuple[str, ...]:
        return (
            "--certificate", f"file:{tmp_path / certificate}.pem", "--certificate-key",
            f"file:{tmp_path / key}.key",
        )  # fmt: skip

    async with house(tmp_path, SETTINGS + f'x509_pop_ca = "file:{tmp_path / "ca.pem"}"\n') as home:
        await home.start()
        await asyncio.to_thread(home.apply, registry(biller=[[f"x509_pop:cn:{HOST}"]]))
        await worked(home, *shown("by-ca", "by-ca"), source="x509_pop")
        await refused(home, *shown("by-other", "by-other"), because="configured authority")
        await refused(home, *shown("by-ca", "by-other"), because="did not sign")
        await refused(home, "--certificate", f"file:{tmp_path / 'by-ca.pem'}", because="are given together")
