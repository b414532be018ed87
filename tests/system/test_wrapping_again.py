"""`mcp wrap` on real files in real processes that are killed at every step: the client is never past the gateway."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.worlds.up import environment

pytestmark = pytest.mark.requirement("WORDS-04")
DYING = Path(__file__).with_name("dying_wrap.py")
STEPS_MAX = 80
CONFIG = json.dumps(
    {
        "mcpServers": {
            "mail": {"command": "npx", "args": ["mail"], "env": {"TOKEN": "t0ken"}},
            "db": {"command": "db"},
        }
    },
    indent=2,
)


def ran(file: Path, what: str, steps: int) -> int:
    done = subprocess.run(
        [sys.executable, str(DYING), str(steps), what, str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


def state(file: Path) -> str:
    """The mandate that every server of the file is under, or `direct` where none goes through the gateway."""
    entries = json.loads(file.read_text())["mcpServers"]
    assert entries.keys() == {"mail", "db"}
    found = {one["args"][-1] if "shim" in one.get("args", []) else "direct" for one in entries.values()}
    assert len(found) == 1, "all or none"
    return str(found.pop())


@pytest.mark.parametrize(
    ("done", "doing", "allowed"),
    [
        ((), "m-1", {"direct", "m-1"}),
        (("m-1",), "m-2", {"m-1", "m-2"}),
        (("m-1",), "unwrap", {"m-1", "direct"}),
        (("m-1", "unwrap"), "m-2", {"direct", "m-2"}),
    ],
)
def test_killed_at_any_step_the_old_or_the_new_configuration_is_there_whole(tmp_path, done, doing, allowed):
    for step in range(STEPS_MAX):
        home = tmp_path / str(step)
        home.mkdir()
        file = home / "mcp.json"
        file.write_text(CONFIG)
        for earlier in done:
            assert ran(file, earlier, 10_000) == 0
        killed = ran(file, doing, step)
        assert state(file) in allowed
        # The same again goes on from there.
        if killed and not (doing == "unwrap" and state(file) == "direct"):
            assert ran(file, doing, 10_000) == 0
        assert state(file) == ("direct" if doing == "unwrap" else doing)
        if doing != "unwrap":
            assert ran(file, "unwrap", 10_000) == 0
            assert json.loads(file.read_text()) == json.loads(CONFIG)
        if not killed:
            return
    raise AssertionError("it never came to its end")


def test_the_command_gives_another_mandate_and_wraps_again_after_unwrapping(tmp_path):
    file = tmp_path / "mcp.json"
    file.write_text(CONFIG)

    def command(*words: str) -> None:
        line = [sys.executable, "-m", "answerable.main", "mcp", *words]
        done = subprocess.run(line, capture_output=True, text=True, env=environment(), check=False)
        assert done.returncode == 0, done.stderr

    for mandate in ("m-1", "m-2"):
        command("wrap", str(file), "--key", "agent.jwk", "--mandate", mandate)
        assert state(file) == mandate
    command("unwrap", str(file))
    assert file.read_text() == CONFIG
    command("wrap", str(file), "--key", "agent.jwk", "--mandate", "m-3")
    assert state(file) == "m-3"
