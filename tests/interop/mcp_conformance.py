"""Runs the MCP conformance suite, and reads the table of what it says of us."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from node_packages import MCP_CONFORMANCE
from set_up import ROOT
from tests.interop.programs import run
from tests.probes import warm_starts
from tests.probes.loud_skips import skip_loudly

TABLE = ROOT / "tests/interop/mcp_conformance.toml"
ASKING = ROOT / "tests/interop/mcp_asking.toml"
BASELINE = ROOT / "tests/interop/mcp_conformance_baseline.txt"
CLIENT = ROOT / "tests/interop/mcp_conformance_client.py"
# Our SDK speaks the last two: the session-based one and the one without sessions.
REVISIONS = ("2025-11-25", "2026-07-28")
EXTENSION = "extension"

SHORT_RUN = ("--no-opt", "--v8-pool-size=0")
"""How Node runs what ends after a second: without making parts of it fast in threads beside it. It also keeps what it
compiled for the next run. A run takes half the CPU."""

_LISTED = re.compile(r"^  - (\S+) \[([^\]]*)\]$", re.MULTILINE)
_SECTIONS = {
    "client": "Client scenarios (test against a client):",
    "authorization": "Authorization server scenarios (test against an authorization server):",
    "server": "Server scenarios (test against a server):",
}


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One row of a table."""

    name: str
    role: str
    outcome: str
    reason: str = ""
    failing: tuple[str, ...] = ()
    told: str = ""
    answers: bool = False


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the suite said: checks by outcome, its exit status, and what our client said in its own words.

    bad: why, by id. warned: those of them that the suite only warns about, so that its exit status stays 0.
    """

    good: frozenset[str]
    bad: Mapping[str, str]
    warned: frozenset[str]
    status: int
    told: str
    output: str


def table(path: Path = TABLE) -> dict[str, Scenario]:
    """Every row by name."""
    rows = tomllib.loads(path.read_text(encoding="utf-8"))["scenario"]
    made = [Scenario(**{**row, "failing": tuple(row.get("failing", ()))}) for row in rows]
    by_name = {scenario.name: scenario for scenario in made}
    assert len(by_name) == len(made), "a scenario is in the table twice"
    return by_name


def baseline() -> list[tuple[str, str]]:
    """Scenario and check of all that was failing when the list was made."""
    lines = BASELINE.read_text(encoding="utf-8").splitlines()
    pairs = [line.split(" ") for line in lines if not line.startswith("#")]
    return [(scenario, check) for scenario, check in pairs]


def _run(*arguments: str, here: Path | None = None) -> subprocess.CompletedProcess[str]:
    """One run of the suite, or a loud skip."""
    if not MCP_CONFORMANCE.is_ready():
        skip_loudly(
            "the MCP conformance suite", "./dev verifiers, which needs npm (apt-get install npm)", name="npm"
        )
    node, script = MCP_CONFORMANCE.command()
    kept = str(MCP_CONFORMANCE.folder / "compiled")
    return run(node, *SHORT_RUN, script, *arguments, here=here, NODE_COMPILE_CACHE=kept)


@cache
def listed() -> dict[str, dict[str, tuple[str, ...]]]:
    """By role, what scenarios the suite has, and the revisions each is for."""
    done = _run("list")
    assert done.returncode == 0, done.stderr
    starts = sorted((done.stdout.index(heading), role) for role, heading in _SECTIONS.items())
    ends = [start for start, _ in starts[1:]] + [len(done.stdout)]
    return {
        role: {name: tuple(tags.split(",")) for name, tags in _LISTED.findall(done.stdout[start:end])}
        for (start, role), end in zip(starts, ends, strict=True)
    }


def revisions(scenario: Scenario) -> tuple[str, ...]:
    """At which revisions to run it; one empty text for an extension, which belongs to none."""
    tags = listed()[scenario.role][scenario.name]
    return ("",) if EXTENSION in tags else tuple(one for one in REVISIONS if one in tags)


def judged_client(name: str, revision: str, folder: Path) -> Verdict:
    """The suite's verdict on our client, in one scenario at one revision."""
    command = shlex.join(warm_starts.line(str(CLIENT)))
    return _judged(folder, revision, "client", "--command", command, "--scenario", name)


def judged_server(name: str, url: str, folder: Path) -> Verdict:
    """The suite's verdict on the authorization server with this issuer."""
    return _judged(folder, "", "authorization", "--url", url, "--scenario", name)


def judged_asking(name: str, revision: str, url: str, folder: Path) -> Verdict:
    """The suite's verdict on the MCP server at this address, in one scenario at one revision."""
    return _judged(folder, revision, "server", "--url", url, "--scenario", name)


def _judged(folder: Path, revision: str, *arguments: str) -> Verdict:
    more = ("--spec-version", revision) if revision else ()
    done = _run(*arguments, "-o", str(folder), *more, here=folder)
    found = list(folder.rglob("checks.json"))
    assert len(found) == 1, done.stderr
    checks = json.loads(found[0].read_text(encoding="utf-8"))
    said = [path.read_text(encoding="utf-8") for path in folder.rglob("stdout.txt")]
    word = json.loads(said[0]) if said and said[0].strip() else {}
    return Verdict(
        good=frozenset(one["id"] for one in checks if one["status"] == "SUCCESS"),
        bad={
            one["id"]: one.get("errorMessage", "")
            for one in checks
            if one["status"] in ("FAILURE", "WARNING")
        },
        warned=frozenset(one["id"] for one in checks if one["status"] == "WARNING"),
        status=done.returncode,
        told="called" if "called" in word else str(word.get("refused", "")),
        output=done.stderr[-4000:],
    )
