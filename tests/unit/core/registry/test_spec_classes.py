"""Classes of destinations: one spelling, in one class, and every fault is found."""

from __future__ import annotations

import pytest

from answerable.core.registry.documents.policy_parts import DestinationClass
from tests.worlds.policy_parts import CLASS, faults, read_parts, told, with_parts, without

pytestmark = pytest.mark.requirement("PARTS-01")


@pytest.mark.parametrize(
    ("kind", "members"),
    [
        ("email", ["example.com", "ada@example.org"]),
        ("host", ["example.org:8443", "*.internal", "192.0.2.7", "[2001:db8::1]"]),
        ("name", ["#general", "Team A"]),
    ],
)
def test_a_class_has_members_in_their_one_spelling(kind, members):
    (found,) = read_parts(destinations=[{"name": "ours", "type": kind, "members": members}]).destinations
    assert found == DestinationClass(name="ours", type=kind, members=tuple(members))


CLASSES = [
    (without(CLASS, member="x"), "/member", "document.unknown_key", "did you mean `members`?"),
    (without(CLASS, name="unknown"), "/name", "policy_set.destination", "the class of what no class names"),
    (
        without(CLASS, name="none"),
        "/name",
        "policy_set.destination",
        "the class of an action that sends nothing",
    ),
    (without(CLASS, "type"), "", "document.missing", "`type` is missing"),
    (without(CLASS, type="hosts"), "/type", "document.choice", "did you mean `host`?"),
    (without(CLASS, "members"), "", "document.missing", "`members` is missing"),
    (without(CLASS, members=[]), "/members", "document.size", "at least one member"),
    (without(CLASS, members="example.com"), "/members", "document.type", "expected a list"),
    (
        without(CLASS, members=["Example.com"]),
        "/members/0",
        "destination.invalid",
        "must be written `example.com`",
    ),
    (without(CLASS, members=["*.Example.com"]), "/members/0", "destination.invalid", "written `example.com`"),
    (without(CLASS, members=["https://a.test"]), "/members/0", "destination.invalid", "written `a.test`"),
    (without(CLASS, members=["*"]), "/members/0", "destination.invalid", "does not name a host"),
    (without(CLASS, members=["a.*.test"]), "/members/0", "destination.invalid", "does not name a host"),
    (without(CLASS, members=["*.a.test:8443"]), "/members/0", "destination.invalid", "no port counts"),
    (
        without(CLASS, members=["*.192.0.2.7"]),
        "/members/0",
        "destination.invalid",
        "nothing is below an address",
    ),
    (
        without(CLASS, members=["*.[2001:db8::1]"]),
        "/members/0",
        "destination.invalid",
        "nothing is below an address",
    ),
    (without(CLASS, members=["a.test", "a.test"]), "/members/1", "document.duplicate", "listed twice"),
    (
        without(CLASS, type="email", members=["*.example.com"]),
        "/members/0",
        "destination.invalid",
        "is neither a mail address like",
    ),
]


@pytest.mark.parametrize(("one", "at", "code", "says"), CLASSES)
def test_a_class_that_is_none_is_a_fault(one, at, code, says):
    path, found, message = told(destinations=[one])
    assert (path, found) == (f"/spec/destinations/0{at}", code)
    assert says in message


@pytest.mark.parametrize(
    ("kind", "first", "second"),
    [
        ("host", "a.test", "a.test"),
        ("host", "*.a.test", "b.a.test:8443"),
        ("host", "*.test", "*.a.test"),
        ("email", "a.test", "ada@a.test"),
        ("name", "ops", "ops"),
    ],
)
def test_what_an_earlier_class_has_is_in_no_later_one(kind, first, second):
    wide = {"name": "ours", "type": kind, "members": ["other.test", first]}
    path, code, message = told(destinations=[wide, {"name": "theirs", "type": kind, "members": [second]}])
    assert (path, code) == ("/spec/destinations/1/members/0", "policy_set.destination")
    assert "is in class `ours` already, which comes first" in message


@pytest.mark.parametrize(
    ("kind", "first", "second"),
    [
        ("host", "b.a.test", "*.a.test"),
        ("host", "*.a.test", "a.test"),
        ("host", "a.test", "a.test:8443"),
        ("host", "*.a.test", "[2001:db8::1]"),
        ("email", "ada@a.test", "a.test"),
        ("email", "a.test", "ada@b.a.test"),
    ],
)
def test_an_exception_may_stand_before_its_rule(kind, first, second):
    classes = [
        {"name": "ours", "type": kind, "members": [first]},
        {"name": "theirs", "type": kind, "members": [second]},
        {"name": "rooms", "type": "name", "members": [first.replace("@", "-")]},
    ]
    assert faults(with_parts(destinations=classes)) == []
