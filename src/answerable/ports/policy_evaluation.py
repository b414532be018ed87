"""Port: asking a policy set questions that were written down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from answerable.core.decision.asked import CannotTell
    from answerable.core.decision.decision import Decision
    from answerable.core.registry.documents.policy_parts import PolicyParts
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot


class PolicyAsking(Protocol):
    """Promises: a question that this very set decided gets the same decision; what a question does not hold is told and
    never guessed. Synchronous, without I/O, and not for the hot path.
    """

    @property
    def policy_set(self) -> str:
        """Digest of the set that is asked, hex."""
        ...

    def ask(self, question: bytes, *, counted_by: PolicyParts | None) -> Decision | CannotTell:
        """What the set decides. counted_by: what the set in force then declared; None where that is not known.

        Raises Malformed (`question.*`).
        """
        ...


class AskingCompiler(Protocol):
    """Promises: refuses what `PolicyCompiler` refuses. Slow, like it."""

    def __call__(self, policies: str, snapshot: RegistrySnapshot) -> PolicyAsking:
        """Compile a policy set to be asked. Raises Malformed (`policy.*`) that names every fault."""
        ...
