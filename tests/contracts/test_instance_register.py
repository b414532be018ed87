"""Instances in memory and in SQLite, and what only processes that share a file can get wrong."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from answerable.adapters.sqlite import SqliteInstanceRegister, SqliteStore
from answerable.core.identity.names.principal import UnixMillis
from answerable.testing.contracts.instance_register import (
    DurableInstanceRegisterContract,
    instance,
    thumbprint,
)
from tests.probes import warm_starts

PROCESSES = 5
RACE = """
import sys
from pathlib import Path
from answerable.adapters.sqlite import SqliteInstanceRegister, SqliteStore
from answerable.errors import Malformed
from answerable.testing.contracts.instance_register import instance

me = sys.argv[2]
register = SqliteInstanceRegister(SqliteStore.open(Path(sys.argv[1])))
print("ready", flush=True)
sys.stdin.readline()
won = []
for number in range(20):
    for what, one in (
        ("id", instance(f"id{number}", key=f"{me}-{number}")),
        ("key", instance(f"k{number}-{me}", key=f"key-{number}")),
        ("process", instance(f"p{number}-{me}", process=f"boot:{number}:1")),
    ):
        try:
            register.add(one)
        except Malformed:
            continue
        won.append(f"{what}{number}")
print(" ".join(won))
"""
END = """
import sys
from dataclasses import replace
from pathlib import Path
from answerable.adapters.sqlite import SqliteInstanceRegister, SqliteStore
from answerable.testing.contracts.instance_register import instance

register = SqliteInstanceRegister(SqliteStore.open(Path(sys.argv[1])))
print("ready", flush=True)
sys.stdin.readline()
for number in range(20):
    one = instance(f"e{number}")
    if sys.argv[2] == "end":
        register.end(one.id, because="retired")
    else:
        for more in range(3):
            register.put(replace(one, expires_at=one.expires_at + more + 1))
"""


def store_in(directory: Path) -> SqliteStore:
    return SqliteStore.open(directory / "registers.db")


def raced(program: str, file: Path, names: list[str]) -> list[str]:
    """What each process printed, once all were ready and let go together."""
    children = [
        subprocess.Popen(
            [*warm_starts.program(program), str(file), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in names
    ]
    try:
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        told = [child.communicate(timeout=120)[0] for child in children]
    finally:
        for child in children:
            child.kill()
    assert [child.returncode for child in children] == [0] * len(children)
    return told


@pytest.mark.requirement("IDENT-03")
class TestSqliteInstanceRegister(DurableInstanceRegisterContract):
    def opened(self, tmp_path: Path) -> SqliteInstanceRegister:
        return SqliteInstanceRegister(store_in(tmp_path))


@pytest.mark.requirement("IDENT-03")
def test_of_several_processes_one_gets_each_id_key_and_process(tmp_path: Path) -> None:
    store_in(tmp_path).close()
    told = raced(RACE, tmp_path / "registers.db", [f"c{number}" for number in range(PROCESSES)])
    won = [name for line in told for name in line.split()]
    assert sorted(won) == sorted(f"{what}{n}" for n in range(20) for what in ("id", "key", "process"))


@pytest.mark.requirement("IDENT-03")
def test_a_process_that_renews_does_not_undo_the_end_of_another(tmp_path: Path) -> None:
    register = SqliteInstanceRegister(store_in(tmp_path))
    for number in range(20):
        register.add(instance(f"e{number}"))
    raced(END, tmp_path / "registers.db", ["renew", "end", "renew"])
    again = SqliteInstanceRegister(store_in(tmp_path))
    assert not tuple(again.live())


@pytest.mark.requirement("IDENT-03")
def test_what_one_process_changes_the_other_sees_at_its_refresh(tmp_path: Path) -> None:
    here, there = store_in(tmp_path), store_in(tmp_path)
    ours, theirs = SqliteInstanceRegister(here), SqliteInstanceRegister(there)
    one = instance(process="boot:7:99")
    theirs.add(one)
    assert ours.find(one.id) is None
    assert here.refresh()
    assert ours.by_process("boot:7:99") == ours.by_key(thumbprint(one)) == one
    theirs.put(replace(one, drift=()))
    here.refresh()
    assert ours.find(one.id) == replace(one, drift=())
    # Ours ends what it knows to be otherwise: the file counts.
    theirs.put(replace(one, manifest="c" * 64))
    assert [gone.manifest for gone in ours.end(one.id, because="retired")] == ["c" * 64]
    there.refresh()
    gone = theirs.find(one.id)
    assert gone is not None
    assert gone.ended_because == "retired"
    assert theirs.by_process("boot:7:99") is None
    assert theirs.process_ended("boot:7:99") == "retired"
    assert theirs.unrecorded() == ((gone, "retired"),)
    theirs.recorded([one.id])
    assert ours.unrecorded() == ()
    ours.forget_ended(before=UnixMillis(one.expires_at + 1))
    there.refresh()
    assert theirs.find(one.id) is None
    assert theirs.process_ended("boot:7:99") == "retired"


@pytest.mark.requirement("IDENT-03")
def test_ending_many_is_one_commit(tmp_path: Path) -> None:
    """1,500 instances took as many commits, and whoever suspended an agent waited for each of them."""
    store = store_in(tmp_path)
    register = SqliteInstanceRegister(store)
    ones = [instance(f"m{number}", key="") for number in range(300)]
    for one in ones:
        register.add(one)
    commits: list[str] = []
    with store.write() as connection:
        connection.set_trace_callback(lambda text: commits.append(text) if text == "COMMIT" else None)
    commits.clear()
    assert len(register.end_many([one.id for one in ones], because="agent.suspended")) == 300
    assert commits == ["COMMIT"]
    assert len(register.unrecorded()) == 300
    register.recorded(one.id for one in ones)
    assert commits == ["COMMIT"] * 2
