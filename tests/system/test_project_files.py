"""What a project has, as those meet it who install it, read it or change it: wheel, licence, pages and hook."""

from __future__ import annotations

import email
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from configparser import ConfigParser
from email.message import Message
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from answerable import __version__

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
COMMAND = re.compile(r"^  ([a-z]+)\)$", re.MULTILINE)
HELP = re.compile(r"^  ([a-z]+) ", re.MULTILINE)
NAMED = re.compile(r"`\./dev ([a-z]+)")
VERSION = re.compile(r"^## (\S+)", re.MULTILINE)
KINDS = ["Security", "Changed", "Deprecated", "Removed", "Fixed", "Added"]
"""Of Keep a Changelog, in the order that matters to whoever updates."""

SMALL = """
[tool.ruff]
extend-exclude = ["tools"]
[tool.importlinter]
root_package = "small"
[[tool.importlinter.contracts]]
name = "none"
type = "acyclic_siblings"
ancestors = ["small"]
"""


def run(*command: str | Path, cwd: Path, code: int = 0) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def built(kind: str, folder: Path) -> Path:
    run(sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", folder, cwd=ROOT)
    (made,) = folder.iterdir()
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    return zipfile.ZipFile(built("wheel", tmp_path_factory.mktemp("wheel")))


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    return email.message_from_bytes(wheel.read(f"answerable-{__version__}.dist-info/METADATA"))


@pytest.mark.requirement("REPO-01")
def test_the_licence_is_in_the_wheel_and_named_by_it(wheel: zipfile.ZipFile, metadata: Message) -> None:
    assert (metadata["License-Expression"], metadata.get_all("License-File")) == ("Apache-2.0", ["LICENSE"])
    text = wheel.read(f"answerable-{__version__}.dist-info/licenses/LICENSE")
    assert text == (ROOT / "LICENSE").read_bytes()
    assert text.split()[:4] == [b"Apache", b"License", b"Version", b"2.0,"]
    assert b"END OF TERMS AND CONDITIONS" in text


@pytest.mark.requirement("REPO-02")
def test_the_wheel_holds_the_package_whole_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    source = ROOT / "src"
    ours = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()}
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == {name for name in ours if "__pycache__" not in name}
    assert "answerable/py.typed" in held
    entries = ConfigParser()
    entries.read_string(wheel.read(f"answerable-{__version__}.dist-info/entry_points.txt").decode())
    assert dict(entries["console_scripts"]) == {"answerable": "answerable.__main__:run"}
    assert entries.sections() == ["console_scripts", "answerable.targets"]
    assert {one.partition(":")[2] for one in entries["answerable.targets"].values()} == {"KIND"}


@pytest.mark.requirement("REPO-02")
def test_the_metadata_say_what_it_is_and_needs(metadata: Message) -> None:
    assert (metadata["Name"], metadata["Requires-Python"]) == ("answerable", ">=3.11")
    assert metadata["Summary"]
    assert metadata["Author"]
    assert metadata["Keywords"]
    assert {"Topic :: Security", "Typing :: Typed"} <= {*metadata.get_all("Classifier", [])}
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload(decode=True) == (ROOT / "README.md").read_bytes()
    needed = metadata.get_all("Requires-Dist", [])
    assert len(needed) > 20
    assert [one for one in needed if "<" not in one or ">=" not in one] == []


@pytest.mark.requirement("LIGHT-07")
def test_the_metadata_name_the_base_and_what_each_extra_adds(metadata: Message) -> None:
    needed: dict[str, set[str]] = {}
    for one in map(Requirement, metadata.get_all("Requires-Dist", [])):
        extra = re.search(r"extra == '(\w+)'", str(one.marker).replace('"', "'"))
        needed.setdefault(extra[1] if extra else "", set()).add(one.name)
    assert needed[""] == {"anyio", "cryptography", "httpx2", "joserfc", "msgspec", "pynacl", "rfc8785"}
    assert needed["replay"] == {"cedarpy", "jsonschema-rs", "webauthn"}
    # The gateway decides and checks by what is asked again later: the server has all of that.
    assert {"mcp", "typer", "uvicorn"} | needed["replay"] <= needed["server"]
    targets = {"aws", "mariadb", "nats", "postgres", "rabbitmq", "redis"}
    assert {*metadata.get_all("Provides-Extra", [])} == needed.keys() - {""} == {"replay", "server"} | targets
    assert not needed["server"] & needed[""]


@pytest.mark.requirement("REPO-03")
def test_everything_tells_the_one_version(metadata: Message) -> None:
    assert metadata["Version"] == __version__
    assert run(BIN / "answerable", "--version", cwd=ROOT) == f"{__version__}\n"
    api = json.loads((ROOT / "docs/reference/openapi.json").read_bytes())
    assert api["info"]["version"] == __version__
    assert VERSION.findall((ROOT / "CHANGELOG.md").read_text())[1] == __version__
    sources = [*(ROOT / "src").rglob("*.py"), ROOT / "pyproject.toml"]
    holding = [path for path in sources if f'"{__version__}"' in path.read_text()]
    assert holding == [ROOT / "src/answerable/__init__.py"]


@pytest.mark.requirement("REPO-04")
def test_the_changelog_is_in_its_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    unreleased, *versions = VERSION.findall(text)
    assert unreleased == "Unreleased"
    numbers = [tuple(int(part) for part in one.split(".")) for one in versions]
    assert numbers == sorted(set(numbers), reverse=True)
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        kinds = re.findall(r"^### (.+)$", part, re.MULTILINE)
        assert kinds == [one for one in KINDS if one in kinds], part
    lines = [line for line in text.splitlines() if line.startswith("- ")]
    assert lines
    assert [line for line in lines if not line.endswith((".", ":"))] == []


@pytest.mark.requirement("REPO-05")
def test_every_command_is_in_the_help_and_none_is_named_that_is_not_there() -> None:
    there = {*COMMAND.findall((ROOT / "dev").read_text())}
    assert {"check", "hooks", "test"} <= there
    assert {*HELP.findall(run(ROOT / "dev", "help", cwd=ROOT))} == there
    page = (ROOT / "CONTRIBUTING.md").read_text()
    assert {"check", "fix", "hooks", "prove", "test"} <= {*NAMED.findall(page)}
    for path in (ROOT / "CONTRIBUTING.md", ROOT / "README.md", ROOT / ".ci/run"):
        assert {*re.findall(r"\./dev ([a-z]+)", path.read_text())} <= there, path


@pytest.mark.requirement("REPO-05")
def test_the_contributors_page_sends_a_change_to_every_room() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text()
    (_, where) = page.split("## Where a change goes")
    (where, _) = where.split("## How commits are worded")
    rooms = {path.name for path in (ROOT / "src/answerable").iterdir() if (path / "__init__.py").exists()}
    assert rooms >= {"core", "flows"}
    assert [room for room in sorted(rooms) if f"`{room}`" not in where] == []


@pytest.mark.requirement("REPO-06")
def test_the_example_of_a_commit_keeps_the_rule_about_commits() -> None:
    (_, worded) = (ROOT / "CONTRIBUTING.md").read_text().split("## How commits are worded")
    form, example = re.findall(r"`([a-z]+: .+?)`", worded)
    assert form == "room: what changes"
    assert len(example) <= int(re.findall(r"within (\d+) characters", worded)[0])
    assert (ROOT / "src/answerable" / example.partition(":")[0]).is_dir()


@pytest.mark.requirement("REPO-07")
def test_the_security_page_says_what_it_must_wherever_the_source_goes(tmp_path: Path) -> None:
    page = (ROOT / "SECURITY.md").read_text()
    parts = dict(re.findall(r"^## (.+)\n\n((?:(?!## ).*\n?)+)", page, re.MULTILINE))
    assert [*parts] == ["How to report", "What is promised", "What is not promised", "Supported versions"]
    assert "Do not open a public issue" in parts["How to report"]
    assert "answerable --version" in parts["How to report"]
    for name in ("What is promised", "What is not promised"):
        assert parts[name].count("\n- ") >= 3, name
    with tarfile.open(built("sdist", tmp_path)) as archive:
        held = archive.extractfile(f"answerable-{__version__}/SECURITY.md")
        assert held is not None
        assert held.read().decode() == page


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A small repository under our tools: their set-up is done, and its environment is this one."""
    for name in ("dev", "tools/check.py", "tools/hooks/pre-commit"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((ROOT / name).read_bytes())
        path.chmod((ROOT / name).stat().st_mode)
    (tmp_path / "tools/set_up.py").touch()
    (tmp_path / ".dev").mkdir()
    (tmp_path / ".dev/venv").symlink_to(sys.prefix)
    (tmp_path / ".gitignore").write_text(".dev\n__pycache__\n")
    (tmp_path / "small").mkdir()
    (tmp_path / "small/__init__.py").touch()
    (tmp_path / "pyproject.toml").write_text(SMALL)
    run("git", "init", "-q", cwd=tmp_path)
    for key, value in (("user.name", "a"), ("user.email", "a@example.org"), ("commit.gpgsign", "false")):
        run("git", "config", key, value, cwd=tmp_path)
    run("git", "add", "-A", cwd=tmp_path)
    run("git", "commit", "-q", "-m", "small: begin", cwd=tmp_path)
    return tmp_path


@pytest.mark.requirement("REPO-08")
def test_the_hook_refuses_a_badly_formatted_commit_and_makes_a_clean_one(clone: Path) -> None:
    assert "checked before each commit" in run("./dev", "hooks", cwd=clone)
    (clone / "small/one.py").write_text("one   = 1\n")
    run("git", "add", "-A", cwd=clone)
    told = run("git", "commit", "-m", "small: one", cwd=clone, code=1)
    assert "FAIL format" in told
    assert "small/one.py" in told
    assert "./dev fix" in told
    assert run("git", "log", "--format=%s", cwd=clone) == "small: begin\n"
    (clone / "small/one.py").write_text("one = 1\n")
    run("git", "add", "-A", cwd=clone)
    run("git", "commit", "-m", "small: one", cwd=clone)
    assert run("git", "log", "--format=%s", cwd=clone) == "small: one\nsmall: begin\n"
