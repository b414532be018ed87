"""Approvals that are alike but for what a test says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from answerable.core.approval.card import card_of
from answerable.core.approval.features import features_of
from answerable.core.approval.grouping import Group, Grouped, grouped
from answerable.core.canonical import freeze
from answerable.testing.samples import approval

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.approval.approval import Approval
    from answerable.core.canonical import JSONValue


def payment(number: int, *, members: dict[str, JSONValue] | None = None, **arguments: JSONValue) -> Approval:
    """A payment of the high tier to one payee, each with its invoice. members: of the action object, as they differ."""
    made = approval(f"p-{number:04d}")
    envelope = made.shown.thaw()
    assert isinstance(envelope, dict)
    value = envelope["value"]
    assert isinstance(value, dict)
    assert isinstance(value["effects"], dict)
    value["effects"] = {**value["effects"], "tier": 2}
    said: dict[str, JSONValue] = {
        "amount": 100 + number % 50,
        "invoice": f"INV-{number:04d}",
        "payee": "Acme GmbH",
        **arguments,
    }
    value["arguments"] = {name: one for name, one in said.items() if one is not None}
    value.update(members or {})
    shown = freeze(envelope)
    action = freeze({name: value[name] for name in ("arguments", "method", "server", "target")})
    return replace(made, shown=shown, card=card_of(shown), action=action)


def payments(count: int, **odd: Approval) -> list[Approval]:
    """So many; odd: by `n137`, what stands in a place instead."""
    return [odd.get(f"n{number}") or payment(number) for number in range(count)]


def groups_of(waiting: Iterable[Approval]) -> Grouped:
    return grouped(waiting, features_of)


def only_group(waiting: Iterable[Approval]) -> Group:
    """The one group that they are, with nobody beside it."""
    found = groups_of(waiting)
    assert not found.alone
    (group,) = found.groups
    return group
