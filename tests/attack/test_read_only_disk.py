"""The disk of a real `up` becomes read-only: nothing acts, ends are in force in memory, and each message says so."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.probes.read_only_disk import FailingDisk, fail, real_disk
from tests.worlds.control import made_world
from tests.worlds.shard_house import House, environment, until

STOP = ("stop", "support-agent", "--kind", "agent", "--no-wait")
REVOKE = ("revoke", "agent", "support-agent", "--yes")
PANIC = ("panic", "--reason", "the disk fails")
ENDS = ("stop", "close", "revoke")


class Fallen:
    """served, alone: what each end was answered by the server, and without one. called: what an agent was. status: of
    the server then. said: all that the server wrote. refused: what a start says."""

    def __init__(self) -> None:
        self.served: dict[str, tuple[int, str]] = {}
        self.alone: dict[str, tuple[int, str]] = {}
        self.called: list[dict[str, Any]] = []
        self.status: dict[str, Any] = {}
        self.entries = 0
        self.said = self.refused = ""


def answered(house: House, *line: str) -> tuple[int, str]:
    done = subprocess.run(
        house.line("a", *line), capture_output=True, text=True, env=environment() | house.more, check=False,
        stdin=subprocess.DEVNULL, timeout=60,
    )  # fmt: skip
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def lived(house: House, breaks: Callable[[], None]) -> Fallen:
    fallen = Fallen()
    house.command("a", "apply", "-f", str(house.world.registry))
    with house.up("a") as a:
        mandate = house.issue("a")
        ends = {"stop": STOP, "close": ("mandate", "close", mandate, "--yes"), "revoke": REVOKE}
        a.acted(mandate)
        fallen.entries = a.status()["entries"]
        breaks()
        fallen.called.append(a.call(mandate))
        until(lambda: "no action begins" in a.said(), "the look at the disk")
        fallen.called.append(a.call(mandate))
        for name, line in {"panic": PANIC, **ends}.items():
            fallen.served[name] = answered(house, *line)
        fallen.status = a.status()
        assert a.process.poll() is None, a.said()
        a.killed()
        fallen.said = a.said()
    for name, line in {"panic": PANIC, **ends}.items():
        fallen.alone[name] = answered(house, *line)
    code, fallen.refused = answered(house, "up")
    assert code == 1
    return fallen


@pytest.fixture(scope="module", params=["a real disk", "its calls"])
def fallen(request: pytest.FixtureRequest) -> Iterator[Fallen]:
    with TemporaryDirectory(prefix="ro-") as folder:
        if request.param == "its calls":
            failing = FailingDisk(Path(folder) / "fails")
            yield lived(House(made_world(Path(folder)), more=failing.environment), failing.fail)
            return
        with real_disk(Path(folder) / "disk") as disk:
            yield lived(House(made_world(disk), Path(folder)), lambda: fail(disk))


@pytest.mark.requirement("FULLDISK-09")
def test_once_the_log_cannot_be_written_nothing_acts_and_the_server_stays(fallen: Fallen) -> None:
    for answer in fallen.called:
        assert answer["error"]["data"]["code"] in ("ledger.unwritable", "register.no_room"), answer
    assert fallen.status["open_intents"] == 0
    assert fallen.status["entries"] == fallen.entries


@pytest.mark.requirement("FULLDISK-10")
@pytest.mark.parametrize("name", ENDS)
def test_what_is_ended_is_in_force_until_the_server_ends_and_the_message_says_that(
    fallen: Fallen, name: str
) -> None:
    code, said = fallen.served[name]
    assert code == 1
    for part in (
        "in this server, at once and until it ends",
        "on record nowhere",
        "a restart before that forgets",
    ):
        assert part in said, said
    assert "answerable panic" in said


@pytest.mark.requirement("FULLDISK-10")
def test_panic_without_its_file_holds_everything_in_the_server_that_runs(fallen: Fallen) -> None:
    code, said = fallen.served["panic"]
    assert code == 1
    for part in ("cannot be written", "everything is held", "in this server, at once and until it ends"):
        assert part in said, said


@pytest.mark.requirement("FULLDISK-11")
@pytest.mark.parametrize("name", ENDS)
def test_without_a_server_it_says_that_nothing_was_ended_and_what_to_do(fallen: Fallen, name: str) -> None:
    code, said = fallen.alone[name]
    assert code == 1
    for part in (
        "nothing was ended: no server runs",
        "nothing acts through it",
        "revoke it at its targets",
        "keep it down",
        "answerable panic",
    ):
        assert part in said, said


@pytest.mark.requirement("FULLDISK-11")
def test_panic_without_a_server_says_what_to_do(fallen: Fallen) -> None:
    code, said = fallen.alone["panic"]
    assert code == 1
    for part in (
        "cannot be written",
        "nothing acts through it",
        "End every process",
        "revoke it at its targets",
    ):
        assert part in said, said


@pytest.mark.requirement("FULLDISK-11")
def test_a_start_on_it_is_refused_and_says_why(fallen: Fallen) -> None:
    assert "read-only" in fallen.refused, fallen.refused
