"""Track workflows through the registry's entries, and check that a workflow's answer is by a key that it had at the
time.

Laws: an undisclosed change of a workflow makes its answers unread, never valid; nothing is claimed about a workflow
that no entry discloses; a removed or disabled workflow has no key. An answer under registry documents that no entry has
put into force since the workflow's last disclosed change (another shard's log may have the change) counts as unread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.canonical import encode, parse
from answerable.core.identity.keys.keys import public_key
from answerable.core.ledger.records_statements import WORKFLOWS_NAMED_MAX
from answerable.core.registry.documents.documents import WORKFLOW
from answerable.errors import AnswerableError
from answerable.verify.leaf_rules import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from answerable.core.canonical import JSONValue


class ShownWorkflows:
    """Takes the registry's entries in log order."""

    def __init__(self) -> None:
        self._documents: dict[str, JSONValue] = {}
        self._count = 0
        # By workflow: the number of the change that set its document. By digest: the last change that put these
        # documents into force.
        self._changed: dict[str, int] = {}
        self._in_force: dict[str, int] = {}

    def take_change(self, fields: Mapping[str, bytes], named: Sequence[str], after: str) -> None:
        """Take the next change of the registry.

        named: workflows that its leaf lists as changed. after: digest of all documents from this change on. Raises
        Malformed (`json.*`).
        """
        self._count += 1
        self._in_force[after] = self._count
        if "changes" not in fields:
            # The document differs from here on. A full list may be cut, so then every workflow is unknown.
            for name in named if len(named) < WORKFLOWS_NAMED_MAX else [*self._documents]:
                self._documents.pop(name, None)
            return
        changes = parse(fields["changes"])
        for name, document in changes.items() if isinstance(changes, dict) else ():
            if name.startswith(WORKFLOW):
                self._documents[name.removeprefix(WORKFLOW)] = document
                self._changed[name.removeprefix(WORKFLOW)] = self._count

    def fault(self, name: str, signer: str, person: str) -> Fault | None:
        """Return the fault in an answer that a workflow gave, signed by this public JWK and with this person as its
        owner by the entry; None if there is none."""
        document = self._documents.get(name)
        spec = document.get("spec") if isinstance(document, dict) else None
        if not isinstance(spec, dict) or spec.get("status") == "disabled":
            return Fault("approval.workflow", f"no workflow {name} was in force when it answered")
        ownership = spec.get("ownership")
        owner = ownership.get("owner") if isinstance(ownership, dict) else None
        if owner != person:
            return Fault("approval.workflow", f"workflow {name} was not {person}'s when it answered")
        keys = spec.get("keys")
        if public_key(signer).thumbprint not in _thumbprints(keys if isinstance(keys, list) else []):
            return Fault("approval.workflow", f"the key that signed was none of workflow {name}'s")
        return None

    def is_since(self, name: str, registry: str) -> bool:
        """Whether these documents came into force with, or after, the workflow's last disclosed change."""
        return self._in_force.get(registry, 0) >= self._changed.get(name, 0)

    def is_told(self, name: str) -> bool:
        """Whether the workflow's current document is disclosed."""
        return name in self._documents


def _thumbprints(keys: list[JSONValue]) -> set[str]:
    found: set[str] = set()
    for key in keys:
        try:
            found.add(public_key(encode(key).decode()).thumbprint)
        except AnswerableError:
            continue
    return found
