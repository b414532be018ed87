"""`answerable secret` as its users run it: processes of their own, values by standard input or a file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import answerable

Command = Callable[..., subprocess.CompletedProcess[str]]
VALUE = "sk-live-4242424242424242"


@pytest.fixture
def secret(tmp_path: Path) -> Command:
    environment = {**os.environ, "PYTHONPATH": str(Path(answerable.__file__).parent.parent)}

    def run(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        words = [
            sys.executable,
            "-m",
            "answerable.main",
            "secret",
            *arguments,
            "--data",
            str(tmp_path / "data"),
        ]
        return subprocess.run(
            words, env=environment, input=given, capture_output=True, text=True, check=False
        )

    return run


@pytest.mark.requirement("SECRET-01")
def test_a_value_goes_in_by_standard_input_or_a_file_and_is_shown_by_no_command(secret, tmp_path):
    file = tmp_path / "value"
    file.write_text(f"{VALUE}-2\n")
    said = [
        secret("put", "crm", "--owner", "ann", "--about", "the CRM", given=f"{VALUE}\n"),
        secret("put", "mail", "--file", str(file), "--json"),
        secret("put", "crm", given="again"),
        secret("rotate", "crm", given=VALUE),
        secret(
            "rotate",
            "crm",
            given=f"{VALUE}-3",
        ),
        secret("list"),
        secret("list", "--json"),
        secret("retire", "mail"),
        secret("change-key"),
        secret("get", "crm"),
        secret("put", "odd", given="\0"),
    ]
    assert [one.returncode for one in said] == [0, 0, 3, 3, 0, 0, 0, 0, 0, 2, 1]
    for one in said:
        assert VALUE not in one.stdout + one.stderr
    rows = json.loads(said[6].stdout)
    assert [(row["name"], row["version"], row["uses"]) for row in rows] == [("crm", 2, []), ("mail", 1, [])]
    stored = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file())
    assert VALUE.encode() not in stored
    assert (tmp_path / "data/broker").stat().st_mode & 0o077 == 0


@pytest.mark.requirement("SECRET-03")
def test_what_was_exposed_is_due_and_says_so_by_the_exit_code(secret):
    secret("put", "crm", given=VALUE)
    assert secret("list").returncode == 0
    assert secret("expose", "crm", "--reason", "seen in a ticket").returncode == 0
    due = secret("list")
    assert due.returncode == 5
    assert "seen in a ticket" in due.stdout
    secret("rotate", "crm", given="another-value-of-it")
    assert secret("list").returncode == 0


@pytest.mark.requirement("SECRET-04")
def test_a_planted_or_stored_secret_is_found_in_what_passed(secret, tmp_path):
    planted, log, clean = tmp_path / "credentials", tmp_path / "log", tmp_path / "clean"
    secret("put", "crm", given=VALUE)
    assert secret("canary", "bait", "--to", str(planted), "--form", "aws").returncode == 0
    assert planted.stat().st_mode & 0o077 == 0
    bait = planted.read_text().strip()
    assert bait.startswith("AKIA")
    assert secret("canary", "second", "--to", str(planted)).returncode == 1
    log.write_text(f"{'x' * 3_000_000}GET /?key={bait}\n{VALUE.encode().hex()}\n")
    clean.write_text("nothing here\n")
    assert secret("find", str(clean)).returncode == 0
    found = secret("find", str(clean), str(log), "--json")
    assert found.returncode == 5
    assert json.loads(found.stdout) == [
        {"secret": "bait", "file": str(log)},
        {"secret": "crm", "file": str(log)},
    ]
    assert bait not in found.stdout + found.stderr
    piped = secret("find", "-", given=f"... {bait} ...")
    assert (piped.returncode, "bait" in piped.stdout) == (5, True)
    assert secret("find", str(tmp_path / "gone")).returncode == 3
    assert secret("list").returncode == 0, "looking changes nothing"
    assert secret("find", str(log), "--expose").returncode == 5
    listed = json.loads(secret("list", "--json").stdout)
    exposed = {one["name"]: one["exposed_why"] for one in listed if one["exposed_why"]}
    assert exposed == dict.fromkeys(("bait", "crm"), "found in `log`")
