"""A secret in a file: made once, whole, the owner's alone, and never told."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from answerable.adapters.local_keys import open_or_create_secret
from answerable.adapters.system import SystemEntropy
from answerable.errors import Unavailable
from tests.probes import warm_starts

pytestmark = pytest.mark.requirement("SEAL-07")

STARTED = """
import sys
from pathlib import Path
from answerable.adapters.local_keys import open_or_create_secret
from answerable.adapters.system import SystemEntropy
print(open_or_create_secret(Path(sys.argv[1]), count=32, entropy=SystemEntropy()).hex())
"""


def opened(path: Path, count: int = 32) -> bytes:
    return open_or_create_secret(path, count=count, entropy=SystemEntropy())


def test_it_is_made_on_the_first_start_and_found_on_every_other(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "subjects.key"
    secret = opened(path)
    assert len(secret) == 32
    assert opened(path) == secret == path.read_bytes()
    assert opened(tmp_path / "another") != secret
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [one.name for one in path.parent.iterdir()] == ["subjects.key"], "no draft is left behind"


def test_whoever_starts_at_the_same_time_has_the_same_secret(tmp_path: Path) -> None:
    for turn in range(20):
        path = tmp_path / str(turn) / "subjects.key"
        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(opened, [path] * 8))) == 1
        assert len(list(path.parent.iterdir())) == 1


def test_processes_that_start_at_the_same_time_have_the_same_secret(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "subjects.key"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    children = [
        subprocess.Popen([*warm_starts.program(STARTED), str(path)], stdout=subprocess.PIPE, env=environment)
        for _ in range(4)
    ]
    told = {child.communicate(timeout=60)[0] for child in children}
    assert told == {path.read_bytes().hex().encode() + b"\n"}


def test_one_of_another_length_is_neither_taken_nor_replaced(tmp_path: Path) -> None:
    for content in (b"", b"x" * 31, b"x" * 33, b"x" * 4096):
        path = tmp_path / "subjects.key"
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(Unavailable) as told:
            opened(path)
        assert told.value.code == "key.unreadable"
        assert path.read_bytes() == content


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610])
def test_one_that_others_may_read_is_not_taken(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "subjects.key"
    secret = opened(path)
    path.chmod(mode)
    with pytest.raises(Unavailable) as told:
        opened(path)
    assert told.value.code == "key.unreadable"
    assert secret.hex() not in told.value.message
    assert str(secret) not in told.value.message


def test_a_place_where_nothing_can_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "none").symlink_to(tmp_path / "nowhere" / "deep")
    (tmp_path / "directory").mkdir()
    for path in (
        tmp_path / "file" / "key",
        tmp_path / "none" / "key",
        tmp_path / "none",
        tmp_path / "directory",
    ):
        with pytest.raises(Unavailable) as told:
            opened(path)
        assert told.value.code == "key.unwritable"
        assert str(tmp_path) not in told.value.message
