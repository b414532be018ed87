"""Registers that several processes read and write: news is taken over whole, in order, and only where there is any."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from answerable.adapters.sqlite import (
    SqliteApprovalRegister,
    SqliteCitationRegister,
    SqliteMandateRegister,
    SqlitePreparedRegister,
    SqliteRegistryStore,
    SqliteStore,
    SqliteTokenRegister,
)
from answerable.core.canonical import encode
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.ledger.leaves import Reference
from answerable.core.mandate.mandate import MandateId
from answerable.core.mandate.revocation import RevocationTarget
from answerable.core.registry.parsing.in_force import in_force
from answerable.core.registry.parsing.parse import document_key
from answerable.errors import Unavailable
from answerable.testing.clock import START
from answerable.testing.entropy import SeededEntropy
from answerable.testing.samples import approval, mandate, registry_documents

pytestmark = pytest.mark.requirement("SHARD-08")

NOW = UnixMillis(START)
DOCUMENTS = {document_key(one): encode(one) for one in registry_documents()}


def two(tmp_path: Path) -> tuple[SqliteStore, SqliteStore]:
    return SqliteStore.open(tmp_path / "registers.db"), SqliteStore.open(tmp_path / "registers.db")


def test_mandates_of_both_processes_stand_in_the_order_in_which_they_were_added(tmp_path: Path) -> None:
    here, there = two(tmp_path)
    ours, theirs = SqliteMandateRegister(here), SqliteMandateRegister(there)
    for number in range(6):
        (ours if number % 2 else theirs).add(mandate(f"m-{number}"))
    for _ in range(2):
        here.refresh()
        there.refresh()
        assert [one.id for one in ours.all()] == [f"m-{number}" for number in reversed(range(6))]
        assert list(ours.all()) == list(theirs.all())
    theirs.close(MandateId("m-1"))
    assert ours.state(MandateId("m-1")) == "open"
    assert here.refresh()
    assert ours.state(MandateId("m-1")) == "closed"


def test_a_mandate_that_one_process_issued_is_found_in_the_other_at_once(tmp_path: Path) -> None:
    here, there = two(tmp_path)
    ours, theirs = SqliteMandateRegister(here), SqliteMandateRegister(there)
    theirs.add(mandate("m-1"))
    assert ours.find(MandateId("m-1")) == theirs.find(MandateId("m-1"))
    assert ours.find(MandateId("m-2")) is None


def test_approvals_of_both_processes_stand_in_order_and_change_in_both(tmp_path: Path) -> None:
    here, there = two(tmp_path)
    ours, theirs = SqliteApprovalRegister(here), SqliteApprovalRegister(there)
    for number in range(6):
        (ours if number % 2 else theirs).add(approval(f"a-{number}", amount=number))
    first = approval("a-0", amount=0)
    assert theirs.replace(replace(first, state="approved"), was=first)
    for _ in range(2):
        here.refresh()
        there.refresh()
        everything = list(ours.all(pending_only=False, now=NOW))
        assert [one.id for one in everything] == [f"a-{number}" for number in reversed(range(6))]
        assert everything == list(theirs.all(pending_only=False, now=NOW))
    assert theirs.use(first.id, NOW)
    with there.uses.write():
        pass
    found = ours.find(first.id)
    assert found is not None
    assert found.state == "approved"
    here.refresh()
    found = ours.find(first.id)
    assert found is not None
    assert found.state == "used"
    assert ours.matching(first.agent, first.mandate, first.action.digest, NOW) is None


@pytest.mark.requirement("STOP-11")
def test_whoever_lists_approvals_or_comes_too_late_finds_what_the_other_process_wrote_and_takes_no_news_away(
    tmp_path: Path,
) -> None:
    here, there = two(tmp_path)
    ours, theirs = SqliteApprovalRegister(here), SqliteApprovalRegister(there)
    first = approval("a-0")
    theirs.add(first)
    assert list(ours.all(pending_only=False, now=NOW)) == [first]
    changed = replace(first, reasons=("another",))
    assert theirs.replace(changed, was=first)
    assert not ours.replace(replace(first, state="denied"), was=first)
    assert ours.find(first.id) == changed
    assert ours.replace(replace(changed, state="denied", ended_by="hold_x"), was=changed)
    assert here.refresh()
    assert [one.ended_by for one in theirs.all(pending_only=False, now=NOW)] == ["hold_x"]


def test_documents_stay_the_same_object_while_nobody_applied_others(tmp_path: Path) -> None:
    here, there = two(tmp_path)
    registry = SqliteRegistryStore(here)
    registry.put(DOCUMENTS)
    before = registry.current
    SqliteMandateRegister(there).add(mandate())
    assert here.refresh()
    assert registry.current is before


def test_documents_are_not_stored_over_others_that_are_not_known_yet(tmp_path: Path) -> None:
    here, there = two(tmp_path)
    ours, theirs = SqliteRegistryStore(here), SqliteRegistryStore(there)
    ours.put(DOCUMENTS)
    with pytest.raises(Unavailable) as told:
        theirs.put({})
    assert (told.value.code, told.value.effect) == ("register.changed_meanwhile", "none")
    assert there.refresh()
    assert theirs.documents() == {}, "not before somebody takes them over"
    with pytest.raises(Unavailable):
        theirs.put({})
    coming = theirs.coming
    assert coming is not None
    assert theirs.take_over(coming, in_force(coming.documents))
    assert theirs.documents() == DOCUMENTS
    assert theirs.coming is None
    theirs.put({})
    assert here.refresh()
    assert ours.coming is not None
    assert ours.coming.documents == {}


def test_what_was_stored_at_the_start_is_in_force(tmp_path: Path) -> None:
    here, there = two(tmp_path)
    SqliteRegistryStore(here).put(DOCUMENTS)
    theirs = SqliteRegistryStore(there)
    assert (theirs.documents(), theirs.coming) == (DOCUMENTS, None)


def opened_in(folder: Path) -> int:
    """How many files of this folder this process has open."""
    places = [one.readlink() for one in Path("/proc/self/fd").iterdir() if one.is_symlink()]
    return sum(one.is_relative_to(folder) for one in places)


@pytest.mark.requirement("FAST-45")
def test_registers_read_a_few_rows_over_the_connection_that_is_there_and_see_what_was_committed_before(
    tmp_path: Path,
) -> None:
    here, there = two(tmp_path)
    opened = opened_in(tmp_path)
    citations = SqliteCitationRegister(here)
    SqlitePreparedRegister(here)
    SqliteMandateRegister(here)
    place = Reference(entry=1, leaf="00" * 32)
    assert citations.find("log", ("grant", "one")) is None
    SqliteCitationRegister(there).keep("log", {("grant", "one"): place}, 2)
    assert citations.find("log", ("grant", "one")) == place
    assert opened_in(tmp_path) == opened
    here.close()
    with pytest.raises(Unavailable):
        citations.find("log", ("grant", "one"))


@pytest.mark.requirement("FAST-45")
def test_while_it_writes_registers_share_one_other_connection_and_see_only_what_is_committed(
    tmp_path: Path,
) -> None:
    store, _ = two(tmp_path)
    citations, prepared = SqliteCitationRegister(store), SqlitePreparedRegister(store)
    opened = opened_in(tmp_path)
    with ThreadPoolExecutor(1) as another, store.write() as connection:
        connection.execute("INSERT INTO citations VALUES ('log', 'grant', 'one', 1, ?)", ("00" * 32,))
        assert citations.find("log", ("grant", "one")) is None
        assert another.submit(citations.find, "log", ("grant", "one")).result(10) is None
        shared = opened_in(tmp_path)
        assert shared > opened
        assert prepared.get("one") is None
        assert opened_in(tmp_path) == shared
    assert citations.find("log", ("grant", "one")) is not None
    store.close()
    with pytest.raises(Unavailable):
        citations.find("log", ("grant", "one"))


@pytest.mark.requirement("OPENFILES-02")
def test_what_is_below_a_token_is_read_without_opening_a_file(tmp_path: Path) -> None:
    store, _ = two(tmp_path)
    tokens = SqliteTokenRegister(store, entropy=SeededEntropy("tokens"))
    opened = opened_in(tmp_path)
    assert tokens.subtree([RevocationTarget("mandate", "m-1")]) == (0, ())
    assert opened_in(tmp_path) == opened
