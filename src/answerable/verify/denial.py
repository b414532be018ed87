"""Explain in plain words why an action was denied or deferred, and find the smallest change that would have allowed it.

Laws: every reported change has been evaluated against the mandate and the policies in force, with nothing else changed;
if no change is found, the explanation says so, and that does not prove that there is none.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import msgspec

from answerable.core.decision.asked import read_question
from answerable.core.decision.decision import DEFAULT_DENY
from answerable.core.decision.risk import risk_of
from answerable.core.decision.time_windows import windows_at
from answerable.errors import Malformed
from answerable.verify.asked_arguments import HIDDEN, arguments_in
from answerable.verify.changed_questions import (
    State,
    approval_change,
    hold_change,
    mandate_changes,
    policy_changes,
)
from answerable.verify.mandate_asking import attempt_of, short_of
from answerable.verify.policy_evaluation import PolicyAsking
from answerable.verify.replayed import Unfit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.core.decision.decision import Decision
    from answerable.core.mandate.authority import Authority
    from answerable.core.mandate.mandate import Mandate
    from answerable.verify.changed_questions import Change
    from answerable.verify.replayed import DecisionEntry

ASKED_MAX: Final = 2_000
"""Changed questions that are evaluated for one explanation."""
TOLD_MAX: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """The explanation of a decision. effect: of the entry. reasons: one line each. changes: each would have allowed the
    action alone, the smallest first. text: what to say if there are none, or how far the changes hold."""

    index: int
    effect: str
    reasons: tuple[str, ...]
    changes: tuple[str, ...]
    text: str = ""

    def as_value(self) -> dict[str, Any]:
        """Return the explanation for `--json`, with JSON types only."""
        return {
            "changes": [*self.changes],
            "effect": self.effect,
            "index": self.index,
            "reasons": [*self.reasons],
            "text": self.text,
        }


def explain(
    entry: DecisionEntry,
    *,
    policies: PolicyAsking | Unfit | None,
    mandate: Mandate | None,
    hops: tuple[Authority, ...] | None = None,
) -> Explained:
    """Explain the entry of one decision. policies, mandate, hops: as in `replay`."""
    fields = entry.fields or {}
    decided = entry.leaf.get("decision")
    effect = str(decided.get("effect")) if isinstance(decided, dict) else "deny"
    by = [*(decided.get("by") or ())] if isinstance(decided, dict) else [*(entry.leaf.get("by") or ())]
    told = msgspec.json.decode(fields["reasons"]) if "reasons" in fields else []
    reasons = tuple(f"{name}: {text}" for name, text in zip(by, told, strict=False)) or tuple(by)
    if effect == "allow":
        return Explained(
            index=entry.index, effect=effect, reasons=tuple(by), changes=(), text="it was allowed"
        )
    question = fields.get("question")
    if question is None or HIDDEN in question or not isinstance(policies, PolicyAsking):
        lacking = "erased" if entry.fields is None else "not disclosed"
        text = f"what was asked, or the policy set, is {lacking}, so no change can be tried"
        return Explained(index=entry.index, effect=effect, reasons=reasons, changes=(), text=text)
    try:
        asked = read_question(question)
        arguments = arguments_in(fields.get("request"), asked)
        state = State(asked=asked, mandate=mandate, hops=hops, arguments=arguments)
        if _is_by_hop(state):
            text = "what was handed on did not allow it, which is not asked again, so no change can be tried"
            return Explained(index=entry.index, effect=effect, reasons=reasons, changes=(), text=text)
        changes = tuple(_Search(policies).found(state))
    except Malformed as fault:
        return Explained(
            index=entry.index,
            effect=effect,
            reasons=reasons,
            changes=(),
            text=f"it cannot tell: {fault.message}",
        )
    text = "" if changes else "no single fact, nor two of them, was found whose change would have allowed it"
    if changes and (mandate is None or arguments is None):
        text = "as far as the mandate allows it, too: the mandate or the action is not shown"
    if changes and hops is None and asked.context["chain"].get("depth"):
        text = "as far as what was handed on allows it, too: that is not asked again"
    return Explained(index=entry.index, effect=effect, reasons=reasons, changes=changes, text=text)


def _is_by_hop(state: State) -> bool:
    """Whether a rule denied that the mandate does not: as far as can be known, a limit of a delegated hop."""
    asked = state.asked
    if (
        asked.hold is not None
        or not asked.rule
        or not asked.context["chain"].get("depth")
        or state.hops is not None
    ):
        return False
    if state.mandate is None or state.arguments is None:
        return True
    return short_of(asked, attempt_of(asked, state.arguments), state.mandate) is None


class _Search:
    def __init__(self, policies: PolicyAsking) -> None:
        self._policies = policies
        self._left = ASKED_MAX

    def found(self, state: State) -> Iterator[str]:
        """Yield the texts of single changes that would have allowed the action, or else of pairs, the smallest
        first."""
        candidates = sorted(self._candidates(state), key=lambda one: one.rank)
        single = list(self._helping(state, [(one,) for one in candidates]))
        if not single:
            single = list(self._helping(state, combinations(candidates, 2)))
        told = [text for _, _, text in sorted(single)]
        yield from list(dict.fromkeys(told))[:TOLD_MAX]

    def _candidates(self, state: State) -> Iterator[Change]:
        asked = state.asked
        if asked.hold is not None:
            yield hold_change(asked.hold)
        elif asked.rule:
            yield from mandate_changes(state, asked.rule)
        decision = self._decided(state)
        if decision is None:
            # The mandate denies. Changes that the policies would require in addition are candidates, too.
            decision = self._policies.decide(asked)
        if decision.effect == "defer":
            yield approval_change(decision.requirements)
        names = decision.determined_by
        near = [policy for name in names if (policy := self._policies.policy(name)) is not None]
        if decision.effect == "deny" and (not near or DEFAULT_DENY in names):
            near += [
                one for one in self._policies.permits() if _may_match(one, asked.action.id, asked.action.kind)
            ]
        yield from policy_changes(state, near, self._policies.parts)

    def _helping(self, state: State, tried: Any) -> Iterator[tuple[int, int, str]]:
        for number, changes in enumerate(tried):
            if self._left <= 0:
                return
            self._left -= 1
            changed = state
            for change in changes:
                changed = change.of(changed)
            decision = self._decided(changed)
            if decision is None or decision.effect == "deny":
                continue
            text = ", and ".join(change.text for change in changes)
            rank = sum(change.rank for change in changes)
            if decision.effect == "defer":
                text += f", and {approval_change(decision.requirements).text}"
                rank += 1
            yield rank, number, text

    def _decided(self, state: State) -> Decision | None:
        """Return the policies' decision; None if a hold or the mandate denies first, or an input is not known."""
        asked = state.asked
        if asked.hold is not None:
            return None
        attempt = attempt_of(asked, state.arguments) if state.arguments is not None else None
        if asked.rule and (state.mandate is None or attempt is None):
            return None
        given = state.mandate
        if given is not None and attempt is not None and short_of(asked, attempt, given, state.hops or ()):
            return None
        parts = self._policies.parts
        if parts is not None:
            context = {**asked.context, "windows": windows_at(parts.windows, asked.context["now"])}
            with suppress(LookupError):
                context["risk"] = risk_of(parts.risk, context)
            asked = msgspec.structs.replace(asked, context=context)
        return self._policies.decide(asked)


def _may_match(policy: Any, action: str, kind: str) -> bool:
    scope = policy.get("action", {})
    named = [scope.get("entity"), *(scope.get("entities") or ())]
    ids = {one["id"] for one in named if isinstance(one, dict)}
    return not ids or bool(ids & {action, kind})
