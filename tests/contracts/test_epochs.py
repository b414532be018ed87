"""The contract suite of epochs, and what only a file that several processes write can get wrong."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest

from answerable.adapters.sqlite import (
    SqliteEpochs,
    SqliteMandateRegister,
    SqliteManifestRegister,
    SqliteRevocationRegister,
    SqliteStore,
)
from answerable.adapters.sqlite.revocations import CHECK_SECONDS
from answerable.core.mandate.mandate import MandateId
from answerable.errors import Unavailable
from answerable.ports.worlds import ANYTHING, SCOPES_KEPT_MAX
from answerable.testing.clock import ManualClock
from answerable.testing.contracts.epochs import EpochsContract
from answerable.testing.contracts.manifest_register import sample_signed
from answerable.testing.samples import mandate


class Opened:
    """The epochs of one process, with its clock at hand: only the clock lets it ask the file by itself."""

    def __init__(self, directory: Path) -> None:
        self.file, self.clock = directory / "registers.db", ManualClock()
        self.store = SqliteStore.open(self.file)
        self.epochs = SqliteEpochs(SqliteRevocationRegister(self.store, clock=self.clock))

    def later(self) -> int:
        """The epoch, once it is time to ask the file."""
        self.clock.advance(2 * CHECK_SECONDS)
        return self.epochs.epoch()


@pytest.mark.requirement("HOUSE-11")
class TestSqliteEpochs(EpochsContract):
    def opened(self, tmp_path: Path) -> SqliteEpochs:
        return Opened(tmp_path).epochs


REVOKE = "INSERT INTO revocations (kind, name, at, made_by, reason, recorded)"
OTHERS_ROWS = (
    "INSERT INTO mandates (id, claims, token, state) VALUES ('m-1', x'', '', 'open')",
    "INSERT INTO documents (key, body) VALUES ('Agent/scout', x'')",
    "INSERT INTO instances (id, parent, state, because, expires_at, change, recorded, told) "
    "VALUES ('spiffe://a.test/x', '', 'live', '', 1, 1, 0, '')",
    "INSERT INTO passkeys (id, person, body, sign_count, removed_at) VALUES (x'01', 'pia', x'', 0, 0)",
    "INSERT INTO duty_delegations (id, body, until, ended_at) VALUES ('d-1', x'', 1, 0)",
    "INSERT INTO federated (domain, document) VALUES ('b.test', x'00')",
)
"""What is there before anything changes."""

BY_OTHERS = {
    "UPDATE documents SET body = x'00'": ANYTHING,
    "DELETE FROM documents": ANYTHING,
    f"{REVOKE} VALUES ('agent', 'scout', 1, '', '', 0)": "agent/scout",
    f"{REVOKE} VALUES ('owner', 'pia', 1, '', '', 0)": ANYTHING,
    "INSERT INTO holds (id, kind, name, at, made_by, reason, expires_at, source, rule, agreed, lifted_at, change, "
    "recorded) VALUES ('h', 'tool', 'crm/x', 1, '', '', 0, 'person', '', x'', 0, 1, 0)": "tool/crm/x",
    "UPDATE mandates SET state = 'closed'": "mandate/m-1",
    "DELETE FROM mandates": "mandate/m-1",
    "UPDATE instances SET state = 'ended'": "instance/spiffe://a.test/x",
    "INSERT INTO manifests (agent, digest, signed_at, token) VALUES ('scout', '', 1, '')": "agent/scout",
    "INSERT INTO tool_pins (server, tool, definition, text, at, signed_by, key, token) "
    "VALUES ('crm', 'x', '', x'', 1, '', '', '')": "tool/crm/x",
    "UPDATE passkeys SET removed_at = 1": ANYTHING,
    "UPDATE duty_delegations SET ended_at = 1": ANYTHING,
    "INSERT INTO trust_domain (one, sequence, revision, beginning) VALUES (1, 1, 1, '')": ANYTHING,
    "UPDATE federated SET document = x'01'": ANYTHING,
    "DELETE FROM federated": ANYTHING,
}
"""What changes authority, and what it hits."""

NO_AUTHORITY = (
    "INSERT INTO mandates (id, claims, token, state) VALUES ('m-2', x'', '', 'open')",
    "UPDATE passkeys SET sign_count = 2",
    "UPDATE federated SET document = document",
    "INSERT INTO budgets_used (origin, account, budget, amount) VALUES ('o', 'a', 'calls', 1)",
)


def written(file: Path, *statements: str) -> None:
    """By a program that tells nobody, as one does that ends between its write and the word of it."""
    with closing(sqlite3.connect(file)) as database, database:
        for one in statements:
            database.execute(one)


@pytest.mark.requirement("HOUSE-11")
@pytest.mark.parametrize("statement", BY_OTHERS)
def test_a_change_that_nobody_told_of_is_another_epoch_once_the_file_is_asked(tmp_path: Path, statement: str):
    here = Opened(tmp_path)
    written(here.file, *OTHERS_ROWS)
    before = here.later()
    written(here.file, statement)
    assert here.later() != before
    hit = here.epochs.changed(before)
    assert hit is None if BY_OTHERS[statement] == ANYTHING else sorted(hit or ()) == [BY_OTHERS[statement]]


@pytest.mark.requirement("HOUSE-11")
def test_a_change_that_nobody_told_of_is_another_epoch_at_once_where_the_file_is_read_again(tmp_path: Path):
    here = Opened(tmp_path)
    written(here.file, *OTHERS_ROWS)
    before = here.later()
    assert here.epochs.reread() == before
    written(here.file, "UPDATE mandates SET state = 'closed'")
    assert here.epochs.epoch() == before
    assert here.epochs.reread() != before
    assert sorted(here.epochs.changed(before) or ()) == ["mandate/m-1"]


@pytest.mark.requirement("HOUSE-63")
def test_beside_a_row_that_cannot_be_read_a_change_may_hit_anything(tmp_path: Path):
    here = Opened(tmp_path)
    before = here.later()
    # It is taken for a revocation of whatever has that name.
    written(here.file, f"{REVOKE} VALUES ('nothing known', 'scout', 1, '', '', 0)")
    assert here.later() != before
    assert here.epochs.changed(before) is None


@pytest.mark.requirement("HOUSE-11")
@pytest.mark.parametrize("statement", NO_AUTHORITY)
def test_what_takes_nothing_from_anybody_is_the_same_epoch(tmp_path: Path, statement: str):
    here = Opened(tmp_path)
    written(here.file, *OTHERS_ROWS)
    before = here.later()
    written(here.file, statement)
    assert here.later() == before


@pytest.mark.requirement("HOUSE-11")
def test_what_another_process_took_is_another_epoch_at_the_next_look_and_is_in_force_then(tmp_path: Path):
    here, there = Opened(tmp_path), Opened(tmp_path)
    mandates = SqliteMandateRegister(there.store)
    mandates.add(mandate("m-1"))
    ours, manifests = SqliteMandateRegister(here.store), SqliteManifestRegister(here.store)
    before = here.epochs.epoch()
    mandates.close(MandateId("m-1"))
    assert here.epochs.epoch() != before
    assert ours.state(MandateId("m-1")) == "closed"
    signed = sample_signed()
    SqliteManifestRegister(there.store).put(signed)
    here.epochs.epoch()
    assert manifests.current(signed.manifest.agent) == signed


@pytest.mark.requirement("HOUSE-11")
def test_a_write_that_came_to_nothing_is_the_same_epoch(tmp_path: Path):
    here = Opened(tmp_path)
    before = here.epochs.epoch()
    with suppress(KeyError), here.store.write() as connection:
        connection.execute("INSERT INTO documents (key, body) VALUES ('Agent/scout', x'')")
        raise KeyError
    assert here.later() == before


@pytest.mark.requirement("HOUSE-13")
def test_epochs_of_a_file_that_cannot_be_read_are_none(tmp_path: Path):
    here = Opened(tmp_path)
    here.epochs.epoch()
    here.store.close()
    for _ in range(2):
        with pytest.raises(Unavailable):
            here.later()


@pytest.mark.requirement("HOUSE-13")
def test_what_is_ended_and_cannot_be_written_is_another_epoch_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    here = Opened(tmp_path)
    mandates = SqliteMandateRegister(here.store)
    mandates.add(mandate("m-1"))
    before = here.epochs.epoch()
    here.store.rows("PRAGMA query_only = ON")
    with pytest.raises(Unavailable):
        mandates.close(MandateId("m-1"))
    assert (here.epochs.epoch() != before, here.epochs.changed(before)) == (True, None)
    assert mandates.state(MandateId("m-1")) == "closed"


@pytest.mark.requirement("HOUSE-11")
def test_the_file_keeps_so_many_changes_and_no_persons_name(tmp_path: Path):
    here = Opened(tmp_path)
    before = here.epochs.epoch()
    many = f"SELECT 1 UNION ALL SELECT value + 1 FROM made LIMIT {SCOPES_KEPT_MAX + 5}"
    people = f"{REVOKE} SELECT 'owner', 'pia-' || value, 1, '', '', 0 FROM made"
    written(
        here.file,
        "INSERT INTO documents (key, body) VALUES ('Agent/scout', x'')",
        f"WITH RECURSIVE made(value) AS ({many}) {people}",
    )
    rows = here.store.rows("SELECT DISTINCT register, scope FROM authority_changes")
    assert rows == [("revocations", "*")]
    assert here.store.rows("SELECT count(*) FROM authority_changes") == [(SCOPES_KEPT_MAX,)]
    assert here.later() != before
    assert here.epochs.changed(before) is None
