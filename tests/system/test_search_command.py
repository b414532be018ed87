"""`answerable search` over real files: a data directory, a copy with keys and one without."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from answerable.adapters.local_keys import open_or_create_secret
from answerable.adapters.sqlite import SqliteSubjectKeys
from answerable.adapters.system import SystemEntropy
from answerable.adapters.tlog_files import TlogFilesLedger
from answerable.testing import builders
from answerable.testing.clock import ManualClock
from answerable.testing.contracts.ledger import log_key
from answerable.testing.samples import AUDIENCE
from tests.worlds.ledger_files import SMALL
from tests.worlds.searched import HOSTILE
from tests.worlds.searched_files import lived, ran

pytestmark = pytest.mark.requirement("SEARCH-06")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("searched") / "data"
    asyncio.run(lived(place, place / "ledger"))
    return place


@pytest.fixture
def shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory with two shards, in each of which the same happened."""
    place = tmp_path / "data"
    for shard in ("a", "b"):
        monkeypatch.setattr(builders, "AUDIENCE", f"{AUDIENCE}/{shard}")
        asyncio.run(lived(place, place / "ledger" / "shards" / shard, f"{AUDIENCE}/{shard}"))
    (place / "answerable.toml").write_text('[ledger]\nshard = "a"\n')
    return place


def told(data: Path, *words: str) -> dict[str, Any]:
    copy = ("--ledger", str(data / "ledger"), "--keys", str(data))
    return json.loads(ran(*words, *copy, "--json").stdout)


def test_an_action_is_one_hit_with_its_end_and_who_it_was_for(data: Path) -> None:
    (hit,) = told(data, "resource:4712")["items"]
    assert (hit["kind"], hit["outcome"]) == ("intent", "succeeded")
    assert (hit["agent"], hit["person"], hit["mandate"], hit["capability"], hit["server"]) == (
        "scout",
        "alice",
        "m-1",
        "crm.read",
        "crm",
    )
    assert hit["ended"] > hit["entry"]
    assert "set out to" in hit["text"]


def test_the_questions_of_an_incident_are_one_command_each(data: Path) -> None:
    (paid,) = told(data, "amount>5000", "outcome:succeeded")["items"]
    assert [one["entry"] for one in told(data, "approver:bob", "decision:allow")["items"]] == [paid["entry"]]
    assert [one["kind"] for one in told(data, f"approval:{paid['approval']}")["items"]] == [
        "intent",
        "approval_answer",
        "approval_asked",
    ]
    refused = told(data, "outcome:refused", "agent:scout")["items"]
    assert {one["code"] for one in refused} >= {"mandate.closed"}
    assert told(data, "text:agreed")["items"][0]["kind"] == "approval_answer"
    assert [one["kind"] for one in told(data, "kind:mandate_closed", "person:operator")["items"]] == [
        "mandate_closed"
    ]


def test_pages_follow_each_other_and_say_up_to_where(data: Path) -> None:
    whole = told(data, "agent:scout", "--limit", "1000")
    found, cursor = [], []
    while True:
        page = told(data, "agent:scout", "--limit", "3", *cursor)
        found += page["items"]
        assert (page["entries"], page["happened"]) == (whole["entries"], True)
        if not page["next"]:
            break
        cursor = ["--cursor", page["next"]]
    assert found == whole["items"]
    assert [one["entry"] for one in found] == sorted((one["entry"] for one in found), reverse=True)


def test_without_keys_the_leaves_are_searched_and_nothing_sealed(data: Path) -> None:
    copy = ("--ledger", str(data / "ledger"), "--json")
    bare = json.loads(ran("agent:scout", "outcome:succeeded", *copy).stdout)
    assert bare["items"]
    assert bare["sealed"] == []
    assert {one["resource"] for one in bare["items"]} == {""}


@pytest.mark.requirement("SEARCH-11")
def test_a_question_about_what_is_sealed_is_not_answered_with_a_no(data: Path) -> None:
    place = ("--ledger", str(data / "ledger"))
    shown = ran("resource:4712", *place, code=6)
    assert "`resource` is sealed, and cannot be compared without the subject keys" in shown.stderr
    assert "no entry matches in what can be read without keys (complete up to entry" in shown.stderr
    words = ("agent:scout", "person:alice", "approver:bob", "text:agreed", "hold:h", "amount>1")
    answer = json.loads(ran(*words, *place, "--json", code=6).stdout)
    assert (answer["items"], answer["happened"]) == ([], True)
    assert answer["sealed"] == ["person", "approver", "hold", "text", "amount"]
    for verb in ("show", "timeline"):
        told = ran("alice", *place, verb=verb, code=6)
        assert ("cannot be compared without the subject keys" in told.stderr, told.stdout) == (True, "")
        answer = json.loads(ran("person:alice", *place, "--json", verb=verb, code=6).stdout)
        assert answer["sealed"] == ["person"]
    # What leaves say is answered, and that it is not there is an answer, too.
    assert ran("agent:nobody", *place).stderr.startswith("no entry matches (complete")
    assert "sealed" not in ran("agent:scout", *place).stderr
    (hit, *_) = json.loads(ran("kind:mandate_issued", *place, "--json").stdout)["items"]
    same = json.loads(ran(f"person:{hit['person']}", "kind:mandate_issued", *place, "--json").stdout)
    assert (len(same["items"]), same["sealed"]) == (1, [])
    gone = ran("person:nobody", *place, "--keys", str(data)).stderr
    assert "no entry matches; what was sealed for an erased subject is found by no search" in gone


@pytest.mark.requirement("SEARCH-04", "SEARCH-11")
def test_a_finding_is_found_by_its_account_also_where_that_is_sealed(data: Path) -> None:
    place, words = ("--ledger", str(data / "ledger"), "--json"), ("account:maria", "account:app_rw")
    (sealed,), (clear,) = (told(data, one)["items"] for one in words)
    assert sealed["kind"] == clear["kind"] == "log_finding"
    both = told(data, *words)
    assert [one["entry"] for one in both["items"]] == [clear["entry"], sealed["entry"]]
    named = json.loads(ran("maria", *place, "--keys", str(data), verb="show").stdout)
    assert [one["ask"] for one in named["may_be"]] == ["account:maria"]
    # An account that no leaf has may still be one that is sealed.
    bare = json.loads(ran(*words, *place).stdout)
    assert [one["entry"] for one in bare["items"]] == [clear["entry"]]
    assert (both["sealed"], bare["sealed"]) == ([], ["account"])
    none = ran("account:maria", *place[:2], code=6)
    assert "`account` is sealed, and cannot be compared without the subject keys" in none.stderr
    for verb in ("show", "timeline"):
        answer = json.loads(ran("maria", *place, verb=verb, code=6).stdout)
        assert "account" in answer["sealed"]


@pytest.mark.requirement("SEARCH-11")
def test_keys_of_another_log_are_an_error_and_leave_the_index_as_it_was(data: Path, tmp_path: Path) -> None:
    other, index = tmp_path / "other", tmp_path / "index"
    entropy = SystemEntropy()
    root = open_or_create_secret(other / "keys" / "subjects.key", count=32, entropy=entropy)
    keys = SqliteSubjectKeys.open(other / "subject-keys.db", root=root, entropy=entropy)
    keys.of("Customer:4711")
    keys.close()
    place = ("--ledger", str(data / "ledger"), "--index", str(index))
    found = ran("person:alice", *place, "--keys", str(data), "--json").stdout
    before = (index / "index.db").stat().st_ino
    for verb in ("search", "timeline", "show"):
        told = ran("person:alice", *place, "--keys", str(other), verb=verb, code=1)
        assert "open nothing of this log: they are of another one" in told.stderr
    assert (index / "index.db").stat().st_ino == before
    assert ran("person:alice", *place, "--keys", str(data), "--json").stdout == found


@pytest.mark.requirement("SEARCH-10")
def test_what_was_refused_to_a_person_is_found_with_what_was_done(data: Path) -> None:
    refused = told(data, "person:alice", "outcome:refused")["items"]
    assert {one["code"] for one in refused} == {"refund-never", "mandate.closed"}
    assert {(one["person"], one["resource"]) for one in refused} == {("alice", "4711")}
    shown = ran("amount>5000", "outcome:succeeded", "--ledger", str(data / "ledger"), "--keys", str(data))
    assert "    amount: 7000\n" in shown.stdout


def test_a_kept_index_is_used_again_and_may_be_deleted(data: Path, tmp_path: Path) -> None:
    place = ("--ledger", str(data / "ledger"), "--keys", str(data))
    words = ("agent:scout", *place, "--index", str(tmp_path / "i"), "--json")
    first = ran(*words).stdout
    assert ran(*words).stdout == first
    shutil.rmtree(tmp_path / "i")
    assert ran(*words).stdout == first


def test_none_that_matches_and_nothing_yet_are_different_answers(data: Path, tmp_path: Path) -> None:
    place = ("--ledger", str(data / "ledger"), "--keys", str(data))
    none = ran("agent:nobody", *place)
    assert none.stdout == ""
    assert "no entry matches (complete up to entry" in none.stderr

    async def begun() -> None:
        key, sign = log_key("empty.test")
        async with TlogFilesLedger.open(
            tmp_path / "ledger", key=key, sign=sign, clock=ManualClock(), settings=SMALL
        ) as ledger:
            ledger.seal()

    asyncio.run(begun())
    bare = ("--ledger", str(tmp_path / "ledger"))
    assert "nothing has happened yet (complete up to entry 0" in ran(*bare).stderr
    told = ran("scout", *bare, verb="timeline", code=6)
    assert "nothing has happened yet (complete up to entry 0" in told.stderr


@pytest.mark.requirement("STORY-03")
def test_before_the_first_start_nothing_has_happened_yet_and_nothing_is_made(tmp_path: Path) -> None:
    here = tmp_path / "data"
    assert "there is no data directory" in ran("--data", str(here), code=1).stderr
    here.mkdir()
    assert "nothing has happened yet (empty ledger)" in ran("person:ada", "--data", str(here)).stderr
    for verb in ("timeline", "show"):
        told = ran("person:ada", "--data", str(here), verb=verb, code=6)
        assert "nothing has happened yet (empty ledger)" in told.stderr
    assert list(here.iterdir()) == []


@pytest.mark.requirement("STORY-03")
def test_a_name_that_is_in_no_entry_is_told_apart_from_an_empty_log(data: Path) -> None:
    place = ("--ledger", str(data / "ledger"), "--keys", str(data))
    told = ran("agnet:scout", *place, verb="timeline", code=1)
    assert (told.stdout, told.stderr.count("\n")) == ("", 1)
    assert "the ledger has no entry about `agnet:scout` (complete up to entry" in told.stderr
    assert "did you mean `agent:`?" in told.stderr
    found = json.loads(ran("agent:nobody", *place, "--json", verb="timeline", code=1).stdout)
    assert (found["lines"], found["happened"]) == ([], True)


@pytest.mark.requirement("STORY-02", "SEARCH-07")
def test_a_story_is_told_with_what_is_alike_as_one_and_without_a_caller_moving_the_cursor(data: Path) -> None:
    place = ("--ledger", str(data / "ledger"), "--keys", str(data))
    story = ran("m-1", *place, verb="timeline")
    assert "is                a mandate\n" in story.stdout
    assert "Agent scout used crm.read 9 times for alice under mandate m-1: 9 succeeded." in story.stdout
    assert "--all tells each of those that are alike (complete up to entry" in story.stderr
    whole = ran("m-1", *place, "--all", verb="timeline")
    assert "9 times" not in whole.stdout
    assert whole.stdout.count("Agent scout set out to") == 12
    for output in (story.stdout, story.stderr, whole.stdout):
        assert all(c.isprintable() or c == "\n" for c in output)


def test_faults_have_the_exit_codes_of_the_house(data: Path, tmp_path: Path) -> None:
    place = ("--ledger", str(data / "ledger"))
    assert "did you mean `agent`?" in ran("agnet:scout", *place, code=1).stderr
    assert "`timeline` and `show` take a name or the number of an entry" in ran("5", *place, code=1).stderr
    assert "--keys and --index are given with --ledger" in ran("--keys", str(data), code=2).stderr
    note = ("note", "inc_x", "told", "--as", "ada", "--key", "ada.jwk", "--told-at", "1h")
    assert "--told-at is given with --told: say who was told" in ran(*note, verb="incident", code=2).stderr
    assert "there are no subject keys" in ran(*place, "--keys", str(tmp_path), code=1).stderr
    assert "there is no ledger" in ran("--ledger", str(tmp_path), code=1).stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.requirement("SEARCH-07")
def test_no_text_of_a_caller_moves_the_cursor_or_is_calculated(data: Path) -> None:
    place = ("--ledger", str(data / "ledger"), "--keys", str(data))
    shown = ran("agent:scout", *place)
    table = ran("agent:scout", *place, "--csv")
    for output in (shown.stdout, shown.stderr, table.stdout):
        assert all(c.isprintable() or c == "\n" for c in output)
    rows = list(csv.reader(io.StringIO(table.stdout)))
    assert {len(row) for row in rows} == {len(rows[0])}
    cells = [cell for row in rows[1:] for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    assert "'=HYPERLINK(1)" in cells
    found = told(data, "agent:scout", "--limit", "1000")["items"]
    assert {one["resource"] for one in found} >= set(HOSTILE)
    for text in HOSTILE:
        if "\0" not in text:
            assert told(data, f"resource:{text}")["items"][0]["resource"] == text


@pytest.mark.requirement("SHOW-01", "SEARCH-07")
def test_an_id_is_shown_with_what_belongs_to_it_or_listed_where_it_is_unclear(data: Path) -> None:
    place = ("--ledger", str(data / "ledger"), "--keys", str(data))
    shown = ran("m-1", *place, verb="show")
    assert "actions     14: 12 succeeded, 2 refused\n" in shown.stdout
    assert "its story: answerable timeline `mandate:m-1` (complete up to entry" in shown.stderr
    assert all(c.isprintable() or c == "\n" for c in shown.stdout + shown.stderr)
    told = json.loads(ran("agent:scout", *place, "--json", verb="show").stdout)
    assert [one["ask"] for one in told["may_be"]] == ["agent:scout"]
    assert {one["told"] for one in told["belongs"] if one["field"] == "person"} >= {"alice"}
    unclear = ran("crm.", *place, verb="show", code=1)
    assert unclear.stdout.splitlines() == ["capability:crm.read", "capability:crm.refund"]
    assert "`crm.` may be 2 things" in unclear.stderr
    assert "nothing is called `nobody` (complete up to" in ran("nobody", *place, verb="show", code=1).stderr


@pytest.mark.requirement("SCOPE-01", "SEARCH-07")
def test_attempts_outside_of_scope_are_counted_as_text_as_json_and_as_csv(data: Path) -> None:
    place = ("--ledger", str(data / "ledger"), "--keys", str(data))
    told = json.loads(ran(*place, "--json", verb="scope").stdout)
    assert (told["actions"], told["outside"], told["limits"], told["by_policy"]) == (14, 1, {"mandate": 1}, 1)
    shown = ran("agent:scout", *place, verb="scope")
    assert "outside    1, 7.14 % of them\n" in shown.stdout
    assert "WEEK FROM   OUTSIDE  ACTIONS  SHARE   CHANGE  EXAMPLES" in shown.stdout
    rows = list(csv.reader(io.StringIO(ran(*place, "--csv", verb="scope").stdout)))
    assert rows[1][:5] == ["all", "", "1", "14", "0.0714"]
    assert {len(row) for row in rows} == {len(rows[0])}
    assert "attempts are not counted by `person`" in ran("person:ada", *place, verb="scope", code=1).stderr


def test_a_data_directory_is_searched_beside_its_server(data: Path, tmp_path: Path) -> None:
    here = tmp_path / "data"
    shutil.copytree(data, here)
    found = json.loads(ran("resource:4712", "--data", str(here), "--json").stdout)
    assert len(found["items"]) == 1
    assert (here / "index" / "ledger" / "index.db").stat().st_mode & 0o777 == 0o600


@pytest.mark.requirement("SEARCH-14")
def test_all_shards_are_asked_and_one_that_cannot_be_read_is_named(shards: Path) -> None:
    (shards / "ledger" / "shards" / "c").mkdir()
    shutil.copytree(shards / "ledger" / "shards" / "b", shards / "ledger" / "shards" / "d")
    place = ("--data", str(shards))

    def asked(verb: str, *words: str) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(ran(*words, *place, "--json", verb=verb).stdout)
        return told

    whole = asked("search", "agent:scout", "--limit", "1000")
    hits = [(one["shard"], one["entry"]) for one in whole["items"]]
    assert {shard for shard, _ in hits} == {"a", "b"}
    assert len(hits) == len(set(hits)) == 2 * len({entry for _, entry in hits})
    assert [*whole["elsewhere"]] == ["c", "d"]
    assert f"the log in shard d is called `{AUDIENCE}/b`: it is a copy" in whole["elsewhere"]["d"]
    assert [one["shard"] for one in whole["shards"]] == ["b"]
    paged, cursor = [], ""
    while not paged or cursor:
        page = asked("search", "agent:scout", "--limit", "12", *(("--cursor", cursor) if cursor else ()))
        paged += [(one["shard"], one["entry"]) for one in page["items"]]
        cursor = page["next"]
    assert paged == hits
    scope = asked("scope")
    assert (scope["actions"], scope["outside"]) == (28, 2)
    assert sum(asked("show", "m-1")["outcomes"].values()) == 28
    story = asked("timeline", "m-1")
    assert asked("timeline", "m-1", "nobody")["unknown"] == ["nobody"]
    lines = [(one["at"], one["shard"], one["index"]) for one in story["lines"]]
    assert lines == sorted(lines)
    assert {shard for _, shard, _ in lines} == {"a", "b"}
    # An entry is called by its shard; without one it is of the shard that is asked.
    entry = max(index for _, _, index in lines)
    assert [one["ask"] for one in asked("show", f"b/{entry}")["may_be"]] == [f"entry:b/{entry}"]
    assert [one["ask"] for one in asked("show", str(entry))["may_be"]] == [f"entry:a/{entry}"]
    assert [*asked("incident", "list")["elsewhere"]] == ["c", "d"]
    told = ran("agent:scout", *place)
    assert f"#b/{entry}  " in told.stdout
    assert "the log of shard c is left out: there is no ledger in" in told.stderr
    assert "; of b complete up to entry" in told.stderr
    # That nothing is found says nothing of a log that was not asked.
    ran("agent:nobody", *place, code=6)
    (shards / "answerable.toml").unlink()
    assert "of several shards, name one with --ledger" in ran("agent:scout", *place, code=1).stderr
