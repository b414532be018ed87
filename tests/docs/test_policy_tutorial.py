"""The tutorial about policy sets, typed as it stands on the page, in a fresh folder."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.probes.demo_run import ROOT, blocks, environment, even, put_on_path, short_folder

PAGE = (ROOT / "docs/tutorials/write-your-first-policy-set.md").read_text()
SECONDS_MAX = 400


@pytest.mark.requirement("SET-10")
def test_the_tutorial_about_policy_sets_runs_as_it_stands(tmp_path: Path):
    with short_folder() as folder:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", "\n".join(blocks(PAGE, "sh"))],
            cwd=folder,
            env=environment(PATH=put_on_path(tmp_path / "bin")),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )
    assert done.returncode == 0, done.stdout
    rest = even(done.stdout)
    for shown in blocks(PAGE, "text"):
        _, found, rest = rest.partition(even(shown))
        assert found, f"not printed, or not in this order: {shown}\n{done.stdout}"
