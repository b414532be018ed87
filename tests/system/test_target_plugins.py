"""A kind of target that a package of others brings: installed, named in a target file, and acted on by an agent."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.worlds.brokered import capability, desk_on, eventually
from tests.worlds.plugin_installation import installation
from tests.worlds.up import environment, until

NOTES = Path(__file__).parents[2] / "examples/targets/notes"
TARGET = """\
kind = "notes"
port = {port}
password = "file:password"
"""
PASSWORD = "of the note service"

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installation(tmp_path_factory.mktemp("plugins") / "environment", NOTES)


@pytest.fixture
async def port(tmp_path: Path, python: Path) -> AsyncIterator[int]:
    """Of a note service that runs."""
    folder = tmp_path / "service"
    folder.mkdir()
    (folder / "password").write_text(PASSWORD)
    line = (str(python), "-m", "answerable_notes.note_server", str(folder))
    service = await asyncio.create_subprocess_exec(*line, env=environment())
    try:
        await until(lambda: (folder / "port").exists() or service.returncode is not None, "the note service")
        yield int((folder / "port").read_text())
    finally:
        service.kill()
        await service.wait()


@pytest.mark.requirement("TARGET-05")
async def test_an_agent_acts_on_it_under_a_lease_of_its_own_and_the_lease_ends(
    tmp_path: Path, python: Path, port: int
) -> None:
    may = [
        capability("note.read", "read", "read", texts=["note"], folder="case-7", verbs=["read"]),
        capability(
            "note.write",
            "write",
            "write",
            texts=["note", "text"],
            window="task",
            folder="case-7",
            verbs=["write"],
        ),
    ]
    secrets = {"password": PASSWORD}
    async with desk_on(
        tmp_path,
        target=TARGET.format(port=port),
        secrets=secrets,
        capabilities=may,
        before=lambda home: setattr(home, "python", str(python)),
    ) as desk:
        key = await desk.agent()
        said = await desk.does_call(key, "read", note="case-7/summary")
        assert "result" in said, said["text"] + desk.home.said
        assert said["result"]["structuredContent"] == {"text": "A parcel is missing."}
        refused = await desk.does_call(key, "read", note="case-8/summary")
        assert refused["result"]["isError"]
        written = await desk.does_call(key, "write", note="case-7/answer", text="It is found.")
        assert not written["result"]["isError"], written["text"]
        again = await desk.does_call(key, "read", note="case-7/answer")
        assert again["result"]["structuredContent"] == {"text": "It is found."}
        assert len(await desk.leases()) == 1, "the lease of the task is open"
        await desk.ends_task()

        async def all_gone() -> bool:
            return not await desk.leases()

        await eventually(all_gone, "the end of the lease")
        session = await desk.session_of(said)
        assert session["notes_connection"].startswith("127.0.0.1:")
        assert PASSWORD.encode() not in desk.shown("password")


@pytest.mark.requirement("TARGET-02", "TARGET-06")
def test_doctor_lists_it_with_its_distribution_and_imports_none(tmp_path: Path, python: Path) -> None:
    program = (
        "import sys\n"
        "from answerable.main import run\n"
        "try:\n    run()\n"
        "finally:\n    print([one for one in sys.modules if one.startswith(('answerable_notes', "
        "'answerable.adapters.redis'))], file=sys.stderr)\n"
    )
    line = [str(python), "-c", program, "--data", str(tmp_path / "data"), "doctor", "--json"]
    done = subprocess.run(line, env=environment(), capture_output=True, text=True, check=False, timeout=60)
    rows = [one["says"] for one in json.loads(done.stdout) if one["name"] == "target plug-ins"]
    assert "answerable-target-notes 1.0.0: notes" in rows
    assert [one for one in rows if one.startswith("answerable 0.") and ", redis, ssh" in one]
    assert done.stderr.splitlines()[-1] == "[]"


@pytest.mark.requirement("TARGET-07")
def test_its_own_tests_are_the_public_suite() -> None:
    line = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(
        line,
        cwd=NOTES,
        env=os.environ | environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    assert "not a trait of this adapter: without revocation" in done.stdout, (
        "a case without its trait skips by name"
    )
    assert " passed" in done.stdout
