"""Which entries announce something, and what: from leaves as they are written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from answerable.core.identity.names.principal import UnixMillis
from answerable.core.incident.announcement import Announcement, announcements_in
from answerable.core.incident.cloud_event import cloud_event, webhook_secret
from answerable.core.incident.security_event import HOLD_LIFTED, HOLD_PLACED, SESSION_REVOKED, events_of
from answerable.core.ledger.entry import StoredEntry, sealed_entry
from answerable.core.ledger.tags import Tag
from answerable.errors import Malformed

AT = 1_790_000_000_000
HELD = {"hold": "hold_1", "kind": "agent", "name": "scout", "agent": "scout"}


def stored(tag: Tag, **members: Any) -> StoredEntry:
    entry = sealed_entry(tag, at=UnixMillis(AT), members=members)
    return StoredEntry(index=9, tag=tag, leaf=entry.leaf, attachment=b"", leaf_hash=bytes(32))


def told(tag: Tag, **members: Any) -> tuple[Announcement, ...]:
    return announcements_in(stored(tag, **members), "log.example", lambda _: None)


@pytest.mark.requirement("SSF-01")
@pytest.mark.parametrize(
    ("tag", "members", "wanted"),
    [
        (Tag.REVOKED, {"kind": "token", "name": "t-1", "since": AT - 5}, ("revoked", "token", "t-1", AT - 5)),
        (Tag.REVOKED, {"kind": "agent", "name": "scout"}, ("revoked", "agent", "scout", AT)),
        (Tag.REVOKED, {"kind": "agent", "name": "spiffe://a/b"}, ("revoked", "instance", "spiffe://a/b", AT)),
        (Tag.MANDATE_CLOSED, {"mandate": "m-1", "agent": "scout"}, ("closed", "mandate", "m-1", AT)),
        (
            Tag.WORKLOAD_ENDED,
            {"instance": "spiffe://a/b", "agent": "scout", "because": "process.gone"},
            ("ended", "instance", "spiffe://a/b", AT),
        ),
        (
            Tag.AUTHORITY_CHANGED,
            {"authority": "a-1", "domain": "d", "state": "removed"},
            ("revoked", "authority", "a-1", AT),
        ),
        (Tag.HOLD_PLACED, HELD | {"since": AT - 7, "source": "person"}, ("placed", "agent", "scout", AT - 7)),
        (Tag.HOLD_LIFTED, HELD | {"lifted_at": AT - 3}, ("lifted", "agent", "scout", AT - 3)),
        (Tag.LOG_FINDING, {"target": "db", "verdict": "bypass"}, ("found", "log", "db", AT)),
    ],
)
def test_each_entry_that_ends_or_holds_something_is_announced(tag, members, wanted):
    (one,) = told(tag, **members)
    assert (one.change, one.kind, one.name, one.at) == wanted
    assert one.place == "log.example/9"


@pytest.mark.parametrize("tag", [tag for tag in Tag if tag not in (Tag.REVOKED, Tag.MANDATE_CLOSED)])
def test_all_others_announce_nothing(tag):
    if tag not in (Tag.WORKLOAD_ENDED, Tag.HOLD_PLACED, Tag.LOG_FINDING):
        assert told(tag, kind="agent", name="scout") == ()


@pytest.mark.requirement("SSF-01")
@pytest.mark.parametrize("tag", [Tag.REVOKED, Tag.HOLD_PLACED, Tag.HOLD_LIFTED])
@pytest.mark.parametrize(
    ("kind", "agent", "mandate"), [("agent", "x-1", ""), ("mandate", "", "x-1"), ("tool", "", "")]
)
def test_what_is_over_an_agent_or_a_mandate_is_announced_under_its_name(tag, kind, agent, mandate):
    (one,) = told(tag, hold="hold_1", kind=kind, name="x-1", source="person", lifted_at=AT)
    assert (one.agent, one.mandate) == (agent, mandate)
    said = json.loads(cloud_event(one, source="https://gateway.example", identity="i"))["data"]
    assert (said.get("agent", ""), said.get("mandate", "")) == (agent, mandate)


@pytest.mark.requirement("SSF-01")
def test_one_of_two_who_agree_that_a_hold_be_lifted_lifts_nothing_yet():
    assert told(Tag.HOLD_LIFTED, **HELD, agreed=1, wanted=2, lifted_at=0) == ()


@pytest.mark.requirement("SSF-01")
def test_a_hold_is_told_by_a_standard_event_and_by_ours_which_has_its_end():
    (one,) = told(Tag.HOLD_PLACED, **HELD, since=AT, source="rule", expires_at=AT + 60_000)
    (standard, _), (ours, content) = events_of(one, "https://gateway.example")
    assert (standard, ours) == (SESSION_REVOKED, HOLD_PLACED)
    said = content["events"][HOLD_PLACED]
    assert (said["hold"], said["hold_expires_at"]) == ("hold_1", (AT + 60_000) // 1000)
    assert said["initiating_entity"] == "system"
    assert "is held (rule)" in said["reason_admin"]["en"]
    (lifted,) = told(Tag.HOLD_LIFTED, **HELD, lifted_at=AT)
    ((kind, _),) = events_of(lifted, "https://gateway.example")
    assert kind == HOLD_LIFTED
    body = cloud_event(one, source="https://gateway.example", identity="i")
    assert b'"type":"answerable.hold.placed"' in body
    assert b'"expires_at":1790000060000' in body


def test_an_intent_whose_fields_cannot_be_read_any_more_tells_no_group():
    leaf = {"agent": "scout", "decision": {"obligations": ["notify"]}}
    assert told(Tag.INTENT, **leaf) == ()


@pytest.mark.parametrize(
    "content",
    [
        b"", b"whsec_", b"hunter2", b"whsec_AAAA", b"whsec_!!!!", b"A" * 43 + b"=", b"whsec_" + b"A" * 100,
    ],
)  # fmt: skip
def test_a_secret_that_is_none_is_refused_and_not_shown(content):
    with pytest.raises(Malformed) as raised:
        webhook_secret(content)
    assert raised.value.code == "webhook.secret"
    assert content.decode() not in raised.value.message or len(content) < 7


def test_a_secret_may_end_with_a_line():
    assert (
        webhook_secret(b"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n")
        == b"0123456789abcdef0123456789abcdef"
    )
