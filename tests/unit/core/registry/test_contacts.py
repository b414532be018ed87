from __future__ import annotations

import pytest

from answerable.core.registry.documents.contacts import Contacts, is_email
from answerable.core.registry.parsing.parse import shapes_of
from answerable.testing.samples import document


def faults_of(spec):
    return [(one.path, one.code) for one in shapes_of([document("Principal", "alice", spec)]).faults]


@pytest.mark.parametrize(
    "text",
    [
        "alice",
        "alice@localhost",
        "a b@example.com",
        "alice@example.com\r\nBcc: x@example.com",
        "alice@example.com,mallory@example.com",
        '"x"@example.com',
        "alice@[127.0.0.1]",
        "<alice@example.com>",
        "-@-.com",
        "alice@example.com.",
        "älice@example.com",
        "a" * 250 + "@example.com",
    ],
)
def test_what_is_no_plain_address_is_refused(text):
    assert not is_email(text)
    assert [path for path, _ in faults_of({"email": text})] == ["/spec/email"]


@pytest.mark.parametrize("text", ["alice@example.com", "a.b+c@mail.example.co.uk", "o'neil@x-y.example"])
def test_a_plain_address_is_taken(text):
    assert is_email(text)
    assert faults_of({"email": text}) == []


def test_a_person_in_a_chat_is_a_workspace_and_a_member():
    assert faults_of({"slack": {"team": "T0123ABCD", "user": "U0123ABCD"}}) == []
    assert [p for p, _ in faults_of({"slack": {"team": "T0123ABCD"}})] == ["/spec/slack"]
    assert [p for p, _ in faults_of({"slack": {"team": "x", "user": "C0123ABCD"}})] == [
        "/spec/slack/team",
        "/spec/slack/user",
    ]
    assert Contacts().slack == ("", "")
