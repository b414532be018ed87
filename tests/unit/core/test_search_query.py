"""The search language: what each word means, and what is said of one that is not understood."""

from __future__ import annotations

import pytest

from answerable.core.search.fields import FIELDS
from answerable.core.search.matching import sealed_fields
from answerable.core.search.names import KINDS, SEALED_KINDS
from answerable.core.search.query import (
    AmountTerm,
    Cursor,
    Query,
    Term,
    checked_limit,
    joined_words,
    moment,
    parsed_cursor,
    parsed_query,
    split_words,
)
from answerable.errors import Malformed

pytestmark = pytest.mark.requirement("SEARCH-01")

NOW = 1_800_000_000_000
LEASE = "mfzwizltoqqgk3tuonxxezdbna"


def query(*words: str) -> Query:
    return parsed_query(words, now=NOW)


def fault(*words: str) -> Malformed:
    with pytest.raises(Malformed) as told:
        query(*words)
    return told.value


def test_words_of_one_field_are_any_of_them_and_fields_are_all() -> None:
    found = query("agent:scout", "AGENT:rover", "agent:scout", "use_case:support")
    assert found.terms == (Term("agent", ("scout", "rover")), Term("use-case", ("support",)))


def test_each_word_of_a_text_must_be_there_whatever_its_case() -> None:
    assert query("text:Refund", "text:ﬁnal CASE").terms == (
        Term("text", ("refund",)), Term("text", ("final",)), Term("text", ("case",)),
    )  # fmt: skip


def test_a_value_may_hold_anything_after_the_first_colon() -> None:
    assert query("session:pg_session:6a:1").terms == (Term("session", ("pg_session:6a:1",)),)
    assert query("resource:a>b c").terms == (Term("resource", ("a>b c",)),)


@pytest.mark.parametrize("written", [LEASE, f"ans_{LEASE}"])
def test_a_lease_is_found_as_a_target_writes_it(written: str) -> None:
    assert query(f"lease:{written}").terms == (Term("lease", (LEASE,)),)


@pytest.mark.parametrize(
    "written", [f"{7:032x}", "0193f0c1a2b3", "0079675714a8…", "01j9zk4t7s8mvwxyzqp2r3abcd"]
)
def test_the_id_of_an_action_or_its_beginning_is_asked_for_as_it_is_written(written: str) -> None:
    assert query(f"action:{written}").terms == (Term("action", (written,)),)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("outcome:Refused", "refused"),
        ("outcome:not started", "not_started"),
        ("kind:Hold-Placed", "hold_placed"),
        ("decision:ALLOW", "allow"),
        ("kind:tag 999", "tag 999"),
    ],
)
def test_a_value_of_a_few_is_found_as_answers_say_it(word: str, value: str) -> None:
    assert query(word).terms == (Term(word.partition(":")[0], (value,)),)


def test_amounts_are_compared() -> None:
    found = query("amount>5", "amount<500", "amount:-7")
    assert found.amounts == (AmountTerm(">", 5), AmountTerm("<", 500), AmountTerm(":", -7))
    above, below, equal = found.amounts
    assert [above.holds(one) for one in (5, 6, None)] == [False, True, False]
    assert [below.holds(one) for one in (500, 499, None)] == [False, True, False]
    assert [equal.holds(one) for one in (-7, 7, None)] == [True, False, False]


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("90s", NOW - 90_000),
        ("90m", NOW - 5_400_000),
        ("24h", NOW - 86_400_000),
        ("7d", NOW - 604_800_000),
        ("2w", NOW - 1_209_600_000),
        ("999999w", 0),
        ("2026-12-01", 1_796_083_200_000),
        ("2026-12-01T08:00+01:00", 1_796_108_400_000),
        ("2026-12-01T08:00:00.5Z", 1_796_112_000_500),
    ],
)
def test_a_time_is_a_moment_a_day_or_how_long_ago(text: str, at: int) -> None:
    assert moment(text, now=NOW) == at


def test_the_narrowest_of_several_bounds_counts() -> None:
    found = query("since:7d", "since:24h", "until:1h", "until:2h")
    assert (found.since, found.until) == (NOW - 86_400_000, NOW - 7_200_000)


@pytest.mark.parametrize(
    ("word", "code", "advice"),
    [
        ("scout", "search.word", "write for example `agent:NAME`"),
        ("", "search.word", "`field:value`"),
        ("agent>scout", "search.word", "write `agent:VALUE`"),
        ("agnet:scout", "search.field", "did you mean `agent`?"),
        ("zzz:scout", "search.field", "there are agent, instance"),
        ("agent:", "search.value", "write for example `agent:support-agent`"),
        ("text:. ,", "search.value", "whole words"),
        ("lease:ans_x", "search.value", "found by `account`"),
        ("action:crm.read", "search.value", "found by `capability`"),
        ("action:refund", "search.value", "`refund` is not the id of an action"),
        (f"action:{0:033x}", "search.value", "32 characters"),
        ("amount>much", "search.value", "write a whole number"),
        ("amount:99999999999999999", "search.value", "write a whole number"),
        ("resource:\ud800", "search.value", "not Unicode text"),
        ("outcome:denied", "search.value", "there are succeeded, failed, not_started, indeterminate, open"),
        ("kind:refusals", "search.value", "did you mean `kind:refusal`?"),
        ("kind:nosuch", "search.value", "there are genesis, intent"),
        ("kind:tag 0", "search.value", "no value of `kind`"),
        ("decision:maybe", "search.value", "there are allow, deny, defer"),
        ("since:yesterday", "search.time", "such as `90m`"),
        ("since:2026-12-01T08:00", "search.time", "UTC offset"),
        (f"agent:{'a' * 501}", "search.long", "at most 500 characters"),
    ],
)
def test_a_word_that_is_not_understood_is_refused_with_what_to_write(
    word: str, code: str, advice: str
) -> None:
    found = fault(word)
    assert (found.code, advice in found.message) == (code, True), found.message


def test_a_search_has_an_end() -> None:
    assert fault(*["agent:a"] * 33).code == "search.long"


def test_every_example_of_the_table_is_understood() -> None:
    for one in FIELDS:
        example = LEASE if one.name == "lease" else one.example
        assert query(f"{one.name}:{example}") != Query()
    assert len({one.name for one in FIELDS}) == len(FIELDS)


@pytest.mark.requirement("SEARCH-11")
def test_a_field_is_sealed_where_leaves_have_nothing_of_its_value() -> None:
    pseudonym, key = "a1" * 32, "b2" * 16
    said = query("agent:scout", "kind:intent", f"person:{pseudonym}", f"subject:{key}", "session:6a.1")
    assert sealed_fields(said) == ()
    assert sealed_fields(query("person:ada", f"person:{pseudonym}", "amount>5", "amount<9")) == (
        "person",
        "amount",
    )
    asked = (
        "subject:Customer:12",
        "approver:bob",
        "account:app_rw",
        "hold:h-1",
        "digest:d",
        "named:n",
        "resource:1",
        "text:a1",
    )
    assert sealed_fields(query(*asked)) == tuple(one.partition(":")[0] for one in asked)
    sealed = {one.name for one in FIELDS if one.indexed not in ("name", "session", "time", "amount")}
    assert {*SEALED_KINDS} == (sealed & {*KINDS}) | {"subject"}


def test_a_line_is_split_at_space_outside_of_quotes() -> None:
    line = r'agent:scout text:"two words" resource:"a \"b\" c" d:e"f g"h'
    assert split_words(line) == ("agent:scout", "text:two words", 'resource:a "b" c', "d:ef gh")
    assert split_words("  ") == ()
    with pytest.raises(Malformed) as told:
        split_words('agent:"scout')
    assert told.value.code == "search.word"


def test_words_in_one_line_are_the_words_that_they_were() -> None:
    for words in (("a:b",), ('text:a "b" \\', "x:\\\\", "resource:line\nbreak"), ("a: b ",), ()):
        assert split_words(joined_words(words)) == words


def test_cursors_and_limits_are_checked() -> None:
    assert parsed_cursor(Cursor(12, 3).formatted()) == Cursor(12, 3)
    for text in ("", "12", "12.", "a.b", "1.2.3", "-1.2", "1" * 17 + ".1"):
        with pytest.raises(Malformed) as told:
            parsed_cursor(text)
        assert told.value.code == "search.cursor"
    assert (checked_limit(1), checked_limit(1_000)) == (1, 1_000)
    for limit in (0, -1, 1_001):
        with pytest.raises(Malformed) as told:
            checked_limit(limit)
        assert told.value.code == "search.limit"
