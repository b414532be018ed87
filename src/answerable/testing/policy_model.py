"""A small independent model of permit, forbid, errors, lifting and obligations in plain Python, to test the decision
point.

It shares no code with the product's decision path: a policy is its head, one of a few conditions and what may lift it,
rendered as Cedar text by `text` and evaluated here by `satisfied`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Literal, TypeAlias

ModelValue: TypeAlias = "str | int | bool | tuple[str, ...]"
Verdict: TypeAlias = "bool | None"
"""None: the condition could not be evaluated."""

LONG_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCase:
    """One attempted action with the attributes that policies read. Absent arguments are left out.

    history: by tracker. frozen: whether the window `freeze` is active. risk: the score, by the existing factors.
    """

    agent: str
    use_case: str
    agent_environment: str
    capability: str
    kind: str
    environment: str
    tier: int
    resource_type: str
    resource_id: str
    calls_used: int
    proof: str
    arguments: Mapping[str, ModelValue] = field(default_factory=dict)
    history: Mapping[str, int] = field(default_factory=dict)
    frozen: bool = False
    risk: int = 0
    calls_left: int = 0

    def integer(self, name: str) -> int | None:
        """Return an integer argument, None if absent."""
        value = self.arguments.get(name)
        return value if isinstance(value, int) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition in two forms: as Cedar's `when` text and as a function."""

    text: str
    holds: Callable[[ModelCase], Verdict]


def _amount_over(limit: int) -> Condition:
    def holds(case: ModelCase) -> Verdict:
        amount = case.integer("amount")
        return amount is not None and amount > limit

    return Condition(text=f"context.arguments has amount && context.arguments.amount > {limit}", holds=holds)


def _overflowing(case: ModelCase) -> Verdict:
    amount = case.integer("amount")
    if amount is None:
        return False
    return None if amount > 0 else amount + LONG_MAX > 0


def _rate_below(case: ModelCase) -> Verdict:
    rate = case.arguments.get("rate")
    return isinstance(rate, str) and Decimal(rate) < Decimal("1.5")


def _tagged(case: ModelCase) -> Verdict:
    tags = case.arguments.get("tags")
    return isinstance(tags, tuple) and "urgent" in tags


CONDITIONS: Final[tuple[Condition, ...]] = (
    _amount_over(500_000),
    _amount_over(0),
    Condition(
        text="context.arguments has amount && context.arguments.amount + 9223372036854775807 > 0",
        holds=_overflowing,
    ),
    Condition(
        text='context.arguments has rate && context.arguments.rate.lessThan(decimal("1.5"))',
        holds=_rate_below,
    ),
    Condition(text='context.arguments has tags && context.arguments.tags.contains("urgent")', holds=_tagged),
    Condition(
        text="(if context.capability.reversible then context else context).task.calls_used >= 5",
        holds=lambda case: case.calls_used >= 5,
    ),
    Condition(text='context.task.use_case == "support"', holds=lambda case: case.use_case == "support"),
    Condition(
        text='context.capability.environment == "production" && context.capability.tier >= 2',
        holds=lambda case: case.environment == "production" and case.tier >= 2,
    ),
    Condition(
        text='principal.environment == "staging"', holds=lambda case: case.agent_environment == "staging"
    ),
    Condition(
        # The capability has an environment, too, which slicing writes into the policy.
        text='context.agent.environment == "staging"',
        holds=lambda case: case.agent_environment == "staging",
    ),
    Condition(text='context.proof == "mtls"', holds=lambda case: case.proof == "mtls"),
    Condition(text="context.now < 0", holds=lambda case: False),
    Condition(
        text="context.history.paid_today > 0", holds=lambda case: case.history.get("paid_today", 0) > 0
    ),
    Condition(
        text="context.history.paid_today + 9223372036854775807 > context.history.started_here",
        holds=lambda case: None if case.history.get("paid_today", 0) > 0 else True,
    ),
    Condition(text="context.windows.freeze", holds=lambda case: case.frozen),
    Condition(text="context.risk.score >= 50", holds=lambda case: case.risk >= 50),
    Condition(
        text="context.budget.calls_left < 3 || context.budget has money_left",
        holds=lambda case: case.calls_left < 3,
    ),
    Condition(text="context.chain.depth > 0", holds=lambda case: False),
    Condition(
        text='context.destination.class == "none" && !(context.destination.names.contains("x"))',
        holds=lambda case: True,
    ),
)


def both(left: Condition, right: Condition) -> Condition:
    """Return the conjunction. The second is not evaluated if the first does not hold, so that its error does not
    count."""

    def holds(case: ModelCase) -> Verdict:
        return right.holds(case) if (first := left.holds(case)) else first

    return Condition(text=f"({left.text}) && ({right.text})", holds=holds)


def either(left: Condition, right: Condition) -> Condition:
    """Return the disjunction. The second is not evaluated if the first holds."""

    def holds(case: ModelCase) -> Verdict:
        first = left.holds(case)
        return right.holds(case) if first is False else first

    return Condition(text=f"({left.text}) || ({right.text})", holds=holds)


def negated(inner: Condition) -> Condition:
    """Return the negation. An error stays an error."""

    def holds(case: ModelCase) -> Verdict:
        verdict = inner.holds(case)
        return None if verdict is None else not verdict

    return Condition(text=f"!({inner.text})", holds=holds)


def chosen(test: Condition, yes: Condition, no: Condition) -> Condition:
    """Return the conditional. Only the branch taken is evaluated."""

    def holds(case: ModelCase) -> Verdict:
        verdict = test.holds(case)
        if verdict is None:
            return None
        return (yes if verdict else no).holds(case)

    return Condition(text=f"if {test.text} then {yes.text} else {no.text}", holds=holds)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPolicy:
    """One policy. principal: `Agent::x`, `UseCase::x` or empty. actions: capabilities and kinds, empty for any.

    resource_type, resource_id: empty for any. approve: group and count of the people who may lift this forbid. oblige:
    obligations that may lift it, each in its one spelling; with both, both are required. typed: heads are spelt `is
    Agent in ..`, which means the same.
    """

    id: str
    effect: Literal["permit", "forbid"]
    principal: str = ""
    actions: tuple[str, ...] = ()
    resource_type: str = ""
    resource_id: str = ""
    condition: Condition | None = None
    approve: tuple[str, int] | None = None
    oblige: tuple[str, ...] = ()
    typed: bool = False

    def text(self) -> str:
        """Return the policy as Cedar text."""
        kind, _, name = self.principal.partition("::")
        is_agent = " is Agent" if self.typed else ""
        principal = f"principal{is_agent}"
        if kind:
            sign = "==" if kind == "Agent" and not self.typed else "in"
            principal += f' {sign} {kind}::"{name}"'
        actions = ", ".join(f'Action::"{action}"' for action in self.actions)
        resource = "resource"
        if self.resource_id:
            sign = f"is {self.resource_type} in" if self.typed else "=="
            resource = f'resource {sign} {self.resource_type}::"{self.resource_id}"'
        elif self.resource_type:
            resource = f"resource is {self.resource_type}"
        lines = [f'@id("{self.id}")', f'@reason("because of {self.id}")']
        if self.approve is not None:
            lines.append(f'@approve("{self.approve[0]}:{self.approve[1]}")')
        if self.oblige:
            obligations = "; ".join(self.oblige).replace("\\", "\\\\").replace('"', '\\"')
            lines.append(f'@oblige("{obligations}")')
        lines.append(
            f"{self.effect}({principal}, {f'action in [{actions}]' if actions else 'action'}, {resource})"
        )
        if self.condition is not None:
            lines.append(f"when {{ {self.condition.text} }}")
        return "\n".join(lines) + ";\n"

    def satisfied(self, case: ModelCase) -> Verdict:
        """Evaluate the policy: False if the head does not match, whatever the condition; None if the condition cannot
        be evaluated."""
        if self.principal not in ("", f"Agent::{case.agent}", f"UseCase::{case.use_case}"):
            return False
        if self.actions and case.capability not in self.actions and case.kind not in self.actions:
            return False
        if self.resource_type not in ("", case.resource_type) or self.resource_id not in (
            "",
            case.resource_id,
        ):
            return False
        return True if self.condition is None else self.condition.holds(case)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDecision:
    """The expected decision. determined_by, lifted: ids of policies or rules; sets, because the model has no order.
    obligations: likewise."""

    effect: Literal["allow", "deny", "defer"]
    determined_by: frozenset[str]
    lifted: frozenset[str] = frozenset()
    obligations: frozenset[str] = frozenset()


def expected(
    policies: tuple[ModelPolicy, ...], case: ModelCase, approvers: Mapping[str, int] | None = None
) -> ModelDecision:
    """Return the decision that the product must make. approvers: distinct people who approved, by group; None if nobody
    was asked."""
    verdicts = {policy: policy.satisfied(case) for policy in policies}
    if None in verdicts.values():
        return ModelDecision(effect="deny", determined_by=frozenset({"policy.error"}))
    satisfied = [policy for policy, verdict in verdicts.items() if verdict]
    permits = frozenset(policy.id for policy in satisfied if policy.effect == "permit")
    forbids = [policy for policy in satisfied if policy.effect == "forbid"]
    named = frozenset(policy.id for policy in forbids)
    if not forbids:
        if permits:
            return ModelDecision(effect="allow", determined_by=permits)
        return ModelDecision(effect="deny", determined_by=frozenset({"policy.default_deny"}))
    if any(policy.approve is None and not policy.oblige for policy in forbids):
        return ModelDecision(effect="deny", determined_by=named)
    if not permits:
        return ModelDecision(effect="deny", determined_by=named | {"policy.default_deny"})
    obligations = frozenset(text for policy in forbids for text in policy.oblige)
    if {"log:full", "log:digest"} <= obligations:
        return ModelDecision(effect="deny", determined_by=named | {"obligation.conflict"})
    needed = [policy.approve for policy in forbids if policy.approve is not None]
    met = approvers is not None and all(approvers.get(group, 0) >= count for group, count in needed)
    if needed and not met:
        return ModelDecision(effect="defer", determined_by=named, obligations=obligations)
    return ModelDecision(effect="allow", determined_by=permits, lifted=named, obligations=obligations)
