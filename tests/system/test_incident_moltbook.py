"""S-01: somebody holds a copy of what the platform knows of its agents (Moltbook, January 2026)."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from answerable.core.identity.keys.keys import SigningKey
from answerable.core.ledger.tags import Tag
from answerable.errors import AnswerableError
from answerable.sdk.enrolment import EnrolmentClient
from answerable.sdk.gateway_address import open_client
from answerable.sdk.proof_auth import SignatureAuth
from tests.probes.postgres_tap import DONE, NO_RIGHT, asking_server, tapped
from tests.stand_ins.other_host import Tapped
from tests.stand_ins.postgres_server import BROKER_PASSWORD, PostgresServer
from tests.worlds.brokered import SupportDesk, support_desk
from tests.worlds.call_meta import META
from tests.worlds.enrolment import fresh_key
from tests.worlds.incident import an_agent, files_of, was_done

pytestmark = pytest.mark.anyio
UPDATE = "UPDATE support_messages SET body = 'seen' WHERE id = 1"
REGISTRATIONS = 250
CALLERS = 8
BEARERS = 12
ENTRIES_MAX = 100
LOOKS_LIKE_A_TOKEN = re.compile(rb"[A-Za-z0-9_.-]{40,2000}")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with asking_server() as running:
        yield running


def message() -> dict[str, object]:
    params = {"_meta": META, "name": "execute", "arguments": {"sql": UPDATE}}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


HEADERS = {
    "accept": "application/json, text/event-stream",
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": "tools/call",
    "mcp-name": "execute",
}


def is_a_register(path: Path, desk: SupportDesk) -> bool:
    """What the server keeps, but for keys and what the broker alone reads."""
    return path.relative_to(desk.home.data).parts[0] not in ("keys", "broker")


async def heard_again(desk: SupportDesk, key: SigningKey) -> int:
    """A message of the agent, and what the very same octets come to a moment later."""
    overheard = Tapped()
    async with httpx2.AsyncClient(transport=overheard, auth=SignatureAuth(key, mandate=desk.mandate)) as own:
        said = await own.post(f"{desk.home.tcp}/mcp/shop-db", json=message(), headers=HEADERS)
    assert '"result"' in said.text, said.text
    method, path, headers, body = overheard.heard
    async with httpx2.AsyncClient(trust_env=False, timeout=30) as thief:
        again = await thief.request(method, desk.home.tcp + path, headers=headers, content=body.encode())
    assert "replay" in again.text
    return again.status_code


async def as_bearers(desk: SupportDesk, tokens: list[str]) -> set[int]:
    """What another host would be answered, with what was copied alone."""
    async with httpx2.AsyncClient(trust_env=False, timeout=30) as client:
        answers = [
            await client.post(
                f"{desk.home.tcp}/mcp/shop-db",
                json=message(),
                headers={**HEADERS, "authorization": f"Bearer {token}", "answerable-mandate": desk.mandate},
            )
            for token in tokens
        ]
    assert not [one.text for one in answers if "result" in one.text]
    return {one.status_code for one in answers}


async def registrations(desk: SupportDesk) -> Counter[str]:
    """Many agents that nobody answers for, as fast as it goes."""
    told: Counter[str] = Counter()
    numbers, key = iter(range(REGISTRATIONS)), fresh_key()

    async def caller() -> None:
        client, base = open_client(desk.home.tcp)
        async with client:
            enrolment = EnrolmentClient(client, base)
            for number in numbers:
                made_up = {"type": "join_token", "token": f"made-up-{number}-{'x' * 32}"}
                try:
                    await enrolment.enrol(await enrolment.challenge(), key=key, attestation=made_up)
                    told["enrolled"] += 1
                except AnswerableError as refused:
                    told[refused.code] += 1

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return told


@pytest.mark.requirement("SCEN7-01")
async def test_a_copy_of_the_registers_does_nothing_and_a_copied_credential_ends_with_one_command(
    tmp_path, server
):
    async with tapped(server) as tap, support_desk(tmp_path, server, port=tap.port) as desk:
        key = await an_agent(desk)
        assert was_done(await desk.calls(key, "execute", UPDATE))
        [login] = tap.logins
        [instance] = [one["id"] for one in await desk.command("agent", "instances", "--json")]
        # 1. What is copied holds nothing to act with.
        dump = b"".join(
            content for path, content in files_of(desk.home.data).items() if is_a_register(path, desk)
        )
        private = json.loads((tmp_path / "scout.jwk").read_text())["d"]
        for secret in (login.password, BROKER_PASSWORD, private):
            assert secret.encode() not in dump
        # 2. What looks like a token is none, and a proof that was overheard was for one message.
        found = {one.decode() for one in LOOKS_LIKE_A_TOKEN.findall(dump)}
        copied = [*sorted(found, key=len)[-BEARERS:], login.password]
        assert len(copied) > BEARERS // 2
        assert await as_bearers(desk, copied) == {401}
        assert len(tap.logins) == 1
        assert await heard_again(desk, key) == 401
        assert len(tap.logins) == 2, "what was overheard was done once"
        assert (await desk.asked(fresh_key(), "tools/call", "execute", sql=UPDATE))["status"] == 401
        # 3. The registry is written over a socket of its owner, and over the network by nobody.
        assert stat.S_IMODE((desk.home.data / "control.sock").stat().st_mode) == 0o600
        async with httpx2.AsyncClient(trust_env=False, timeout=30) as client:
            for method, path in (
                ("POST", "/v1/registry"),
                ("PUT", "/v1/registry/Agent/scout"),
                ("GET", "/v1/agents"),
            ):
                assert (await client.request(method, desk.home.tcp + path, json={})).status_code in (
                    401,
                    404,
                    405,
                )
        # 4. Agents without an owner, again and again.
        told = await registrations(desk)
        assert "enrolled" not in told
        assert told.total() == REGISTRATIONS
        [only] = await desk.command("agent", "instances", "--json")
        assert only["id"] == instance
        # One query lists what was done with the key of the agent.
        story = (await desk.command("timeline", instance, "--json"))["lines"]
        assert sum(one["kind"] == "intent" for one in story) == 2
        # Who has the credential of the task does with it what the task may, until one command.
        assert await tap.used(login, UPDATE) == DONE
        assert await tap.used(login, "SELECT * FROM integration_tokens") == NO_RIGHT
        await desk.command("agent", "end", instance, "--yes")
        for _ in range(100):
            if not await tap.accounts():
                break
            await asyncio.sleep(0.05)
        assert not await tap.lets_in(login)
        assert await tap.accounts() == []
        await desk.home.stop(signal.SIGTERM)
        entries = sum(len(desk.home.entries(tag)) for tag in Tag)
        assert entries < ENTRIES_MAX, "strangers are counted, and fill no ledger"
