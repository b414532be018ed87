"""Entries about stops name what is stopped where a timeline of it looks, and a person by a pseudonym."""

from __future__ import annotations

import pytest

from answerable.core.canonical import JSONValue, parse
from answerable.core.containment.hold import HOLD_KINDS, Hold, HoldId, HoldKind, HoldTarget
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.names.spiffe_id import SCHEME
from answerable.core.ledger.disclosure import Sealing
from answerable.core.ledger.entry import Entry
from answerable.core.ledger.records_holds import hold_placed
from answerable.core.ledger.records_revocation import NAME_TOLD_TWICE_CHARS_MAX, revoked
from answerable.core.ledger.records_rules import rule_fired
from answerable.core.ledger.subject_key import SubjectKey
from answerable.core.mandate.revocation import REVOCATION_KINDS, Revocation, RevocationKind, RevocationTarget
from answerable.core.registry.documents.stop_rule import StopRule
from answerable.testing.clock import START
from answerable.testing.entropy import SeededEntropy

AT = UnixMillis(START)
SEALING = Sealing(key=SubjectKey(id=b"k" * 16, secret=bytes(32)), random=SeededEntropy("stops").bytes)
HOLD = HoldId("hold_" + "h" * 22)
PSEUDONYM = "0" * 64
FOUND_BY = {"agent", "capability", "instance", "key", "mandate", "manifest", "server"}


def named(entry: Entry, kind: str) -> tuple[JSONValue, JSONValue]:
    """The name that an entry says, and the member of this kind."""
    leaf = parse(entry.leaf)
    assert isinstance(leaf, dict)
    return leaf["name"], leaf.get("person" if kind == "owner" else kind)


def held(kind: HoldKind, name: str) -> Entry:
    hold = Hold(id=HOLD, what=HoldTarget(kind, name), at=AT, by="ada")
    return hold_placed(hold, at=AT, sealing=SEALING, by=PSEUDONYM, person=PSEUDONYM, in_flight=())


def fired(kind: HoldKind, name: str) -> Entry:
    return rule_fired(
        StopRule(name="r", watches="denied_rate"),
        at=AT,
        fired="held",
        since=AT,
        owner="scout",
        counted=(),
        value=2,
        what=HoldTarget(kind, name),
        hold=HOLD,
        entries=(),
    )


def taken(kind: RevocationKind, name: str) -> Entry:
    revocation = Revocation(what=RevocationTarget(kind, name), at=AT, by="ada")
    return revoked(revocation, at=AT, sealing=SEALING, by=PSEUDONYM, person=PSEUDONYM, in_flight=())


@pytest.mark.parametrize("kind", HOLD_KINDS)
def test_a_hold_is_found_by_the_name_of_what_it_holds(kind: HoldKind) -> None:
    found = (PSEUDONYM, PSEUDONYM) if kind == "owner" else ("x", "x" if kind in FOUND_BY else None)
    assert named(held(kind, "x"), kind) == found


@pytest.mark.parametrize("kind", ["agent", "instance", "mandate", "server", "tool", "capability"])
def test_a_rule_that_fired_is_found_by_the_name_of_what_it_stopped(kind: HoldKind) -> None:
    assert named(fired(kind, "x"), kind) == ("x", "x" if kind in FOUND_BY else None)


@pytest.mark.parametrize("kind", REVOCATION_KINDS)
def test_a_revocation_is_found_by_the_name_of_what_it_revoked(kind: RevocationKind) -> None:
    found = (PSEUDONYM, PSEUDONYM) if kind == "owner" else ("x", "x" if kind in FOUND_BY else None)
    assert named(taken(kind, "x"), kind) == found
    assert named(taken("agent", f"{SCHEME}a/b"), "instance") == (f"{SCHEME}a/b", f"{SCHEME}a/b")


def test_a_name_too_long_to_be_said_twice_is_said_once() -> None:
    for size, count in ((NAME_TOLD_TWICE_CHARS_MAX, 2), (NAME_TOLD_TWICE_CHARS_MAX + 1, 1)):
        name = "x" * size
        for entry in (held("agent", name), fired("agent", name), taken("agent", name)):
            assert named(entry, "agent").count(name) == count
