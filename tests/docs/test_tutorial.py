"""The tutorial, typed as it stands on the page, in a fresh folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.probes.demo_run import ROOT, blocks, environment, even, left_running, put_on_path, short_folder

PAGE = (ROOT / "docs/tutorials/govern-your-first-agent.md").read_text()
SECONDS_MAX = 400


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as path:
        yield path


@pytest.mark.requirement("DOCS-21", "BOUNDARY-07")
def test_the_tutorial_runs_as_it_stands(folder: Path, tmp_path: Path):
    # The page works in the folder of the repository; of that it needs the example servers only.
    (folder / "examples").symlink_to(ROOT / "examples")
    path = put_on_path(tmp_path / "bin")
    typed = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", "\n".join(blocks(PAGE, "sh"))],
        cwd=folder,
        env=environment(PATH=path),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = typed.communicate(timeout=SECONDS_MAX)
    except subprocess.TimeoutExpired as late:
        pytest.fail(f"not at its end after {SECONDS_MAX} s, having said: {late.output!r}")
    finally:
        # Whatever the page left running when it failed in the middle is in its own session.
        with suppress(ProcessLookupError):
            os.killpg(typed.pid, signal.SIGKILL)
        typed.wait(SECONDS_MAX)
    log = folder / "my-first/up.log"
    assert typed.returncode == 0, said + (log.read_text() if log.exists() else "")
    rest = even(said)
    for shown in blocks(PAGE, "text"):
        _, found, rest = rest.partition(even(shown))
        assert found, f"not printed, or not in this order: {shown}\n{said}"
    assert left_running(folder) == []
    assert faults_told(folder, path) == []


def faults_told(folder: Path, path: str) -> list[str]:
    """What `doctor` calls a fault of what the page has left."""
    done = subprocess.run(
        ["answerable", "--data", "my-first/data", "doctor", "--json"],
        cwd=folder,
        env=environment(PATH=path),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_MAX,
    )
    return [f"{one['name']}: {one['says']}" for one in json.loads(done.stdout) if one["state"] == "fault"]
