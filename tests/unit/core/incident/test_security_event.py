"""What is told of which end: kinds of events and subjects, by the table of the standards."""

from __future__ import annotations

from typing import Any

import pytest

from answerable.core.identity.names.principal import UnixMillis
from answerable.core.incident.announcement import Announcement
from answerable.core.incident.event_stream import EventStream
from answerable.core.incident.security_event import (
    CREDENTIAL_CHANGE,
    HOLD_LIFTED,
    HOLD_PLACED,
    SESSION_REVOKED,
    events_of,
    matches,
    set_claims,
    subject_of,
)

ISSUER = "https://gateway.example"
THUMBPRINT = "A" * 43


def told(kind: str, name: str, change: str = "revoked", **more: Any) -> Announcement:
    return Announcement(
        log="log.example",
        entry=7,
        at=UnixMillis(1_790_000_000_123),
        change=change,
        kind=kind,
        name=name,
        **more,
    )


def named(name: str) -> dict[str, str]:
    return {"format": "iss_sub", "iss": ISSUER, "sub": name}


def opaque(name: str) -> dict[str, str]:
    return {"format": "opaque", "id": name}


@pytest.mark.requirement("SSF-01")
@pytest.mark.parametrize(
    ("announced", "kinds", "subject"),
    [
        (told("token", "t-1"), [SESSION_REVOKED], {"format": "jwt_id", "iss": ISSUER, "jti": "t-1"}),
        (told("hop", THUMBPRINT), [SESSION_REVOKED], opaque(f"hop:{THUMBPRINT}")),
        (told("mandate", "m-1"), [SESSION_REVOKED], opaque("mandate:m-1")),
        (told("mandate", "m-1", "closed"), [SESSION_REVOKED], opaque("mandate:m-1")),
        (told("agent", "scout"), [SESSION_REVOKED], {"format": "complex", "application": named("scout")}),
        (
            told("instance", "spiffe://a/b", "ended", agent="scout"),
            [SESSION_REVOKED],
            {"format": "complex", "session": named("spiffe://a/b"), "application": named("scout")},
        ),
        (
            told("instance", "spiffe://a/b"),
            [SESSION_REVOKED],
            {"format": "complex", "session": named("spiffe://a/b")},
        ),
        (
            told("key", THUMBPRINT),
            [CREDENTIAL_CHANGE],
            {"format": "uri", "uri": f"urn:ietf:params:oauth:jwk-thumbprint:sha-256:{THUMBPRINT}"},
        ),
        (told("key", "ab" * 32), [CREDENTIAL_CHANGE], opaque("key:" + "ab" * 32)),
        (told("credential", "lease-1"), [CREDENTIAL_CHANGE], opaque("credential:lease-1")),
        (told("authority", "a-1"), [CREDENTIAL_CHANGE], opaque("authority:a-1")),
        (told("manifest", "ab" * 32), [SESSION_REVOKED], opaque("manifest:" + "ab" * 32)),
        (told("owner", "9f3c"), [SESSION_REVOKED], {"format": "complex", "user": opaque("9f3c")}),
        (told("vendor", "maker"), [SESSION_REVOKED], {"format": "complex", "tenant": opaque("vendor:maker")}),
        (
            told("trust_domain", "a.example"),
            [SESSION_REVOKED],
            {"format": "uri", "uri": "spiffe://a.example"},
        ),
        (
            told("everything", "", "placed", hold="h"),
            [SESSION_REVOKED, HOLD_PLACED],
            {"format": "complex", "tenant": opaque("everything")},
        ),
        (told("key", THUMBPRINT, "placed", hold="h"), [HOLD_PLACED], None),
        (
            told("tool", "crm/refund", "placed", hold="h"),
            [SESSION_REVOKED, HOLD_PLACED],
            opaque("tool:crm/refund"),
        ),
        (told("agent", "scout", "lifted", hold="h"), [HOLD_LIFTED], None),
        (told("", "", "lifted", hold="h"), [HOLD_LIFTED], opaque("hold:h")),
    ],
)
def test_each_end_is_the_event_and_the_subject_of_the_standards(announced, kinds, subject):
    events = events_of(announced, ISSUER)
    assert [kind for kind, _ in events] == kinds
    for kind, content in events:
        assert list(content["events"]) == [kind]
        said = content["events"][kind]
        assert said["event_timestamp"] == 1_790_000_000
        assert said["reason_admin"]["en"].endswith("ledger entry log.example/7")
        assert content["txn"] == "log.example/7"
        assert content["sub_id"] == (subject or subject_of(announced, ISSUER))
        if kind == CREDENTIAL_CHANGE:
            assert said["change_type"] == "revoke"


def test_a_notice_to_a_group_is_no_security_event():
    assert events_of(told("group", "leads", "notified"), ISSUER) == ()


def test_the_type_of_a_credential_tells_certificates_from_keys():
    said = [
        events_of(told(kind, name), ISSUER)[0][1]["events"][CREDENTIAL_CHANGE]["credential_type"]
        for kind, name in (("key", THUMBPRINT), ("key", "ab" * 32), ("credential", "l"), ("authority", "a"))
    ]
    assert said == ["jwk", "x509", "app", "x509"]


def test_who_did_it_is_said_where_it_is_known():
    said = [
        events_of(told("instance", "spiffe://a/b", "ended", by_person=by), ISSUER)[0][1]["events"][
            SESSION_REVOKED
        ]
        for by in (True, False, None)
    ]
    assert [one.get("initiating_entity") for one in said] == ["admin", "system", None]


def test_the_id_of_an_announcement_is_the_same_again_and_another_one_for_another_receiver():
    one = told("token", "t-1")
    assert one.id("s-1") == told("token", "t-1").id("s-1")
    assert len({one.id("s-1"), one.id("s-2"), told("token", "t-2").id("s-1"), one.id()}) == 4


def test_a_token_has_neither_subject_nor_end():
    _, content = events_of(told("token", "t-1"), ISSUER)[0]
    claims = set_claims(content, issuer=ISSUER, audience="siem", identity="j", at=1_790_000_000_999)
    assert claims.keys() == {"iss", "aud", "jti", "iat", "txn", "sub_id", "events"}
    assert claims["iat"] == 1_790_000_000


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (opaque("a"), opaque("a"), True),
        (opaque("a"), opaque("b"), False),
        (opaque("a"), named("a"), False),
        (
            {"format": "complex", "application": named("a")},
            {"format": "complex", "session": named("b")},
            True,
        ),
        (
            {"format": "complex", "application": named("a")},
            {"format": "complex", "application": named("a"), "session": named("b")},
            True,
        ),
        ({"format": "complex", "user": named("a")}, {"format": "complex", "user": named("b")}, False),
        ({"format": "complex", "user": named("a")}, named("a"), False),
    ],
)
def test_subjects_match_as_the_framework_says(one, other, same):
    assert matches(one, other) is same
    assert matches(other, one) is same


def test_a_stream_wants_what_was_asked_for_but_for_what_was_removed():
    stream = EventStream(
        id="s", receiver="siem", method="poll", requested=(SESSION_REVOKED, "urn:unknown"),
        removed=('{"format":"opaque","id":"mandate:m-1"}',),
    )  # fmt: skip
    assert stream.delivered == (SESSION_REVOKED,)
    assert stream.wants(SESSION_REVOKED, opaque("mandate:m-2"))
    assert not stream.wants(SESSION_REVOKED, opaque("mandate:m-1"))
    assert not stream.wants(CREDENTIAL_CHANGE, opaque("mandate:m-2"))
