"""Two processes on one data directory, each with a log of its own, and the log of logs that one of them keeps."""

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
import pytest

import answerable
from answerable.adapters.tlog_files import PublishedFiles
from answerable.core.canonical import parse
from answerable.core.tlog.merkle import leaf_hash
from answerable.core.tlog.policy import parse_policy
from answerable.flows.prove_in_shard import prove_in_shard
from tests.control_world import REGISTRY, World, made_world
from tests.gateway_world import modern

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
    """One data directory. Its settings files are called like the shards."""

    def __init__(self, world: World) -> None:
        self.world, self.data = world, world.data
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

    def command(self, shard: str, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.line(shard, *arguments),
            capture_output=True,
            text=True,
            env=environment(),
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
        self.errors = house.world.root / f"errors-{name}-{len(list(house.world.root.iterdir()))}"
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                house.line(name, "up", *options), stderr=errors, env=environment()
            )

    def said(self) -> str:
        return self.errors.read_text()

    def call(self, mandate: str) -> dict[str, Any]:
        """Read the customer of the case, as the agent."""
        body = modern("tools/call", {"name": "customer_read", "arguments": {"case_id": "4711"}})
        headers = {
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            "answerable-mandate": mandate,
            "mcp-protocol-version": "2026-07-28",
            "mcp-method": "tools/call",
            "mcp-name": "customer_read",
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


@pytest.fixture
def house() -> Iterator[House]:
    """In a folder whose path leaves room for sockets."""
    with TemporaryDirectory(prefix="shards-") as folder:
        yield House(made_world(Path(folder)))


@pytest.mark.requirement("SHARD-01", "SHARD-02", "SHARD-05", "SHARD-06")
def test_two_shards_act_beside_one_another_and_are_verified_together(house: House) -> None:
    house.command("a", "apply", "-f", str(house.world.registry))
    with house.up("a") as a, house.up("b") as b:
        assert "kept here" in a.said()
        assert "kept by another process" in b.said()
        mandates = {shard.name: house.issue(shard.name) for shard in (a, b)}
        for shard in (a, b, a):
            shard.acted(mandates[shard.name])
        sizes = {shard.name: shard.status()["entries"] for shard in (a, b)}
        until(
            lambda: all(house.head_sizes().get(name, 0) >= size for name, size in sizes.items()), "the heads"
        )
        states = until(lambda: b.status()["shards"], "the states in the process that only follows")
        assert {one["state"] for one in states} == {"ok"}
        policy = house.command("a", "witness", "policy").stdout
    copy = house.copied()
    (house.world.root / "policy").write_text(policy)
    under = ("--policy", str(house.world.root / "policy"))
    found = house.verified(copy, *under)
    assert (found["errors"], found["findings"]) == (0, [])
    assert set(found["logs"]) == {"heads", "shards/a", "shards/b"}
    for log in found["logs"].values():
        assert log["errors"] == 0, log["findings"]
        assert log["key_given"]
        assert log["witnessed"] > 0
    # One entry of b is proved to who knows the log of logs alone.
    log, heads = PublishedFiles(copy / "shards/b"), PublishedFiles(copy / "heads")
    [entry] = log.leaves(2, 3)
    proof = prove_in_shard(2, shard=log, heads=heads)
    origin = found["logs"]["heads"]["origin"]
    _, cosigners = proof.verify_under(parse_policy(policy.encode()), leaf=leaf_hash(entry), origin=origin)
    assert len(cosigners) == 1
    # A byte of one shard, and verification says which.
    [segment] = (copy / "shards/b/wal").glob("*.wal")
    content = bytearray(segment.read_bytes())
    content[300] ^= 1
    segment.write_bytes(content)
    damaged = house.verified(copy, *under, code=5)
    assert {place for place, log in damaged["logs"].items() if log["errors"]} == {"shards/b"}
    shutil.rmtree(copy / "shards/b")
    assert [one["rule"] for one in house.verified(copy, *under, code=5)["findings"]] == ["shard.missing"]


@pytest.mark.requirement("SHARD-02")
def test_when_the_keeper_is_killed_another_goes_on(house: House) -> None:
    house.command("a", "apply", "-f", str(house.world.registry))
    with house.up("a") as a, house.up("b") as b:
        mandate = house.issue("b")
        a.killed()
        b.acted(mandate)
        until(lambda: house.head_sizes().get("b", 0) >= b.status()["entries"], "heads by the next keeper")
        until(lambda: [one["state"] for one in b.status()["witnesses"]] == ["ok"], "its witness")
        with house.up("a") as again:
            assert "kept by another process" in again.said()
            again.acted(house.issue("a"))
            until(
                lambda: house.head_sizes().get("a", 0) >= again.status()["entries"], "heads of who came back"
            )
    found = house.verified(house.copied())
    assert not any(log["errors"] for log in found["logs"].values()), found
    assert found["errors"] == 0
    heads = [leaf["tag"] for leaf in leaves(PublishedFiles(house.data / "ledger/heads"))]
    assert 13 in heads, "that it was not closed in order is recorded"
    assert 20 not in heads


@pytest.mark.slow
@pytest.mark.requirement("SHARD-04", "SHARD-08")
def test_a_mandate_is_used_in_its_shard_and_stopped_from_the_other(house: House) -> None:
    house.command("a", "apply", "-f", str(house.world.registry))
    with house.up("a") as a, house.up("b") as b:
        mandate = house.issue("a")
        a.acted(mandate)
        until(lambda: "not known" not in b.no(mandate), "b to know of it")
        told = b.no(mandate)
        assert "/a" in told
        assert "/b" in told
        house.command("b", "mandate", "close", mandate, "--yes")
        until(lambda: "closed" in a.no(mandate), "a to hear of it")
        # What one of them applies decides in both.
        policies = house.world.registry / "registry.yaml"
        text = policies.read_text().replace(
            "permit(principal, action, resource);", "forbid(principal, action, resource);"
        )
        policies.write_text(text)
        other = house.issue("a")
        a.acted(other)
        house.command("b", "apply", "-f", str(house.world.registry))
        until(lambda: a.call(other)["result"]["isError"], "the other policies")
    found = house.verified(house.copied())
    assert (found["errors"], found["logs"]["shards/b"]["errors"]) == (0, 0)
    assert "references_elsewhere" not in json.dumps(found["logs"]["shards/b"]["caveats"])
    closed = [leaf for leaf in leaves(PublishedFiles(house.data / "ledger/shards/b")) if leaf["tag"] == 10]
    assert closed[0]["mandate_ref"]["log"].endswith("/a")


@pytest.mark.requirement("SHARD-01", "SHARD-07")
def test_who_cannot_run_beside_says_why(house: House) -> None:
    house.settings("other", ledger='shard = "a"', gateway='socket = "o.sock"\n[control]\nsocket = "p.sock"')
    house.settings("fixed", ledger='shard = "c"', gateway='socket = "gateway-a.sock"')
    with house.up("", "--shard", "a"):
        assert "another server answers on the socket `control-a.sock`" in house.refused("a")
        assert "is open in another process, number" in house.refused("other")
        assert "another server answers on the socket" in house.refused("fixed")
    told = house.refused("")
    assert "is kept in shards (a)" in told
    assert "is kept in shards (a)" in house.command("", "status", code=1).stderr
    for name in ("heads", "../a", "A"):
        assert "is not the name of a shard" in house.refused("", "--shard", name)


@pytest.mark.requirement("SHARD-07")
def test_without_a_shard_the_ledger_is_one_log(house: House) -> None:
    house.command("", "apply", "-f", str(house.world.registry))
    assert not (house.data / "ledger/shards").exists()
    assert not (house.data / "ledger/heads").exists()
    assert {path.name for path in (house.data / "keys").iterdir()} == {
        "identity",
        "identity.lock",
        "log.jwk",
        "subjects.key",
    }
    assert "is one log" in house.refused("a")
    assert house.verified(house.copied())["origin"].startswith("answerable-log-")


@pytest.mark.slow
@pytest.mark.requirement("SHARD-03")
def test_a_shard_that_was_rolled_back_does_not_start_and_is_in_alarm(house: House) -> None:
    house.command("a", "apply", "-f", str(house.world.registry))
    place = house.data / "ledger/shards/b"
    with house.up("a") as a:
        with house.up("b"):
            until(lambda: house.head_sizes().get("b"), "the first head")
        shutil.copytree(place, house.world.root / "older")
        with house.up("b") as b:
            b.acted(house.issue("b"))
            size = b.status()["entries"]
            until(lambda: house.head_sizes()["b"] >= size, "a later head")
        shutil.rmtree(place)
        (house.world.root / "older").rename(place)
        assert "it was rolled back" in house.refused("b")
        alarm = until(lambda: [one for one in a.status()["shards"] if one["state"] == "alarm"], "the alarm")
        assert "rolled back" in alarm[0]["reason"]
        assert "ALARM" in house.command("a", "status").stdout
        assert "fault" in house.command("a", "doctor", code=5).stdout
    found = house.verified(house.copied(), code=5)
    assert {place for place, log in found["logs"].items() if log["errors"]} == {"shards/b"}
    assert "shard.gap" in [one["rule"] for one in found["findings"]]


@pytest.mark.slow
@pytest.mark.requirement("SHARD-02")
def test_shards_are_cosigned_themselves_where_that_is_set(house: House) -> None:
    for shard in ("a", "b"):
        house.settings(shard, ledger=f'shard = "{shard}"', witnesses="shards = true")
    with house.up("a") as a, house.up("b"):
        for place in ("heads", "shards/a", "shards/b"):
            until((house.data / f"ledger/{place}/cosigned").exists, f"cosignatures in {place}")
        assert {one["state"] for one in a.status()["witnesses"]} <= {"ok", "waiting"}


@pytest.mark.slow
@pytest.mark.requirement("SHARD-03")
def test_a_whole_set_that_was_rolled_back_is_known_to_the_witness(house: House) -> None:
    with house.up("a"), house.up("b"):
        until(lambda: len(house.head_sizes()) == 2, "the first heads")
    shutil.copytree(house.data / "ledger", house.world.root / "older")
    house.command("a", "apply", "-f", str(house.world.registry))
    with house.up("a") as a:
        size = a.status()["entries"]
        until(lambda: house.head_sizes()["a"] >= size, "a later head")
        until(house.is_cosigned, "its cosignature")
    shutil.rmtree(house.data / "ledger")
    (house.world.root / "older").rename(house.data / "ledger")
    for shard in ("a", "b"):
        told = house.refused(shard)
        assert "rolled back" in told or "was cut or replaced" in told
