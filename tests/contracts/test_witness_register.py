"""The contract suite on files, and what only files can get wrong."""

from __future__ import annotations

import os
import stat
from hashlib import sha256
from pathlib import Path

import pytest

from answerable.adapters.witness_files import FilesWitnessRegister, publish_keys, published_keys
from answerable.errors import Broken, Malformed, Unavailable
from answerable.ports.witness_register import WitnessRegister
from answerable.testing.contracts.witness_register import (
    ORIGIN,
    WitnessRegisterContract,
    evidence,
    key,
    note,
)
from tests.worlds.witness import cosigners

PLACE = Path("logs") / sha256(ORIGIN.encode()).hexdigest()


@pytest.mark.requirement("WITNESS-04")
@pytest.mark.requirement("WITNESS-05")
@pytest.mark.requirement("WITNESS-07")
class TestFilesWitnessRegister(WitnessRegisterContract):
    def opened(self, tmp_path: Path) -> FilesWitnessRegister:
        return FilesWitnessRegister.open(tmp_path / "state" / "witness")

    def closed(self, register: WitnessRegister) -> None:
        assert isinstance(register, FilesWitnessRegister)
        register.close()
        register.close()


@pytest.mark.requirement("WITNESS-07")
def test_everything_is_for_its_owner_alone_but_the_public_keys(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        register = FilesWitnessRegister.open(tmp_path / "w")
        register.add(key())
        register.advance(ORIGIN, seen=None, newest=note(1))
        register.keep_evidence(ORIGIN, evidence(2))
        publish_keys(tmp_path / "w", [one.key for one in cosigners()])
    finally:
        os.umask(before)
    for path in (tmp_path / "w").rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o644 if path.name == "witness.pub" else 0o600), path


@pytest.mark.requirement("WITNESS-07")
@pytest.mark.parametrize(
    "content", [b"", b"\n", b"noise\n", key(2, "log.example/two").formatted().encode(), b"\xff"]
)
def test_damaged_keys_of_a_log_are_damage_and_no_unknown_log(tmp_path: Path, content: bytes) -> None:
    register = FilesWitnessRegister.open(tmp_path)
    register.add(key())
    (tmp_path / PLACE / "keys").write_bytes(content)
    with pytest.raises(Broken) as told:
        register.log(ORIGIN)
    assert told.value.code == "witness.state_damaged"
    assert "restore them from a backup" in told.value.message


@pytest.mark.requirement("WITNESS-07")
def test_a_log_whose_adding_broke_off_is_added_again_whole(tmp_path: Path) -> None:
    register = FilesWitnessRegister.open(tmp_path)
    draft = tmp_path / PLACE.with_name(f"{PLACE.name}.new")
    draft.mkdir(parents=True)
    (draft / "keys").write_bytes(b"half a li")
    assert register.log(ORIGIN) is None
    assert list(register.origins()) == []
    assert register.add(key())
    found = register.log(ORIGIN)
    assert found is not None
    assert found.keys == (key(),)


@pytest.mark.requirement("WITNESS-05")
def test_a_file_among_the_evidence_that_is_none_is_passed_over(tmp_path: Path) -> None:
    register = FilesWitnessRegister.open(tmp_path)
    register.add(key())
    register.keep_evidence(ORIGIN, evidence(2))
    for name in ("fork-1.json", "note.txt"):
        (register.evidence_place(ORIGIN) / name).write_bytes(b'{"kind": "fork"}')
    assert list(register.evidence(ORIGIN)) == [evidence(2)]


@pytest.mark.requirement("WITNESS-07")
def test_a_log_has_a_bounded_number_of_keys(tmp_path: Path) -> None:
    register = FilesWitnessRegister.open(tmp_path)
    for seed in range(1, 17):
        register.add(key(seed))
    with pytest.raises(Malformed) as told:
        register.add(key(17))
    assert told.value.code == "witness.keys_count"


@pytest.mark.requirement("WITNESS-13")
@pytest.mark.parametrize("content", [None, b"", b"noise\n", b"\xff", b"x" * 20_000])
def test_keys_that_cannot_be_read_are_not_known(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "witness.pub").write_bytes(content)
    with pytest.raises(Unavailable) as told:
        published_keys(tmp_path)
    assert told.value.code == "witness.key_unknown"


@pytest.mark.requirement("WITNESS-13")
def test_published_keys_are_read_as_they_were_written(tmp_path: Path) -> None:
    keys = tuple(one.key for one in cosigners(lattice=True))
    publish_keys(tmp_path / "w", keys)
    publish_keys(tmp_path / "w", keys)
    assert published_keys(tmp_path / "w") == keys


@pytest.mark.requirement("WITNESS-07")
def test_a_place_that_cannot_be_used_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for attempt in (
        lambda: FilesWitnessRegister.open(tmp_path / "file"),
        lambda: publish_keys(tmp_path / "file", []),
        lambda: FilesWitnessRegister.reading(tmp_path / "file").add(key()),
    ):
        with pytest.raises(Unavailable) as told:
            attempt()
        assert told.value.code == "witness.unwritable"
