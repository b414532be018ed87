"""A walk that leaves the commit out does not type-check."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tidy.tree import ROOT

WITHOUT = """
from typing import Any

from answerable.core.ledger.commit import Committed, CommitRequest, Conflict
from answerable.core.ledger.entry import Receipt
from answerable.core.ledger.warrant import Warrant
from answerable.ports.intent_log import IntentLog


def of_a_receipt(receipt: Receipt, **more: Any) -> Warrant:
    return Warrant(committed=receipt, **more)  # wrong


def of_nothing(**more: Any) -> Warrant:
    return Warrant(committed=None, **more)  # wrong


async def whatever_came_of_it(intents: IntentLog, request: CommitRequest, **more: Any) -> Warrant:
    return Warrant(committed=await intents.commit(request), **more)  # wrong


async def of_a_conflict(intents: IntentLog, request: CommitRequest, **more: Any) -> Warrant:
    found = await intents.commit(request)
    if isinstance(found, Committed):
        raise TypeError
    return Warrant(committed=found, **more)  # wrong


async def of_a_commit(intents: IntentLog, request: CommitRequest, **more: Any) -> Warrant:
    found = await intents.commit(request)
    if isinstance(found, Conflict):
        raise TypeError
    return Warrant(committed=found, **more)
"""


@pytest.mark.requirement("HOUSE-72")
def test_a_warrant_is_made_of_a_commit_only(tmp_path: Path) -> None:
    (tmp_path / "without.py").write_text(WITHOUT)
    mypy = Path(sys.executable).with_name("mypy")
    # What mypy knows of the product from the last time is as good as its text.
    settings = ("--config-file", ROOT / "pyproject.toml", "--cache-dir", ROOT / ".dev/cache/mypy-commits")
    done = subprocess.run(
        [mypy, *settings, "--follow-imports", "silent", "without.py"],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    told = r"without\.py:(\d+): error: .*; expected \"Committed\".*\[arg-type\]$"
    wrong = [number for number, line in enumerate(WITHOUT.splitlines(), 1) if line.endswith("# wrong")]
    assert [*map(int, re.findall(told, done.stdout, re.MULTILINE))] == wrong, done.stdout + done.stderr
    assert done.stdout.count(" error: ") == len(wrong), done.stdout
