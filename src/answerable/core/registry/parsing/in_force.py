"""Which documents are in force in one process, and which another process has stored since.

Laws: what another process stored comes into force only when somebody takes it over, ready made; what was seen earlier
never replaces what was seen, or put into force, later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.registry.parsing.active import documents_in, snapshot_of
from answerable.core.registry.snapshot.resolve import CapabilityIndex

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot

POLICY_SET: Final = "PolicySet/"
"""How the keys of policy sets begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """Documents, by `kind/name`, with what is made of them."""

    documents: Mapping[str, bytes]
    snapshot: RegistrySnapshot
    index: CapabilityIndex


def in_force(documents: Mapping[str, bytes]) -> InForce:
    """What is made of stored documents; of many it takes long. Raises Malformed (`registry.*`, `json.*`)."""
    kept = dict(documents)
    snapshot = snapshot_of(documents_in(kept))
    return InForce(documents=kept, snapshot=snapshot, index=CapabilityIndex(snapshot.capabilities.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Coming:
    """Documents that another process stored. number: which of its kind, counted by who saw it. only_policies: whether
    nothing but policy sets differs from what is in force."""

    number: int
    documents: Mapping[str, bytes]
    only_policies: bool


class DocumentsInForce:
    """The documents of one process, and what is coming. For one thread at a time."""

    __slots__ = ("_seen", "_void", "coming", "present")

    def __init__(self) -> None:
        self.present = in_force({})
        self.coming: Coming | None = None
        """The latest that another process stored; None where these are in force."""
        self._seen = 0
        self._void = 0

    def put(self, made: InForce) -> None:
        """What this process has stored itself is in force, and nothing that was seen before it comes any more."""
        self.present, self.coming, self._void = made, None, self._seen

    def see(self, documents: Mapping[str, bytes]) -> None:
        """What is stored now, whoever stored it."""
        if documents == self.present.documents:
            self.coming, self._void = None, self._seen
        elif self.coming is None or documents != self.coming.documents:
            self._seen += 1
            others = documents.items() ^ self.present.documents.items()
            self.coming = Coming(
                number=self._seen,
                documents=dict(documents),
                only_policies=all(key.startswith(POLICY_SET) for key, _ in others),
            )

    def take_over(self, coming: Coming, made: InForce) -> bool:
        """Put into force what was coming, unless something later is; says whether it was."""
        if coming.number <= self._void:
            return False
        self.present, self._void = made, coming.number
        if self.coming is not None and self.coming.number == coming.number:
            self.coming = None
        return True
