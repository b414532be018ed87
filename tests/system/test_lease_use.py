"""Granted against used on a real PostgreSQL and a real Redis: counted, less of it proposed, reviewed and applied."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from answerable.sdk.keyfile import create_key
from tests.stand_ins.postgres_server import PostgresServer
from tests.stand_ins.redis_server import ADMIN, ADMIN_PASSWORD, RunningRedis, redis_server
from tests.worlds.brokered import SupportDesk, support_desk
from tests.worlds.postgres import furnished_server
from tests.worlds.up import OWNERSHIP, environment

pytestmark = pytest.mark.anyio

REDIS = """\
kind = "redis"
address = "{address}"
account = "{account}"
password = "file:redis-password"
"""
CACHED = f"""\
apiVersion: answerable/v1
kind: Server
metadata: {{name: cache}}
spec: {{target: cache, vendor: red}}
---
apiVersion: answerable/v1
kind: Capability
metadata: {{name: note.change}}
spec:
  server: cache
  target: command
  kind: write
  environment: production
  tier: 1
  sensitivity: internal
  resource: {{type: Database, fixed: notes}}
  arguments: [{{name: command, type: string, required: true}}]
  openMembers: [arguments]
  lease:
    grants:
      keys:
        - {{key: "note:7", access: both}}
        - {{prefix: "archive:", access: both}}
      commands: [get, set, del]
  ownership: {OWNERSHIP}
---
apiVersion: answerable/v1
kind: Capability
metadata: {{name: note.tell}}
spec:
  server: cache
  target: publish
  kind: communicate
  environment: production
  tier: 1
  sensitivity: internal
  resource: {{type: Channel, argument: channel}}
  arguments: [{{name: channel, type: string, required: true}}]
  openMembers: [message]
  lease:
    grants:
      keys: [{{key: "note:7"}}]
      commands: [get]
      channels: [{{channel: "{{argument.channel}}"}}, {{prefix: "loud:{{resource}}:"}}]
  ownership: {OWNERSHIP}
---
apiVersion: answerable/v1
kind: MandateTemplate
metadata: {{name: notes}}
spec:
  useCase: support
  agent: scout
  purpose: Keep notes
  grants: [{{capability: note.change}}, {{capability: note.tell}}]
  environment: production
  callsMax: 10000
  ttlSeconds: 3600
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with furnished_server() as running:
        yield running


@pytest.fixture(scope="module")
def redis() -> Iterator[RunningRedis]:
    with redis_server() as running:
        yield running


class Reviewer:
    """Whoever reviews, at the command line."""

    def __init__(self, desk: SupportDesk, folder: Path) -> None:
        self.desk, self.folder = desk, folder

    async def said(self, *arguments: str, code: int = 0) -> str:
        """Both streams."""

        def run() -> str:
            done = subprocess.run(
                self.desk.home.line(*arguments),
                capture_output=True, text=True, env=environment(), check=False, cwd=self.folder,
            )  # fmt: skip
            assert done.returncode == code, (arguments, done.stdout, done.stderr)
            return done.stdout + ("\n" + done.stderr if "--json" not in arguments else "")

        return await asyncio.to_thread(run)

    async def ready(self, *targets: str) -> None:
        """Once the broker acts on these."""
        for _ in range(300):
            if {*await listed_targets(self.desk)} >= {*targets}:
                return
            await asyncio.sleep(0.1)
        raise AssertionError("the broker has not all of its targets")

    async def usage(self, name: str) -> dict[str, Any]:
        (found,) = json.loads(await self.said("lease", "usage", "--capability", name, "--json"))
        return found

    async def proposed(self, name: str) -> Path:
        """The file that `lease propose` writes."""
        path = self.folder / f"{name}.yaml"
        path.write_text(
            (await self.said("lease", "propose", name, "--min-actions", "2", "--min-days", "0")).partition(
                "\n\n"
            )[0]
        )
        return path


async def listed_targets(desk: SupportDesk) -> list[str]:
    try:
        return [one["name"] for one in await desk.command("lease", "targets", "--json")]
    except AssertionError:
        return []


def used(told: dict[str, Any]) -> dict[str, str]:
    return {one["right"]: one["use"] for one in told["rights"]}


def grants_in(path: Path) -> Any:
    return yaml.safe_load(path.read_text())["spec"]["lease"]["grants"]


async def answered(desk: SupportDesk, key: Any, *sql: str) -> list[bool]:
    """Whether each went well."""
    return [not (await desk.calls(key, "execute", one))["result"]["isError"] for one in sql]


@pytest.mark.requirement("RIGHTS-03", "RIGHTS-04", "RIGHTS-05", "RIGHTS-06", "RIGHTS-07")
async def test_what_was_never_used_of_a_database_is_taken_out_by_review_and_the_work_goes_on(
    tmp_path, server
):
    async with support_desk(tmp_path, server) as desk:
        key = create_key(tmp_path / "scout.jwk", seed=os.urandom(32))
        await desk.instance(key)
        reviewer = Reviewer(desk, tmp_path)
        await reviewer.ready("shop-db")
        assert "no data in the last 90d" in await reviewer.said("lease", "usage")
        update = "UPDATE support_messages SET body = 'seen' WHERE id = 1"
        assert await answered(desk, key, update, update) == [True, True]
        wrong = ("UPDATE support_messages SET nothing = 1", "DELETE FROM support_messages")
        assert await answered(desk, key, *wrong) == [False, False]

        told = await reviewer.usage("case.answer")
        assert (told["actions"], told["failed"], told["untold"]) == (2, 2, {})
        assert used(told) == {
            "select on public.support_messages": "may be used",
            "insert on public.support_messages": "never used",
            "update on public.support_messages": "used",
        }
        unread = used(await reviewer.usage("case.read"))
        assert unread["select on public.support_messages where case_id = case-1"] == "no data"
        refused = await reviewer.said("lease", "propose", "case.answer", code=3)
        assert "2 actions told what they used, and at least 30 are needed" in refused
        assert "0 days ago, and at least 14 are needed" in refused

        path = await reviewer.proposed("case.answer")
        assert "# takes out: insert on public.support_messages" in path.read_text()
        (table,) = grants_in(path)["tables"]
        assert table == {"name": "public.support_messages", "verbs": ["select", "update"]}
        assert "insert" in await reviewer.said("diff", str(path))
        assert "no action that reported" in await reviewer.said("lease", "replay", str(path))
        careless = tmp_path / "careless.yaml"
        careless.write_text(path.read_text().replace("- update", "").replace("- select\n", "- select\n"))
        held = await reviewer.said("lease", "replay", str(careless), code=5)
        assert "update on public.support_messages" in held
        await reviewer.said("apply", str(path))

        insert = "INSERT INTO support_messages (case_id, body) VALUES ('case-1', 'x')"
        assert await answered(desk, key, update, insert) == [True, False]
        told = await reviewer.usage("case.answer")
        assert (told["actions"], told["under_another_template"]) == (1, 2)
        again = await reviewer.said(
            "lease", "propose", "case.answer", "--min-actions", "1", "--min-days", "0", code=5
        )
        assert "nothing to remove" in again


@pytest.mark.requirement("RIGHTS-01", "RIGHTS-03", "RIGHTS-06", "RIGHTS-07")
async def test_of_keys_and_commands_the_used_ones_stay_with_their_placeholders(tmp_path, server, redis):
    async with support_desk(tmp_path, server) as desk:
        targets = desk.home.data / "broker/targets"
        (targets / "redis-password").write_text(ADMIN_PASSWORD)
        (targets / "cache.toml").write_text(REDIS.format(address=redis.address, account=ADMIN))
        await asyncio.to_thread(desk.home.apply, CACHED)
        issue = ("mandate", "issue", "notes", "--as", "ada", "--key", str(tmp_path / "ada.jwk"), "--yes")
        mandate = (await asyncio.to_thread(desk.home.command, *issue)).strip()
        notes = SupportDesk(desk.home, mandate, "cache")
        key = create_key(tmp_path / "scout.jwk", seed=os.urandom(32))
        await notes.instance(key)

        texts: list[str] = []

        async def works(tool: str, **arguments: Any) -> bool:
            for _ in range(300):
                said = await notes.asked(key, "tools/call", tool, **arguments)
                if "not connected" not in said["text"] and "upstream.unknown" not in said["text"]:
                    break
                await asyncio.sleep(0.1)
            texts.append(said["text"])
            return not said["result"]["isError"]

        async def sends(command: str, *words: str) -> bool:
            return await works("command", command=command, arguments=[*words])

        assert await sends("set", "note:7", "hello"), texts
        assert await sends("get", "note:7")
        assert not await sends("get", "note:8"), "a key that is not granted"
        for channel in ("cases", "people"):
            assert await works("publish", channel=channel, message="m"), texts
        reviewer = Reviewer(desk, tmp_path)
        told = await reviewer.usage("note.change")
        assert (told["actions"], told["failed"]) == (2, 1)
        change, tell = await reviewer.proposed("note.change"), await reviewer.proposed("note.tell")
        assert grants_in(change) == {
            "keys": [{"key": "note:7", "access": "both"}],
            "commands": ["get", "set"],
        }
        assert grants_in(tell) == {"channels": [{"channel": "{argument.channel}"}]}
        for path in (change, tell):
            await reviewer.said("lease", "replay", str(path))
            await reviewer.said("apply", str(path))
        assert await sends("set", "note:7", "hello again")
        assert await works("publish", channel="others", message="m")
        assert not await sends("del", "note:7")
        told = await reviewer.usage("note.tell")
        assert (told["actions"], told["under_another_template"]) == (1, 2)
