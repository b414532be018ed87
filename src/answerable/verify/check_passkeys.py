"""Attribute the passkeys with which people answered, by the entries that record who registered them.

Law: an answer by a passkey that another person registered, or that was registered only afterwards, is a fault. A
passkey's signature does not cover the person's name, so without such an entry nobody can tell whose passkey it is: the
check counts the answer. An answer in flight while its passkey was removed is still its person's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from answerable.core.approval.assurance_level import held_strength
from answerable.verify.leaf_rules import Fault
from answerable.verify.passkey_shapes import PasskeyLeaf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.verify.leaf_types import Leaf


class ShownPasskeys:
    """Collects passkeys and answers. unread: answers whose passkey no disclosed entry registers."""

    def __init__(self) -> None:
        self.unread = 0
        self._people: dict[str, dict[str, int]] = {}
        self._answered: list[tuple[int, str, str]] = []
        self._hardware: dict[str, bool] = {}

    def take(self, index: int, leaf: Leaf) -> None:
        """Take the next entry."""
        if isinstance(leaf, PasskeyLeaf) and leaf.change == "added" and UNSET not in (leaf.key, leaf.person):
            self._people.setdefault(str(leaf.key), {}).setdefault(str(leaf.person), index)
            strong = held_strength(
                attested=leaf.attested is True, backup_eligible=leaf.backup_eligible is not False
            )
            self._hardware[str(leaf.key)] = strong == "hardware"

    def is_hardware(self, key: str) -> bool | None:
        """Whether a passkey cannot be copied and is attested; None if no disclosed entry says so. key: thumbprint."""
        return self._hardware.get(key)

    def answered(self, index: int, person: str, key: str) -> None:
        """Take an answer. person: pseudonym in its entry. key: thumbprint of the passkey that signed it."""
        self._answered.append((index, person, key))

    def faults(self) -> Iterator[tuple[int, Fault]]:
        """Yield every fault. Call once, after the last entry."""
        for index, person, key in self._answered:
            people = self._people.get(key)
            if people is None:
                self.unread += 1
            elif people.get(person, index) >= index:
                yield (
                    index,
                    Fault(
                        "approval.passkey", ("the entry is signed with a passkey that is not its person's")
                    ),
                )
