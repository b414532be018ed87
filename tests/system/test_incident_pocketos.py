"""S-04: an agent on a staging task finds a token in a file and deletes production with it (PocketOS, April 2026)."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from answerable.core.ledger.tags import Tag
from tests.stand_ins.authorization_server import SECRET, AuthorizationServer, authorization_server
from tests.stand_ins.resource_server import ResourceServer
from tests.worlds.brokered import Desk
from tests.worlds.http_target import api_of, directly
from tests.worlds.incident import (
    ALL,
    Incident,
    an_agent,
    answered,
    asking_api,
    document,
    incident,
    on_api,
    pending,
    people,
    template,
    was_done,
)
from tests.worlds.up import environment, until

pytestmark = pytest.mark.anyio
RULES = (
    ALL
    + """
@id("what-cannot-be-undone-needs-two")
@reason("two people agree to what cannot be undone")
@approve("leads:2")
forbid(principal, action in Action::"delete", resource)
when { !context.capability.reversible };
"""
)
WRITES = ["read:case", "write:case"]


@pytest.fixture(scope="module")
def login() -> Iterator[AuthorizationServer]:
    with authorization_server() as running:
        yield running


@pytest.fixture
def api(login: AuthorizationServer) -> Iterator[ResourceServer]:
    """The provider of the volumes: whoever has a token with the scope deletes."""
    with api_of(login) as running:
        yield running


def documents() -> str:
    staging = {"environment": "staging"}
    reads = {"methods": ["GET"], "path": "/volumes/staging", "below": True}
    deletes = {"methods": ["DELETE"], "path": "/volumes/staging", "below": True}
    deletes_prod = {"methods": ["DELETE"], "path": "/volumes/prod", "below": True}
    return (
        people()
        + "".join(document("Server", name, target=name) for name in ("staging", "prod"))
        + on_api("staging.look", "staging", "read", "read", reads, **staging)
        + on_api("staging.delete", "staging", "request", "delete", deletes, tier=2, scopes=WRITES, **staging)
        + on_api("prod.delete", "prod", "request", "delete", deletes_prod, tier=3, scopes=WRITES)
        + template(
            "staging.look", "staging.delete", environment="staging", purpose="Mend the schema of staging"
        )
        + document("PolicySet", "all", policies=RULES)
    )


@pytest.mark.requirement("SCEN7-04")
async def test_a_token_that_lies_in_a_file_deletes_nothing_and_neither_does_the_agent(tmp_path, login, api):
    targets = {
        "client-secret": SECRET,
        "staging.toml": asking_api(api, login),
        "prod.toml": asking_api(api, login),
    }
    async with incident(tmp_path, targets, documents()) as found:
        staging, prod = found.desk("staging"), found.desk("prod")
        token = await a_token_in_a_file(found, staging)
        key = await an_agent(staging)
        # It does its task, and somebody takes the token that was minted for it, while it is good.
        going = asyncio.create_task(staging.does_call(key, "read", path="/volumes/staging/slow"))
        await until(lambda: api.seen and api.seen[-1].target.endswith("/slow"), "a request under way")
        taken = api.seen[-1].header("authorization").removeprefix("Bearer ")
        assert await directly(api.url, taken, path="/volumes/staging") == 200
        for volume in ("/volumes/prod", "/volumes/staging", "/volumes/prod/backups"):
            assert await directly(api.url, taken, "DELETE", volume) == 403
        api.gate.set()
        assert was_done(await going)
        assert await directly(api.url, taken, path="/volumes/staging") == 401
        # 2. Production is not in its mandate, and what is of staging reaches no other path.
        before = len(api.seen)
        denied = await prod.does_call(key, "request", method="DELETE", path="/volumes/prod")
        assert not was_done(denied)
        for path in ("/volumes/prod", "/volumes/staging/../prod", "/volumes/staging/%2e%2e/prod"):
            assert not was_done(await staging.does_call(key, "read", path=path)), path
        assert len(api.seen) == before
        # 3. With the token of the file it goes to the service by itself, which knows nothing but what was minted.
        for method, path in (("GET", "/volumes"), ("DELETE", "/volumes/prod"), ("POST", "/legacy/graphql")):
            assert await directly(api.url, token, method, path) == 401
        seen = tmp_path / "service.log"
        seen.write_text("\n".join(f"{one.method} {one.target} {one.headers}" for one in api.seen))
        told = await asyncio.to_thread(exits_with_5, found, "secret", "find", str(seen), "--json")
        assert "railway" in told
        assert token not in told
        # 4. The backups of its own environment cannot be undone either: one person is not enough.
        before = len(api.seen)
        asked = await staging.does_call(key, "request", method="DELETE", path="/volumes/staging/backups")
        assert not was_done(asked)
        [waiting] = await pending(staging)
        await answered(staging, "approve", waiting["id"], code=4)
        again = await staging.does_call(key, "request", method="DELETE", path="/volumes/staging/backups")
        assert not was_done(again)
        assert len(api.seen) == before
        # One picture, from the task to what was tried.
        story = (await staging.command("timeline", found.mandate, "--json"))["lines"]
        assert story[0]["kind"] == "mandate_issued"
        assert any(one["kind"] == "refusal" and "path=/volumes/prod" in one["text"] for one in story)
        assert any(one["kind"] == "approval_asked" and "backups" in one["text"] for one in story)
        await found.home.stop(signal.SIGTERM)
        assert {one["capability"] for one in found.home.entries(Tag.INTENT)} == {"staging.look"}
        refused = [
            one["code"] for one in found.home.entries(Tag.REFUSAL) if one["capability"] == "prod.delete"
        ]
        assert refused == ["mandate.caveat"], "another environment than that of the task"
        assert token.encode() not in b"".join(path.read_bytes() for path in ledger_of(found))


async def a_token_in_a_file(found: Incident, desk: Desk) -> str:
    """A token of the provider's command line lies about. It is a canary: whoever shows it has read the file."""
    workspace = found.home.root / "workspace"
    workspace.mkdir()
    made = found.home.root / "made"
    await desk.command("secret", "canary", "railway", "--to", str(made), "--owner", "ada")
    token = made.read_text().strip()
    (workspace / ".env").write_text(f"LOG_LEVEL=info\nRAILWAY_TOKEN={token}\n")
    scanned = await asyncio.to_thread(exits_with_5, found, "credential", "scan", str(workspace), "--json")
    assert token not in scanned
    [standing] = json.loads(scanned)["found"]
    assert (standing["name"], standing["line"]) == ("RAILWAY_TOKEN", 2)
    return token


def exits_with_5(found: Incident, *words: str) -> str:
    """What a command says that found something."""
    done = subprocess.run(
        found.home.line(*words), capture_output=True, text=True, env=environment(), timeout=60, check=False
    )
    assert done.returncode == 5, done.stdout + done.stderr
    return done.stdout


def ledger_of(found: Incident) -> list[Path]:
    return [path for path in (found.home.data / "ledger").rglob("*") if path.is_file()]
