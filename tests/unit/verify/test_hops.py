"""The hops that an action came by, as a stranger reads them: of its mandate, in order, each by its token's entry."""

from __future__ import annotations

from pathlib import Path

import pytest

from answerable.core.canonical import JSONValue
from answerable.core.ledger.entry import Entry
from answerable.core.ledger.tags import Tag
from answerable.core.tlog.merkle import leaf_hash
from tests.worlds.ledger import BEGIN, ForgedLog, checked, end, entry, intent, prelude, references, rules

AT = BEGIN + 3
"""Where the intent stands."""


def hop(name: str, agent: str, parent: str = "", *, mandate: str = "m-1") -> Entry:
    """A cited hop."""
    members: dict[str, JSONValue] = {
        "agent": agent, "depth": 1 if parent else 0, "expires": 9, "form": "online", "hop": name, "kind": "hop",
        "mandate": mandate, "name": (name * 64)[:64], "parent": parent, "principal": "p",
    }  # fmt: skip
    return entry(Tag.CITED, members, b'"token"')


HOPS = (hop("a", "boss"), hop("b", "scout", "a"), hop("c", "scout", mandate="m-2"))


def came_by(*numbers: int, **changed: JSONValue) -> Entry:
    """An intent that names these hops, the last one changed."""
    agents, names = ("boss", "scout", "scout"), "abc"
    hops: list[JSONValue] = [
        {
            "agent": agents[number],
            "entry": BEGIN + number,
            "id": names[number],
            "leaf": leaf_hash(HOPS[number].leaf).hex(),
            **(changed if number == numbers[-1] else {}),
        }
        for number in numbers
    ]
    return intent("a-1", **{**references(), "hops": hops})


@pytest.mark.requirement("LINE-04")
@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize(
    ("rule", "begun"),
    [
        ("", came_by(0, 1)),
        ("reference.kind", came_by(1)),
        ("reference.kind", came_by(1, 0)),
        ("reference.kind", came_by(0)),
        ("reference.kind", came_by(0, 1, id="z")),
        ("reference.kind", came_by(0, 1, agent="rover")),
        ("reference.kind", came_by(0, 2)),
        ("reference.kind", came_by(2)),
        ("reference.leaf_hash", came_by(0, 1, entry=1)),
        ("reference.missing", came_by(0, 1, entry=0)),
        ("reference.order", came_by(0, 1, entry=AT)),
        ("reference.leaf_hash", came_by(0, 1, leaf="00" * 32)),
    ],
)
def test_hops_that_an_intent_names_stand_before_it_and_hang_together(
    tmp_path: Path, rule: str, begun: Entry, cut: bool
) -> None:
    entries = [*prelude(), *HOPS, begun, end(begun, AT, "a-1")]
    log = ForgedLog(directory=tmp_path, entries=entries, seals=(AT + 2,), cuts=(AT,) if cut else ())
    found = checked(log.written())
    assert rules(found) == ({rule} if rule else set())
    if rule:
        assert found.findings[0].index == AT


def consent(agent: str = "scout", parent: str = "a", *, mandate: str = "m-1") -> Entry:
    """What the holder of a hop consented to."""
    members: dict[str, JSONValue] = {
        "agent": agent, "depth": 1, "expires": 9, "form": "offline", "hop": "z", "kind": "consent",
        "mandate": mandate, "name": "c" * 64, "parent": parent, "principal": "p",
    }  # fmt: skip
    return entry(Tag.CITED, members, b'"token"')


def issued(agent: str = "scout", name: str = "d", **basis: JSONValue) -> Entry:
    """A hop that the token service issued below hop `a`, which is the boss's."""
    members: dict[str, JSONValue] = {
        "agent": agent, "depth": 1, "expires": 9, "form": "online", "hop": name, "kind": "hop",
        "mandate": "m-1", "name": (name * 64)[:64], "parent": "a", "principal": "p", **basis,
    }  # fmt: skip
    return entry(Tag.CITED, members, b'"token"')


ROOT_HOP = hop("a", "boss")
AGREED = consent()
FOR_IT: JSONValue = {"entry": BEGIN + 1, "leaf": leaf_hash(AGREED.leaf).hex()}


@pytest.mark.requirement("DELEG-15")
@pytest.mark.parametrize("cut", [0, 1, 2, 3])
@pytest.mark.parametrize(
    ("rule", "agreed", "last"),
    [
        pytest.param("", AGREED, issued(consent=FOR_IT), id="a consent"),
        pytest.param("", AGREED, issued("boss", own=True), id="a token of its own"),
        pytest.param("", AGREED, issued(consent={**FOR_IT, "log": "elsewhere.test"}), id="in another log"),
        pytest.param("consent.missing", AGREED, issued(own=True), id="the token of another agent"),
        pytest.param("consent.basis", AGREED, issued("boss", own=True, consent=FOR_IT), id="both"),
        pytest.param("reference.kind", consent("rover"), issued(consent=FOR_IT), id="for another agent"),
        pytest.param("reference.kind", consent(parent="b"), issued(consent=FOR_IT), id="below another hop"),
        pytest.param("reference.kind", consent(mandate="m-2"), issued(consent=FOR_IT), id="another mandate"),
        pytest.param("reference.kind", hop("z", "scout", "a"), issued(consent=FOR_IT), id="a hop"),
        pytest.param("reference.leaf_hash", AGREED, issued(consent={**FOR_IT, "leaf": "00" * 32}), id="leaf"),
        pytest.param("reference.order", AGREED, issued(consent={**FOR_IT, "entry": BEGIN + 3}), id="later"),
        pytest.param("consent.missing", AGREED, issued(name="e"), id="nothing said, after it was said once"),
    ],
)
def test_a_hop_below_another_was_consented_to_or_is_its_holders_own(
    tmp_path: Path, rule: str, agreed: Entry, last: Entry, cut: int
) -> None:
    """However the log is cut in stretches that are read by themselves."""
    if rule == "reference.kind":
        named: JSONValue = {"entry": BEGIN + 1, "leaf": leaf_hash(agreed.leaf).hex()}
        last = issued(consent=named)
    said = issued("boss", "f", own=True)
    entries = [*prelude(), ROOT_HOP, agreed, said, last]
    cuts = (BEGIN + cut,) if cut else ()
    log = ForgedLog(directory=tmp_path, entries=entries, seals=(len(entries),), cuts=cuts)
    found = checked(log.written())
    assert rules(found) == ({rule} if rule else set())


@pytest.mark.requirement("DELEG-14")
@pytest.mark.parametrize("cut", [0, 1, 2])
def test_hops_from_before_consents_were_written_down_stay_valid(tmp_path: Path, cut: int) -> None:
    entries = [*prelude(), ROOT_HOP, issued(), issued("boss", "f", own=True)]
    log = ForgedLog(
        directory=tmp_path, entries=entries, seals=(len(entries),), cuts=(BEGIN + cut,) if cut else ()
    )
    assert rules(checked(log.written())) == set()
