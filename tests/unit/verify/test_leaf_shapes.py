"""What the members of a leaf may be, tag by tag: just inside of their bounds it is read, just outside it is not."""

from __future__ import annotations

from typing import Final

import pytest

from answerable.core.canonical import JSONValue, encode
from answerable.core.ledger.tags import Tag
from answerable.testing.clock import START
from answerable.verify.leaf_rules import Fault, read_leaf

HEX: Final = "0123456789abcdef" * 4
KEY: Final = "Az09_-" + "k" * 37
HOLD: Final = "hold_" + "Az09_-" * 3 + "AAAA"
INCIDENT: Final = "inc_" + "Az09_-" * 3 + "AAAA"
LEASE: Final = "abcdefghijklmnopqrstuvwx27"
DUTY: Final = "Az09_-" + "d" * 16


def members(texts: str, counts: str = "", **others: JSONValue) -> dict[str, JSONValue]:
    """Those that are texts and those that are numbers, by name, and others."""
    return {**dict.fromkeys(texts.split(), "x"), **dict.fromkeys(counts.split(), 0), **others}


DECIDED: Final = members("effect policy_set", by=[])
LEAVES: Final[dict[Tag, dict[str, JSONValue]]] = {
    Tag.INTENT: members("action agent mandate principal", "deadline", digest=HEX, decision=DECIDED),
    Tag.REFUSAL: members("action agent"),
    Tag.APPROVAL_ASKED: members("agent approval mandate", digest=HEX),
    Tag.APPROVAL_ANSWER: members("approval person verdict"),
    Tag.APPROVAL_ESCALATED: members(
        "agent approval asks group mandate why", "people_count", people=[], step=1
    ),
    Tag.APPROVAL_VOID: members("agent approval mandate", because=["tool"], digest=HEX),
    Tag.CANARY_TOLD: members(
        "agent approval argument capability mandate", ended="caught", nonce=HEX, wrong="amount"
    ),
    Tag.CONTAINMENT_REPORT: members(
        "kind name",
        "after approvals in_flight_count instances last last_at live live_until mandates placed",
        ended={},
        hold=HOLD,
        in_flight=[],
        undoing={},
    ),
    Tag.DOOR_REFUSAL: members("code door", "count first last"),
    Tag.DRILL: members(
        "by drill name shadow",
        "actions",
        definition=HEX,
        faults=[],
        kind="stop",
        of="agent",
        passed=True,
        took_ms={},
    ),
    Tag.DUTY: members("group of to", change="given", delegation=DUTY),
    Tag.EVENT_STREAM: members("agent stream", change="made", method="push", status="enabled"),
    Tag.LOG_FINDING: members("kind target", "line_at", finding="0123456789abcdef" * 2, verdict="bypass"),
    Tag.INCIDENT: members("by", change="opened", incident=INCIDENT, statement=INCIDENT[4:]),
    Tag.GLASS_REVIEWED: members("approval mandate person", late=False, verdict="justified"),
    Tag.HOLD_LIFTED: members("by key kind name", "agreed lifted_at wanted", hold=HOLD),
    Tag.HOLD_PLACED: members(
        "by kind name rule", "expires_at in_flight_count since", hold=HOLD, in_flight=[], source="person"
    ),
    Tag.LEASE: members(
        "account agent capability mandate target why",
        "attempts change ended_at expires_at intent issued_at live_until named_at renewed_at sessions_cut used_at uses",
        end="",
        lease=LEASE,
        scope="",
        state="named",
        window="action",
    ),
    Tag.PASSKEY: {"change": "added"},
    Tag.PASSKEY_REMOVED: members("by person", key=KEY, passkey=HEX),
    Tag.PEOPLES_KEYS: {"people": [HEX], "registry": HEX},
    Tag.POLICY_CHANGE: members("after before"),
    Tag.REVOKED: members("by name", "in_flight_count since", in_flight=[], kind="agent"),
    Tag.RULE_FIRED: members(
        "kind name over owner rule watches",
        "limit since value within",
        counted=[],
        entries=[],
        fired="warned",
        hold="",
    ),
    Tag.SVID_ISSUED: members("instance key serial", "expires", kind="jwt"),
    Tag.TOOL_PINNED: members("server tool", definition=HEX, previous="", source="owner"),
    Tag.WORKLOAD_ENROLLED: members(
        "agent grade instance key parent source", "expires", drift=[], manifest=""
    ),
}


def fault_of(tag: Tag, *, without: str = "", **changed: JSONValue) -> str:
    """The rule that this leaf breaks; empty for none. The first version asks for no run, reference or digest."""
    leaf: dict[str, JSONValue] = {"at": START, "tag": int(tag), "v": 1, **LEAVES[tag], **changed}
    read = read_leaf(encode({name: value for name, value in leaf.items() if name != without}))
    return read.rule if isinstance(read, Fault) else ""


WORDS: Final = {
    (Tag.APPROVAL_ANSWER, "strength"): "chat",
    (Tag.CANARY_TOLD, "ended"): "caught let_through unseen",
    (Tag.CANARY_TOLD, "wrong"): "recipient amount",
    (Tag.DRILL, "kind"): "stop revocation trace",
    (Tag.DRILL, "of"): "agent capability",
    (Tag.DUTY, "change"): "given ended",
    (Tag.DUTY, "strength"): "any passkey hardware",
    (Tag.EVENT_STREAM, "change"): "made configured status subject_added subject_removed removed",
    (Tag.EVENT_STREAM, "method"): "push poll",
    (Tag.EVENT_STREAM, "status"): "enabled paused disabled",
    (Tag.GLASS_REVIEWED, "asks"): "passkey hardware",
    (Tag.GLASS_REVIEWED, "verdict"): "justified unjustified",
    (Tag.HOLD_PLACED, "source"): "person rule panic drill agent",
    (Tag.INCIDENT, "about"): "alert hold agent vendor window",
    (Tag.INCIDENT, "change"): "opened noted closed",
    (Tag.LEASE, "end"): "revoked expired not_issued",
    (Tag.LEASE, "state"): "named issued unrevoked ended",
    (Tag.LEASE, "window"): "action task",
    (Tag.LOG_FINDING, "verdict"): "bypass content forged phantom",
    (Tag.PASSKEY, "change"): "invited added refused session_refused",
    (Tag.POLICY_CHANGE, "how"): "one_person two_people rollback registry",
    (Tag.REVOKED, "kind"): "token hop mandate agent key manifest owner vendor trust_domain",
    (Tag.RULE_FIRED, "fired"): "held would_hold warned",
    (Tag.SVID_ISSUED, "kind"): "x509 jwt wit",
    (Tag.TOOL_PINNED, "source"): "owner first_sight",
}


@pytest.mark.parametrize(("tag", "member"), WORDS)
def test_a_member_that_is_one_of_some_words_is_no_other(tag: Tag, member: str) -> None:
    for word in WORDS[tag, member].split():
        assert fault_of(tag, **{member: word}) == ""
        for other in (f"{word}s", f"a{word}", f"{word}\n", word.upper()):
            assert fault_of(tag, **{member: other}) == "leaf.member"


NAMES: Final = {
    (Tag.CONTAINMENT_REPORT, "hold"): HOLD,
    (Tag.DOOR_REFUSAL, "key"): KEY,
    (Tag.HOLD_LIFTED, "hold"): HOLD,
    (Tag.HOLD_PLACED, "hold"): HOLD,
    (Tag.INCIDENT, "incident"): INCIDENT,
    (Tag.INCIDENT, "statement"): INCIDENT[4:],
    (Tag.LEASE, "lease"): LEASE,
    (Tag.LEASE, "scope"): HEX,
    (Tag.LOG_FINDING, "finding"): HEX[:32],
    (Tag.LOG_FINDING, "line"): HEX,
    (Tag.PASSKEY, "invitation"): HEX,
    (Tag.PASSKEY, "key"): KEY,
    (Tag.PASSKEY, "passkey"): HEX,
    (Tag.PASSKEY, "session"): HEX[:16],
    (Tag.PASSKEY_REMOVED, "key"): KEY,
    (Tag.RULE_FIRED, "hold"): HOLD,
    (Tag.TOOL_PINNED, "previous"): HEX,
    (Tag.WORKLOAD_ENROLLED, "manifest"): HEX,
}


@pytest.mark.parametrize(("tag", "member"), NAMES)
def test_a_digest_or_key_or_id_has_its_length_and_its_letters(tag: Tag, member: str) -> None:
    name = NAMES[tag, member]
    assert fault_of(tag, **{member: name}) == ""
    for other in (name[:-1], f"{name}0", f"{name}\n", f"{name[:-1]}+"):
        assert fault_of(tag, **{member: other}) == "leaf.member"


CAME_BY: Final = members("agent id", "entry", leaf=HEX)
TRIED_BY: Final = members("agent id")


def obliged(count: int) -> JSONValue:
    """A decision with so many obligations."""
    return {**DECIDED, "obligations": ["x"] * count}


@pytest.mark.parametrize(
    ("tag", "member", "inside", "outside"),
    [
        (Tag.APPROVAL_ESCALATED, "people", (["p"] * 32,), (["p"] * 33,)),
        (Tag.APPROVAL_ESCALATED, "step", (1, 64), (0, 65)),
        (Tag.APPROVAL_VOID, "because", (["x"], ["x"] * 32), ([], ["x"] * 33)),
        (Tag.CONTAINMENT_REPORT, "last", (-1, 0), (-2,)),
        (Tag.DUTY, "delegation", ("d" * 22, "d" * 64), ("d" * 21, "d" * 65, "d" * 21 + "+")),
        (Tag.INCIDENT, "classes", (["serious"], ["death"] * 4), ([], ["death"] * 5, ["odd"])),
        (Tag.PEOPLES_KEYS, "people", ([HEX], [HEX] * 64), ([], [HEX] * 65, [HEX[1:]])),
        (
            Tag.REVOKED,
            "approvals",
            (["a"], ["a" * 64], ["a"] * 200),
            ([], [""], ["a" * 65], ["a"] * 201),
        ),
        (Tag.INTENT, "accounts", (["m"], ["m"] * 33), ([], ["m"] * 34)),
        (Tag.INTENT, "hops", ([CAME_BY], [CAME_BY] * 17), ([], [CAME_BY] * 18)),
        (Tag.INTENT, "narrowed", (["x"], ["x"] * 16), ([], ["x"] * 17)),
        (Tag.INTENT, "reserved", ({"rows": 0}, {"r" * 64: 1}), ({}, {"": 1}, {"r" * 65: 1})),
        (Tag.REFUSAL, "hops", ([TRIED_BY], [TRIED_BY] * 17), ([], [TRIED_BY] * 18)),
        (Tag.APPROVAL_ASKED, "narrowed", (["x"], ["x"] * 16), ([], ["x"] * 17)),
        (Tag.APPROVAL_ASKED, "decision", (obliged(1), obliged(16)), (obliged(0), obliged(17))),
    ],
)
def test_a_member_has_bounds(
    tag: Tag, member: str, inside: tuple[JSONValue, ...], outside: tuple[JSONValue, ...]
) -> None:
    assert [fault_of(tag, **{member: one}) for one in inside] == [""] * len(inside)
    assert [fault_of(tag, **{member: one}) for one in outside] == ["leaf.member"] * len(outside)


@pytest.mark.parametrize("tag", LEAVES)
def test_no_member_that_a_tag_asks_for_may_be_missing(tag: Tag) -> None:
    assert fault_of(tag) == ""
    for name in LEAVES[tag]:
        assert fault_of(tag, without=name) == "leaf.member"
