"""Tiles: compared with the entries where these are there, and enough by themselves where they are not."""

from __future__ import annotations

import multiprocessing
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from answerable.core.ledger.entry import Entry
from answerable.core.ledger.tags import Tag
from answerable.core.tlog.tile import entries_path, tile_path
from answerable.testing.clock import START
from answerable.verify.ledger_history import verify_ledger
from tests.worlds.ledger import (
    KEY,
    STORY,
    ForgedLog,
    checked,
    codes,
    entry,
    flipped,
    policy,
    prelude,
    rules,
    sealed_story,
)

LONG = 700


def long_log(directory: Path, **changed: object) -> ForgedLog:
    """Two full tiles and a part of a third, in segments that end elsewhere."""
    entries: list[Entry] = prelude()
    entries += [
        entry(Tag.MANDATE_CLOSED, {"mandate": f"m-{number}"}, b"{}") for number in range(LONG - len(entries))
    ]
    given = {"seals": (100, 300, LONG), "cuts": (100, 256, 600), "cosigned": {LONG: START}, **changed}
    return ForgedLog(directory=directory, entries=entries, **given).written()


@pytest.mark.requirement("LEDGER-38")
def test_tiles_and_bundles_are_those_of_the_entries(tmp_path: Path) -> None:
    long_log(tmp_path)
    assert verify_ledger(tmp_path, policy=policy()).status == "valid"
    for name, place, rule, index in (
        (tile_path(0, 0), 32 * 99 + 5, "tile.content", 99),
        (tile_path(0, 0), 32 * 100, "tile.content", 100),
        (tile_path(0, 2, LONG - 512), 32 * 100, "tile.content", 612),
        (tile_path(1, 0, 2), 40, "tile.content", None),
        (entries_path(1), 0, "tile.bundle", None),
        (entries_path(1), 2, "tile.content", 256),
        (entries_path(2, LONG - 512), 30, "tile.content", 512),
    ):
        before = flipped(tmp_path / name, place, 1)
        report = verify_ledger(tmp_path, key=KEY)
        assert rules(report) == {rule}, name
        assert {(one.index, one.file) for one in report.findings} == {(index, name)}
        (tmp_path / name).write_bytes(before)
    for name in (tile_path(0, 1), tile_path(1, 0, 2), entries_path(0), entries_path(2, LONG - 512)):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).unlink()
        assert rules(verify_ledger(tmp_path, key=KEY)) == {"tile.missing"}, name
        for wrong in (content[:-1], content + b"\0", b""):
            (tmp_path / name).write_bytes(wrong)
            assert rules(verify_ledger(tmp_path, key=KEY)) <= {"tile.length", "tile.bundle", "tile.content"}
            assert rules(verify_ledger(tmp_path, key=KEY))
        (tmp_path / name).write_bytes(content)


@pytest.mark.requirement("LEDGER-38")
def test_tiles_of_earlier_sizes_may_stay_and_later_ones_may_not(tmp_path: Path) -> None:
    log = long_log(tmp_path)
    full = (tmp_path / tile_path(0, 0)).read_bytes()
    old = tmp_path / tile_path(0, 0, 100)
    old.parent.mkdir()
    old.write_bytes(full[:3200])
    assert checked(log).errors == 0
    flipped(old, 10, 1)
    assert rules(checked(log)) == {"tile.content"}
    shutil.rmtree(old.parent)
    for index in (2, 300):
        (tmp_path / tile_path(0, index)).write_bytes(bytes(8192))
        beyond = [one.file for one in checked(log).findings if one.rule == "tile.beyond"]
        assert beyond == [tile_path(0, index)]
        (tmp_path / tile_path(0, index)).unlink()
    (tmp_path / "tile/0/notes.txt").write_bytes(b"")
    report = checked(log)
    assert (report.errors, [one.rule for one in report.findings]) == (0, ["tile.stranger"])


def test_a_log_without_its_public_part_is_valid_as_far_as_it_goes(tmp_path: Path) -> None:
    log = sealed_story(tmp_path, cosigned={STORY: START})
    shutil.rmtree(tmp_path / "tile")
    report = checked(log)
    assert (report.status, "tiles_absent" in codes(report)) == ("valid_but", True)


@pytest.mark.requirement("LEDGER-39")
def test_the_public_part_is_verified_by_itself(tmp_path: Path) -> None:
    log = long_log(tmp_path / "log")
    public = tmp_path / "public"
    public.mkdir()
    shutil.copytree(log.directory / "tile", public / "tile")
    shutil.copy(log.directory / "cosigned", public)
    shutil.copy(log.directory / "checkpoint", public)
    report = verify_ledger(public, policy=policy())
    assert (report.status, report.size, report.signed, report.findings) == ("valid_but", LONG, LONG, ())
    assert codes(report) == ["payloads_absent"]
    assert report.as_value()["public_part"] is True
    (public / "cosigned").unlink()
    assert codes(verify_ledger(public, key=KEY)) == ["payloads_absent", "newer_removed"]
    assert "key.file" in rules(verify_ledger(public))
    for name, rule in ((entries_path(1), "tile.content"), (tile_path(0, 2, LONG - 512), "tile.content")):
        before = flipped(public / name, 90, 1)
        found = verify_ledger(public, key=KEY)
        assert rule in rules(found)
        (public / name).write_bytes(before)
    content = (public / entries_path(0)).read_bytes()
    (public / entries_path(0)).write_bytes(content[:-1])
    assert {"tile.bundle", "entries.missing"} <= rules(verify_ledger(public, key=KEY))
    (public / entries_path(0)).unlink()
    assert {"tile.missing", "entries.missing"} <= rules(verify_ledger(public, key=KEY))


@pytest.mark.requirement("LEDGER-39")
def test_a_checkpoint_that_promises_too_much_is_not_waited_for(tmp_path: Path) -> None:
    log = sealed_story(tmp_path / "log")
    public = tmp_path / "public"
    public.mkdir()
    shutil.copytree(log.directory / "tile", public / "tile")
    log.entries *= 2**10
    (public / "checkpoint").write_bytes(log.note(len(log.entries)))
    assert "entries.missing" in rules(verify_ledger(public, key=KEY))


@pytest.mark.requirement("LEDGER-40")
@pytest.mark.parametrize("processes", [1, 2])
def test_several_processes_find_what_one_finds(
    tmp_path: Path, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("answerable.verify.ledger_history.PARALLEL_BYTES_MIN", 0)
    log = long_log(tmp_path)
    assert verify_ledger(tmp_path, policy=policy(), processes=processes).status == "valid"
    path = tmp_path / f"wal/{256:016x}.wal"
    flipped(path, path.read_bytes().index(b"m-300"), 1)
    report = verify_ledger(tmp_path, key=KEY, processes=processes)
    assert [(one.rule, one.index) for one in report.findings][:3] == [
        ("entry.damaged", 304),
        ("tile.content", 304),
        ("tile.content", 304),
    ]
    assert report.size == len(log.entries)


@pytest.mark.requirement("LEDGER-40")
def test_a_verification_that_is_broken_off_leaves_no_process_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("answerable.verify.ledger_history.PARALLEL_BYTES_MIN", 0)
    long_log(tmp_path)

    def break_off(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verify_ledger(tmp_path, processes=2, progress=break_off)
    assert multiprocessing.active_children() == []


ALONE = """
import sys
from pathlib import Path

HERE = {"answerable", "cryptography", "msgspec", "rfc8785", "cffi", "_cffi_backend", "_openssl"}

class Nothing:
    def find_spec(self, name, path=None, target=None):
        # What is compiled of the product is one library beside it, where it is.
        if name.partition(".")[0] not in sys.stdlib_module_names | HERE | {"answerable_native__mypyc"}:
            raise ImportError(name)

sys.meta_path.insert(0, Nothing())
from answerable.verify.evidence_bundle import verify_evidence
from answerable.verify.ledger_history import verify_ledger
from answerable.verify.ledger_set import verify_ledger_set

assert verify_evidence(b"").status == "invalid"
assert verify_ledger(Path(sys.argv[1])).errors == 0
"""


@pytest.mark.requirement("LEDGER-42")
def test_verifying_needs_three_packages_and_no_more(tmp_path: Path) -> None:
    long_log(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
