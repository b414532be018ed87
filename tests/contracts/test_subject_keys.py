"""The contract suite of subject keys, and what only a file of keys shared by processes can get wrong."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from answerable.adapters.sqlite import SqliteStore, SqliteSubjectKeys
from answerable.adapters.system import SystemEntropy
from answerable.errors import Malformed, Unavailable
from answerable.testing.contracts.subject_keys import (
    SUBJECTS,
    DurableSubjectKeysContract,
    opens,
    same,
)
from tests.probes import warm_starts

pytestmark = pytest.mark.requirement("SEAL-07")

ROOT, OTHER_ROOT = bytes(range(32)), bytes(range(1, 33))


class RecordingEntropy(SystemEntropy):
    """Chance that can be looked at afterwards."""

    def __init__(self) -> None:
        self.drawn: list[bytes] = []

    def bytes(self, count: int) -> bytes:
        self.drawn.append(super().bytes(count))
        return self.drawn[-1]


def keys_in(
    directory: Path, *, root: bytes = ROOT, entropy: SystemEntropy | None = None
) -> SqliteSubjectKeys:
    return SqliteSubjectKeys.open(
        directory / "state" / "keys.db", root=root, entropy=entropy or SystemEntropy()
    )


class TestSqliteSubjectKeys(DurableSubjectKeysContract):
    def opened(self, tmp_path: Path) -> SqliteSubjectKeys:
        return keys_in(tmp_path)


KILLED = """
import os, signal, sys
from pathlib import Path
from answerable.adapters.sqlite import SqliteSubjectKeys
from answerable.adapters.system import SystemEntropy
from answerable.testing.contracts.subject_keys import sealed_with
keys = SqliteSubjectKeys.open(Path(sys.argv[1]), root=bytes(range(32)), entropy=SystemEntropy())
print(sealed_with(keys.of("Customer:4711")).hex(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""

RACING = """
import sys
from pathlib import Path
from answerable.adapters.sqlite import SqliteSubjectKeys
from answerable.adapters.system import SystemEntropy
print("ready", flush=True)
sys.stdin.readline()
keys = SqliteSubjectKeys.open(Path(sys.argv[1]), root=bytes(range(32)), entropy=SystemEntropy())
step = int(sys.argv[2])
print(" ".join(f"{n}:{keys.of(f'Customer:{n}').id.hex()}" for n in list(range(30))[::step]))
"""


def started(program: str, *arguments: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [*warm_starts.program(program), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    )


def test_a_key_that_was_used_before_kill_9_opens_after_it(tmp_path: Path) -> None:
    child = started(KILLED, str(tmp_path / "state" / "keys.db"))
    told, _ = child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL
    attachment = bytes.fromhex(told.decode())
    keys = keys_in(tmp_path)
    assert opens(keys.of("Customer:4711"), attachment)
    assert opens(keys.find(attachment[1:17]), attachment)


def test_a_key_is_synced_before_it_is_given_out(tmp_path: Path) -> None:
    keys_in(tmp_path).of("Customer:4711")
    store = SqliteStore.open(tmp_path / "state" / "keys.db", migrations=((),), application_id=0x616E736B)
    assert store.rows("PRAGMA synchronous") == [(2,)]
    assert store.rows("PRAGMA journal_mode") == [("wal",)]


def test_processes_that_race_for_the_same_subjects_have_the_same_keys(tmp_path: Path) -> None:
    file = str(tmp_path / "state" / "keys.db")
    children = [started(RACING, file, step) for step in ("1", "-1", "1", "-1")]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write(b"\n")
        child.stdin.flush()
    told = [child.communicate(timeout=60)[0] for child in children]
    assert not any(child.returncode for child in children)
    pairs = {pair for text in told for pair in text.split()}
    assert len(pairs) == 30


@pytest.mark.requirement("SEAL-02")
def test_the_file_names_nobody_and_holds_no_secret(tmp_path: Path) -> None:
    entropy = RecordingEntropy()
    keys = keys_in(tmp_path, entropy=entropy)
    for subject in SUBJECTS:
        keys.of(subject)
    secrets = [drawn for drawn in entropy.drawn if len(drawn) == 32]
    assert len(secrets) == len(SUBJECTS)
    files = list((tmp_path / "state").iterdir())
    assert {file.name for file in files} == {"keys.db", "keys.db-wal", "keys.db-shm"}
    content = b"".join(file.read_bytes() for file in files)
    for hidden in (ROOT, *secrets, b"alice", b"4711", b"Customer", b"log:own"):
        assert hidden not in content
        assert hidden.hex().encode() not in content
    assert keys.of("log:own").id in content, "the ids are there, so this looked at the right bytes"
    keys.close()
    content = b"".join(file.read_bytes() for file in (tmp_path / "state").iterdir())
    assert not any(hidden in content for hidden in (ROOT, *secrets, b"alice", b"4711"))


def test_the_file_and_its_companions_are_nobody_elses_to_read(tmp_path: Path) -> None:
    keys_in(tmp_path).of("Customer:4711")
    state = tmp_path / "state"
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in state.iterdir()} == {0o600}
    keys_in(tmp_path).close()
    (state / "keys.db").chmod(0o644)
    keys_in(tmp_path).close()
    assert stat.S_IMODE((state / "keys.db").stat().st_mode) == 0o600


@pytest.mark.requirement("SEAL-02")
def test_under_another_root_key_the_file_is_refused_and_not_changed(tmp_path: Path) -> None:
    key = keys_in(tmp_path).of("Customer:4711")
    with pytest.raises(Unavailable) as told:
        keys_in(tmp_path, root=OTHER_ROOT)
    assert (told.value.code, told.value.port, told.value.effect) == (
        "subject_keys.corrupt",
        "subject_keys",
        "none",
    )
    for root in (ROOT, OTHER_ROOT):
        assert root.hex() not in told.value.message
    assert same(keys_in(tmp_path).find(key.id), key)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_root_key_of_another_size_is_refused(length: int, tmp_path: Path) -> None:
    with pytest.raises(Malformed) as told:
        keys_in(tmp_path, root=bytes(length))
    assert told.value.code == "key.malformed"


def changed(directory: Path, statement: str, *values: object) -> None:
    connection = sqlite3.connect(directory / "state" / "keys.db")
    connection.execute(statement, values)
    connection.commit()
    connection.close()


@pytest.mark.requirement("SEAL-02")
def test_a_changed_row_gives_no_key_to_anybody(tmp_path: Path) -> None:
    keys = keys_in(tmp_path)
    alice, bob = keys.of("principal:alice"), keys.of("principal:bob")
    keys.close()
    rows = sqlite3.connect(tmp_path / "state" / "keys.db").execute(
        "SELECT id, subject, wrapped FROM subject_keys"
    )
    held = {row[0]: row for row in rows}
    wrapped = held[alice.id][2]
    flipped = [
        wrapped[:at] + bytes((wrapped[at] ^ 1,)) + wrapped[at + 1 :] for at in (0, 11, 12, len(wrapped) - 1)
    ]
    for damaged in (*flipped, wrapped[:-1], wrapped + b"x", b"", held[bob.id][2]):
        changed(tmp_path, "UPDATE subject_keys SET wrapped = ? WHERE id = ?", damaged, alice.id)
        keys = keys_in(tmp_path)
        with pytest.raises(Unavailable) as told:
            keys.of("principal:alice")
        assert told.value.code == "subject_keys.corrupt"
        assert keys.find(alice.id) is None
    changed(tmp_path, "UPDATE subject_keys SET wrapped = ? WHERE id = ?", wrapped, alice.id)
    assert same(keys_in(tmp_path).of("principal:alice"), alice)


@pytest.mark.requirement("SEAL-02")
@pytest.mark.parametrize("column", ["subject", "id"])
def test_who_can_write_the_file_cannot_give_one_subject_the_key_of_another(
    column: str, tmp_path: Path
) -> None:
    keys = keys_in(tmp_path)
    alice, bob = keys.of("principal:alice"), keys.of("principal:bob")
    keys.close()
    file = sqlite3.connect(tmp_path / "state" / "keys.db")
    names = dict(file.execute(f"SELECT id, {column} FROM subject_keys"))
    for key_id, value in (
        (alice.id, b"x"),
        (bob.id, names[alice.id]),
        (b"x" if column == "id" else alice.id, names[bob.id]),
    ):
        file.execute(f"UPDATE subject_keys SET {column} = ? WHERE id = ?", (value, key_id))
    file.commit()
    file.close()
    with pytest.raises(Unavailable) as told:
        keys_in(tmp_path).of("principal:alice")
    assert told.value.code == "subject_keys.corrupt"


def test_keys_are_kept_in_mind_up_to_a_bound_and_found_in_the_file_past_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("answerable.adapters.sqlite.subject_keys.CACHED_MAX", 3)
    keys = keys_in(tmp_path)
    first = {number: keys.of(f"Customer:{number}") for number in range(10)}
    for number, key in first.items():
        assert same(keys.of(f"Customer:{number}"), key)
        assert same(keys.find(key.id), key)
    assert keys.of("Customer:9") is keys.of("Customer:9"), "a known key is found without reading"


def test_a_known_key_is_found_without_the_file_and_a_new_one_is_not_had_without_it(tmp_path: Path) -> None:
    keys = keys_in(tmp_path)
    key = keys.of("Customer:4711")
    keys.find(key.id)
    keys.close()
    assert keys.of("Customer:4711") is key
    assert same(keys.find(key.id), key)
    for ask in (lambda: keys.of("Customer:4712"), lambda: keys.find(bytes(16))):
        with pytest.raises(Unavailable):
            ask()


def test_while_another_process_writes_a_new_key_is_waited_for_and_then_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("answerable.adapters.sqlite.store.BUSY_MILLIS_MAX", 50)
    keys = keys_in(tmp_path)
    other = sqlite3.connect(tmp_path / "state" / "keys.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable) as told:
        keys.of("Customer:4711")
    assert told.value.code == "register.unavailable"
    other.execute("ROLLBACK")
    other.close()
    assert same(keys_in(tmp_path).of("Customer:4711"), keys.of("Customer:4711"))


def test_the_file_of_keys_and_the_file_of_registers_are_not_mistaken_for_each_other(tmp_path: Path) -> None:
    SqliteStore.open(tmp_path / "state" / "keys.db").close()
    with pytest.raises(Unavailable) as told:
        keys_in(tmp_path)
    assert told.value.code == "register.foreign"
    keys_in(tmp_path / "other").close()
    with pytest.raises(Unavailable) as told:
        SqliteStore.open(tmp_path / "other" / "state" / "keys.db")
    assert told.value.code == "register.foreign"


def test_who_comes_second_with_a_key_of_his_own_takes_the_one_that_is_there(tmp_path: Path) -> None:
    first = keys_in(tmp_path)

    class Late(SystemEntropy):
        """While a key is drawn another process makes one for the same subject."""

        def bytes(self, count: int) -> bytes:
            first.of("Customer:4711")
            return super().bytes(count)

    second = keys_in(tmp_path, entropy=Late())
    assert same(second.of("Customer:4711"), first.of("Customer:4711"))


def test_an_id_that_is_drawn_twice_gives_nobody_a_key(tmp_path: Path) -> None:
    class Stuck(SystemEntropy):
        def bytes(self, count: int) -> bytes:
            return bytes(count)

    keys = keys_in(tmp_path, entropy=Stuck())
    first = keys.of("principal:alice")
    with pytest.raises(Unavailable) as told:
        keys.of("principal:bob")
    assert told.value.code == "subject_keys.corrupt"
    assert same(keys.of("principal:alice"), first)
