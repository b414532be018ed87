"""The README shows a real run of the demo; the how-to pages work on what the demo leaves behind."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.probes.demo_run import (
    ROOT,
    Run,
    blocks,
    copied,
    environment,
    even,
    needs_upstreams,
    put_on_path,
    the_demo,
)

pytestmark = needs_upstreams

LEFT_OUT = "…"
OF_ITS_OWN = {"add-a-target", "answer-many-alike", "give-an-agent-a-database"}
"""Begin where no demo was, and have tests of their own: test_target_page.py, test_many_alike_page.py,
test_database_page.py."""
MEASURES = {"give-an-agent-an-identity"}
"""Show what the kernel says of a program."""
PAGES = sorted(page for page in (ROOT / "docs/how-to").glob("*.md") if page.stem not in OF_ITS_OWN)
PAGE_SECONDS_MAX = 400


@pytest.fixture(scope="module")
def run() -> Run:
    return the_demo()


@pytest.mark.requirement("DOCS-20")
def test_the_output_in_the_readme_is_that_of_a_real_run(run: Run):
    (shown,) = blocks((ROOT / "README.md").read_text(), "text")
    pieces = [even(piece) for piece in shown.split(f"\n{LEFT_OUT}\n")]
    rest = even(run.out)
    for piece in pieces:
        _, found, rest = rest.partition(piece)
        assert found, f"the demo did not print, after what came before: {piece}"


@pytest.mark.requirement("DOCS-20")
def test_the_two_commands_are_on_the_first_screen():
    first = "\n".join((ROOT / "README.md").read_text().splitlines()[:24])
    assert "$ ./dev demo" in first
    assert "$ ./dev test" in first


@pytest.mark.requirement("DOCS-22", "MISSION-09")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_of_a_how_to_page_work(
    run: Run, tmp_path: Path, page: Path, request: pytest.FixtureRequest
):
    if page.stem in MEASURES:
        request.getfixturevalue("own_root_is_a_mount")
    text = page.read_text()
    # Each page finds what the demo left, not what the page before it did to that.
    with copied(run) as left:
        try:
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", "\n".join(blocks(text, "sh"))],
                cwd=left.here,
                env=environment(PATH=put_on_path(tmp_path / "bin")),
                capture_output=True,
                text=True,
                timeout=PAGE_SECONDS_MAX,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            pytest.fail(f"after {late.timeout} s it had said: {late.stdout!r} {late.stderr!r}")
    assert done.returncode == 0, done.stdout + done.stderr
    said = even(done.stdout + done.stderr)
    for shown in blocks(text, "text"):
        for piece in shown.split(f"\n{LEFT_OUT}\n"):
            assert even(piece) in said, done.stdout + done.stderr
