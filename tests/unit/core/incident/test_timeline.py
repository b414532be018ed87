"""Each kind of entry as a sentence, from full and from sparse leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from answerable.core.incident.hiding import payload_to_show
from answerable.core.incident.timeline import Moment, concerns, linked, story, told
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue


def moment(index: int, tag: int, *, payload: dict[str, JSONValue] | None = None, **leaf: JSONValue) -> Moment:
    return Moment(index=index, tag=tag, leaf={"at": 1000, **leaf}, payload=payload)


@pytest.mark.parametrize("tag", list(Tag))
def test_every_kind_is_told_even_when_its_leaf_says_next_to_nothing(tag: Tag):
    line = told(moment(3, tag))
    assert line.kind == tag.name.lower()
    assert line.index == 3
    assert line.text.endswith(".")


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ("succeeded", "It succeeded."),
        ("failed", "The upstream said that it failed."),
        ("not_started", "It was not started."),
        ("indeterminate", "Whether it took effect is not known."),
        ("vanished", "It ended as vanished."),
    ],
)
def test_an_end_says_how_it_ended(status: str, text: str):
    line = told(moment(1, Tag.OUTCOME, status=status, payload={"detail": "why", "result": {"a": 1}}))
    assert line.text == text
    assert line.details == ("detail: why", 'result: {"a":1}')


def test_the_end_of_an_instance_says_which_operator_wanted_it():
    members: dict[str, JSONValue] = {"agent": "scout", "instance": "spiffe://d/agent/scout/1"}
    line = told(moment(1, Tag.WORKLOAD_ENDED, **members, because="operator.ended", by="a" * 64))
    assert f"was ended by {'a' * 12}" in line.text
    line = told(
        moment(
            1, Tag.WORKLOAD_ENDED, **members, because="operator.ended", by="a" * 64, payload={"by": "uid:7"}
        )
    )
    assert "was ended by uid:7: operator.ended." in line.text
    assert "scout ended: asked." in told(moment(1, Tag.WORKLOAD_ENDED, **members, because="asked")).text


def test_a_document_that_a_broker_fetched_says_so():
    members: dict[str, JSONValue] = {
        "instance": "spiffe://d/agent/scout/1",
        "kind": "jwt",
        "serial": "a" * 64,
    }
    line = told(moment(1, Tag.SVID_ISSUED, **members, broker="spiffe://d/agent/relay/2"))
    assert "issued to spiffe://d/agent/scout/1 through broker spiffe://d/agent/relay/2 (" in line.text
    assert "broker" not in told(moment(1, Tag.SVID_ISSUED, **members)).text


def test_an_approval_that_was_not_needed_is_said_to_be_used_up():
    for lifted, text in (([], "was used up"), (["f"], "set f aside")):
        decision: JSONValue = {"by": ["p"], "lifted": [*lifted], "policy_set": "0"}
        line = told(moment(1, Tag.INTENT, approval="a-1", decision=decision))
        assert f"after approval a-1 {text}" in line.details[0]


def test_what_set_forbids_aside_is_named_and_an_approval_is_not_said_to_do_what_a_condition_did():
    decision: JSONValue = {"by": ["p"], "lifted": ["hides"], "obligations": ["redact"], "policy_set": "0"}
    line = told(moment(1, Tag.INTENT, approval="", decision=decision))
    assert line.details[0].endswith(", after its conditions set hides aside")
    line = told(moment(1, Tag.INTENT, approval="a-1", decision=decision))
    assert line.details[0].endswith(", after approval a-1 and its conditions set hides aside")


def test_a_deny_and_an_unknown_verdict_are_told_as_such():
    assert "denied" in told(moment(1, Tag.APPROVAL_ANSWER, verdict="deny")).text
    assert "answered" in told(moment(1, Tag.APPROVAL_ANSWER, verdict="maybe")).text


def test_a_change_names_what_changed():
    assert (
        "changed Agent/scout: "
        in told(moment(1, Tag.REGISTRY_CHANGE, by="a", payload={"Agent/scout": None})).text
    )
    assert "changed policies: " in told(moment(1, Tag.POLICY_CHANGE, by="a", payload={"policies": "x"})).text
    alone = told(moment(1, Tag.POLICY_CHANGE, by="a", how="one_person")).text
    assert "changed policies, alone and unsigned" in alone
    signed = told(moment(1, Tag.POLICY_CHANGE, by="a", how="two_people", author="b", proposal="c"))
    assert ("published policies that b proposed" in signed.text, signed.details) == (True, ("proposal c",))
    proposed = {"changes": {"PolicySet/house": {}}, "author": "ada"}
    assert told(moment(1, Tag.POLICY_PROPOSED, author="0" * 64, payload=proposed)).text.startswith(
        "ada proposed a change of PolicySet/house: "
    )
    assert told(moment(1, Tag.POLICY_PROPOSED, author="b")).text.startswith("b proposed a change: ")
    sealed: dict[str, JSONValue] = {"by": "ada", "changes": {"Agent/scout": None, "Server/crm": {}}}
    assert told(moment(1, Tag.REGISTRY_CHANGE, by="0" * 64, payload=sealed)).text.startswith(
        "ada changed Agent/scout, Server/crm: "
    )


@pytest.mark.parametrize(
    ("tag", "member"),
    [
        (Tag.INTENT, "principal"),
        (Tag.APPROVAL_ASKED, "principal"),
        (Tag.APPROVAL_ANSWER, "person"),
        (Tag.MANDATE_ISSUED, "principal"),
        (Tag.MANDATE_CLOSED, "by"),
        (Tag.REGISTRY_CHANGE, "by"),
        (Tag.POLICY_CHANGE, "by"),
    ],
)
def test_people_are_told_by_name_where_the_fields_are_open_and_else_by_pseudonym(tag: Tag, member: str):
    leaf: dict[str, JSONValue] = {member: "f00d" * 16}
    assert "alice" in told(moment(1, tag, payload={member: "alice"}, **leaf)).text
    without = told(moment(1, tag, **leaf)).text
    assert "alice" not in without
    assert "f00df00d" in without


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("mandate", "The mandate m-1 was written down"),
        ("policy_set", "The policy set m-1 was written down"),
        ("tool", "The tool definition m-1 was written down"),
        ("novel", "The statement m-1 was written down"),
    ],
)
def test_what_is_cited_is_told_by_kind_and_name(kind: str, text: str):
    assert told(moment(1, Tag.CITED, kind=kind, name="m-1")).text.startswith(text)


def test_names_that_stand_in_fields_alone_are_found():
    asked = moment(
        4, Tag.APPROVAL_ASKED, principal="0" * 64, payload={"principal": "alice", "digest": "d" * 64}
    )
    for name in ("alice", "0" * 64, "d" * 64, "4"):
        assert concerns(asked, frozenset((name,)))
    assert not concerns(asked, frozenset(("bob",)))


def test_an_action_without_arguments_or_a_capability_is_told_as_far_as_known():
    action: JSONValue = {"target": "t", "server": "s", "arguments": None}
    assert "call t() on s" in told(moment(1, Tag.REFUSAL, payload={"action": action})).text
    assert "use something unknown without a mandate" in told(moment(1, Tag.REFUSAL)).text


def test_a_value_nested_too_deeply_to_be_shown_is_told_as_such():
    deep: JSONValue = []
    for _ in range(100_000):
        deep = [deep]
    assert (
        "nested too deeply"
        in told(moment(1, Tag.OUTCOME, status="failed", payload={"result": deep})).details[0]
    )


def test_an_entry_without_a_time_is_told_at_zero():
    line = told(Moment(index=1, tag=Tag.GENESIS, leaf={"at": "noon"}, payload=None))
    assert line.when() == "1970-01-01T00:00:00.000Z"


def test_links_reach_as_far_as_the_story_goes_and_odd_members_link_nothing():
    moments = [
        moment(0, Tag.MANDATE_ISSUED, mandate="m"),
        moment(1, Tag.APPROVAL_ASKED, approval="p", mandate="m"),
        moment(2, Tag.INTENT, action="a", approval="p", mandate="m"),
        moment(3, Tag.OUTCOME, action="a"),
        moment(4, Tag.INTENT, action="b", approval="", mandate="m"),
        moment(5, 99, action=[1], mandate=["m"]),
    ]
    assert [m.index for m in story(moments, "3")] == [0, 1, 2, 3]
    assert [m.index for m in story(moments, "b")] == [0, 4]
    assert linked(moments[5]) == frozenset()
    assert not concerns(moments[5], frozenset(("m", "1")))
    assert story(moments, "unknown") == ()


def test_arguments_that_are_secrets_by_name_are_told_without_their_values():
    arguments: JSONValue = {
        "volume": "pg-main",
        "apiToken": "s3cret",
        "Api-Key": "s3cret",
        "X_API_KEY": ["s3cret"],
        "login": [{"user": "ada", "passwd": "s3cret", "DB_PASSWORD": "s3cret"}],
        "private_key": "s3cret",
        "credentials": {"any": "s3cret"},
    }
    action: JSONValue = {"target": "t", "server": "s", "arguments": arguments}
    payload: dict[str, JSONValue] = {"action": action, "reason": "r"}
    for tag in (Tag.INTENT, Tag.REFUSAL, Tag.APPROVAL_ASKED):
        text = told(moment(1, tag, payload=payload)).text
        assert "s3cret" not in text
        assert "volume=pg-main, apiToken=(hidden), Api-Key=(hidden), X_API_KEY=(hidden)" in text
        assert 'login=[{"user":"ada","passwd":"(hidden)","DB_PASSWORD":"(hidden)"}]' in text
    shown = payload_to_show(payload)
    assert "s3cret" not in str(shown)
    assert "pg-main" in str(shown)
    assert "s3cret" in str(payload), "what is stored does not change"
    assert payload_to_show({"secret": 1}) == {"secret": 1}, "only arguments are hidden"


def test_the_story_of_an_action_has_the_lease_that_it_used_and_none_of_its_neighbours():
    moments = [
        moment(0, Tag.MANDATE_ISSUED, mandate="m"),
        moment(1, Tag.INTENT, action="a", mandate="m", lease="one"),
        moment(2, Tag.LEASE, lease="one", mandate="m", state="issued"),
        moment(3, Tag.OUTCOME, action="a", status="succeeded"),
        moment(4, Tag.INTENT, action="b", mandate="m", lease="two"),
        moment(5, Tag.LEASE, lease="two", mandate="m", state="issued"),
        moment(6, Tag.LEASE, lease="one", mandate="m", state="ended"),
        # Of the same task, so by the same credential.
        moment(7, Tag.INTENT, action="c", mandate="m", lease="one"),
        moment(8, Tag.LEASE, lease=["one"], mandate="m"),
    ]
    assert [one.index for one in story(moments, "a")] == [0, 1, 2, 3, 6]
    assert [one.index for one in story(moments, "one")] == [0, 1, 2, 3, 6, 7]
    assert [one.index for one in story(moments, "m")] == list(range(9))


def test_an_end_says_what_the_target_calls_the_session():
    session: dict[str, JSONValue] = {"ssh_serial": "7", "ssh_host": "web1`\n"}
    line = told(moment(1, Tag.OUTCOME, status="succeeded", session=session))
    assert line.details == (
        "session at the target: ssh_host web1'\ufffd",
        "session at the target: ssh_serial 7",
    )
    assert told(moment(1, Tag.OUTCOME, status="succeeded", session="odd")).details == ()


@pytest.mark.requirement("SEARCH-07")
def test_what_a_caller_writes_is_never_a_part_of_our_sentence():
    forged = "hi, approver=chen) on payments for chen under mandate m and was refused: nothing was done"
    cases: tuple[tuple[str, JSONValue, str], ...] = (
        ("text", forged, f'(text="{forged}")'),
        ("text", 'a", approver="chen', "(text=\"a', approver='chen\")"),
        ("a) on pay, b", 1, '("a) on pay, b"=1)'),
        ("text", "A" * 200, f'(text="{"A" * 160}…")'),
        ("case_id", "4711", "(case_id=4711)"),
        ("token", "x", "(token=(hidden))"),
        ("rows", [{"a": "b) on"}], '(rows=[{"a":"b) on"}])'),
    )
    for name, value, as_told in cases:
        action: JSONValue = {"target": "t", "server": "s", "arguments": {name: value}}
        asked: dict[str, JSONValue] = {"arguments": {name: value}}
        line = told(moment(1, Tag.REFUSAL, payload={"action": action, "asked": asked}, agent="a"))
        assert f"tried to call t{as_told} on s without a mandate" in line.text
        assert f"policy narrowed it; asked for was {as_told[1:-1]}" in line.details
