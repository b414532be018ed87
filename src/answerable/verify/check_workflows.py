"""Workflows as the registry's entries show them, and whether an answer is by a key that one had when it answered.

Laws: what changes a workflow and is not shown makes its answers unread, never right; of one that no entry shows
nothing is said; a workflow that was removed, or disabled, has no key. An answer by documents that no entry has put into
force since the workflow's last change that is shown, as where another shard's log has the change, is by what is not
shown: nobody can tell.
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
    """Fed with the registry's entries in their order."""

    def __init__(self) -> None:
        self._documents: dict[str, JSONValue] = {}
        self._count = 0
        # By workflow the change that its document is of; by digest the last change that put these documents into force.
        self._changed: dict[str, int] = {}
        self._in_force: dict[str, int] = {}

    def take_change(self, fields: Mapping[str, bytes], named: Sequence[str], after: str) -> None:
        """The next change of the registry. named: workflows that its leaf says it changed. after: digest of all
        documents from then on. Raises Malformed (`json.*`)."""
        self._count += 1
        self._in_force[after] = self._count
        if "changes" not in fields:
            # Another one from here on, and a leaf has not room for every name.
            for name in named if len(named) < WORKFLOWS_NAMED_MAX else [*self._documents]:
                self._documents.pop(name, None)
            return
        changes = parse(fields["changes"])
        for name, document in changes.items() if isinstance(changes, dict) else ():
            if name.startswith(WORKFLOW):
                self._documents[name.removeprefix(WORKFLOW)] = document
                self._changed[name.removeprefix(WORKFLOW)] = self._count

    def fault(self, name: str, signer: str, person: str) -> Fault | None:
        """What is wrong with an answer of a workflow that this public JWK signed, and whose owner the entry names as
        this person; None where nothing is."""
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
        """Whether these documents came into force with the workflow's as it is shown, or after it."""
        return self._in_force.get(registry, 0) >= self._changed.get(name, 0)

    def is_told(self, name: str) -> bool:
        """Whether its document is shown as it stood."""
        return name in self._documents


def _thumbprints(keys: list[JSONValue]) -> set[str]:
    found: set[str] = set()
    for key in keys:
        try:
            found.add(public_key(encode(key).decode()).thumbprint)
        except AnswerableError:
            continue
    return found
