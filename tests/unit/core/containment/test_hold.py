"""Holds as values: their names, their ends, what is signed, and how many must lift them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from answerable.core.containment.hold import (
    EVERYTHING,
    HOLD_KINDS,
    Hold,
    HoldId,
    HoldTarget,
    described,
    hold_id,
    holdable,
)
from answerable.core.containment.reach import reach_of, server_reach
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.mandate.revocation import RevocationTarget
from answerable.errors import Malformed
from tests.worlds.policy import CAPABILITIES, REGISTRY

SOUND = {
    "agent": "scout",
    "instance": "spiffe://example.org/agent/scout/1",
    "mandate": "m-1",
    "hop": "h" * 43,
    "tool": "crm/get_case",
    "server": "crm",
    "capability": "crm.read",
    "credential": "github-app",
    "key": "k" * 43,
    "manifest": "a" * 64,
    "owner": "alice",
    "vendor": "model-maker",
    "trust_domain": "example.org",
    "environment": "production",
    "tenant": "north",
    "everything": "",
}


def sample(**changes: object) -> Hold:
    plain = Hold(id=HoldId("hold_" + "a" * 22), what=EVERYTHING, at=UnixMillis(1_000), by="alice")
    return replace(plain, **changes)


def test_every_kind_has_a_name_a_description_and_a_code_of_its_own():
    assert SOUND.keys() == set(HOLD_KINDS)
    for kind, name in SOUND.items():
        what = holdable(kind, name)
        assert what == (kind, name)
        refused = sample(what=what).refusal()
        assert refused.code == f"held.{kind}" == sample(what=what).fact().rule
        assert refused.message == f"{described(what)} is held: nothing is done until the hold is lifted"
        assert name in described(what)


@pytest.mark.parametrize(
    ("kind", "name", "code"),
    [
        ("everybody", "x", "hold.kind"),
        ("everything", "x", "hold.name"),
        ("agent", "spiffe://example.org/agent/scout/1", "hold.name"),
        ("instance", "scout", "hold.name"),
        ("instance", "spiffe://example.org", "revocation.name"),
        ("tool", "get_case", "hold.name"),
        ("tool", "CRM/get_case", "name.invalid"),
        ("tool", "crm/", "name.invalid"),
        ("tool", "crm/{case}", "name.invalid"),
        ("server", "", "name.invalid"),
        ("tenant", "North", "name.invalid"),
        ("credential", "two words", "hold.name"),
        ("credential", "", "hold.name"),
        ("key", "short", "revocation.name"),
        ("owner", "Alice B", "name.invalid"),
    ],
)
def test_a_name_that_is_none_is_refused_with_what_was_expected(kind, name, code):
    with pytest.raises(Malformed) as raised:
        holdable(kind, name)
    assert raised.value.code == code


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"id": HoldId("hold_1")}, "hold.id"),
        ({"reason": "x" * 501}, "hold.reason"),
        ({"reason": "a\nb"}, "hold.reason"),
        ({"expires_at": 1_000}, "hold.expiry"),
        ({"expires_at": 2**53}, "hold.expiry"),
    ],
)
def test_what_cannot_be_a_hold_is_none(wrong, code):
    with pytest.raises(Malformed) as raised:
        sample(**wrong)
    assert raised.value.code == code


def test_an_id_is_made_of_chance_and_reads_as_one():
    assert sample(id=hold_id(b"\0" * 16)).id == "hold_" + "A" * 22


@pytest.mark.parametrize(
    ("by", "source", "persons"),
    [("alice", "person", 1), ("uid:1000", "person", 2), ("uid:0", "panic", 2), ("uid:0", "drill", 2),
     ("rule:canary", "rule", 1), ("erased:pseudonym", "person", 2)],
)  # fmt: skip
def test_one_person_lifts_what_a_known_person_or_a_rule_placed_and_two_what_anybody_could_have(
    by, source, persons
):
    assert sample(by=by, source=source).persons_to_lift == persons


def test_what_is_signed_changes_with_whatever_was_placed_and_with_nothing_else():
    plain = sample()
    others = [
        sample(id=HoldId("hold_" + "b" * 22)), sample(what=HoldTarget("server", "crm")), sample(at=UnixMillis(1_001)),
        sample(by="bob"), sample(reason="why"), sample(expires_at=2_000), sample(source="rule"), sample(rule="canary"),
    ]  # fmt: skip
    assert len({plain.digest, *(one.digest for one in others)}) == 9
    assert sample(lifted_at=5).digest == plain.digest


def test_who_lifted_is_nobody_while_it_is_not_lifted():
    assert sample().lifted_by == ()


def test_tokens_are_held_as_the_hops_that_they_are_and_unknown_servers_by_their_name_alone():
    assert reach_of([RevocationTarget("token", "t-1")], REGISTRY) == (EVERYTHING,)
    assert server_reach("nowhere", REGISTRY) == (HoldTarget("server", "nowhere"), EVERYTHING)
    used = CAPABILITIES["crm.note.write"]
    read = replace(used, method="resources/read", target="crm://{case}")
    assert not any(one.kind == "tool" for one in reach_of((), REGISTRY, capability=read))
