"""The search index as a projection: position and fence, nothing twice, made anew, keys, and erasure."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from answerable.adapters.sqlite.search_index import SqliteSearchIndex, marks
from answerable.core.ledger.projected import START, Position
from answerable.core.ledger.tags import Tag
from answerable.core.search.blind import BlindKey
from answerable.core.search.query import parsed_query
from answerable.errors import AnswerableError, Broken, Unavailable
from answerable.flows.forensics.search_ledger import catch_up, search_ledger
from answerable.testing.builders import memory_ledger
from answerable.testing.clock import ManualClock
from tests.worlds.index_files import bytes_below, rows_of
from tests.worlds.searched import ROOT, Searched

pytestmark = pytest.mark.requirement("SEARCH-03")


@pytest.fixture
def searched(tmp_path: Path) -> Searched:
    """Twenty actions of two agents about four cases, over two stretches, with an end each."""
    one = Searched(tmp_path)
    for number in range(20):
        intent = one.action(
            ("scout", "rover")[number % 2],
            resource=f"case-{number % 4}",
            person=("ada", "bela")[number % 2],
            amount=number,
            destinations=(f"to-{number % 4}@x.test",),
            reason=f"secret{number % 4} words",
            leased=True,
        )
        one.end(intent, pg_session=f"6a.{number}")
    return one


def test_a_second_reading_changes_nothing(searched: Searched) -> None:
    searched.caught_up().close()
    before = rows_of(searched.place / "index")
    index = searched.opened()
    batch_end = index.position()
    index._whole.execute("UPDATE reached SET entries = 0, leaf = ''")
    catch_up(index, searched.ledger, searched.find)
    assert index.position() == batch_end
    index.close()
    assert rows_of(searched.place / "index") == before


def test_the_position_moves_only_from_where_it_was(searched: Searched) -> None:
    index = searched.opened()
    assert index.position() == START
    assert not index.apply([], Position(3, "aa"), Position(4, "bb"), at=1)
    assert index.position() == START
    assert index.apply([], START, Position(4, "bb"), at=1)
    assert not index.apply([], START, Position(5, "cc"), at=1)
    assert index.position() == Position(4, "bb")
    assert (index.reach().entries, index.reach().happened) == (4, False)
    index.close()


def test_two_that_follow_at_once_write_each_entry_once(searched: Searched) -> None:
    one, other = searched.opened(), searched.opened()
    apply = one.apply

    def late(*given: object, **more: object) -> bool:
        catch_up(other, searched.ledger, searched.find)
        return bool(apply(*given, **more))

    one.apply = late
    catch_up(one, searched.ledger, searched.find)
    assert searched.found(one, "agent:scout") == searched.found(other, "agent:scout")
    assert len(searched.found(one, "agent:scout")) == 10
    one.close()
    other.close()


def test_a_crash_between_the_stretches_and_the_position_is_made_good(
    searched: Searched, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = searched.opened()
    monkeypatch.setattr(
        index, "_added", lambda facts: (_ for _ in ()).throw(Unavailable("cut", code="x.y", port="x"))
    )
    with pytest.raises(AnswerableError):
        catch_up(index, searched.ledger, searched.find)
    index.close()
    searched.caught_up().close()
    searched.caught_up("anew").close()
    assert rows_of(searched.place / "index") == rows_of(searched.place / "anew")


def test_an_index_of_another_log_is_refused_and_stays_as_it_is(searched: Searched) -> None:
    searched.caught_up().close()
    with pytest.raises(Broken) as told:
        SqliteSearchIndex.open(searched.place / "index", origin="other.test/log", blind=BlindKey(ROOT))
    assert told.value.code == "search.other_log"
    assert len(searched.found(searched.opened(), "agent:scout")) == 10


def test_a_log_that_was_cut_or_went_on_otherwise_is_refused(searched: Searched) -> None:
    index = searched.caught_up()
    entries = [*searched.ledger.replay()]
    for changed in (entries[:-3], [*entries[:-1], entries[0]]):
        shorter = memory_ledger(ManualClock())
        shorter._entries = changed
        with pytest.raises(Broken) as told:
            catch_up(index, shorter, searched.find)
        assert told.value.code == "search.other_log"
    assert index.position().entries == len(entries)
    index.close()


@pytest.mark.parametrize("damage", ["no database", "a stretch is gone", "another version"])
def test_a_damaged_index_is_thrown_away_and_made_anew(searched: Searched, damage: str) -> None:
    searched.caught_up().close()
    place = searched.place / "index"
    before = rows_of(place)
    if damage == "no database":
        (place / "entries-00000.db").write_bytes(b"not a database" * 100)
    elif damage == "a stretch is gone":
        (place / "entries-00001.db").unlink()
    else:
        with sqlite3.connect(place / "index.db") as connection:
            connection.execute("UPDATE reached SET version = 0")
    index = searched.opened()
    assert index.position() == START
    catch_up(index, searched.ledger, searched.find)
    index.close()
    assert rows_of(place) == before


@pytest.mark.requirement("SEARCH-12")
@pytest.mark.parametrize("damage", ["emptied", "gone", "older", "another ledger", "another index"])
@pytest.mark.parametrize("file", ["index.db", "entries-00000.db", "entries-00001.db"])
def test_an_index_with_a_file_that_is_not_as_it_was_written_is_made_anew(
    searched: Searched, tmp_path: Path, damage: str, file: str
) -> None:
    index = searched.caught_up()
    intents = searched.found(index, "kind:intent")
    index.close()
    place, other = searched.place / "index", searched.place / "other"
    if damage == "older":
        shutil.copytree(place, other)
    for intent in (intents[-1], intents[len(intents) // 2]):
        # A stretch in which no entry is new changes, too.
        searched.end(intent, "failed")
    searched.caught_up().close()
    before = rows_of(place)
    if damage == "another ledger":
        (tmp_path / "beside").mkdir()
        beside = Searched(tmp_path / "beside")
        for _ in range(25):
            beside.action("rover")
        beside.caught_up().close()
        other = beside.place / "index"
    elif damage == "another index":
        searched.caught_up("other").close()
    if damage == "emptied":
        (place / file).write_bytes(b"")
    elif damage == "gone":
        (place / file).unlink()
    else:
        shutil.copyfile(other / file, place / file)
    index = searched.opened()
    assert (index.is_made_again, index.position()) == (True, START)
    catch_up(index, searched.ledger, searched.find)
    index.close()
    assert rows_of(place) == before
    index = searched.opened()
    assert not index.is_made_again
    index.close()


@pytest.mark.requirement("SEARCH-12")
def test_one_stretch_in_the_place_of_another_is_no_stretch(searched: Searched) -> None:
    searched.caught_up().close()
    place = searched.place / "index"
    shutil.copyfile(place / "entries-00001.db", place / "entries-00000.db")
    index = searched.opened()
    assert index.is_made_again
    index.close()


def test_a_later_correction_of_an_end_is_the_end(searched: Searched) -> None:
    index = searched.caught_up()
    intent = searched.found(index, "agent:scout")[-1]
    catch_up(index, searched.ledger, searched.find)
    end = searched.end(intent, "failed")
    catch_up(index, searched.ledger, searched.find)
    assert searched.found(index, "outcome:failed") == [intent]
    assert searched.page(index, "outcome:failed").hits[0].ended.entry == end
    index.close()


def test_nothing_yet_and_nothing_that_matches_are_told_apart(tmp_path: Path) -> None:
    empty = Searched(tmp_path)
    page = empty.page(empty.caught_up(), "agent:scout")
    assert (page.hits, page.happened, page.entries) == ((), False, 1)
    empty.action("rover")
    page = empty.page(empty.caught_up(), "agent:scout")
    assert (page.hits, page.happened, page.entries, page.at) == ((), True, 2, empty.at)


# --- keys ----------------------------------------------------------------------------------------------


@pytest.mark.requirement("SEARCH-04")
def test_no_sealed_text_stands_in_the_files(searched: Searched) -> None:
    searched.caught_up().close()
    content = bytes_below(searched.place / "index")
    for sealed in ("case-", "x.test", "secret", "words", "ada", "bela", "Customer"):
        assert sealed.encode() not in content, sealed
    assert b"scout" in content


@pytest.mark.requirement("SEARCH-04")
def test_other_keys_make_the_index_anew_and_none_leaves_the_leaves(searched: Searched) -> None:
    searched.caught_up().close()
    place = searched.place / "index"
    other = SqliteSearchIndex.open(
        place, origin=searched.ledger.origin, blind=BlindKey(b"k" * 32), stretch_entries=16
    )
    assert other.position() == START
    other.close()
    bare = SqliteSearchIndex.open(place, origin=searched.ledger.origin, blind=None, stretch_entries=16)
    catch_up(bare, searched.ledger, lambda key_id: None)

    def found(*words: str) -> int:
        query = parsed_query(words, now=searched.at)
        return len(search_ledger(bare, searched.ledger, lambda key_id: None, query, limit=100).hits)

    assert (found("agent:scout"), found("session:6a.3"), found("outcome:succeeded")) == (10, 1, 20)
    assert (found("resource:case-1"), found("person:ada"), found("text:words"), found("amount>3")) == (
        0,
        0,
        0,
        0,
    )
    bare.close()


@pytest.mark.requirement("SEARCH-04")
def test_a_digest_that_two_values_share_is_no_hit(
    searched: Searched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BlindKey, "digest", lambda self, field, value: b"same for")
    index = searched.caught_up()
    assert len(searched.found(index, "resource:case-1")) == 5
    assert searched.found(index, "resource:nobody") == []
    index.close()


# --- erasure -------------------------------------------------------------------------------------------


@pytest.mark.requirement("SEARCH-05")
@pytest.mark.parametrize("restored", [False, True])
def test_an_erased_subject_leaves_no_byte(searched: Searched, restored: bool) -> None:
    searched.caught_up().close()
    place, blind = searched.place / "index", BlindKey(ROOT)
    digests = {
        name: blind.digest(field, value)
        for name, field, value in (
            ("resource", "resource", "case-1"),
            ("destination", "destination", "to-1@x.test"),
            ("text", "text", "secret1"),
        )
    }
    assert all(one in bytes_below(place) for one in digests.values())
    shutil.copytree(place, searched.place / "older")
    key_id = searched.erase("Customer:case-1")
    index = searched.caught_up()
    if restored:
        index.close()
        shutil.rmtree(place)
        shutil.copytree(searched.place / "older", place)
        index = searched.caught_up()
    for word in ("resource:case-1", "destination:to-1@x.test", "text:secret1"):
        assert searched.found(index, word) == []
    assert searched.found(index, f"subject:{key_id}", "amount>0") == []
    assert len(searched.found(index, "resource:case-2")) == 5
    # What leaves say stays findable: the log keeps it, too.
    assert len(searched.found(index, f"subject:{key_id}")) == 5
    while_open = bytes_below(place)
    index.close()
    for name, one in digests.items():
        assert one not in while_open, name
        assert one not in bytes_below(place), name
    pseudonyms = sqlite3.connect(place / "index.db").execute("SELECT subject FROM pseudonym").fetchall()
    assert key_id not in " ".join(str(one) for (one,) in pseudonyms)


@pytest.mark.requirement("SEARCH-05")
def test_what_a_killed_process_wrote_of_a_subject_that_is_then_erased_leaves_no_byte(
    searched: Searched, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*given: object) -> None:
        raise Unavailable("killed", code="x.y", port="x")

    for _ in range(2):
        # The stretches are written, the position is not.
        index = searched.opened()
        monkeypatch.setattr(marks, "note", killed)
        with pytest.raises(Unavailable, match="killed"):
            catch_up(index, searched.ledger, searched.find)
        index.close()
        monkeypatch.undo()
    digest = BlindKey(ROOT).digest("resource", "case-1")
    assert digest in bytes_below(searched.place / "index")
    searched.erase("Customer:case-1")
    index = searched.opened()
    assert not index.is_made_again
    searched.follow(index)
    assert len(searched.found(index, "resource:case-2")) == 5
    index.close()
    assert digest not in bytes_below(searched.place / "index")


@pytest.mark.requirement("SEARCH-05")
def test_while_somebody_reads_an_erasure_is_not_over_and_is_done_again(searched: Searched) -> None:
    index = searched.caught_up()
    key_id = searched.erase("Customer:case-1")
    digest = BlindKey(ROOT).digest("text", "secret1")
    readers = []
    for path in sorted((searched.place / "index").glob("*.db")):
        reader = sqlite3.connect(path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        readers.append(reader)
    searched.follow(index)
    assert key_id in index.subjects()
    assert searched.found(index, "text:secret1") == []
    for reader in readers:
        reader.close()
    searched.follow(index)
    assert key_id not in index.subjects()
    assert digest not in bytes_below(searched.place / "index")
    index.close()


def test_accounts_and_sessions_lead_to_actions(searched: Searched) -> None:
    """What attribution of a target's log asks: by lease, by session, by account and time."""
    name, account = searched.account_lease(3)
    searched.lease(name, account)
    index = searched.caught_up()
    (third,) = searched.found(index, "session:pg_session:6a.2")
    assert searched.found(index, f"lease:{account}", "kind:intent") == [third]
    assert searched.found(index, f"account:{account}", "kind:intent") == [third]
    at = searched.page(index, f"lease:{name}", "kind:intent").hits[0].facts.at
    query = parsed_query([f"account:{account}", "kind:intent"], now=0)
    for since, until, count in ((at, at + 1, 1), (at + 1, None, 0), (None, at, 0)):
        narrowed = type(query)(terms=query.terms, since=since, until=until)
        assert len(search_ledger(index, searched.ledger, searched.find, narrowed, limit=9).hits) == count
    assert Tag.LEASE in {one.facts.tag for one in searched.page(index, f"account:{account}").hits}
    index.close()


@pytest.mark.requirement("SEARCH-05")
def test_a_key_that_cannot_be_read_is_not_taken_for_one_that_was_destroyed(searched: Searched) -> None:
    index = searched.caught_up()
    searched.find = lambda key_id: None
    searched.follow(index)
    assert list(index.subjects())
    assert searched.found(index, "resource:case-1") == []
    del searched.find
    assert len(searched.found(index, "resource:case-1")) == 5
    index.close()
