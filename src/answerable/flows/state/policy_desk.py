"""The policy set in force, and state of policy publishing, simulation and shadowing in this process."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from answerable.core.decision.compared import ShadowSeen
    from answerable.core.registry.documents.policy_parts import PolicyParts
    from answerable.flows.state.stop_rules import Bell
    from answerable.ports.decision_point import DecisionPoint, PolicyChecker, PolicyCompiler
    from answerable.ports.policy_evaluation import AskingCompiler, PolicyAsking
    from answerable.ports.policy_register import PolicyRegister


@dataclass(slots=True, kw_only=True)
class Declared:
    """Statements of this log's earlier policy sets, by the digest that decisions name, as far as the log was read."""

    read_to: int = 0
    parts: dict[str, PolicyParts] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class PolicyState:
    """The policy set in force, and publishing and trying of others.

    `decision_point`: of the set in force; publishing another replaces it. `registered`: bells that ring when new
    documents are in force, one for each follower.

    `publishers`: group whose members put other people's proposals into force; empty if one person is enough, on
    record.

    `records`: proposals and earlier sets; None if they are not stored, and then nothing can be proposed. `check`:
    checks of sets that could be published; None for no checks.

    `candidate`: the registry documents of the candidate in simulation, with its name. `compile_asking`: compiles
    candidates for evaluation; None if nothing can be shadowed. `shadow`: the candidate that is evaluated beside live
    decisions, with its name. `seen`: progress of the shadow in this log; None until looked up. `declared`: of
    earlier sets.
    """

    decision_point: DecisionPoint
    compile_policies: PolicyCompiler
    registered: list[Bell] = field(default_factory=list)
    publishers: str = ""
    records: PolicyRegister | None = None
    check: PolicyChecker | None = None
    compile_asking: AskingCompiler | None = None
    candidate: tuple[str, tuple[str, ...]] | None = None
    shadow: tuple[str, PolicyAsking] | None = None
    seen: ShadowSeen | None = None
    declared: Declared = field(default_factory=Declared)
