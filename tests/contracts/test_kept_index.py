"""The index that a process keeps: it follows the log's files as far as it is told, and no failure stays."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from answerable.adapters.local_keys import open_or_create_secret
from answerable.adapters.sqlite import SqliteSubjectKeys, StoredSubjectKeys
from answerable.adapters.system import SystemEntropy
from answerable.adapters.tlog_files import FollowedFiles, StoredFiles, TlogFilesLedger
from answerable.api.search_answers import SearchAnswer
from answerable.core.search.query import parsed_query
from answerable.errors import Broken, Malformed, Refused, Unavailable
from answerable.flows.forensics import search_ledger as searching
from answerable.ports import search_process as port
from answerable.testing.builders import Bench
from answerable.testing.clock import ManualClock
from answerable.testing.contracts.ledger import log_key
from answerable.testing.samples import AUDIENCE
from answerable.wiring import kept_index as kept
from answerable.wiring.index_lock import index_alone
from answerable.wiring.kept_index import KeptIndex, kept_index
from answerable.wiring.ledger_search import own_index, places_of_copy
from answerable.wiring.ledger_search import searching as searched
from answerable.wiring.setting_tree import LedgerSettings, RegisterSettings, Settings
from tests.worlds.ledger_files import SMALL, grown, small_log

pytestmark = pytest.mark.requirement("SEARCH-09")


@dataclass(frozen=True)
class Lived:
    """A data directory in which things have happened."""

    settings: Settings
    entries: int

    def asked(self, index: KeptIndex, *words: str, entries: int = -1) -> SearchAnswer:
        asked = self.entries if entries < 0 else entries
        return index.ask(port.SEARCH, port.Question(words=words, limit=1_000, cursor="", entries=asked))


def settings_of(data: Path) -> Settings:
    return Settings(
        data=data,
        ledger=LedgerSettings(directory=data / "ledger"),
        registers=RegisterSettings(subject_keys=data / "subject-keys.db"),
    )


async def _lived(place: Path) -> int:
    key, sign = log_key(AUDIENCE)
    entropy = SystemEntropy()
    root = open_or_create_secret(place / "keys" / "subjects.key", count=32, entropy=entropy)
    keys = SqliteSubjectKeys.open(place / "subject-keys.db", root=root, entropy=entropy)
    ledger = TlogFilesLedger.open(place / "ledger", key=key, sign=sign, clock=ManualClock(), settings=SMALL)
    async with ledger:
        bench = await Bench(ledger=ledger, subject_keys=keys).registered()
        await bench.issue(calls_max=1_000)
        for number in range(60):
            await bench.act(arguments={"case": str(4_700 + number)})
        entries = ledger.size
    keys.close()
    return entries


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    place = tmp_path_factory.mktemp("kept") / "data"
    return place, asyncio.run(_lived(place))


@pytest.fixture
def lived(before: tuple[Path, int], tmp_path: Path) -> Lived:
    shutil.copytree(before[0], tmp_path / "data")
    return Lived(settings_of(tmp_path / "data"), before[1])


@pytest.fixture
def index(lived: Lived) -> Iterator[KeptIndex]:
    with kept_index(lived.settings) as found:
        yield found


def test_followed_files_have_what_the_log_has_up_to_what_was_told_over_all_segments(tmp_path: Path) -> None:
    async def followed() -> None:
        async with small_log(tmp_path / "log") as ledger:
            beside = FollowedFiles(tmp_path / "log", tmp_path / "offsets")
            assert (beside.origin, beside.size, [*beside.replay()]) == (ledger.origin, 0, [])
            for size in (3, 700, 700, 1_400):
                await grown(ledger, size)
                whole = [*ledger.replay()]
                beside.reach(size)
                assert [*beside.replay()] == whole[:size]
                assert [*beside.replay(size - 2)] == whole[size - 2 : size]
                assert [beside.entry(one) for one in range(0, size, 97)] == whole[:size:97]
                with pytest.raises(Malformed, match="there is no entry"):
                    beside.entry(size)
            beside.reach(5)
            assert beside.size == 1_400
            assert len([*(tmp_path / "log" / "wal").glob("*.wal")]) > 3

    asyncio.run(followed())


def test_nothing_beyond_what_was_told_is_found_and_the_rest_is_said(lived: Lived, index: KeptIndex) -> None:
    # Whoever asks for more than the log has changes nothing for others.
    lived.asked(index, "kind:intent", entries=lived.entries + 7)
    half = lived.entries // 2
    part = lived.asked(index, "agent:scout", "kind:intent", entries=half)
    assert (part.entries, part.missing, index.reach().entries) == (half, 0, half)
    assert max(one.entry for one in part.items) < half
    whole = lived.asked(index, "agent:scout", "kind:intent")
    assert (len(whole.items), whole.entries, whole.missing) == (60, lived.entries, 0)
    assert {one.outcome for one in whole.items} == {"succeeded"}
    assert [one.resource for one in lived.asked(index, "resource:4711").items] == ["4711"]


def test_a_search_does_not_wait_for_the_index_for_ever(
    lived: Lived, index: KeptIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "BATCH_ENTRIES", 10)
    monkeypatch.setattr(kept, "CATCH_UP_SECONDS_MAX", 0.0)
    first = lived.asked(index, "agent:scout")
    assert (first.entries, first.missing) == (10, lived.entries - 10)
    monkeypatch.setattr(kept, "CATCH_UP_SECONDS_MAX", 60.0)
    assert lived.asked(index, "agent:scout").missing == 0


def test_a_search_takes_its_turn_between_the_batches_of_a_long_catching_up(
    lived: Lived, index: KeptIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "BATCH_ENTRIES", 2)
    following = threading.Thread(target=index.follow, args=(lived.entries,))
    following.start()
    early = lived.asked(index, "kind:genesis", entries=1)
    following.join()
    assert early.items[0].kind == "genesis"
    assert lived.asked(index, "kind:intent").missing == 0


def test_an_index_that_is_deleted_or_foreign_or_of_a_longer_log_is_made_anew(lived: Lived) -> None:
    place = own_index(lived.settings)
    with kept_index(lived.settings) as index:
        assert len(lived.asked(index, "kind:intent").items) == 60
        shutil.rmtree(place)
        assert len(lived.asked(index, "kind:intent").items) == 60
        assert place.is_dir()
    for change in ("UPDATE reached SET origin = 'other.test'", "UPDATE reached SET leaf = '00'"):
        with sqlite3.connect(place / "index.db") as connection:
            connection.execute(change)
        connection.close()
        with kept_index(lived.settings) as index:
            assert len(lived.asked(index, "kind:intent").items) == 60
    # The log was put back to an older copy: what the index has beyond it is gone.
    with kept_index(lived.settings) as index:
        assert lived.asked(index, "kind:intent", entries=40).entries == 40


def found_by(lived: Lived, index: Path) -> list[int]:
    """Entries that a command without a server finds by a kept index."""
    places = places_of_copy(lived.settings.ledger.place, lived.settings.data, index)
    with searched(places) as found:
        asked = [parsed_query(words, now=0) for words in (("agent:scout", "kind:intent"), ("resource:4711",))]
        pages = [found.teller().search(one, limit=1_000, after=None) for one in asked]
    return [one.facts.entry for page in pages for one in page.hits]


@pytest.mark.requirement("SEARCH-12")
@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("damage", ["cut", "zeroes", "another letter", "another stretch"])
def test_an_index_that_is_not_as_it_was_left_is_made_anew(
    lived: Lived, tmp_path: Path, damage: str, killed: bool
) -> None:
    place = tmp_path / "index"
    whole = found_by(lived, place)
    assert len(whole) == 60 + 1
    stretch = place / "entries-00000.db"
    content = bytearray(stretch.read_bytes())
    if damage == "cut":
        del content[len(content) // 2 :]
    elif damage == "zeroes":
        content[8_192:16_384] = bytes(8_192)
    elif damage == "another letter":
        first = content.index(b"scout") if killed else 0
        content[first + 5 :] = content[first + 5 :].replace(b"scout", b"scouu")
    else:
        # Of an index without subject keys: a database without a fault, with other numbers.
        with searched(places_of_copy(lived.settings.ledger.place, None, tmp_path / "other")):
            pass
        content = bytearray((tmp_path / "other" / "entries-00000.db").read_bytes())
    stretch.write_bytes(content)
    if killed:
        (place / "sums").unlink()
    assert found_by(lived, place) == whole
    before = stretch.stat().st_ino
    assert found_by(lived, place) == whole
    assert stretch.stat().st_ino == before, "what is whole is not made again"


@pytest.mark.requirement("SEARCH-12")
def test_an_emptied_file_of_a_killed_process_hides_nothing(
    lived: Lived, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place, kept_place = tmp_path / "index", own_index(lived.settings)
    whole = found_by(lived, place)
    with kept_index(lived.settings) as index:
        assert len(lived.asked(index, "kind:intent").items) == 60
    for one in (place, kept_place):
        (one / "sums").unlink()
        (one / "entries-00000.db").write_bytes(b"")
    assert found_by(lived, place) == whole
    with kept_index(lived.settings) as index:
        assert [one.entry for one in lived.asked(index, "kind:intent").items] == whole[:60]
    assert "the search index is damaged or of another version: it is made again" in caplog.text


@pytest.mark.requirement("SEARCH-12")
@pytest.mark.parametrize("ended", [9_999, 3])
def test_damage_that_shows_in_an_index_of_a_killed_process_is_told_and_the_index_made_anew(
    lived: Lived, tmp_path: Path, ended: int, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "index"
    whole = found_by(lived, place)
    kept_place = own_index(lived.settings)
    with kept_index(lived.settings) as index:
        assert len(lived.asked(index, "kind:intent").items) == 60
    for one in (place, kept_place):
        (one / "sums").unlink()
        with sqlite3.connect(one / "entries-00000.db") as connection:
            connection.execute("UPDATE action SET ended = ? WHERE ended IS NOT NULL", (ended,))
        connection.close()
    with pytest.raises(Unavailable, match=r"is damaged: .*; it was deleted: ask again"):
        found_by(lived, place)
    assert found_by(lived, place) == whole
    with kept_index(lived.settings) as index:
        with pytest.raises(Unavailable, match="is damaged"):
            lived.asked(index, "kind:intent")
        assert [one.entry for one in lived.asked(index, "kind:intent").items] == whole[:60]
    assert "the search index is damaged: it is made again" in caplog.text


@pytest.mark.requirement("SEARCH-12")
def test_another_programs_database_is_no_index_and_stays(lived: Lived, tmp_path: Path) -> None:
    place = tmp_path / "mine"
    place.mkdir()
    with sqlite3.connect(place / "index.db") as connection:
        connection.execute("CREATE TABLE notes (text)")
    connection.close()
    before = (place / "index.db").read_bytes()
    with pytest.raises(Broken, match=r"`index\.db` in `mine` is another program's database"):
        found_by(lived, place)
    assert (place / "index.db").read_bytes() == before


def test_a_full_disk_leaves_the_answer_that_there_is(
    lived: Lived, index: KeptIndex, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    half = lived.entries // 2
    lived.asked(index, "kind:intent", entries=half)

    def full(*given: object, **more: object) -> bool:
        raise Unavailable("the disk is full", code="search.unavailable", port="search_index")

    monkeypatch.setattr(index._index, "apply", full)
    for _ in range(3):
        told = lived.asked(index, "kind:intent")
        assert (told.entries, told.missing) == (half, lived.entries - half)
        assert told.items
    assert caplog.text.count("cannot follow the ledger: the disk is full") == 1
    monkeypatch.undo()
    assert lived.asked(index, "kind:intent").missing == 0


@pytest.mark.requirement("SEARCH-05")
def test_an_erased_subject_is_not_found_by_a_process_that_has_its_key_in_memory(
    lived: Lived, index: KeptIndex
) -> None:
    (hit,) = lived.asked(index, "resource:4711").items
    database = lived.settings.registers.subject_keys
    stored = StoredFiles(lived.settings.ledger.place).snapshot()
    assert stored is not None
    key_id = stored.entry(hit.entry).attachment[1:17]
    with sqlite3.connect(database) as connection:
        connection.execute("DELETE FROM subject_keys WHERE id = ?", (key_id,))
    connection.close()
    assert lived.asked(index, "resource:4711").items == ()
    (bare,) = [one for one in lived.asked(index, "kind:intent").items if one.entry == hit.entry]
    assert (bare.resource, bare.agent) == ("", "scout")


def test_subject_keys_beside_their_process_are_read_and_never_written(lived: Lived) -> None:
    database, root = lived.settings.registers.subject_keys, lived.settings.data / "keys" / "subjects.key"
    beside = StoredSubjectKeys.open_beside(database, root=root.read_bytes())
    known = beside.ids()
    version = beside.version()
    with pytest.raises(Unavailable):
        beside._file.rows("DELETE FROM subject_keys")
    assert (beside.ids(), beside.known("a later subject"), beside.version()) == (known, None, version)
    writing = SqliteSubjectKeys.open(database, root=root.read_bytes(), entropy=SystemEntropy())
    writing.of("a later subject")
    writing.close()
    later = beside.known("a later subject")
    assert later is not None
    assert beside.ids() - known == {later.id}
    assert beside.version() != version
    beside.close()
    with pytest.raises(Unavailable):
        StoredSubjectKeys.open_beside(database, root=b"another root".ljust(32))


def test_two_processes_do_not_write_one_index_at_a_time(lived: Lived) -> None:
    with (
        kept_index(lived.settings),
        pytest.raises(Unavailable, match="another process is writing this search index"),
        index_alone(own_index(lived.settings), wait_seconds_max=0.1),
    ):
        pass
    with index_alone(own_index(lived.settings), wait_seconds_max=0.1):
        pass


@pytest.mark.requirement("SEARCH-02")
def test_a_search_that_opens_too_much_goes_on_by_its_cursor(
    lived: Lived, index: KeptIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [one.entry for one in lived.asked(index, "kind:intent").items][::7]
    confirmed = searching.confirmed

    def rarely(*given: object) -> object:
        hit = confirmed(*given)
        return hit if hit is not None and hit.facts.entry in wanted else None

    monkeypatch.setattr(searching, "confirmed", rarely)
    monkeypatch.setattr(searching.search_ledger, "__kwdefaults__", {
        **searching.search_ledger.__kwdefaults__, "candidates_max": 5,
    })  # fmt: skip
    found, cursor, pages = [], "", 0
    while pages == 0 or cursor:
        page = index.ask(
            port.SEARCH, port.Question(words=("kind:intent",), limit=3, cursor=cursor, entries=lived.entries)
        )
        found += [one.entry for one in page.items]
        cursor, pages = page.next, pages + 1
    assert found == wanted
    assert pages > len(wanted) // 3


@pytest.mark.requirement("STORY-04")
def test_a_story_a_name_and_the_scope_are_answered_by_the_same_index_with_what_is_missing(
    lived: Lived, index: KeptIndex
) -> None:
    half, whole = lived.entries // 2, lived.entries
    early = index.ask(port.STORY, port.StoryQuestion(words=("scout",), limit=1_000, entries=half))
    assert (early.entries, early.missing, early.lines[-1].index) == (half, 0, half - 1)
    story = index.ask(
        port.STORY, port.StoryQuestion(words=("scout", "resource:4711"), limit=1_000, entries=whole)
    )
    assert [one.kind for one in story.lines] == ["mandate_issued", "intent", "outcome"]
    name = index.ask(port.NAME, port.NameQuestion(name="scout", entries=whole))
    assert ([one.ask for one in name.may_be], name.outcomes) == (["agent:scout"], {"succeeded": 60})
    scope = index.ask(port.SCOPE, port.ScopeQuestion(words=("agent:scout",), rows=1, entries=whole))
    assert (scope.actions, scope.outside, scope.missing) == (60, 0, 0)
    with pytest.raises(Malformed, match="attempts are not counted by `person`"):
        index.ask(port.SCOPE, port.ScopeQuestion(words=("person:ada",), rows=1, entries=whole))


@pytest.mark.requirement("STORY-05")
def test_a_tree_a_manifest_and_traces_are_answered_of_all_entries_or_not_at_all(
    lived: Lived, index: KeptIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = lived.entries
    (mandate,) = {one.mandate for one in lived.asked(index, "kind:mandate_issued").items}
    assert index.ask(port.TREE, port.TreeQuestion(mandate=mandate, entries=whole)).actions.done == 60
    ends = [one.ended for one in lived.asked(index, "kind:intent").items if one.ended is not None]
    traced = index.ask(port.TRACE, port.TraceQuestion(ends=(*ends, 0), entries=whole))
    assert [one.found for one in traced.items] == [True] * 60 + [False]
    question = port.UnderQuestion(manifest="", prompt="", model="m", limit=1, cursor="", entries=whole)
    with pytest.raises(Refused, match="no manifest in the ledger"):
        index.ask(port.UNDER, question)
    monkeypatch.setattr(kept, "CATCH_UP_SECONDS_MAX", 0.0)
    with pytest.raises(Unavailable, match="does not have 1 later entries"):
        index.ask(port.TREE, port.TreeQuestion(mandate=mandate, entries=whole + 1))
