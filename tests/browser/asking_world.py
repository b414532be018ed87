"""The real server with a customer register behind it, an agent whose notes wait for people, and browsers of those."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import yaml
from playwright.async_api import Browser

from answerable.core.canonical import JSONValue, parse
from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis
from answerable.core.mandate.mandate import Grant, MandateId, MandateTerms
from answerable.sdk.gateway_address import open_client
from answerable.sdk.proof_auth import SignatureAuth
from answerable.sdk.signing import signed_mandate
from answerable.testing.samples import document, signing_key
from tests.browser.console_world import Console, console
from tests.worlds.gateway import modern, modern_headers, registry
from tests.worlds.up import SETTINGS

MANDATE = "m-1"
WAIT_SECONDS_MAX = 60
QUICK = SETTINGS.replace("[gateway]", "[gateway]\napproval_wait_seconds = 1")


@dataclass
class Asking:
    """box: server and browser."""

    box: Console

    async def note(self, text: str, case: str = "4711") -> str:
        """The agent adds a note; what it is answered."""
        return await self.call("crm", "note_add", {"case_id": case, "text": text})

    async def call(self, server: str, tool: str, arguments: dict[str, Any]) -> str:
        """The agent calls a tool; what it is answered."""
        auth = SignatureAuth(signing_key("scout"), mandate=MANDATE)
        client, base = open_client(f"unix:{self.box.home.data / 'gateway.sock'}", auth)
        call = {"name": tool, "arguments": arguments}
        headers = {name.replace("_", "-"): one for name, one in modern_headers("tools/call", tool).items()}
        headers |= {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        async with client, asyncio.timeout(WAIT_SECONDS_MAX):
            while True:
                answer = await client.post(
                    f"{base}/mcp/{server}", content=modern("tools/call", call), headers=headers
                )
                # The register was started a moment ago.
                if "does not offer" not in answer.text:
                    return answer.text
                await asyncio.sleep(0.1)

    def pending(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.box.home.command("approval", "list", "--json"))
        return found


@contextlib.asynccontextmanager
async def asking(
    browser: Browser,
    root: Path,
    *,
    people: int = 1,
    settings: str = QUICK,
    more: Sequence[JSONValue] = (),
    also: str = "",
    tier: int = 1,
) -> AsyncIterator[Asking]:
    """people: how many of bob and carol a note waits for. Alice gave the task. more: documents; also: a capability that
    the task grants beside notes. tier: of notes."""
    made: Any = registry(root, ["crm"])
    (notes,) = (one for one in made if one["metadata"]["name"] == "crm.note" and one["kind"] == "Capability")
    notes["spec"]["tier"] = tier
    made.append(
        document(
            "Principal", "carol",
            {"groups": ["approvers"], "keys": [parse(signing_key("carol").public.jwk.encode())]},
        )
    )  # fmt: skip
    made += more
    text = yaml.safe_dump_all(made, sort_keys=False).replace("approvers:1", f"approvers:{people}")
    async with console(browser, root, settings=settings, documents=text) as box:
        await _give_task(box, ("crm.note", *([also] if also else [])))
        yield Asking(box)


async def _give_task(box: Console, capabilities: tuple[str, ...]) -> None:
    transport = httpx2.AsyncHTTPTransport(uds=str(box.home.data / "control.sock"))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost", timeout=30) as control:
        origin = (await control.get("/v1/ledger")).json()["origin"]
        now = time.time_ns() // 1_000_000
        terms = MandateTerms(
            id=MandateId(MANDATE), principal=PrincipalId("alice"), agent=AgentId("scout"), use_case="support",
            purpose="Note what customers said", grants=tuple(Grant(capability=one) for one in capabilities),
            caveats=(), calls_max=100,
            not_before=UnixMillis(now), expires_at=UnixMillis(now + 3_600_000),
        )  # fmt: skip
        token = signed_mandate(terms, audience=origin, key=signing_key("alice"))
        answer = await control.post("/v1/mandates", json={"token": token})
        assert answer.status_code == 200, answer.text
