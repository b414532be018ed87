"""The contract suite of replay stores, and what only a table shared by processes can get wrong."""

from __future__ import annotations

import fcntl
import math
import os
import shutil
import signal
import struct
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from answerable.adapters.replay_table import SharedReplayStore
from answerable.adapters.replay_table import locks as locks_module
from answerable.adapters.replay_table.layout import PAGE, Layout
from answerable.adapters.replay_table.locks import ByteLocks
from answerable.errors import Malformed, Unavailable
from answerable.testing.contracts.replay_store import (
    PARTITIONS_MAX,
    START,
    USES_MAX,
    SharedReplayStoreContract,
    digest,
    partition,
    used,
)
from answerable.testing.entropy import SeededEntropy
from tests.probes import warm_starts

pytestmark = pytest.mark.requirement("DPOP-05", "DPOP-09")

PROCESSES = 8
RACERS_IN_EACH = 8
ROUNDS = 1_000


def table(
    directory: Path, *, seed: int = 0, uses: int = USES_MAX, name: str = "proofs", at: float = START
) -> SharedReplayStore:
    return SharedReplayStore.open(
        directory / "state" / name,
        entropy=SeededEntropy(f"{directory}{seed}"),
        at=at,
        partitions_max=PARTITIONS_MAX,
        uses_per_partition_max=uses,
    )


class TestSharedReplayStore(SharedReplayStoreContract):
    def opened(self, tmp_path: Path) -> SharedReplayStore:
        return table(tmp_path)


RACING = """
import sys, threading
from pathlib import Path
from answerable.adapters.replay_table import SharedReplayStore
from answerable.testing.contracts.replay_store import PARTITIONS_MAX, START, digest, partition
from answerable.testing.entropy import SeededEntropy
store = SharedReplayStore.open(
    Path(sys.argv[1]), entropy=SeededEntropy(), at=0.0, partitions_max=PARTITIONS_MAX, uses_per_partition_max=1_024
)
threads, rounds = int(sys.argv[2]), int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
told = []
def race():
    for number in range(rounds):
        told.append((number, store.accept(partition(1 + number % 2), digest(number), until=START + 60, at=START)))
racers = [threading.Thread(target=race) for _ in range(threads)]
for racer in racers: racer.start()
for racer in racers: racer.join()
print(" ".join(str(number) for number, answer in told if answer == "new"), flush=True)
print(sum(answer == "seen" for _, answer in told), flush=True)
"""

KILLED = """
import os, signal, sys
from pathlib import Path
from answerable.adapters.replay_table import SharedReplayStore
from answerable.testing.contracts.replay_store import PARTITIONS_MAX, USES_MAX, used
from answerable.testing.entropy import SeededEntropy
store = SharedReplayStore.open(
    Path(sys.argv[1]), entropy=SeededEntropy(), at=0.0, partitions_max=PARTITIONS_MAX, uses_per_partition_max=USES_MAX
)
assert used(store) == "new"
with store._locks.held(0):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def started(program: str, *arguments: object) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [*warm_starts.program(program), *(str(one) for one in arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)


def test_of_64_racers_in_eight_processes_exactly_one_wins_every_time(tmp_path: Path) -> None:
    file = tmp_path / "state" / "proofs"
    children = [started(RACING, file, RACERS_IN_EACH, ROUNDS) for _ in range(PROCESSES)]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write(b"\n")
        child.stdin.flush()
    told = [child.communicate(timeout=120)[0].decode().splitlines() for child in children]
    assert not any(child.returncode for child in children)
    winners = Counter(int(number) for first, _ in told for number in first.split())
    assert winners == dict.fromkeys(range(ROUNDS), 1)
    assert sum(int(seen) for _, seen in told) == ROUNDS * (PROCESSES * RACERS_IN_EACH - 1)


def test_a_process_killed_while_it_holds_the_table_leaves_it_open_and_whole(tmp_path: Path) -> None:
    ours = table(tmp_path)
    child = started(KILLED, tmp_path / "state" / "proofs")
    child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL
    assert used(ours) == "seen"
    assert used(ours, 2, by=2) == "new"


def test_a_table_of_another_run_of_the_machine_is_begun_anew_under_another_epoch(tmp_path: Path) -> None:
    before = table(tmp_path)
    assert used(before) == "new"
    before.close()
    file = tmp_path / "state" / "proofs"
    with file.open("r+b") as opened:
        opened.seek(16)
        opened.write(b"x" * 36)  # What the kernel called that run.
    after = table(tmp_path, seed=1)
    assert after.epoch != before.epoch, (
        "so every nonce from before is refused, and with it what was forgotten"
    )
    assert used(after) == "new"


def test_a_copy_that_was_put_back_is_begun_anew_under_another_epoch(tmp_path: Path) -> None:
    file = tmp_path / "state" / "proofs"
    before = table(tmp_path)
    shutil.copy2(file, tmp_path / "copy")
    assert used(before) == "new"
    before.close()
    file.unlink()
    shutil.copy2(tmp_path / "copy", file)
    # The new file may have got the number of the old one; then nobody could tell them apart.
    while file.stat().st_ino == struct.unpack_from("=Q", file.read_bytes(), 16 + 36 + 32 + 16)[0]:
        shutil.copy2(file, tmp_path / "again")
        (tmp_path / "again").replace(file)
    assert table(tmp_path, seed=1).epoch != before.epoch


@pytest.mark.requirement("DPOP-15")
def test_an_older_copy_written_into_the_same_file_counts_nothing_from_before_the_start(
    tmp_path: Path,
) -> None:
    file = tmp_path / "state" / "proofs"
    before = table(tmp_path)
    copy = file.read_bytes()
    assert used(before) == "new"
    before.close()
    inode = file.stat().st_ino
    with file.open("r+b") as opened:  # As `cp` puts a backup back.
        opened.write(copy)
    after = table(tmp_path, seed=1, at=START + 5)
    assert file.stat().st_ino == inode
    assert after.epoch != before.epoch, "so every nonce from before is refused"
    assert after.since == START + 5, "and so is what carries none, and was made before"


@pytest.mark.requirement("DPOP-15")
@pytest.mark.parametrize("ends", ["closed", "killed"])
def test_a_restart_begins_an_epoch_and_forgets_nothing(tmp_path: Path, ends: str) -> None:
    file = tmp_path / "state" / "proofs"
    if ends == "killed":
        child = started(KILLED, file)
        child.communicate(timeout=60)
        assert child.returncode == -signal.SIGKILL
        was = file.read_bytes()[52:84]
    else:
        before = table(tmp_path)
        assert used(before) == "new"
        was = before.epoch
        before.close()
    after = table(tmp_path, seed=1, at=START + 5)
    assert (after.epoch != was, after.since) == (True, START + 5)
    assert used(after) == "seen"


@pytest.mark.requirement("DPOP-15")
def test_a_process_that_comes_while_another_runs_shares_its_epoch(tmp_path: Path) -> None:
    first = table(tmp_path)
    second = table(tmp_path, seed=1, at=START + 5)
    first.close()
    third = table(tmp_path, seed=2, at=START + 6)
    assert first.epoch == second.epoch == third.epoch
    assert second.since == third.since == START


@pytest.mark.parametrize("spoiled", ["size", "mode", "short", "magic", "uses"])
def test_a_file_that_is_not_our_table_is_replaced_not_trusted(tmp_path: Path, spoiled: str) -> None:
    before = table(tmp_path)
    file = tmp_path / "state" / "proofs"
    if spoiled == "size":
        os.truncate(file, file.stat().st_size - 8)
    elif spoiled == "mode":
        file.chmod(0o640)
    elif spoiled == "short":
        os.truncate(file, 10)
    elif spoiled == "magic":
        with file.open("r+b") as opened:
            opened.write(b"z")
    after = table(tmp_path, seed=1, uses=USES_MAX + (spoiled == "uses"))
    assert after.epoch != before.epoch
    assert used(after) == "new"
    assert file.stat().st_mode & 0o777 == 0o600


def test_processes_with_different_tables_never_share_an_epoch(tmp_path: Path) -> None:
    ours = table(tmp_path)
    (tmp_path / "state" / "proofs").unlink()
    theirs = table(tmp_path, seed=1)
    assert used(ours) == used(theirs) == "new"
    assert ours.epoch != theirs.epoch, "so no proof is good in both"


def test_a_link_is_not_followed_to_another_file(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"precious")
    (tmp_path / "state" / "proofs").symlink_to(elsewhere)
    with pytest.raises(Unavailable):
        table(tmp_path)
    assert elsewhere.read_bytes() == b"precious"


def test_only_its_owner_can_read_it_for_it_holds_the_key_of_nonces(tmp_path: Path) -> None:
    table(tmp_path)
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    assert {one.stat().st_mode & 0o777 for one in (tmp_path / "state").iterdir()} == {0o600}


def test_rooms_that_nobody_uses_take_no_space(tmp_path: Path) -> None:
    store = table(tmp_path, uses=100_000)
    file = tmp_path / "state" / "proofs"
    empty = file.stat().st_blocks * 512
    assert empty < 64 * 1024 < file.stat().st_size
    assert used(store) == "new"
    room = Layout(rooms=PARTITIONS_MAX, uses=100_000).room_bytes
    assert room <= file.stat().st_blocks * 512 - empty <= room + 2 * PAGE, (
        "and one that is used takes all of its own"
    )


def test_when_the_table_is_closed_nothing_is_accepted(tmp_path: Path) -> None:
    store = table(tmp_path)
    store.close()
    store.close()
    with pytest.raises(Unavailable) as told:
        used(store)
    assert (told.value.code, told.value.port, told.value.effect) == ("replay.unavailable", "replay", "none")


def test_when_the_disk_is_full_nothing_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = table(tmp_path)

    def full(*_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(Unavailable):
        used(store)
    with pytest.raises(Unavailable):
        table(tmp_path, name="another")
    monkeypatch.undo()
    assert used(store) == "new", "once there is space again it goes on"


def test_a_damaged_table_accepts_nothing(tmp_path: Path) -> None:
    store = table(tmp_path)
    used(store)
    layout = Layout(rooms=PARTITIONS_MAX, uses=USES_MAX)
    for added, passed in ((USES_MAX + 1, 0), (0, 1)):
        with (tmp_path / "state" / "proofs").open("r+b") as file:
            file.seek(layout.room(0))
            file.write(struct.pack("=QQ", added, passed))
        with pytest.raises(Unavailable):
            used(store, 2)


def test_a_lock_that_another_process_keeps_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks_module, "PAUSES_MAX", 3)
    ours, theirs = table(tmp_path), table(tmp_path)
    with theirs._locks.held(0), pytest.raises(Unavailable):
        used(ours)
    assert used(ours) == "new"


def test_a_table_that_was_opened_before_a_fork_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = table(tmp_path)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(Unavailable):
        used(store)


def test_a_lock_that_cannot_be_had_at_all_refuses(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (tmp_path / "file").open("rb") as file, pytest.raises(Unavailable), ByteLocks(file.fileno()).held(0):
        raise AssertionError("a file that is open for reading only was locked for writing")


def test_who_opens_waits_for_another_opener_and_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("answerable.adapters.replay_table.store.OPENING_PAUSES_MAX", 2)
    table(tmp_path)
    with (tmp_path / "state" / "proofs.lock").open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Unavailable):
            table(tmp_path)
    table(tmp_path)


@pytest.mark.parametrize(("rooms", "uses"), [(0, 1), (1, 0), (65_537, 1), (1, 1_048_577)])
def test_sizes_out_of_bounds_are_refused(tmp_path: Path, rooms: int, uses: int) -> None:
    with pytest.raises(Malformed):
        SharedReplayStore.open(
            tmp_path / "proofs",
            entropy=SeededEntropy(),
            at=0.0,
            partitions_max=rooms,
            uses_per_partition_max=uses,
        )


def test_nobody_is_no_partition(tmp_path: Path) -> None:
    with pytest.raises(Malformed):
        table(tmp_path).accept(bytes(32), digest(1), until=START + 1, at=START)
    assert used(table(tmp_path), by=1) == "new"
    assert partition(1) != bytes(32)


def test_a_table_says_when_it_began_whoever_opens_it_and_that_it_was_replaced(tmp_path: Path) -> None:
    first = table(tmp_path)
    path = tmp_path / "state" / "proofs"
    again = SharedReplayStore.open(
        path,
        entropy=SeededEntropy("x"),
        at=START + 50,
        partitions_max=PARTITIONS_MAX,
        uses_per_partition_max=USES_MAX,
    )
    assert first.since == again.since == START
    path.unlink()
    assert first.since == again.since == math.inf
    fresh = SharedReplayStore.open(
        path,
        entropy=SeededEntropy("y"),
        at=START + 60,
        partitions_max=PARTITIONS_MAX,
        uses_per_partition_max=USES_MAX,
    )
    assert (fresh.since, first.since) == (START + 60, math.inf)
    fresh.close()
    with pytest.raises(Unavailable) as told:
        _ = fresh.since
    assert told.value.code == "replay.unavailable"
