"""Whose passkeys they are with which people answered, by the entries that say who brought them in.

Law: an answer by a passkey that was brought in by another person than answers, or only afterwards, is a fault. The
person stands beside a passkey's signature and not under it, so that without such an entry nobody can tell whose it is:
that is counted. An answer that was on its way while its passkey was taken away still is theirs.
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
    """unread: answers whose passkey no entry that is shown has brought in."""

    def __init__(self) -> None:
        self.unread = 0
        self._people: dict[str, dict[str, int]] = {}
        self._answered: list[tuple[int, str, str]] = []
        self._hardware: dict[str, bool] = {}

    def take(self, index: int, leaf: Leaf) -> None:
        """The next entry."""
        if isinstance(leaf, PasskeyLeaf) and leaf.change == "added" and UNSET not in (leaf.key, leaf.person):
            self._people.setdefault(str(leaf.key), {}).setdefault(str(leaf.person), index)
            strong = held_strength(
                attested=leaf.attested is True, backup_eligible=leaf.backup_eligible is not False
            )
            self._hardware[str(leaf.key)] = strong == "hardware"

    def is_hardware(self, key: str) -> bool | None:
        """Whether a passkey is one that cannot be copied and was vouched for; None where no entry that is shown says
        so. key: thumbprint."""
        return self._hardware.get(key)

    def answered(self, index: int, person: str, key: str) -> None:
        """An answer. person: pseudonym of its entry. key: thumbprint of the passkey that signed it."""
        self._answered.append((index, person, key))

    def faults(self) -> Iterator[tuple[int, Fault]]:
        """Everything that is wrong. Asked once, after all entries."""
        for index, person, key in self._answered:
            people = self._people.get(key)
            if people is None:
                self.unread += 1
            elif people.get(person, index) >= index:
                yield index, Fault("approval.passkey", "it is signed with a passkey that is not its person's")
