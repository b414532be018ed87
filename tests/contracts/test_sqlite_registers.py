"""The contract suites on SQLite, and what only a file shared by processes can get wrong."""

from __future__ import annotations

import gc
import os
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from answerable.adapters.sqlite import (
    SqliteApprovalRegister,
    SqliteMandateRegister,
    SqliteRegistryStore,
    SqliteStore,
)
from answerable.core.mandate.budget import ONE_CALL
from answerable.core.mandate.mandate import MandateId, account_of
from answerable.core.registry.parsing.active import stored_form
from answerable.core.registry.parsing.in_force import in_force
from answerable.errors import Malformed, Unavailable
from answerable.ports.approval_register import ApprovalRegister
from answerable.testing.contracts.approval_register import (
    LATER,
    DurableApprovalRegisterContract,
    approved,
)
from answerable.testing.contracts.mandate_register import M1, DurableMandateRegisterContract
from answerable.testing.contracts.registry_store import DurableRegistryStoreContract
from answerable.testing.samples import POLICIES, approval, document, mandate, registry_documents
from tests.probes import warm_starts


def store_in(directory: Path) -> SqliteStore:
    return SqliteStore.open(directory / "state" / "registers.db")


@pytest.mark.requirement("STORE-01")
class TestSqliteMandateRegister(DurableMandateRegisterContract):
    def opened(self, tmp_path: Path) -> SqliteMandateRegister:
        return SqliteMandateRegister(store_in(tmp_path))


@pytest.mark.requirement("STORE-01")
class TestSqliteApprovalRegister(DurableApprovalRegisterContract):
    def opened(self, tmp_path: Path) -> SqliteApprovalRegister:
        return SqliteApprovalRegister(store_in(tmp_path))

    def stored(self, register: ApprovalRegister) -> None:
        assert isinstance(register, SqliteApprovalRegister)
        with register._store.uses.write():
            pass


@pytest.mark.requirement("STORE-01")
class TestSqliteRegistryStore(DurableRegistryStoreContract):
    def opened(self, tmp_path: Path) -> SqliteRegistryStore:
        return SqliteRegistryStore(store_in(tmp_path))


@pytest.mark.requirement("STORE-02")
def test_the_file_and_its_companions_are_nobody_elses_to_read(tmp_path):
    SqliteMandateRegister(store_in(tmp_path)).add(mandate())
    state = tmp_path / "state"
    assert state.stat().st_mode & 0o077 == 0
    modes = {file.name: file.stat().st_mode & 0o777 for file in state.iterdir()}
    assert set(modes) == {"registers.db", "registers.db-wal", "registers.db-shm"}
    assert set(modes.values()) == {0o600}


@pytest.mark.requirement("STORE-02")
def test_a_file_that_others_could_read_is_closed_to_them(tmp_path):
    store_in(tmp_path).close()
    file = tmp_path / "state" / "registers.db"
    file.chmod(0o644)
    store_in(tmp_path).close()
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.requirement("STORE-02")
def test_every_write_is_synchronous_and_in_the_write_ahead_log(tmp_path):
    store = store_in(tmp_path)
    assert store.rows("PRAGMA synchronous") == [(2,)]
    assert store.rows("PRAGMA journal_mode") == [("wal",)]
    assert store.rows("PRAGMA foreign_keys") == [(1,)]


KILLED = """
import os, sys
from pathlib import Path
from answerable.adapters.sqlite import SqliteApprovalRegister, SqliteMandateRegister, SqliteStore
from answerable.testing.samples import approval, mandate
store = SqliteStore.open(Path(sys.argv[1]))
mandates, approvals = SqliteMandateRegister(store), SqliteApprovalRegister(store)
for number in range(10_000):
    mandates.add(mandate(f"m-{number}"))
    approvals.add(approval(f"a-{number}", amount=number))
    os.write(1, f"{number}\\n".encode())
"""


@pytest.mark.requirement("STORE-02")
def test_what_was_acknowledged_survives_kill_9(tmp_path):
    file = tmp_path / "registers.db"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.Popen(
        [*warm_starts.program(KILLED), str(file)], stdout=subprocess.PIPE, env=environment
    )
    assert child.stdout is not None
    for _ in range(20):
        assert child.stdout.readline()
    child.send_signal(signal.SIGKILL)
    acknowledged = 20 + len(child.stdout.read().splitlines())
    child.wait()
    store = SqliteStore.open(file)
    mandates, approvals = SqliteMandateRegister(store), SqliteApprovalRegister(store)
    for number in range(acknowledged):
        assert mandates.find(MandateId(f"m-{number}")) == mandate(f"m-{number}")
        assert approvals.find(approval(f"a-{number}").id) == approval(f"a-{number}", amount=number)


def full(store: SqliteStore) -> None:
    """Let no page be added, as on a full disk."""
    store.rows("PRAGMA max_page_count = 1")


@pytest.mark.requirement("STORE-02")
def test_of_many_at_once_that_fail_in_the_middle_none_is_replaced(tmp_path):
    store = store_in(tmp_path)
    register = SqliteApprovalRegister(store)
    waiting = [approval(f"a-{number}", amount=number) for number in range(5)]
    _each(register.add, waiting)
    store.rows(
        "CREATE TRIGGER third BEFORE UPDATE ON approvals WHEN new.id = 'a-3' "
        "BEGIN SELECT raise(abort, 'the disk is gone'); END"
    )
    with pytest.raises(Unavailable):
        register.replace_many([(approved(one), one) for one in waiting])
    for known in (register, SqliteApprovalRegister(store_in(tmp_path))):
        assert [known.find(one.id) for one in waiting] == waiting
    store.rows("DROP TRIGGER third")
    assert register.replace_many([(approved(one), one) for one in waiting]) == (True,) * 5


@pytest.mark.requirement("STORE-02")
def test_what_waits_is_listed_in_its_order_whoever_wrote_it_and_when_it_waits_again(tmp_path):
    here, there = SqliteApprovalRegister(store_in(tmp_path)), SqliteApprovalRegister(store_in(tmp_path))
    waiting = [approval(f"a-{number}", amount=number) for number in range(6)]

    def listed(register):
        return [one.id for one in register.all(pending_only=True, now=LATER)]

    for number, one in enumerate(waiting):
        (here if number % 2 else there).add(one)
    everybody = ["a-5", "a-4", "a-3", "a-2", "a-1", "a-0"]
    assert listed(here) == listed(there) == everybody
    denied = replace(waiting[2], state="denied")
    assert there.replace(denied, was=waiting[2])
    assert listed(here) == listed(there) == ["a-5", "a-4", "a-3", "a-1", "a-0"]
    assert here.replace(waiting[2], was=denied)
    assert listed(here) == listed(there) == everybody
    assert listed(SqliteApprovalRegister(store_in(tmp_path))) == everybody


@pytest.mark.requirement("STORE-02")
def test_what_others_write_before_and_after_many_of_ones_own_is_seen(tmp_path):
    here, there = SqliteApprovalRegister(store_in(tmp_path)), SqliteApprovalRegister(store_in(tmp_path))
    waiting = [approval(f"a-{number}", amount=number) for number in range(6)]
    _each(here.add, waiting[:4])
    there.add(waiting[4])
    denied = [(replace(one, state="denied"), one) for one in waiting]
    assert there.replace_many(denied[:1]) == (True,)
    assert here.replace_many(denied[1:3]) == (True, True)
    there.add(waiting[5])
    assert here.replace_many([denied[0], denied[3]]) == (False, True)
    assert there.replace_many(denied[5:]) == (True,)
    seen = ["pending" if number == 4 else "denied" for number in reversed(range(6))]
    for register in (here, there, SqliteApprovalRegister(store_in(tmp_path))):
        assert [one.state for one in register.all(pending_only=False, now=LATER)] == seen
        assert [one.id for one in register.all(pending_only=True, now=LATER)] == ["a-4"]


@pytest.mark.requirement("STORE-02")
@pytest.mark.parametrize("fault", [SqliteStore.close, full], ids=["closed", "full"])
def test_a_failing_file_is_unavailable_and_what_is_known_stays(tmp_path, fault):
    store = store_in(tmp_path)
    mandates, approvals = SqliteMandateRegister(store), SqliteApprovalRegister(store)
    registry = SqliteRegistryStore(store)
    mandates.add(mandate())
    approvals.add(approval())
    fault(store)
    big = document("PolicySet", "big", {"policies": POLICIES + "// " + "x" * 100_000})
    with pytest.raises(Unavailable):
        _each(mandates.add, [mandate(f"n-{number}") for number in range(100)])
    with pytest.raises(Unavailable):
        _each(approvals.add, [approval(f"b-{number}", amount=number) for number in range(100)])
    with pytest.raises(Unavailable):
        registry.put(stored_form([*registry_documents(), big]))
    assert mandates.find(M1) == mandate()
    assert mandates.state(M1) == "open"
    assert approvals.find(approval().id) == approval()
    assert registry.documents() == {}
    assert mandates.reserve((account_of(mandate()),), ONE_CALL) == 1


@pytest.mark.requirement("STORE-02")
@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda file: file.write_bytes(b"not a database at all" * 100), "register.unavailable"),
        (lambda file: _execute(file, "PRAGMA application_id = 7"), "register.foreign"),
        (lambda file: _execute(file, "INSERT INTO migrations VALUES (99)"), "register.schema_newer"),
        (lambda file: _execute(file, "UPDATE documents SET body = x'7b7d'"), "register.corrupt"),
        (lambda file: (file.unlink(), file.mkdir()), "register.unavailable"),
        (lambda file: (file.unlink(), file.symlink_to(file.parent / "other")), "register.unavailable"),
    ],
    ids=["garbage", "foreign", "newer", "documents", "directory", "link"],
)
def test_a_spoilt_file_is_never_read_as_a_smaller_one(tmp_path, spoil, code):
    store = store_in(tmp_path)
    SqliteMandateRegister(store).add(mandate())
    SqliteApprovalRegister(store).add(approval())
    SqliteRegistryStore(store).put(stored_form(registry_documents()))
    store.close()
    spoil(tmp_path / "state" / "registers.db")
    with pytest.raises(Unavailable) as raised:
        _open_all(tmp_path)
    assert raised.value.code == code
    assert raised.value.port == "register"


@pytest.mark.requirement("STORE-02")
def test_a_mandate_that_could_not_be_read_back_is_not_stored(tmp_path):
    register = SqliteMandateRegister(store_in(tmp_path))
    with pytest.raises(Malformed):
        register.add(replace(mandate(), id=MandateId("not an id")))
    assert SqliteMandateRegister(store_in(tmp_path)).all() == ()


@pytest.mark.requirement("STORE-03")
def test_what_another_process_used_and_stored_is_not_used_again(tmp_path):
    here, there = store_in(tmp_path), store_in(tmp_path)
    first, second = SqliteApprovalRegister(here), SqliteApprovalRegister(there)
    waiting = approval()
    first.add(waiting)
    first.replace(approved(waiting), was=waiting)
    assert there.refresh()
    assert second.use(waiting.id, LATER)
    with there.uses.write():
        pass
    assert here.refresh()
    assert not first.use(waiting.id, LATER)


@pytest.mark.requirement("STORE-03")
def test_an_answer_given_in_another_process_is_not_lost_and_is_seen_at_the_next_refresh(tmp_path):
    here, there = store_in(tmp_path), store_in(tmp_path)
    server, terminal = SqliteApprovalRegister(here), SqliteApprovalRegister(there)
    waiting = approval()
    server.add(waiting)
    assert there.refresh()
    assert terminal.replace(approved(waiting), was=waiting)
    assert not server.replace(replace(waiting, state="denied"), was=waiting)
    assert here.refresh()
    assert not here.refresh()
    assert server.find(waiting.id) == approved(waiting)


@pytest.mark.requirement("STORE-03")
def test_a_mandate_closed_in_another_process_is_closed_here_at_the_next_refresh_and_its_budget_stays(
    tmp_path,
):
    here, there = store_in(tmp_path), store_in(tmp_path)
    server, terminal = SqliteMandateRegister(here), SqliteMandateRegister(there)
    server.add(mandate())
    server.reserve((account_of(mandate()),), ONE_CALL)
    terminal.close(M1)
    assert here.refresh()
    assert server.state(M1) == "closed"
    assert server.calls_used(M1) == 1


@pytest.mark.requirement("STORE-03")
def test_closing_here_what_nobody_knows_hides_nothing_that_another_process_closes(tmp_path):
    here, there = store_in(tmp_path), store_in(tmp_path)
    server, terminal = SqliteMandateRegister(here), SqliteMandateRegister(there)
    server.add(mandate())
    server.add(mandate("m-2"))
    server.close(MandateId("m-none"))
    terminal.close(M1)
    assert here.refresh()
    assert (server.state(M1), server.state(MandateId("m-2"))) == ("closed", "open")
    server.close(MandateId("m-2"))
    terminal.add(mandate("m-3"))
    assert here.refresh()
    assert [server.state(MandateId(name)) for name in ("m-1", "m-2", "m-3")] == ["closed", "closed", "open"]


@pytest.mark.requirement("STORE-02", "STORE-03")
def test_a_register_that_is_read_in_many_parts_is_whole_and_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr("answerable.adapters.sqlite.mandates.ROWS_AT_A_TIME", 2)
    here, there = store_in(tmp_path), store_in(tmp_path)
    before, names = SqliteMandateRegister(here), [f"m-{number}" for number in range(7)]
    for name in names:
        SqliteMandateRegister(there).add(mandate(name))
    assert here.refresh()
    for register in (before, SqliteMandateRegister(store_in(tmp_path))):
        assert [str(one.id) for one in register.all()] == names[::-1]
    assert gc.isenabled()


@pytest.mark.requirement("STORE-03")
def test_a_registry_applied_in_another_process_is_seen_at_the_next_refresh_and_in_force_when_taken_over(
    tmp_path,
):
    here, there = store_in(tmp_path), store_in(tmp_path)
    server = SqliteRegistryStore(here)
    SqliteRegistryStore(there).put(stored_form(registry_documents()))
    assert here.refresh()
    assert server.index.resolve("crm", "tools/call", "get_case") is None
    assert server.coming is not None
    assert server.take_over(server.coming, in_force(server.coming.documents))
    assert server.index.resolve("crm", "tools/call", "get_case") is not None


@pytest.mark.requirement("STORE-02")
def test_a_writer_waits_for_another_and_then_gives_up(tmp_path, monkeypatch):
    monkeypatch.setattr("answerable.adapters.sqlite.store.BUSY_MILLIS_MAX", 50)
    register = SqliteMandateRegister(store_in(tmp_path))
    other = sqlite3.connect(tmp_path / "state" / "registers.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable):
        register.add(mandate())
    other.execute("ROLLBACK")
    other.close()
    register.add(mandate())
    assert register.state(M1) == "open"


@pytest.mark.requirement("STORE-02")
def test_a_commit_that_fails_says_that_its_effect_is_unknown_and_the_file_is_read_again(tmp_path):
    store = store_in(tmp_path)
    register = SqliteMandateRegister(store)
    register.add(mandate())
    with store.write() as connection:
        # A deferred reference fails at the commit, as a failing disk would.
        connection.execute("CREATE TABLE t (id TEXT REFERENCES mandates (id) DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(Unavailable) as raised, store.write() as connection:
        connection.execute("INSERT INTO t VALUES ('nobody')")
    assert raised.value.effect == "unknown"
    assert store.rows("SELECT * FROM t") == []
    assert store.refresh()
    assert register.find(M1) == mandate()
    register.close(M1)
    assert register.state(M1) == "closed"


def _each(call, values):
    for value in values:
        call(value)


def _open_all(directory: Path) -> None:
    store = store_in(directory)
    SqliteMandateRegister(store)
    SqliteApprovalRegister(store)
    SqliteRegistryStore(store)


def _execute(file: Path, statement: str) -> None:
    connection = sqlite3.connect(file)
    connection.execute(statement)
    connection.commit()
    connection.close()
