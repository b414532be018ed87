"""Which fields of a manifest were measured, and by whom, on a real server with real processes."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from answerable.core.ledger.tags import Tag
from tests.worlds.up import WAIT_SECONDS_MAX, House, environment, house, registry, until

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="the kernel's word about processes is Linux's"),
]
COMMAND = Path(sys.executable).parent / "answerable"
LYING = Path(__file__).with_name("lying_agent.py")


def ran(*words: str, cwd: Path | None = None, code: int = 0) -> str:
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        env=environment(),
        cwd=cwd,
        timeout=WAIT_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def with_owner_key(documents: str, public: str) -> str:
    return documents.replace("displayName: Ada,", f"displayName: Ada, keys: [{public}],")


async def signed(home: House, project: Path, *, program: Path | None = None) -> None:
    """Its owner signs what the project is, and it comes into force."""
    document = home.root / "manifest.yaml"
    await asyncio.to_thread(
        home.command, "agent", "manifest", "write", str(project), "--agent", "scout", "--out", str(document),
        "--yes", "--model", "claude-sonnet-4-5@20250929",
        *(("--program", str(program)) if program is not None else ()),
    )  # fmt: skip
    token = await asyncio.to_thread(
        home.command, "agent", "manifest", "sign", str(document), "--key", str(home.root / "ada.jwk"),
        "--as", "ada", "--yes",
    )  # fmt: skip
    (home.root / "manifest.jws").write_text(token)
    await asyncio.to_thread(home.command, "agent", "manifest", "register", str(home.root / "manifest.jws"))


def up(home: House, agent: str, *options: str) -> list[str]:
    return [str(COMMAND), "--data", str(home.data), "agent", "up", "--agent", agent, *options]


async def started(home: House, *, drift: str = "refuse", **attestation: Any) -> None:
    public = await asyncio.to_thread(home.command, "key", "new", str(home.root / "ada.jwk"))
    await home.start()
    documents = registry(**attestation).replace("  attestation:", f"  drift: {drift}\n  attestation:")
    await asyncio.to_thread(home.apply, with_owner_key(documents, public.strip()))


def said_of(project: Path, home: House) -> dict[str, str]:
    """What our sidecar would measure, for somebody who only says so."""
    told = json.loads(home.command("agent", "manifest", "write", str(project), "--json"))
    return {one["field"]: one["value"] for one in told["fields"] if one["grade"] == "sidecar"}


@pytest.mark.requirement("MANIFEST-16")
async def test_agent_up_measures_and_a_program_that_says_the_same_of_itself_only_claims(tmp_path):
    project = tmp_path / "project"
    project.mkdir()
    (project / "SYSTEM_PROMPT.md").write_text("Be kind.")
    async with house(tmp_path) as home:
        await started(home, scout=[[f"unix:uid:{os.getuid()}"]])
        await signed(home, project)
        gateway = f"unix:{home.data / 'gateway.sock'}"
        words = json.dumps(await asyncio.to_thread(said_of, project, home))
        assert "prompt_digest" in words
        # The same interpreter, the same user, the same words: also with the words of our command behind its own.
        for more in ((), ("agent", "up")):
            answer = await asyncio.to_thread(ran, sys.executable, str(LYING), gateway, words, *more)
            assert json.loads(answer) == {"code": "manifest.unmeasured"}
        up = (
            str(COMMAND), "--data", str(home.data), "agent", "up", "--agent", "scout",
            "--project", str(project), "--",
        )  # fmt: skip
        listed = await asyncio.to_thread(
            ran, *up, str(COMMAND), "--data", str(home.data), "agent", "instances", "--json"
        )
        (one,) = json.loads(listed)
        grades = {field["field"]: field["grade"] for field in one["made_of"]}
        assert (grades["prompt_digest"], grades["code_digest"]) == ("sidecar", "sidecar")
        assert (grades["model_name"], grades["model_version"], one["manifest_grade"]) == ("claimed",) * 3
        # What an agent starts below itself speaks for nobody but itself, our own command included.
        inner = (*up, str(COMMAND), "--data", str(home.data), "agent", "up", "--agent", "scout")
        refused = await asyncio.to_thread(ran, *inner, "--project", str(project), "--", "true", code=3)
        assert refused == ""
        await home.stop(signal.SIGTERM)
        told = [entry["manifest_fields"] for entry in home.entries(Tag.WORKLOAD_ENROLLED)]
        assert told == [{"code_digest": "sidecar", "prompt_digest": "sidecar"}] * 2


@pytest.mark.requirement("MANIFEST-17")
@pytest.mark.parametrize("rule", ["refuse", "mark"])
async def test_the_program_that_agent_up_starts_is_the_one_that_the_kernel_sees(tmp_path, rule):
    """A program of the agent's own, one in its place on the disk, and one that it becomes once it runs."""
    project, good = tmp_path / "project", tmp_path / "agent"
    project.mkdir()
    shutil.copy(shutil.which("sleep") or "", good)
    other = tmp_path / "other"
    other.write_bytes(good.read_bytes() + b"changed")
    other.chmod(0o700)
    async with house(tmp_path) as home:
        documents = [[f"unix:uid:{os.getuid()}"]]
        await started(home, drift=rule, scout=documents)
        await signed(home, project, program=good)

        async def seen(*command: str, drift: list[str], measured: dict[str, str]) -> None:
            process = await asyncio.create_subprocess_exec(
                *up(home, "scout"), "--", *command, env=environment()
            )
            try:
                await until(lambda: is_as(home, drift, measured), "what the kernel says of the agent")
            finally:
                process.terminate()
                await process.wait()

        def is_as(home: House, drift: list[str], measured: dict[str, str]) -> bool:
            found = json.loads(home.command("agent", "instances", "--json"))
            told = [
                (one["drift"], {f["field"]: f["grade"] for f in one["made_of"] if f["verdict"] == "match"})
                for one in found
            ]
            return told == [(drift, measured)]

        await seen(str(good), "600", drift=[], measured={"executable_digest": "kernel"})
        # It starts as what the owner signed, which then becomes another program: `env` is what was signed here.
        await signed(home, project, program=Path(shutil.which("env") or ""))
        await seen(shutil.which("env") or "", str(other), "600", drift=["executable_digest"], measured={})
        if rule == "refuse":
            done = await asyncio.to_thread(ran, *up(home, "scout"), "--", str(other), "600", code=3)
            assert done == ""
        await home.stop(signal.SIGTERM)
        grades = [entry["manifest_fields"] for entry in home.entries(Tag.WORKLOAD_ENROLLED)]
        assert {"executable_digest": "kernel"} in grades
