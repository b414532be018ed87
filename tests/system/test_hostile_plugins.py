"""A broker as a process of its own, with target plug-ins that do not return, or raise where a target is made."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.worlds.plugin_files import plugin
from tests.worlds.up import WAIT_SECONDS_MAX, environment, until

pytestmark = pytest.mark.anyio

NAMED = "of odd-one 2.5 cannot be used: "
SERVES = """\
from dataclasses import dataclass
from answerable.targets import BuiltTarget, TargetKind, text
from answerable.testing.memory_target import MemoryTarget

@dataclass(frozen=True, kw_only=True)
class Settings:
    place: str = text("here", "Where it is.")

def build(settings, context):
    {first}
    made = MemoryTarget(clock=context.clock, entropy=context.entropy)
    return BuiltTarget(issuer=made, target=made)

KIND = TargetKind(api=1, name="{name}", settings=Settings, build=build)
"""
IMPATIENT = """\
import sys
from answerable.wiring import target_kinds
target_kinds.CALL_SECONDS_MAX = 0.5
from answerable.main import run
run()
"""


@dataclass
class Broker:
    """`answerable broker` on a data directory of its own; plug-ins are installed in `installed`."""

    root: Path
    process: subprocess.Popen[bytes] | None = None
    line: tuple[str, ...] = (sys.executable, "-m", "answerable.main")
    installed: Path = field(init=False)

    def __post_init__(self) -> None:
        self.installed = self.root / "installed"
        self.installed.mkdir()
        self.data = self.root / "data"
        self.targets_folder = self.data / "broker/targets"
        for place in (self.data, self.data / "broker", self.targets_folder):
            place.mkdir(mode=0o700)

    def target(self, name: str, kind: str) -> None:
        file = self.targets_folder / f"{name}.toml"
        file.touch(mode=0o600)
        file.write_text(f'kind = "{kind}"\n')

    def start(self) -> None:
        with (self.root / "said").open("wb") as said:
            self.process = subprocess.Popen(
                [*self.line, "--data", str(self.data), "broker"],
                env=self.environment,
                stdout=said,
                stderr=said,
                stdin=subprocess.DEVNULL,
            )

    @property
    def environment(self) -> dict[str, str]:
        path = os.pathsep.join((str(self.installed), environment()["PYTHONPATH"]))
        return environment() | {"PYTHONPATH": path}

    @property
    def said(self) -> str:
        return (self.root / "said").read_text()

    def has_ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    async def serves(self) -> None:
        await until(lambda: "\nbroker " in f"\n{self.said}" or self.has_ended(), "the broker")
        assert not self.has_ended(), self.said

    async def ends(self) -> int:
        assert self.process is not None
        return await asyncio.to_thread(self.process.wait, WAIT_SECONDS_MAX)

    def targets(self) -> list[str]:
        transport = httpx2.HTTPTransport(uds=str(self.data / "broker.sock"))
        with httpx2.Client(transport=transport, base_url="http://broker", timeout=WAIT_SECONDS_MAX) as asked:
            found: list[dict[str, Any]] = asked.post("/v1/targets", json={}).json()["targets"]
        return [str(one["name"]) for one in found]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    made = Broker(tmp_path)
    try:
        yield made
    finally:
        if made.process is not None:
            made.process.kill()
            made.process.wait()


@pytest.mark.requirement("TARGET-09")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=lambda one: one.name)
@pytest.mark.parametrize("where", ["at import", "in build"])
async def test_a_signal_ends_a_broker_whose_plug_in_sleeps(
    broker: Broker, how: signal.Signals, where: str
) -> None:
    begun = broker.root / "begun"
    sleeps = f"import pathlib, time; pathlib.Path({str(begun)!r}).touch(); time.sleep(3600)"
    code = SERVES.format(name="odd", first=sleeps if where == "in build" else "pass")
    plugin(broker.installed, "odd-one", "odd", f"{sleeps}\n{code}" if where == "at import" else code)
    broker.target("mine", "odd")
    broker.start()
    await until(lambda: begun.exists() or broker.has_ended(), "the plug-in")
    assert not broker.has_ended(), broker.said
    assert broker.process is not None
    broker.process.send_signal(how)
    assert await broker.ends() == 0
    assert NAMED not in broker.said, "nothing was refused: the signal ended it before"
    assert "Traceback" not in broker.said


@pytest.mark.requirement("TARGET-09")
async def test_an_import_that_sleeps_is_told_with_its_distribution(broker: Broker) -> None:
    broker.line = (sys.executable, "-c", IMPATIENT)
    plugin(broker.installed, "odd-one", "odd", "import time\ntime.sleep(3600)\n")
    broker.target("mine", "odd")
    broker.start()
    assert await broker.ends() == 1, "the thread that sleeps does not delay the end"
    why = "importing it took more than 0.5 s"
    said = f"answerable: targets: mine.toml:1: kind: the plug-in `odd` {NAMED}{why}\n"
    assert broker.said.endswith(said), broker.said


@pytest.mark.requirement("TARGET-06")
def test_doctor_lists_no_plug_in_as_ok_that_it_refuses(broker: Broker) -> None:
    for name in ("odd-one", "odd-two"):
        plugin(broker.installed, name, "odd", "raise SystemExit('imported')")
    plugin(broker.installed, "odd-redis", "redis", "raise SystemExit('imported')")
    plugin(broker.installed, "well-one", "well", "raise SystemExit('imported')")
    line = [*broker.line, "--data", str(broker.data), "doctor", "--json"]
    done = subprocess.run(
        line, env=broker.environment, capture_output=True, text=True, check=False, timeout=WAIT_SECONDS_MAX
    )
    rows = [one for one in json.loads(done.stdout) if one["name"] == "target plug-ins"]
    fine = [one["says"] for one in rows if one["state"] == "ok"]
    assert [one for one in fine if one.startswith("answerable ")]
    assert not [one for one in fine if "redis" in one or "odd" in one]
    assert "well-one 2.5: well" in fine
    refused = [one["says"] for one in rows if one["state"] == "fault"]
    assert [one.split(" is in ")[0] for one in refused] == ["odd", "redis"]
    assert done.returncode == 5


@pytest.mark.requirement("TARGET-10")
async def test_a_broker_does_not_start_with_a_plug_in_that_cannot_build(broker: Broker) -> None:
    code = SERVES.format(name="odd", first="raise RuntimeError('a secret value')")
    plugin(broker.installed, "odd-one", "odd", code)
    plugin(broker.installed, "well-one", "well", SERVES.format(name="well", first="pass"))
    broker.target("mine", "odd")
    broker.target("healthy", "well")
    broker.start()
    assert await broker.ends() == 1
    assert (
        f"targets: mine.toml: the plug-in `odd` {NAMED}building a target failed: `RuntimeError`"
        in broker.said
    )
    assert "secret value" not in broker.said
    assert "Traceback" not in broker.said


@pytest.mark.requirement("TARGET-10")
@pytest.mark.parametrize(
    "code",
    [
        SERVES.format(name="odd", first="raise SystemExit(0)"),
        SERVES.format(name="odd", first="pass").replace("build=build", "build=build, faults=1 .real"),
        "raise KeyboardInterrupt",
    ],
    ids=["build", "faults", "import"],
)
async def test_a_broker_that_serves_keeps_its_targets_beside_a_plug_in_that_fails(
    broker: Broker, code: str
) -> None:
    plugin(broker.installed, "well-one", "well", SERVES.format(name="well", first="pass"))
    plugin(broker.installed, "odd-one", "odd", code)
    broker.target("healthy", "well")
    broker.start()
    await broker.serves()
    assert broker.targets() == ["healthy"]
    broker.target("mine", "odd")
    await until(lambda: NAMED in broker.said or broker.has_ended(), "the refusal")
    assert "the target files have changed but are not used: " in broker.said
    assert "mine.toml" in broker.said
    assert "Traceback" not in broker.said
    assert broker.targets() == ["healthy"]
    (broker.targets_folder / "mine.toml").unlink()
    broker.target("another", "well")
    await until(lambda: "target    another" in broker.said or broker.has_ended(), "the new target")
    assert broker.targets() == ["another", "healthy"]
