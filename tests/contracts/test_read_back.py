"""What one process wrote into the registers another one reads, with nothing imported but what reads it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import answerable
from answerable.adapters.sqlite import SqliteApprovalRegister, SqliteStore
from answerable.core.approval.approval import answered
from answerable.core.approval.on_behalf_of import OnBehalfOf
from answerable.core.identity.names.principal import PrincipalId
from answerable.testing.contracts.approval_register import approved
from answerable.testing.samples import approval

SOURCE = Path(answerable.__file__).parent
PLANTED = """
from __future__ import annotations
from typing import TYPE_CHECKING
import msgspec
if TYPE_CHECKING:
    from decimal import Decimal

class Row(msgspec.Struct):
    amount: Decimal
"""

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
    place = OnBehalfOf(of=PrincipalId("chen"), group="approvers", delegation="d-1", entry=3, leaf="00" * 32)
    by_deputy = answered(waiting, replace(approved(waiting).answers[0], in_place_of=place))
    assert register.replace(by_deputy, was=waiting)
    done = subprocess.run(
        [sys.executable, "-c", READING, str(file)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, repr(by_deputy.answers)), done.stderr


def read_back(source: Path, package: str) -> dict[str, list[str]]:
    """What a fresh interpreter says of the types that this source reads back: faults, and kinds as they are written."""
    line = [sys.executable, "-m", "tests.contracts.read_back_types", str(source), package]
    told = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    found: dict[str, list[str]] = json.loads(told)
    return found


@pytest.mark.requirement("READBACK-02")
def test_every_type_that_is_read_back_can_be_built_in_a_fresh_interpreter():
    found = read_back(SOURCE, "answerable")
    assert {"OnBehalfOf", "End", "Proposal", "kind"} <= {*found["kinds"]}
    assert found["faults"] == []


@pytest.mark.parametrize(
    "reading",
    [
        "def row(text): return msgspec.json.decode(text, type=Row)",
        "def row(text): return msgspec.convert(text, Row, strict=True)",
        "def row(text): return msgspec.msgpack.Decoder(list[Row])",
        "def row(text): return read(text, Row)\ndef read(text, kind): return msgspec.json.decode(text, type=kind)",
        "def row(text): return read(text, kind=Row)\ndef read(text, *, kind): return msgspec.convert(text, kind)",
        "class Kind:\n form: type\n def row(self, text): return msgspec.convert(text, self.form)\n"
        "ROWS = Kind(form=Row)",
        "from msgspec import convert\ndef row(text): return convert(text, Row)",
        "def row(kind): return msgspec.json.Decoder(kind)",
        "from functools import partial\nrow = partial(msgspec.json.decode, type=Row)",
        "def row(text): return read(msgspec.convert, text)",
        "from pydantic import TypeAdapter\ndef row(text): return TypeAdapter(Row).validate_json(text)",
        "import pickle\ndef row(text): return pickle.loads(text)",
    ],
)
@pytest.mark.requirement("READBACK-02")
def test_a_type_that_only_a_type_checker_knows_is_found_however_it_is_read(tmp_path, reading):
    folder = tmp_path / "planted_rows"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "rows.py").write_text(f"{PLANTED}\n{reading}\n")
    assert read_back(folder, "planted_rows")["faults"][0].startswith("planted_rows.rows")
