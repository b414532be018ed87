"""The page on adding a target shows parts of the example, whose import of the product is its public face alone."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import answerable.targets
from tests.probes.demo_run import ROOT, blocks
from tests.worlds.plugin_installation import installation
from tests.worlds.up import environment

PAGE = (ROOT / "docs/how-to/add-a-target.md").read_text()
EXAMPLE = ROOT / "examples/targets/notes"
SOURCES = sorted((EXAMPLE / "src").rglob("*.py"))

pytestmark = pytest.mark.requirement("TARGET-08")


def test_what_the_page_shows_is_what_the_example_has() -> None:
    written = "\n".join(path.read_text() for path in (*SOURCES, *(EXAMPLE / "tests").glob("*.py")))
    shown = blocks(PAGE, "python")
    assert len(shown) == 3
    assert [one for one in shown if one.strip() not in written] == []
    entry, target = (tomllib.loads(one) for one in blocks(PAGE, "toml"))
    declared = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    assert declared["entry-points"] == entry["project"]["entry-points"]
    assert set(declared["entry-points"]["answerable.targets"]) == {target["kind"]}


def test_the_commands_of_the_page_list_the_installed_kind(tmp_path: Path) -> None:
    suite, install = blocks(PAGE, "sh")
    assert suite == f"cd {EXAMPLE.relative_to(ROOT)} && python -m pytest tests\n", "TARGET-07 runs it"
    assert install == f"pip install {EXAMPLE.relative_to(ROOT)}\nanswerable doctor\n"
    python = installation(tmp_path / "environment", EXAMPLE)
    line = [str(python), "-m", "answerable", "--data", str(tmp_path / "data"), "doctor"]
    done = subprocess.run(
        line, env=environment() | {"COLUMNS": "200"}, capture_output=True, text=True, check=False, timeout=60
    )
    (told,) = blocks(PAGE, "text")
    assert told.strip() in done.stdout, done.stdout + done.stderr


def test_the_example_imports_the_public_face_and_nothing_else_of_the_product() -> None:
    names = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert not [one.name for one in node.names if one.name.partition(".")[0] == "answerable"]
            elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "answerable":
                assert node.module == "answerable.targets", path
                names |= {one.name for one in node.names}
    assert names
    assert names <= {*answerable.targets.__all__}


@pytest.mark.requirement("TARGET-11")
def test_the_reference_has_every_public_name_with_a_sentence() -> None:
    page = (ROOT / "docs/reference/targets.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", page, re.MULTILINE))
    assert rows.keys() == {*answerable.targets.__all__}
    assert [name for name, says in rows.items() if not says.strip()] == []
    assert [name for name in answerable.targets.__all__ if not hasattr(answerable.targets, name)] == []
