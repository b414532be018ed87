"""The page about giving an agent a database, typed as it stands in a fresh folder, on a real PostgreSQL."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.probes.demo_run import ROOT, blocks, environment, even, left_running, put_on_path, short_folder
from tests.stand_ins.postgres_server import OWNER_PASSWORD, session_postgres

PAGE = (ROOT / "docs/how-to/give-an-agent-a-database.md").read_text()
SECONDS_MAX = 300


@pytest.mark.requirement("DOCS-22")
def test_the_page_runs_as_it_stands(tmp_path: Path):
    with session_postgres() as server, short_folder() as folder:
        path = f"{put_on_path(tmp_path / 'bin')}{os.pathsep}{server.bin}"
        where = {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": "owner"}
        typed = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", "\n".join(blocks(PAGE, "sh"))],
            cwd=folder,
            env=environment(PATH=path, PGPASSWORD=OWNER_PASSWORD, **where),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            said, _ = typed.communicate(timeout=SECONDS_MAX)
        finally:
            # Whatever the page left running when it failed in the middle is in its own session.
            with suppress(ProcessLookupError):
                os.killpg(typed.pid, signal.SIGKILL)
            typed.wait(SECONDS_MAX)
        log = folder / "db-agent/up.log"
        assert typed.returncode == 0, said + (log.read_text() if log.exists() else "")
        assert [*folder.iterdir()] == [], "and it is cleared away"
        rest = even(said)
        for shown in blocks(PAGE, "text"):
            _, found, rest = rest.partition(even(shown))
            assert found, f"not printed, or not in this order: {shown}\n{said}"
        assert left_running(folder) == []
