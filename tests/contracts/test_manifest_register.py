"""The contract suite of manifests, and what only a file shared by processes can get wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from answerable.adapters.sqlite import SqliteStore
from answerable.adapters.sqlite.manifests import SqliteManifestRegister
from answerable.errors import Malformed, Unavailable
from answerable.testing.contracts.manifest_register import (
    SCOUT,
    DurableManifestRegisterContract,
    sample_signed,
)

pytestmark = pytest.mark.requirement("MANIFEST-06")


def store_in(directory: Path) -> SqliteStore:
    return SqliteStore.open(directory / "state" / "registers.db")


class TestSqliteManifestRegister(DurableManifestRegisterContract):
    def opened(self, tmp_path: Path) -> SqliteManifestRegister:
        return SqliteManifestRegister(store_in(tmp_path))


def test_a_manifest_put_by_another_process_is_in_force_here_at_the_next_refresh(tmp_path):
    here, there = store_in(tmp_path), store_in(tmp_path)
    register = SqliteManifestRegister(here)
    SqliteManifestRegister(there).put(sample_signed())
    assert register.current(SCOUT) is None
    before = register.changes()
    assert here.refresh()
    assert register.current(SCOUT) == sample_signed()
    assert register.changes() != before


def test_the_file_and_not_the_mirror_decides_which_of_two_processes_has_the_later_one(tmp_path):
    first, second = (SqliteManifestRegister(store_in(tmp_path)) for _ in range(2))
    first.put(sample_signed(at=2))
    with pytest.raises(Malformed) as raised:
        second.put(sample_signed(at=1))
    assert raised.value.code == "manifest.older"


def test_a_failing_file_is_unavailable_and_what_is_in_force_stays(tmp_path):
    store = store_in(tmp_path)
    register = SqliteManifestRegister(store)
    register.put(sample_signed())
    store.close()
    with pytest.raises(Unavailable):
        register.put(sample_signed(at=1))
    assert register.current(SCOUT) == sample_signed()
