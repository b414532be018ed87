"""What is known of a right, when less is proposed, and what others would have refused."""

from __future__ import annotations

import pytest

from answerable.core.canonical import freeze
from answerable.core.lease.listed_rights import ListedRights
from answerable.core.lease.request_rights import RequestRights
from answerable.core.lease.table_rights import narrowed_tables, table_rights
from answerable.core.lease.use import (
    DAY_MS,
    RECORDED_MAX,
    Needed,
    Right,
    RightUse,
    Used,
    UseTally,
    checked_use,
    refusals,
    smaller,
    use_of,
    use_record,
    used_in,
)

NOW = 100 * DAY_MS
SCOPE = "ab" * 32
SELECT, INSERT = Right("tables/0/select", "select on t"), Right("tables/0/insert", "insert on t")
COLUMN = Right("tables/0/columns/0", "column a of t", is_told=False)
RIGHTS = (SELECT, INSERT, COLUMN)


def tally(count: int = 30, first_days_ago: int = 20, *places: str) -> UseTally:
    found = UseTally()
    for number in range(count):
        found.add(Used(frozenset(places or ("tables/0/select",))), NOW - first_days_ago * DAY_MS + number)
    return found


def test_a_record_comes_back_as_it_was():
    used = Used(frozenset({"tables/0/select"}), frozenset({"tables/0/update", "tables/0/select"}))
    record = use_record(used, SCOPE)
    assert record == {"scope": SCOPE, "sure": ["tables/0/select"], "unsure": ["tables/0/update"]}
    assert checked_use(record) == record
    assert used_in(record) == (SCOPE, Used(frozenset({"tables/0/select"}), frozenset({"tables/0/update"})))


def test_more_than_a_record_holds_is_not_told_in_part():
    assert use_record(Used(frozenset(f"a/{n}" for n in range(RECORDED_MAX + 1))), SCOPE) is None


@pytest.mark.parametrize(
    "record",
    [
        None,
        [],
        {},
        {"scope": SCOPE, "sure": []},
        {"scope": SCOPE, "sure": [], "unsure": [], "more": 1},
        {"scope": "x", "sure": [], "unsure": []},
        {"scope": SCOPE, "sure": "tables", "unsure": []},
        {"scope": SCOPE, "sure": [1], "unsure": []},
        {"scope": SCOPE, "sure": [], "unsure": ["a b"]},
        {"scope": SCOPE, "sure": ["a\n"], "unsure": []},
        {"scope": SCOPE, "sure": [f"a/{n}" for n in range(RECORDED_MAX + 1)], "unsure": []},
    ],
)
def test_what_is_no_record_is_none(record):
    assert checked_use(record) is None
    assert used_in(record) is None


def test_without_actions_there_is_no_data():
    assert {use_of(right, UseTally()) for right in RIGHTS} == {"no data"}


def test_what_nobody_tells_of_is_unknown_and_never_unused():
    found = tally()
    assert [use_of(right, found) for right in RIGHTS] == ["used", "never used", "unknown"]


def test_one_action_that_did_not_tell_leaves_nothing_unused():
    found = tally()
    found.add_untold("not_told", NOW)
    assert use_of(INSERT, found) == "unknown"
    less = smaller(RIGHTS, found, Needed(), now=NOW)
    assert less.dropped == ()
    assert "1 actions did not tell what they used: each may have used anything" in less.why_not


def test_what_may_have_been_used_stays():
    found = tally()
    found.add(Used(frozenset(), frozenset({INSERT.place})), NOW)
    assert use_of(INSERT, found) == "may be used"
    assert smaller(RIGHTS, found, Needed(), now=NOW).dropped == ()


def test_what_was_never_used_goes_and_what_nobody_tells_of_stays():
    less = smaller(RIGHTS, tally(), Needed(), now=NOW)
    assert (less.kept, less.dropped, less.why_not) == ((SELECT, COLUMN), (INSERT,), ())


@pytest.mark.parametrize(
    ("count", "days", "said"),
    [
        (29, 20, "29 actions told what they used, and at least 30 are needed"),
        (30, 13, "the first of them was 13 days ago, and at least 14 are needed"),
        (0, 0, "0 actions told what they used, and at least 30 are needed"),
    ],
)
def test_of_too_little_nothing_follows(count, days, said):
    less = smaller(RIGHTS, tally(count, days), Needed(), now=NOW)
    assert less.dropped == ()
    assert said in less.why_not


def test_what_failed_or_ended_unknown_is_no_use():
    found = tally()
    found.merge(UseTally(failed=7, unended=2, elsewise=3))
    assert (found.failed, found.unended, found.elsewise, found.counted) == (7, 2, 3, 30)
    assert use_of(INSERT, found) == "never used"


def test_parts_of_a_period_add_up():
    first, second = tally(3, 9), tally(2, 4, "tables/0/insert")
    second.add_untold("unreadable", NOW)
    first.merge(second)
    assert (first.told, first.untold) == (5, {"unreadable": 1})
    assert (first.first_at, first.last_at) == (NOW - 9 * DAY_MS, NOW)
    assert first.rights["tables/0/insert"] == RightUse(sure=2, last_at=NOW - 4 * DAY_MS + 1)


def test_other_grants_are_compared_by_what_they_say():
    found = tally()
    moved = (Right("tables/4/select", "select on t"),)
    held = refusals(RIGHTS, found, moved)
    assert held.is_none
    assert held.unknown == (COLUMN,), "a column that was taken out by hand"
    held = refusals(RIGHTS, found, (INSERT, COLUMN, Right("x", "delete on t")))
    assert [right for right, _ in held.lacking] == [SELECT]
    assert [right.text for right in held.added] == ["delete on t"]


def test_columns_that_go_with_their_table_are_no_question():
    rights = (
        *RIGHTS,
        Right("tables/1/select", "select on u"),
        Right("tables/1/columns/0", "column b of u", is_told=False),
    )
    assert refusals(rights, tally(), RIGHTS).unknown == ()


def listed() -> ListedRights:
    return ListedRights(
        members={"publish": lambda item: f"publish on {item}", "models": str},
        uses=lambda member, item, tool, arguments: None if tool == "odd" else item == arguments.get("to"),
    )


def test_items_of_lists_are_rights_of_their_own():
    grants = {"publish": ["a", "b"], "models": ["m"], "seconds": 5}
    assert [right.place for right in listed().rights(grants)] == ["publish/0", "publish/1", "models/0"]
    assert listed().narrowed(grants, {"publish/1"}) == {"publish": ["b"], "seconds": 5}
    assert listed().narrowed(grants, set()) is None
    assert listed().narrowed("x", {"publish/0"}) is None
    assert listed().used(freeze(grants), "send", {"to": "b"}, None) == Used(frozenset({"publish/1"}))
    assert listed().used(freeze(grants), "odd", {"to": "b"}, None) is None


def test_a_right_of_one_of_several_groups_says_of_which():
    assert Right("also/0/commands/1", "command get", group="also/0").shown == "command get (also/0)"
    assert SELECT.shown == SELECT.text


def test_rights_that_work_together_are_not_found_apart():
    """A command of one part and a key of another let nothing that both of them let together."""
    get, key = Right("commands/0", "command get"), Right("keys/0/read", "read a")
    apart = (get, Right("also/0/keys/0/read", "read a", group="also/0"))
    held = refusals((get, key), tally(30, 20, "commands/0", "keys/0/read"), apart)
    assert len(held.lacking) == 1
    both = (Right("also/0/commands/0", "command get", group="also/0"), *apart[1:])
    assert refusals((get, key), tally(30, 20, "commands/0", "keys/0/read"), both).is_none
    merged = (get, key, Right("commands/1", "command set"), Right("keys/1/write", "write b"))
    parts = (get, key, *(Right(f"also/0/{r.place}", r.text, group="also/0") for r in merged[2:]))
    assert len(refusals(parts, UseTally(), merged).added) == 2, "together they let more than apart"


def test_grants_that_are_no_tables_have_no_rights():
    odd = {"tables": [{"name": "t", "verbs": ["select"]}, "u"]}
    assert table_rights(odd) == ()
    assert narrowed_tables(odd, {"tables/0/select"}) == []


def test_a_table_of_which_deleting_is_left_names_no_columns():
    dotted = {"name": ["a.b", "c"], "verbs": ["select", "delete"], "columns": ["x"]}
    left = narrowed_tables({"tables": [dotted]}, {"tables/0/delete"})
    assert left == [{"name": ["a.b", "c"], "verbs": ["delete"]}]
    assert [right.text for right in table_rights({"tables": left})] == ["delete on a.b.c"]


def test_grants_that_say_no_requests_are_not_made_smaller_by_them():
    rights = RequestRights(beside={"repositories": "repository"})
    grants = {"repositories": ["o/r"]}
    assert rights.used(freeze(grants), "request", {"method": "GET", "path": "/x"}, None) == Used(frozenset())
    assert rights.narrowed(grants, set()) == grants


def test_a_list_that_is_not_there_stays_so_and_a_table_of_which_nothing_is_left_goes():
    assert listed().narrowed({"publish": ["a"]}, {"publish/0"}) == {"publish": ["a"]}
    two = {"tables": [{"name": "t", "verbs": ["select"]}, {"name": "u", "verbs": ["select"]}]}
    assert narrowed_tables(two, {"tables/1/select"}) == [{"name": "u", "verbs": ["select"]}]
