"""Port: evaluate recorded policy questions against a policy set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from answerable.core.decision.asked import CannotTell
    from answerable.core.decision.decision import Decision
    from answerable.core.registry.documents.policy_parts import PolicyParts
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot


class PolicyAsking(Protocol):
    """Promises: a question that this same set decided gets the same decision; data missing from a question is reported,
    never guessed. Synchronous, without I/O, and not for the hot path."""

    @property
    def policy_set(self) -> str:
        """Digest of the evaluated policy set, hex."""
        ...

    def ask(self, question: bytes, *, counted_by: PolicyParts | None) -> Decision | CannotTell:
        """Evaluate a recorded question. counted_by: the counters that the set in force at that time declared; None
        where unknown.

        Raises Malformed (`question.*`).
        """
        ...


class AskingCompiler(Protocol):
    """Promises: refuses what `PolicyCompiler` refuses. As slow."""

    def __call__(self, policies: str, snapshot: RegistrySnapshot) -> PolicyAsking:
        """Compile a policy set for evaluation. Raises Malformed (`policy.*`) that names every fault."""
        ...
