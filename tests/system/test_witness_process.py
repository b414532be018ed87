"""The witness beside `answerable up`, and against a ledger that went back."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from answerable.core.tlog.checkpoint import Checkpoint
from answerable.core.tlog.policy import parse_policy, verified_checkpoint_under
from tests.probes.witness_processes import (
    FORK,
    QUICK,
    SECONDS_MAX,
    TRUE,
    Told,
    command,
    cosigned_size,
    environment,
    short_world,
    until,
    up,
    witness,
    witness_processes,
)
from tests.worlds.control import World
from tests.worlds.witness import ORIGIN, Log, size_in


@pytest.fixture
def world() -> Iterator[World]:
    with short_world() as made:
        yield made


@pytest.fixture(scope="module")
def seed() -> Iterator[World]:
    """A ledger with some entries under a cosigned checkpoint, and `before`, a copy of it, of the registers and of what
    the witness remembers from before they came."""
    with short_world() as world:
        with up(world) as server:
            server.answers()
        shutil.copytree(world.data / "ledger", world.root / "before")
        shutil.copytree(world.data / "witness", world.root / "before-witness")
        for registers in world.data.glob("answerable.db*"):
            shutil.copy2(registers, world.root)
        with up(world) as server:
            server.answers()
            command(world, "apply", "-f", str(world.registry))
        assert witness_processes(world) == []
        yield world


@pytest.fixture
def grown(seed: World) -> Iterator[World]:
    """A copy of that for one test."""
    with TemporaryDirectory(prefix="witness-") as folder:
        shutil.copytree(seed.root, folder, dirs_exist_ok=True)
        yield World(root=Path(folder))


@pytest.mark.requirement("WITNESS-13")
def test_a_checkpoint_is_cosigned_under_the_policy_that_the_product_prints(grown: World) -> None:
    world = grown
    policy = parse_policy(command(world, "witness", "policy").stdout.encode())
    note = (world.data / "ledger/cosigned").read_bytes()
    checkpoint, cosignatures = verified_checkpoint_under(note, policy, origin=policy.logs[0].key.name)
    assert checkpoint.size == size_in((world.data / "ledger/checkpoint").read_bytes()), "to its very end"
    assert len(cosignatures) == 1
    shown = json.loads(command(world, "witness", "show", "--json").stdout)
    assert [(one["size"], one["evidence"]) for one in shown["logs"]] == [(checkpoint.size, [])]


@pytest.mark.requirement("WITNESS-14")
@pytest.mark.parametrize("loss", ["rolled back", "removed"])
def test_a_ledger_that_went_back_does_not_start_and_nothing_is_written_to_it(grown: World, loss: str) -> None:
    world = grown
    newest = cosigned_size(world)
    shutil.rmtree(world.data / "ledger")
    if loss == "rolled back":
        shutil.copytree(world.root / "before", world.data / "ledger")
    for arguments in (["up"], ["ledger", "status"]):
        told = command(world, *arguments, code=1).stderr
        assert f"cosigned size {newest}" in told
        assert "Traceback" not in told
    found = json.loads(command(world, "doctor", "--json", code=5).stdout)
    (advice,) = (one["advice"] for one in found if one["name"] == "product")
    assert "restore the complete ledger" in advice
    assert "run-a-witness.md" in advice
    if loss == "rolled back":
        left, kept = (
            {path.relative_to(place): path.read_bytes() for path in place.rglob("*") if path.is_file()}
            for place in (world.data / "ledger", world.root / "before")
        )
        assert left == kept
    else:
        assert not (world.data / "ledger").exists()


def _older(world: World) -> None:
    """An older copy of the ledger and of the registers is brought back."""
    shutil.rmtree(world.data / "ledger")
    shutil.copytree(world.root / "before", world.data / "ledger")
    for registers in world.data.glob("answerable.db*"):
        registers.unlink()
    for registers in world.root.glob("answerable.db*"):
        shutil.copy2(registers, world.data)


@pytest.mark.requirement("WITNESS-18")
@pytest.mark.parametrize("lost", ["what it remembers", "its key, too", "its newest state alone"])
def test_a_witness_that_lost_what_it_knew_is_told_before_the_start_and_accepted_by_a_command_only(
    grown: World, lost: str
) -> None:
    """What is restored without the witness's directory may be an older copy, whose holds are gone."""
    world = grown
    if lost == "its newest state alone":
        shutil.rmtree(world.data / "witness")
        shutil.copytree(world.root / "before-witness", world.data / "witness")
    else:
        _older(world)
        shutil.rmtree(world.data / ("witness/logs" if lost == "what it remembers" else "witness"))
    size = cosigned_size(world)
    kept = {path: path.read_bytes() for path in (world.data / "ledger").rglob("*") if path.is_file()}
    for arguments in (["up"], ["ledger", "status"]):
        told = command(world, *arguments, code=1).stderr
        assert f"of size {size} with the cosignature of" in told
        assert "answerable witness accept-ledger" in told
    assert {path: path.read_bytes() for path in (world.data / "ledger").rglob("*") if path.is_file()} == kept
    assert "--yes" in command(world, "witness", "accept-ledger", code=1).stderr
    assert f"remembers size {size}" in command(world, "witness", "accept-ledger", "--yes").stderr
    with up(world) as server:
        until(lambda: "ledger  " in server.said(), "the server")
        until(lambda: server.witness()["state"] == "ok", "a cosignature")
        assert "another witness uses" in command(world, "witness", "accept-ledger", "--yes", code=1).stderr
    with up(world) as server:
        until(lambda: "ledger  " in server.said(), "another start")


@pytest.mark.requirement("WITNESS-18")
def test_what_a_witness_still_remembers_counts_when_a_ledger_is_accepted(grown: World) -> None:
    newest = cosigned_size(grown)
    _older(grown)
    told = command(grown, "witness", "accept-ledger", "--yes", code=1).stderr
    assert f"cosigned size {newest}" in told
    shutil.rmtree(grown.data / "ledger")
    assert "no checkpoint" in command(grown, "witness", "accept-ledger", "--yes", code=1).stderr


@pytest.mark.requirement("WITNESS-14")
@pytest.mark.parametrize("loss", ["rolled back", "grown again"])
def test_a_witness_elsewhere_is_asked_before_the_doors_open(world: World, loss: str) -> None:
    """Its memory cannot be looked at, so only its answers tell, to a log that is shorter or has another history."""
    other = World(root=world.root / "w")
    other.data.mkdir(parents=True, mode=0o700)
    with up(world) as server:
        server.answers()
    key = (world.data / "ledger/log.pub").read_text().split()[0]
    serve = ["--data", str(other.data), "witness", "serve", "--until-eof", "--log", key]
    elsewhere = subprocess.Popen(
        [sys.executable, "-m", "answerable.main", *serve],
        stdin=subprocess.PIPE,
        env=environment(),
    )
    try:
        vkey = until(
            lambda: (path := other.data / "witness/witness.pub").exists() and path.read_text(), "its key"
        ).split()[0]
        until((other.data / "witness.sock").exists, "the witness")
        remote = f'local = false\nremote = ["{vkey} unix:{other.data}/witness.sock"]\n'
        (world.data / "answerable.toml").write_text(QUICK.replace("[witnesses]\n", f"[witnesses]\n{remote}"))
        shutil.rmtree(world.data / "witness")
        # The registers as well: without them the start would find by itself that the log went back.
        grown_from = world.root / "start"
        shutil.copytree(world.data, grown_from, ignore=shutil.ignore_patterns("*.sock", "*.lock"))
        with up(world) as server:
            server.answers()
            command(world, "apply", "-f", str(world.registry))
        newest = cosigned_size(world)
        shutil.rmtree(world.data / "ledger")
        for registers in world.data.glob("answerable.db*"):
            registers.unlink()
        shutil.copytree(grown_from / "ledger", world.data / "ledger")
        for registers in grown_from.glob("answerable.db*"):
            shutil.copy2(registers, world.data)
        number = 0
        while loss == "grown again" and newest >= size_in((world.data / "ledger/checkpoint").read_bytes()):
            number += 1
            (world.registry / "registry.yaml").write_text(
                "apiVersion: answerable/v1\nkind: Principal\nmetadata: {name: bela}\n"
                f"spec: {{displayName: Bela {number}, groups: [x], keyFile: bela.pub.jwk}}\n"
            )
            command(world, "apply", "-f", str(world.registry))
        with up(world) as server:
            assert server.ended() == 1
            told = server.said()
        assert f"size {newest}" in told
        assert ("forked" if loss == "grown again" else "rolled back") in told
        assert "gateway" not in told, "no door was open"
        assert "Traceback" not in told
        shown = command(other, "witness", "show", "--json", code=5).stdout
        assert json.loads(shown)["logs"][0]["evidence"]
    finally:
        elsewhere.communicate(timeout=SECONDS_MAX)


@pytest.mark.requirement("WITNESS-15")
def test_a_killed_witness_is_started_again_and_goes_on(world: World) -> None:
    with up(world) as server:
        server.answers()
        (first,) = witness_processes(world)
        assert first != server.process.pid
        before = until(lambda: cosigned_size(world), "a cosignature")
        os.kill(first, signal.SIGKILL)
        command(world, "apply", "-f", str(world.registry))
        until(lambda: cosigned_size(world) > before, "a cosignature of the new witness")
        (second,) = witness_processes(world)
        assert second != first
        until(lambda: server.witness()["state"] == "ok", "the end of the alarm")


@pytest.mark.requirement("WITNESS-15")
def test_the_witness_ends_with_a_server_that_was_killed(world: World) -> None:
    with up(world) as server:
        server.answers()
        assert len(witness_processes(world)) == 1
        server.process.kill()
        server.ended()
        until(lambda: not witness_processes(world), "the end of the witness")
    with up(world) as server:
        server.answers()
        assert server.witness()["state"] == "ok"


@pytest.mark.requirement("WITNESS-16")
def test_a_witness_that_cannot_run_is_an_alarm_and_no_obstacle(world: World) -> None:
    (world.data / "witness.sock").write_text("in the way")
    with up(world) as server:
        server.answers()
        until(lambda: server.witness()["state"] == "alarm", "the alarm, once it has ended")
        one = server.witness()
        assert one["size"] == 0
        assert one["reason"]
        assert one["since"]
        until(lambda: "does not cosign" in server.said(), "the alarm, said")
        assert "ALARM" in command(world, "status").stdout
        assert "witness local" in command(world, "doctor", code=5).stdout
        command(world, "apply", "-f", str(world.registry))
        (world.data / "witness.sock").unlink()
        until(lambda: server.witness()["state"] == "ok", "the end of the alarm")


@pytest.mark.requirement("SAME-28")
def test_a_local_witness_that_takes_its_time_to_start_is_not_in_alarm(world: World) -> None:
    late = "round_seconds = 30\nstart_seconds_max = 0.1"
    (world.data / "answerable.toml").write_text(QUICK.replace("round_seconds = 0.2", late))
    seen: list[str] = []
    with up(world) as server:
        server.answers()

        def is_cosigned() -> bool:
            seen.append(server.witness()["state"])
            return seen[-1] == "ok"

        until(is_cosigned, "the first cosignature")
    assert set(seen) <= {"waiting", "ok"}


@pytest.mark.requirement("WITNESS-15")
def test_no_witness_runs_where_none_is_wanted(world: World) -> None:
    (world.data / "answerable.toml").write_text(
        QUICK.replace("[witnesses]\n", "[witnesses]\nlocal = false\n")
    )
    with up(world) as server:
        server.answers()
        assert witness_processes(world) == []
        assert json.loads(command(world, "status", "--json").stdout)["witnesses"] == []
    assert parse_policy(command(world, "witness", "policy").stdout.encode()).quorum == "none"
    assert not (world.data / "witness").exists()


@pytest.mark.requirement("WITNESS-05")
def test_evidence_is_shown_and_a_log_is_not_taken_over_by_another_key(world: World) -> None:
    added = command(world, "witness", "add-log", TRUE.key.formatted())
    assert "the log is now cosigned" in added.stderr
    other = Log(seed=2).key.formatted()
    assert "under another key" in command(world, "witness", "add-log", other, code=1).stderr
    command(world, "witness", "add-log", other, "--yes")
    told = Told(world.data)
    with witness(world.data):
        assert told.ask(TRUE, 0, 8) == 200
        assert told.ask(FORK, 8, 8) == 422
    shown = command(world, "witness", "show", code=5).stdout
    assert "EVIDENCE" in shown
    assert "fork" in shown
    (log,) = json.loads(command(world, "witness", "show", "--json", code=5).stdout)["logs"]
    assert (log["origin"], log["size"], len(log["keys"])) == (ORIGIN, 8, 2)
    assert log["root"] == Checkpoint.parse(TRUE.text(8)).root.hex()
    (path,) = Path(log["evidence_directory"]).iterdir()
    assert json.loads(path.read_bytes())["kind"] == "fork"
