"""Whatever bytes the files of a policy set have: they are refused with places, or read; nothing is raised."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.worlds.policy_set import SCHEMA, SOUND, checked, write_schema

FILES = {
    (path.name, file.relative_to(path).as_posix()): file.read_bytes()
    for path in SOUND
    for file in sorted(path.rglob("*"))
    if file.is_file()
}
PIECES = [
    b"", b"(", b")", b"{", b"}", b'"', b";", b"//", b"\r", b"@", b"!", b"&&", b"||", b"if ", b"when { false }", b"[",
    b"]", b"::", b"context", b"context.arguments", b" has ", b"9223372036854775808", b"-", b'Action::"pay"', b"null",
    b"?principal", b"\xff", b"\x00", "\u202e".encode(), b": ", b"- ", b"\n", b"name: ", b"&a ", b"*a", b"!!int",
    b"permit",
]  # fmt: skip


@st.composite
def broken(draw: st.DrawFn) -> tuple[str, str, bytes]:
    """One file of a sound set with up to four pieces put in or taken out."""
    of, name = draw(st.sampled_from(sorted(FILES)))
    octets = FILES[of, name]
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(octets)))
        gone = draw(st.integers(0, 12))
        octets = octets[:start] + draw(st.sampled_from(PIECES)) + octets[start + gone :]
    return of, name, octets


@pytest.mark.requirement("SET-01")
@given(change=broken())
def test_a_set_whose_files_were_damaged_is_refused_with_places_or_read(change: tuple[str, str, bytes]):
    of, name, octets = change
    with tempfile.TemporaryDirectory() as folder:
        copied = Path(folder, of)
        shutil.copytree(next(path for path in SOUND if path.name == of), copied)
        write_schema(copied)
        (copied / name).write_bytes(octets)
        found = checked(copied)
        lines = {
            file.relative_to(copied).as_posix(): file.read_bytes().count(b"\n") + 1
            for file in copied.rglob("*")
            if file.is_file()
        }
        for fault in found.faults:
            assert 1 <= fault.line <= lines.get(fault.file, 1), fault
            assert "\n" not in fault.message
            assert fault.code.count(".") == 1
        assert found.faults or (found.snapshot is not None and (copied / SCHEMA).exists())
