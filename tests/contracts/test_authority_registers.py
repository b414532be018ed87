"""The contract suite of authority registers, and what only a file can get wrong."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from answerable.adapters.sqlite import SqliteAuthorityRegister, SqliteStore
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.svid.authority import AuthoritySet
from answerable.core.ledger.told_authorities import ToldAuthorities
from answerable.errors import Unavailable
from answerable.testing.contracts.authority_register import (
    FIRST,
    DurableAuthorityRegisterContract,
    authority,
)

pytestmark = pytest.mark.requirement("TRUST-05")


def register_in(directory: Path) -> SqliteAuthorityRegister:
    return SqliteAuthorityRegister(SqliteStore.open(directory / "registers.db"))


class TestSqliteAuthorityRegister(DurableAuthorityRegisterContract):
    def opened(self, tmp_path: Path) -> SqliteAuthorityRegister:
        return register_in(tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE trust_domain SET sequence = -1",
        "UPDATE trust_domain SET revision = -1",
    ],
)
def test_what_cannot_be_understood_makes_the_register_unavailable_never_empty(
    damage: str, tmp_path: Path
) -> None:
    register = register_in(tmp_path)
    register.replace(FIRST, expected=None)
    connection = sqlite3.connect(tmp_path / "registers.db")
    with connection:
        connection.execute(damage)
    connection.close()
    with pytest.raises(Unavailable) as told:
        register.read()
    assert told.value.code == "register.corrupt"


def test_the_table_itself_holds_at_most_one_active_authority(tmp_path: Path) -> None:
    register = register_in(tmp_path)
    both = (authority(1, "active"), authority(2, "old"))
    register.replace(AuthoritySet(authorities=both, sequence=1, revision=1), expected=None)
    connection = sqlite3.connect(tmp_path / "registers.db")
    with pytest.raises(sqlite3.IntegrityError), connection:
        connection.execute("UPDATE authorities SET state = 'active'")
    connection.close()
    found = register.read()
    assert found is not None
    assert [a.state for a in found.authorities] == ["active", "old"]


@pytest.mark.requirement("READBACK-07")
def test_a_generation_of_which_no_entry_says_the_keys_is_left_and_named(tmp_path: Path) -> None:
    register = register_in(tmp_path)
    register.replace(FIRST, expected=None)
    assert register.read() == FIRST
    done = register.mend(ToldAuthorities, now=UnixMillis(1))
    # The sample's certificate is none.
    assert (done.made, done.left) == ([], [one.id for one in FIRST.authorities])
    assert register.read() == FIRST
