"""A house: one data directory and several real processes on it, each with a shard of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2

import answerable
from answerable.adapters.tlog_files import PublishedFiles
from answerable.core.canonical import parse
from tests.worlds.control import REGISTRY, World, made_world
from tests.worlds.gateway import modern

SOURCES = Path(answerable.__file__).parent.parent
CRM = Path(__file__).parents[2] / "examples" / "servers" / "crm.py"
SECONDS_MAX = 60
SETTINGS = """\
[witnesses]
round_seconds = 0.2
{witnesses}
[ledger]
seal_seconds = 1
segment_bytes = 1048576
{ledger}
[walk]
pin_tools_at_first_sight = true
[gateway]
port = 0
{gateway}
"""


def environment() -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if name not in ("ANSWERABLE_DATA", "FORCE_COLOR")
    }
    return {**kept, "PYTHONPATH": str(SOURCES)}


def until(found: Callable[[], Any], what: str) -> Any:
    """Waits for something to become true; the bound is for a hanging test only."""
    give_up = time.monotonic() + SECONDS_MAX
    while time.monotonic() < give_up:
        value = found()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"waited in vain for {what}")


class House:
    """One data directory. Its settings files are called like the shards. said: where its servers' words are kept.
    more: of the environment of all that runs on it."""

    def __init__(self, world: World, said: Path | None = None, more: dict[str, str] | None = None) -> None:
        self.world, self.data, self.said = world, world.data, said or world.root
        self.more = more or {}
        self.data.mkdir(mode=0o700)
        for shard in ("a", "b"):
            self.settings(shard, ledger=f'shard = "{shard}"')
        server = f"{{command: {sys.executable}, args: [{CRM}, --database, {world.root / 'crm.db'}]}}"
        text = REGISTRY.replace("{command: sh}", server).replace(
            "unixUids: [0]", f"unixUids: [{os.geteuid()}]"
        )
        text = text.replace("case_read", "customer_read").replace("argument: case}", "argument: case_id}")
        (world.registry / "registry.yaml").write_text(
            text.replace("name: case, type: str", "name: case_id, type: str")
        )

    def settings(self, name: str, *, ledger: str = "", witnesses: str = "", gateway: str = "") -> None:
        text = SETTINGS.format(ledger=ledger, witnesses=witnesses, gateway=gateway)
        (self.data / f"{name}.toml").write_text(text)

    def without_witness(self) -> None:
        """Where nothing is said of witnesses: one beside each server costs as much to start as the server."""
        for shard in ("a", "b"):
            self.settings(shard, ledger=f'shard = "{shard}"', witnesses="local = false")

    def command(self, shard: str, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.line(shard, *arguments),
            capture_output=True,
            text=True,
            env=environment() | self.more,
            stdin=subprocess.DEVNULL,
            timeout=SECONDS_MAX,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def line(self, shard: str, *arguments: str) -> list[str]:
        config = self.data / f"{shard}.toml"
        options = ["--data", str(self.data), *(["--config", str(config)] if config.exists() else [])]
        return [sys.executable, "-m", "answerable.main", *arguments, *options]

    @contextmanager
    def up(self, shard: str, *options: str) -> Iterator[Shard]:
        running = Shard(self, shard, options)
        try:
            until(lambda: "ledger  " in running.said() or running.process.poll() is not None, "the server")
            assert running.process.poll() is None, running.said()
            yield running
        finally:
            if running.process.poll() is None:
                running.process.terminate()
            running.process.wait(SECONDS_MAX)

    def refused(self, shard: str, *options: str) -> str:
        """What `up` says when it does not start."""
        return self.command(shard, "up", *options, code=1).stderr

    def issue(self, shard: str) -> str:
        key = ("--as", "ada", "--key", str(self.world.key("ada")))
        return self.command(
            shard, "mandate", "issue", "one-case", *key, "--set", "case=4711", "--yes"
        ).stdout.strip()

    def copied(self) -> Path:
        copy = self.world.root / f"copy-{len(list(self.world.root.iterdir()))}"
        shutil.copytree(self.data / "ledger", copy, ignore=shutil.ignore_patterns("lock", "spare"))
        return copy

    def verified(self, copy: Path, *options: str, code: int = 0) -> dict[str, Any]:
        found = json.loads(
            self.command("", "ledger", "verify", str(copy), "--json", *options, code=code).stdout
        )
        assert isinstance(found, dict)
        return found

    def is_cosigned(self) -> bool:
        """Whether the newest checkpoint of the log of logs is."""
        heads = PublishedFiles(self.data / "ledger/heads")
        notes = (heads.cosigned(), heads.checkpoint())
        return notes[0] is not None and len({note.split(b"\n")[1] for note in notes if note}) == 1

    def head_sizes(self) -> dict[str, int]:
        """What the log of logs covers of each shard, as strangers read it."""
        heads = PublishedFiles(self.data / "ledger/heads")
        found: dict[str, int] = {}
        for leaf in leaves(heads):
            if leaf["tag"] == 21:
                found[leaf["origin"].rpartition("/")[2]] = leaf["size"]
        return found


def leaves(log: PublishedFiles) -> list[dict[str, Any]]:
    note = log.checkpoint()
    size = int(note.split(b"\n")[1]) if note else 0
    return [leaf for leaf in map(parse, log.leaves(0, size)) if isinstance(leaf, dict)]


class Shard:
    """`answerable up` of one shard."""

    def __init__(self, house: House, name: str, options: tuple[str, ...]) -> None:
        self.house, self.name = house, name
        self.errors = house.said / f"errors-{name}-{len(list(house.said.iterdir()))}"
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                house.line(name, "up", *options), stderr=errors, env=environment() | house.more
            )

    def said(self) -> str:
        return self.errors.read_text()

    def says(self, text: str) -> None:
        """Wait until it has: it says what it found line by line, while it serves already."""
        until(lambda: text in self.said(), f"{text!r} from {self.name}")

    def call(self, mandate: str, *, tool: str = "customer_read", **more: str) -> dict[str, Any]:
        """Read the customer of the case, or use another tool on it, as the agent."""
        body = modern("tools/call", {"name": tool, "arguments": {"case_id": "4711", **more}})
        headers = {
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            "answerable-mandate": mandate,
            "mcp-protocol-version": "2026-07-28",
            "mcp-method": "tools/call",
            "mcp-name": tool,
        }
        transport = httpx2.HTTPTransport(uds=str(self.house.data / f"gateway-{self.name}.sock"))
        with httpx2.Client(transport=transport, timeout=SECONDS_MAX) as client:
            answer = client.post("http://localhost/mcp/crm", content=body, headers=headers)
        found = answer.json()
        assert isinstance(found, dict), answer.text
        return found

    def acted(self, mandate: str) -> None:
        """An action that succeeds, once the upstream is there."""
        until(lambda: not self.call(mandate).get("result", {}).get("isError", True), "the upstream")

    def no(self, mandate: str) -> str:
        """The text of a refusal."""
        answer = self.call(mandate)
        assert answer["result"]["isError"], answer
        return str(answer["result"]["content"][0]["text"])

    def status(self) -> dict[str, Any]:
        found = json.loads(self.house.command(self.name, "status", "--json").stdout)
        assert isinstance(found, dict)
        return found

    def killed(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(SECONDS_MAX)


@contextmanager
def made_house() -> Iterator[House]:
    """In a folder whose path leaves room for sockets."""
    with TemporaryDirectory(prefix="shards-") as folder:
        yield House(made_world(Path(folder)))
