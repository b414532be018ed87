"""What one process wrote into the registers another one reads, with nothing imported but what reads it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from answerable.adapters.sqlite import SqliteApprovalRegister, SqliteStore
from answerable.core.approval.approval import answered
from answerable.core.approval.in_place_of import InPlaceOf
from answerable.core.identity.principal import PrincipalId
from answerable.testing.contracts.approval_register import approved
from answerable.testing.samples import approval

READING = """
import sys
from pathlib import Path
from answerable.adapters.sqlite import SqliteApprovalRegister, SqliteStore

register = SqliteApprovalRegister(SqliteStore.open(Path(sys.argv[1])))
(found,) = register.all(pending_only=False, now=0)
print(repr(found.answers))
"""


@pytest.mark.requirement("READBACK-01")
def test_an_answer_by_a_deputy_is_read_back_by_another_process(tmp_path):
    file = tmp_path / "registers.db"
    register = SqliteApprovalRegister(SqliteStore.open(file))
    waiting = approval()
    register.add(waiting)
    place = InPlaceOf(of=PrincipalId("chen"), group="approvers", delegation="d-1", entry=3, leaf="00" * 32)
    by_deputy = answered(waiting, replace(approved(waiting).answers[0], in_place_of=place))
    assert register.replace(by_deputy, was=waiting)
    done = subprocess.run(
        [sys.executable, "-c", READING, str(file)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, repr(by_deputy.answers)), done.stderr
