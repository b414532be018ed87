"""Port: the policy decision point (PDP), and the compiler and checker of policy sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.action.request import VerifiedRequest
    from answerable.core.canonical import JSONValue
    from answerable.core.decision.decision import Decision
    from answerable.core.decision.facts import Facts
    from answerable.core.registry.policy_sets.policy_fault import SetFault
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot


class DecisionPoint(Protocol):
    """Promises: deny by default; any evaluation error or request that cannot be evaluated is a deny; the decision
    carries the ids of the policies that determined it and the digest of the whole set; the same input gives the same
    decision.

    Synchronous, without I/O: it runs on the hot path. Never raises.
    """

    @property
    def policy_set(self) -> str:
        """Digest of the policy set in force, hex."""
        ...

    @property
    def policy_statement(self) -> bytes:
        """The policy set as recorded: JSON bytes of which `policy_set` is the SHA-256."""
        ...

    def decide(self, verified: VerifiedRequest, facts: Facts) -> Decision:
        """Decide one action."""
        ...

    def for_registry(self, snapshot: RegistrySnapshot) -> DecisionPoint | None:
        """This policy set for another registry, without compiling it again; None where anything that it was checked
        against differs. Decides as one that was compiled for that registry."""
        ...

    def may_list(self, agent: str, capability: str) -> bool:
        """Whether any policy could ever allow this agent this capability; errs on the side of True."""
        ...


class PolicyChecker(Protocol):
    """Find faults in policy sets that compile: names that nothing has, rules that can never match, groups without
    members. Promises: refuses nothing itself, and never raises. As slow as compiling."""

    def __call__(self, documents: Sequence[JSONValue], snapshot: RegistrySnapshot) -> tuple[SetFault, ...]:
        """Return the faults of every policy set among the documents. snapshot: of these documents."""
        ...


class PolicyCompiler(Protocol):
    """Promises: compiles no policy set that fails strict validation against the schema of the registered capabilities,
    or that has a missing or duplicate `@id`. Slow (milliseconds to a second): never on the hot path."""

    def __call__(self, policies: str, snapshot: RegistrySnapshot) -> DecisionPoint:
        """Compile a policy set. Raises Malformed (`policy.*`) that names every fault."""
        ...
