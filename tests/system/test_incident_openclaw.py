"""S-12: a web page takes over a local control plane and switches its questions off (OpenClaw, CVE-2026-25253)."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import stat
import time
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from answerable.apps.console.sessions import COOKIE
from answerable.core.canonical import FrozenJSON, parse
from answerable.core.identity.keys.keys import SigningKey
from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.mandate import Grant, MandateId, MandateTerms
from answerable.sdk.gateway_address import open_client
from answerable.sdk.keyfile import create_key
from answerable.sdk.proof_auth import SignatureAuth
from answerable.sdk.signing import signed_mandate
from answerable.testing.samples import document, signing_key
from answerable.testing.soft_passkey import UP, UV, SoftPasskey
from tests.probes.console_client import registration_members
from tests.worlds.gateway import modern, modern_headers, registry
from tests.worlds.up import SETTINGS, House, house

pytestmark = pytest.mark.anyio

EVIL = "https://evil.example"
POLICY = '[policy]\npublishers = "approvers"\n'
SECRETS = ("scout", "alice", "4711")
ASKS = '@id("notes-wait")\n@reason("people look at notes")\n@approve("approvers:1")\n'
RULES = f"""
@id("on-task")
permit(principal, action, resource);
{ASKS}forbid(principal, action == Action::"crm.note", resource);
"""
WITHOUT = '@id("on-task")\npermit(principal, action, resource);\n'


@dataclass
class Browser:
    """A signed-in person's browser. cookie, csrf: of the session; a thief of both has no more than this without the
    device."""

    origin: str
    device: SoftPasskey
    cookie: str = ""
    csrf: str = ""

    async def ask(self, method: str, path: str, headers: dict[str, str] | None = None, **more: Any) -> Any:
        with_cookie = {"cookie": f"{COOKIE}={self.cookie}"} if self.cookie else {}
        async with httpx2.AsyncClient(base_url=self.origin, verify=False, timeout=30) as http:
            answer = await http.request(method, path, headers={**with_cookie, **(headers or {})}, **more)
        for given in answer.headers.get_list("set-cookie"):
            if found := re.match(rf"{COOKIE}=([A-Za-z0-9_-]*)", given):
                self.cookie = found[1]
        if found := re.search(r'name="csrf" content="([^"]+)"', answer.text):
            self.csrf = found[1]
        return answer

    async def script(self, path: str, body: Any, **more: Any) -> Any:
        """As a page of the console itself sends it."""
        own = {"origin": self.origin, "sec-fetch-site": "same-origin", "x-csrf-token": self.csrf}
        return await self.ask("POST", path, {**own, **more}, json=body)

    async def enrol(self, invitation: str) -> None:
        begun = (await self.script("/enrol/begin", {"code": invitation.partition("#")[2]})).json()
        challenge = urlsafe_b64decode(begun["options"]["challenge"] + "=")
        made = registration_members(self.device.registration(challenge))
        answer = await self.script(
            "/enrol/finish", {"ceremony": begun["ceremony"], "registration": made, "label": "phone"}
        )
        assert answer.status_code == 200, answer.text
        await self.ask("GET", "/passkeys")


@dataclass
class Place:
    """home: the server. alice: her browser, and key: hers. keys: private keys of people as files."""

    home: House
    alice: Browser
    keys: Path
    key: SigningKey

    @property
    def gateway(self) -> str:
        return self.home.tcp

    async def command(self, *arguments: str, code: int = 0) -> str:
        return await asyncio.to_thread(lambda: self.home.command(*arguments, code=code))

    async def rules(self) -> Any:
        return json.loads(await self.command("policy", "status", "--json"))

    async def proposes(self, text: str, person: str) -> str:
        """The id of a proposal of this policy set by a person, with their own key."""
        file = self.home.root / "rules.yaml"
        file.write_text(yaml.safe_dump(document("PolicySet", "house", {"policies": text})))
        await self.command("policy", "propose", str(file), *self.signing(person), "--since", "none", code=4)
        (waiting,) = json.loads(await self.command("policy", "proposals", "--json"))
        return str(waiting["id"])

    async def note(self) -> str:
        """An agent of hers asks for what waits for people; returns the id of the approval."""
        transport = httpx2.AsyncHTTPTransport(uds=str(self.home.data / "control.sock"))
        async with httpx2.AsyncClient(
            transport=transport, base_url="http://localhost", timeout=30
        ) as control:
            origin = (await control.get("/v1/ledger")).json()["origin"]
            now = time.time_ns() // 1_000_000
            terms = MandateTerms(
                id=MandateId("m-1"), principal=PrincipalId("alice"), agent=AgentId("scout"), use_case="support",
                purpose="Note what customers said", grants=(Grant(capability="crm.note"),), caveats=(),
                calls_max=100, not_before=UnixMillis(now), expires_at=UnixMillis(now + 3_600_000),
            )  # fmt: skip
            token = signed_mandate(terms, audience=origin, key=self.key)
            answer = await control.post("/v1/mandates", json={"token": token})
            assert answer.status_code == 200, answer.text
        await self.home.serving()
        auth = SignatureAuth(signing_key("scout"), mandate="m-1")
        client, base = open_client(f"unix:{self.home.data / 'gateway.sock'}", auth)
        call = {"name": "note_add", "arguments": {"case_id": "4711", "text": "called back"}}
        names = {
            name.replace("_", "-"): one for name, one in modern_headers("tools/call", "note_add").items()
        }
        headers = names | {
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
        }
        async with client:
            answer = await client.post(f"{base}/mcp/crm", content=modern("tools/call", call), headers=headers)
        (waiting,) = json.loads(await self.command("approval", "list", "--json"))
        return str(waiting["id"])

    def signing(self, person: str) -> tuple[str, ...]:
        return "--as", person, "--key", str(self.keys / f"{person}.jwk"), "--yes"


@asynccontextmanager
async def a_place(root: Path) -> AsyncIterator[Place]:
    """The server with no settings but a free port and that policies are for people of `approvers`, two of whom are
    alice, signed in by passkey, and bob."""
    keys = root / "keys"
    keys.mkdir()
    own: dict[str, SigningKey] = {}
    made: list[Any] = registry(root, ["crm"])
    for person in ("alice", "bob"):
        key = own[person] = create_key(keys / f"{person}.jwk", seed=os.urandom(32))
        for one in made:
            if (one["kind"], one["metadata"]["name"]) == ("Principal", person):
                one["spec"]["keys"] = [parse(key.public.jwk.encode())]
    documents = [one for one in made if one["kind"] != "PolicySet"]
    async with house(root, SETTINGS + POLICY) as home:
        await home.start()
        await asyncio.to_thread(home.apply, yaml.safe_dump_all(documents, sort_keys=False))
        [line] = [one for one in home.said.splitlines() if one.startswith("console ")]
        origin = line.split()[1].rstrip("/")
        alice = Browser(origin, SoftPasskey(seed="alice", origin=origin))
        place = Place(home, alice, keys, own["alice"])
        proposal = await place.proposes(RULES, "alice")
        await place.command("policy", "publish", proposal, *place.signing("bob"))
        invited = json.loads(await place.command("person", "invite", "alice", "--json"))
        await alice.enrol(invited["url"])
        yield place


def listening(pids: set[int]) -> set[tuple[str, int]]:
    """Address and port of every TCP listener of these processes, as the kernel tells them."""
    inodes = set()
    for pid in pids:
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            try:
                inodes.add(os.readlink(fd))
            except OSError:
                continue
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and f"socket:[{words[9]}]" in inodes:
                address, _, port = words[1].rpartition(":")
                found.add((address, int(port, 16)))
    return found


def family(pid: int) -> set[int]:
    """A process and all below it."""
    below = {pid}
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            below |= family(int(child))
    return below


FOREIGN: list[dict[str, str]] = [
    {"origin": EVIL, "sec-fetch-site": "cross-site"},
    {"origin": "null"},
    {"origin": "http://localhost:1"},
    {},
]
CHANGING = ("/approvals/x/open", "/approvals/x/answer", "/confirm/begin", "/enrol/begin", "/sign-in/begin")
FORMS = ("/stop", "/sign-out", "/passkeys/remove", "/sessions/end")
CONTROL = ("/v1/approvals", "/v1/policies", "/v1/registry", "/v1/holds", "/v1/ledger", "/openapi.json")


async def reads_nothing(place: Place) -> None:
    """Step 1: what a page of another origin gets of the doors, with the person's cookie and without."""
    alice = place.alice
    thief = Browser(alice.origin, alice.device)
    for path in ("/", "/approvals", "/agents", "/news", "/live"):
        # A browser sends no cookie along (SameSite), and gives no answer to a page of another origin without CORS.
        for headers in ({"origin": EVIL, "sec-fetch-site": "cross-site"}, {"origin": EVIL}):
            answer = await thief.ask("GET", path, headers)
            assert "access-control-allow-origin" not in answer.headers
            assert not any(one in answer.text for one in SECRETS), path
            assert "text/event-stream" not in answer.headers.get("content-type", "")
        # Another port of this machine is the same site to a browser, which sends the cookie along, and shows no answer.
        async with httpx2.AsyncClient(base_url=alice.origin, timeout=30) as http:
            near = {"origin": "http://localhost:1", "sec-fetch-site": "same-site"}
            asked = http.stream("GET", path, headers={"cookie": f"{COOKIE}={alice.cookie}", **near})
            async with asked as answer:
                assert "access-control-allow-origin" not in answer.headers
                assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        # A name of the attacker's that now means this machine.
        for name in ("evil.example", f"evil.example:{alice.origin.rpartition(':')[2]}", "127.0.0.1"):
            answer = await alice.ask("GET", path, {"host": name})
            assert answer.status_code == 421, (path, name)
    upgrade = {
        "origin": EVIL, "connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    }  # fmt: skip
    for base in (alice.origin, place.gateway):
        async with httpx2.AsyncClient(base_url=base, timeout=30) as http:
            for path in ("/", "/news", "/mcp/crm", "/ws"):
                answer = await http.get(path, headers=upgrade)
                assert answer.status_code >= 300, "no socket is opened to anybody"
            for path in CONTROL:
                for method in ("GET", "POST"):
                    answer = await http.request(method, path, headers={"origin": EVIL})
                    assert answer.status_code >= 303, path
                    assert not any(one in answer.text for one in SECRETS)
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    async with httpx2.AsyncClient(base_url=place.gateway, timeout=30) as http:
        answer = await http.post(
            "/mcp/crm", json=call, headers={"origin": EVIL, "accept": "application/json, text/event-stream"}
        )
        assert answer.status_code in (401, 403), answer.text
        assert "note_add" not in answer.text


async def changes_nothing(place: Place, waiting: str) -> None:
    """Step 2: what it sends with everything that a browser could be made to send, and the token beside."""
    alice = place.alice
    scripts = (f"/approvals/{waiting}/open", f"/approvals/{waiting}/answer", *CHANGING)
    for headers in FOREIGN:
        token = {**headers, "x-csrf-token": alice.csrf}
        for path in scripts:
            answer = await alice.ask("POST", path, token, json={"verdict": "approve"})
            assert answer.status_code == 403, (path, headers)
        for path in FORMS:
            fields = {"csrf": alice.csrf, "kind": "everything", "name": ""}
            assert (await alice.ask("POST", path, headers, data=fields)).status_code == 403, (path, headers)
    assert (await alice.ask("GET", "/")).status_code == 200, "she is still signed in"
    assert json.loads(await place.command("hold", "list", "--json")) == []


async def answers_nothing(place: Place, waiting: str) -> None:
    """Step 3: the cookie, its token and the origin's own header, which is everything but the device."""
    alice, other = place.alice, SoftPasskey(seed="thief", origin=place.alice.origin)
    shown = json.loads(await place.command("approval", "show", waiting, "--json"))
    rendering = FrozenJSON.from_canonical(shown["card"].encode()).hex
    asks = {"verdict": "approve", "rendering": rendering}
    opened = (await alice.script(f"/approvals/{waiting}/open", asks)).json()
    for device, flags in ((other, UP | UV), (alice.device, UP)):
        made = device.assertion(urlsafe_b64decode(opened["options"]["challenge"] + "="), flags=flags)
        body = {"verdict": "approve", "nonce": opened["nonce"], "assertion": made.members()}
        answer = await alice.script(f"/approvals/{waiting}/answer", body)
        assert answer.status_code == 401, answer.text
    for path in ("/policies", "/policy", "/registry", "/v1/policies", "/apply"):
        assert (await alice.script(path, {"policies": WITHOUT})).status_code in (403, 404, 405), path
    (still,) = json.loads(await place.command("approval", "list", "--json"))
    assert (still["id"], still["state"]) == (waiting, "pending")


@pytest.mark.requirement("S12-01", "S12-02", "S12-03")
async def test_a_web_page_takes_over_nothing_and_a_stolen_session_switches_no_question_off(tmp_path):
    async with a_place(tmp_path) as place:
        home = place.home
        assert home.process is not None
        # 4. Before anything: where it can be reached at all.
        found = listening(family(home.process.pid))
        assert found
        assert {address for address, _ in found} <= {"0100007F", "0" * 24 + "01000000"}, found
        assert stat.S_IMODE((home.data / "control.sock").stat().st_mode) == 0o600
        waiting = await place.note()
        await reads_nothing(place)
        await changes_nothing(place, waiting)
        await answers_nothing(place, waiting)
        # And on her machine, with her own key: a second person is wanted, and it is on record who tried.
        before = await place.rules()
        proposal = await place.proposes(WITHOUT, "alice")
        refused = await place.command("apply", str(home.root / "rules.yaml"), "--yes", code=3)
        assert "a policy set needs two people" in refused
        own = await place.command("policy", "publish", proposal, *place.signing("alice"), code=3)
        assert "another person must publish it" in own
        assert await place.rules() == {**before, "proposals": 1}
        await home.stop(signal.SIGTERM)
        tried = home.entries(Tag.POLICY_PROPOSED)
        assert [one["proposal"] for one in tried][-1] == proposal
        assert tried[0]["author"] == tried[-1]["author"], "by the same person as before"


@pytest.mark.requirement("S12-03")
@pytest.mark.parametrize("door", ["gateway", "console"])
async def test_another_address_than_loopback_wants_tls(tmp_path, door):
    settings = SETTINGS.replace("[gateway]\n", '[gateway]\nhost = "0.0.0.0"\n')
    if door == "console":
        settings = f'{SETTINGS}[console]\nhost = "0.0.0.0"\n'
    async with house(tmp_path, settings) as home:
        assert f"{door}.host: `0.0.0.0` is not loopback: set `tls_certificate`" in await home.refused()
