"""The hops that an action came by, as a stranger reads them: of its mandate, in order, each by its token's entry."""

from __future__ import annotations

from pathlib import Path

import pytest

from answerable.core.canonical import JSONValue
from answerable.core.ledger.entry import Entry
from answerable.core.ledger.tags import Tag
from answerable.core.tlog.merkle import leaf_hash
from tests.ledger_world import BEGIN, ForgedLog, checked, end, entry, intent, prelude, references, rules

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
