"""Track which documents are in force in this process, and which another process has stored since.

Laws: documents that another process stored come into force only through an explicit takeover of their prepared form; an
earlier observation never replaces a later one, or documents put into force later.
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
"""Prefix of the keys of policy sets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """Documents by `kind/name`, with the snapshot and index built from them."""

    documents: Mapping[str, bytes]
    snapshot: RegistrySnapshot
    index: CapabilityIndex


def in_force(documents: Mapping[str, bytes]) -> InForce:
    """Build the snapshot and index of stored documents; slow for many. Raises Malformed (`registry.*`, `json.*`)."""
    kept = dict(documents)
    return built(kept, snapshot_of(documents_in(kept)))


def built(documents: Mapping[str, bytes], snapshot: RegistrySnapshot) -> InForce:
    """Build the index of stored documents whose snapshot is there already."""
    index = CapabilityIndex(snapshot.capabilities.values())
    return InForce(documents=dict(documents), snapshot=snapshot, index=index)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coming:
    """Documents that another process stored. number: order of observation in this process. only_policies: whether only
    policy sets differ from what is in force."""

    number: int
    documents: Mapping[str, bytes]
    only_policies: bool


class DocumentsInForce:
    """The documents in force in this process, and those waiting for takeover. For one thread at a time."""

    __slots__ = ("_seen", "_void", "coming", "present")

    def __init__(self) -> None:
        self.present = in_force({})
        self.coming: Coming | None = None
        """The latest documents that another process stored; None if those are in force."""
        self._seen = 0
        self._void = 0

    def put(self, made: InForce) -> None:
        """Put into force what this process has stored itself, and discard everything observed before."""
        self.present, self.coming, self._void = made, None, self._seen

    def see(self, documents: Mapping[str, bytes]) -> None:
        """Observe the documents that are stored now, by whichever process."""
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
        """Put the waiting documents into force, unless something later is in force. Return whether they were."""
        if coming.number <= self._void:
            return False
        self.present, self._void = made, coming.number
        if self.coming is not None and self.coming.number == coming.number:
            self.coming = None
        return True
