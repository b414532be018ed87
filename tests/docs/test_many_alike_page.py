"""The page about answering many that are alike, typed as it stands, where eight payments wait."""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from answerable.adapters.sqlite import SqliteApprovalRegister, SqliteStore
from answerable.core.decision.facts import Requirement
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.mandate.mandate import MandateId
from tests.probes.demo_run import ROOT, blocks, environment, even, put_on_path, short_folder
from tests.worlds.alike import payment
from tests.worlds.control import World, made_world

PAGE = (ROOT / "docs/how-to/answer-many-alike.md").read_text()
SECONDS_MAX = 300


def eight_wait(world: World, mandate: str) -> None:
    """In the register of a data directory that no server holds."""
    now = time.time_ns() // 1_000_000
    store = SqliteStore.open(world.settings().registers.database)
    register = SqliteApprovalRegister(store)
    for number in range(8):
        made = payment(number, **({"payee": "Acme Holdings Ltd"} if number == 5 else {}))
        register.add(
            replace(
                made,
                mandate=MandateId(mandate),
                capability="crm.read",
                requirements=(Requirement(group="support-leads", count=1),),
                created_at=UnixMillis(now),
                expires_at=UnixMillis(now + 900_000),
            )
        )
    store.close()


@pytest.mark.requirement("DOCS-22")
def test_the_page_runs_as_it_stands(tmp_path: Path):
    with short_folder() as folder:
        world = made_world(folder)
        where = environment(PATH=put_on_path(tmp_path / "bin"), ANSWERABLE_DATA=str(world.data))
        answerable = shutil.which("answerable", path=where["PATH"])
        assert answerable is not None

        def ran(*line: str) -> str:
            done = subprocess.run(
                line, cwd=folder, env=where, capture_output=True, text=True, timeout=SECONDS_MAX, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout + done.stderr

        ran(answerable, "apply", "-f", str(world.registry))
        issue = ("mandate", "issue", "one-case", "--as", "ada", "--key", "ada.jwk", "--set", "case=4711")
        told = ran(answerable, *issue, "--yes")
        mandate = next(word for word in told.split() if len(word) == 26 and word.isalnum())
        eight_wait(world, mandate)
        rest = even(ran("bash", "-euo", "pipefail", "-c", "\n".join(blocks(PAGE, "sh"))))
    for shown in blocks(PAGE, "text"):
        assert even(shown) in rest, f"not printed: {shown}"
