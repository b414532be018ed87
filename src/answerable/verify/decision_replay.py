"""Evaluate a recorded decision again, from only the disclosed fields of its entry and of the entries it refers to.

Laws:
- the input is the question that the entry sealed, and the recorded decision is the leaf's; a difference between the
  recorded and the derived decision is an alarm;
- an erased or undisclosed field is reported as such, and never replaced;
- the policies are evaluated as a whole by Cedar's public call (`policy_evaluation`), not in the gateway's own way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from answerable.core.decision.argument_values import Unmappable, mapped_arguments
from answerable.core.decision.asked import read_question
from answerable.core.decision.decision import DEFAULT_DENY, after_narrowing
from answerable.core.decision.obligation import kinds_of
from answerable.core.decision.question import UNMAPPABLE
from answerable.core.ledger.decided import SOURCES_CHARS_MAX, SOURCES_MAX
from answerable.core.ledger.records_delegation import KIND
from answerable.core.ledger.tags import Tag
from answerable.errors import Malformed, shown
from answerable.verify.asked_arguments import HIDDEN, arguments_in, surely_named
from answerable.verify.mandate_asking import attempt_of, short_of
from answerable.verify.narrowed_again import unlike_the_wider
from answerable.verify.replayed import Replayed, Said, Unfit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from answerable.core.decision.asked import Asked, AskedHold
    from answerable.core.decision.decision import Decision
    from answerable.core.mandate.authority import Authority
    from answerable.core.mandate.mandate import Mandate, Shortfall
    from answerable.verify.policy_evaluation import PolicyAsking
    from answerable.verify.replayed import DecisionEntry, Verdict

DECIDED: Final = (Tag.INTENT, Tag.REFUSAL, Tag.APPROVAL_ASKED)
"""Tags of the entries that record decisions."""
FIELDS: Final = frozenset(
    {
        "question",
        "question_digest",
        "asked_question",
        "asked_decision",
        "obligations",
        "request",
        "asked",
        "reasons",
    }
)
"""The fields of decision entries that a replay reads."""

_UNKNOWN_FACTS: Final = "facts.unknown"
_NOTHING: Final[dict[str, bytes]] = {}
_OBLIGATIONS: Final = msgspec.json.Decoder(list[str])


def replay(
    entry: DecisionEntry,
    *,
    policies: PolicyAsking | Unfit | None,
    mandate: Mandate | None,
    hops: tuple[Authority, ...] | None = None,
    whole: bool = True,
) -> Replayed:
    """Evaluate one decision again.

    policies, mandate: the statements that the entry refers to, if disclosed. hops: the authority of each hop; None if
    one is not disclosed. whole: as in `PolicyAsking.decide`.
    """
    return Replay(entry, policies, mandate, hops, whole=whole).run()


def replay_all(replays: Sequence[Replay]) -> list[Replayed]:
    """Run each replay, in order, with the same results as `Replay.run`. Evaluates the questions to each policy set in
    one batch."""
    ahead: dict[PolicyAsking, list[Asked]] = {}
    for one in replays:
        policies, asked = one.ahead()
        if policies is not None and asked is not None:
            ahead.setdefault(policies, []).append(asked)
    for policies, questions in ahead.items():
        policies.ask_ahead(questions)
    return [one.run() for one in replays]


def shown_for_replay(tag: int, leaf: Mapping[str, Any]) -> frozenset[str]:
    """Return the fields of an entry that must be disclosed to replay decisions."""
    if tag in DECIDED:
        return FIELDS
    if tag == Tag.POLICY_CHANGE:
        return frozenset({"policies", "declared", "schema_digest"})
    kind = leaf.get("kind") if tag == Tag.CITED else "mandate" if tag == Tag.MANDATE_ISSUED else ""
    return frozenset({"policy_set": ("text",), "mandate": ("token",), KIND: ("token",)}.get(str(kind), ()))


class Replay:
    """The replay of one decision. Parameters as in `replay`."""

    __slots__ = (
        "_asked",
        "_entry",
        "_fields",
        "_hops",
        "_kinds",
        "_leaf",
        "_mandate",
        "_policies",
        "_recorded",
        "_whole",
    )

    def __init__(
        self,
        entry: DecisionEntry,
        policies: PolicyAsking | Unfit | None,
        mandate: Mandate | None,
        hops: tuple[Authority, ...] | None,
        whole: bool,
    ) -> None:
        self._entry, self._mandate, self._hops, self._whole = entry, mandate, hops, whole
        self._policies = policies
        self._asked: Asked | None = None
        leaf = self._leaf = entry.leaf
        self._fields = entry.fields or _NOTHING
        told: Any = leaf.get("decision")
        if not isinstance(told, dict):
            told = {**leaf, "effect": "deny", "lifted": []}
        self._recorded = Said(
            effect=str(told.get("effect")),
            by=tuple(told.get("by") or ()),
            lifted=tuple(told.get("lifted") or ()),
        )
        self._kinds = [*(told.get("obligations") or ())]

    def ahead(self) -> tuple[PolicyAsking | None, Asked | None]:
        """Return the policy set and the question for a batch evaluation. Each is None if there is none, or if that is
        not known yet."""
        question, policies = self._fields.get("question"), self._policies
        if question is None or HIDDEN in question or policies is None or isinstance(policies, Unfit):
            return None, None
        try:
            self._asked = read_question(question)
        except Malformed:
            return None, None
        return policies, None if self._asked.rule or self._whole else self._asked

    def run(self) -> Replayed:
        """Run the replay and return its result."""
        if self._entry.fields is None:
            return self._answer("erased", "the key to what was asked is gone, so nobody can ask it again")
        question = self._fields.get("question")
        if question is None:
            return self._unasked()
        if HIDDEN in question:
            return self._answer(
                "not_disclosed",
                "a credential was left out of what was asked, so it cannot be asked as it was",
            )
        try:
            asked = self._asked or read_question(question)
            unlike = self._unlike(asked)
            if unlike:
                return self._answer("differs", f"what was asked is not what the entry is about: {unlike}")
            if isinstance(self._policies, Unfit):
                return self._answer(self._policies.verdict, self._policies.text)
            if asked.hold is not None:
                return self._by_hold(asked, asked.hold)
            return self._by_rule(asked) if asked.rule else self._by_policies(asked, self._policies)
        except Malformed as fault:
            return self._answer("cannot_tell", fault.message)
        except msgspec.MsgspecError:
            return self._answer("cannot_tell", "a field of the entry is not as any version writes it")

    def _unasked(self) -> Replayed:
        if "question_digest" in self._fields:
            return self._answer("not_disclosed", "the log keeps no more than the digest of what was asked")
        if self._entry.whole and self._entry.tag == Tag.REFUSAL:
            return self._answer("not_asked", "a rule said no before any policy was asked")
        if self._entry.whole:
            return self._answer("not_asked", "an entry from before it was written down what policy was asked")
        text = "the field `question` of the entry is not shown"
        if self._entry.tag == Tag.REFUSAL:
            text += ", or there is none because a rule said no before any policy was asked"
        return self._answer("not_disclosed", text)

    def _unlike(self, asked: Asked) -> str:
        """Return the part of the question that disagrees with the leaf; empty if they agree."""
        leaf, task = self._leaf, asked.context["task"]
        if asked.principal.id != leaf.get("agent"):
            return "agent"
        if asked.action.id != leaf.get("capability"):
            return "capability"
        if task.get("mandate") != leaf.get("mandate"):
            return "mandate"
        # Statistics count by these members. Older entries lack them, which is not a fault.
        if "tier" in leaf and leaf["tier"] != asked.context["capability"].get("tier"):
            return "tier"
        if "use_case" in leaf and leaf["use_case"] != task.get("use_case"):
            return "use case"
        if self._entry.tag != Tag.INTENT:
            return ""
        if asked.context.get("now") != leaf.get("at"):
            return "time"
        return (
            ""
            if (asked.approval.id if asked.approval else "") == (leaf.get("approval") or "")
            else "approval"
        )

    # --- a rule denied ------------------------------------------------------------------------------------

    def _by_hold(self, asked: Asked, hold: AskedHold) -> Replayed:
        """Check a denial by a hold. A hold denies before anything else is evaluated, whatever the rest would result
        in."""
        rule = f"held.{hold.kind}"
        derived = Said(effect="deny", by=(rule, hold.id))
        if asked.rule != rule or self._recorded != derived:
            return self._answer(
                "differs",
                f"hold {shown(hold.id)} was in force, and the entry says otherwise",
                derived=derived,
            )
        return self._answer("same", f"hold {shown(hold.id)} was in force", derived=derived)

    def _by_rule(self, asked: Asked) -> Replayed:
        rule = asked.rule
        if self._recorded.effect != "deny" or self._recorded.by != (rule,):
            return self._answer(
                "differs", f"the question says that rule {shown(rule)} said no, the entry does not"
            )
        if rule == _UNKNOWN_FACTS:
            return self._by_unknown(asked)
        arguments = arguments_in(self._fields.get("request"), asked)
        if rule == UNMAPPABLE:
            return self._by_mapping(asked, arguments)
        if arguments is None or self._mandate is None:
            lacks = "the action" if self._mandate is not None else "the mandate"
            return self._answer("not_disclosed", f"{lacks} is not shown, by which rule {shown(rule)} said no")
        found = self._short(asked, arguments)
        if found is not None and found.code == rule:
            return self._answer("same", found.text, derived=Said(effect="deny", by=(rule,)))
        surely = self._short(asked, surely_named(asked, arguments))
        if surely is not None and surely.code == rule:
            text = (
                "which arguments had their names by a pointer is not written down in questions of that time"
            )
            return self._answer("not_disclosed", text)
        if asked.context["chain"].get("depth") and found is None and self._hops is None:
            return self._answer(
                "not_disclosed", "the mandate allows it, and a hop that it came by is not shown"
            )
        said = "nothing" if found is None else f"rule {shown(found.code)}"
        by = () if found is None else (found.code,)
        derived = Said(effect="deny" if by else "allow", by=by)
        return self._answer(
            "differs", f"rule {shown(rule)} said no then, and {said} does now", derived=derived
        )

    def _by_unknown(self, asked: Asked) -> Replayed:
        parts = None if self._policies is None or isinstance(self._policies, Unfit) else self._policies.parts
        if parts is None:
            return self._answer("not_disclosed", "what the policy set declares is not shown")
        lacking = {one.name for one in parts.trackers} - asked.context["history"].keys()
        derived = Said(effect="deny", by=(_UNKNOWN_FACTS,))
        if lacking:
            return self._answer("same", "a tracker of the policy set was not known", derived=derived)
        return self._answer("differs", "everything that the policy set counts was known")

    def _by_mapping(self, asked: Asked, arguments: dict[str, Any] | None) -> Replayed:
        """Check a denial of an argument that did not match the capability's mapping, after the mandate had covered the
        action."""
        mappings = asked.mappings()
        if arguments is None or mappings is None:
            lacks = "the action" if arguments is None else "how the registry mapped the arguments"
            return self._answer(
                "not_disclosed", f"{lacks} is not shown, by which rule {shown(UNMAPPABLE)} said no"
            )
        short, unchecked = self._covered(asked, arguments)
        if short is not None:
            return self._outside(short)
        found = mapped_arguments(mappings, arguments)
        if isinstance(found, Unmappable):
            derived = Said(effect="deny", by=(UNMAPPABLE,))
            return self._answer("same", found.text, derived=derived, unchecked=unchecked)
        return self._answer("differs", "every argument is as the capability says")

    # --- the policies decided -----------------------------------------------------------------------------

    def _by_policies(self, asked: Asked, policies: PolicyAsking | None) -> Replayed:
        if policies is None:
            return self._answer("not_disclosed", "the text of the policy set is not shown")
        unlike = policies.unlike(asked)
        if unlike:
            text = f"the policy set's declarations make another {shown('context.' + unlike)} of the facts"
            return self._answer("differs", text)
        short, unchecked = self._covered(asked, arguments_in(self._fields.get("request"), asked))
        if short is not None:
            return self._outside(short)
        decision = policies.decide(asked, whole=self._whole)
        if self._leaf.get("narrowed"):
            if "asked_question" not in self._fields:
                return self._answer(
                    "not_disclosed", "the question about the action before it was narrowed is not shown"
                )
            before = read_question(self._fields["asked_question"])
            wider = policies.decide(before, whole=self._whole)
            unlike = unlike_the_wider(self._entry, wider, before, asked)
            if unlike:
                return self._answer("differs", f"the action was narrowed otherwise: {unlike}")
            decision = after_narrowing(wider, decision, asked.approval_fact())
        return self._compared(decision, unchecked)

    def _covered(
        self, asked: Asked, arguments: dict[str, Any] | None
    ) -> tuple[Shortfall | None, tuple[str, ...]]:
        """Return why the mandate or the hops do not cover the action (None if they do), and which of them were not
        checked."""
        short: Shortfall | None = None
        unchecked: tuple[str, ...] = ()
        if arguments is None or self._mandate is None:
            unchecked = ("mandate",)
        else:
            short = self._short(asked, arguments)
            if short is not None and self._short(asked, surely_named(asked, arguments)) is None:
                short, unchecked = None, ("mandate",)
        if asked.context["chain"].get("depth") and (self._hops is None or arguments is None):
            unchecked = (*unchecked, "hops")
        return short, unchecked

    def _short(self, asked: Asked, arguments: dict[str, Any]) -> Shortfall | None:
        assert self._mandate is not None  # noqa: S101 - callers have looked
        return short_of(asked, attempt_of(asked, arguments), self._mandate, self._hops or ())

    def _outside(self, short: Shortfall) -> Replayed:
        derived = Said(effect="deny", by=(short.code,))
        return self._answer("differs", f"the mandate does not cover it: {short.text}", derived=derived)

    def _compared(self, decision: Decision, unchecked: tuple[str, ...]) -> Replayed:
        by = decision.determined_by
        if by[0] == DEFAULT_DENY and len(by) > 1 and DEFAULT_DENY not in self._recorded.by:
            # Older entries omit the default deny beside forbids, which is not a fault.
            by = by[1:]
        derived = Said(effect=decision.effect, by=by, lifted=decision.lifted)
        told = self._fields.get("obligations")
        obligations = _OBLIGATIONS.decode(told) if told is not None else None
        required = self._leaf.get("requirements")
        alike = (
            derived.effect == self._recorded.effect
            and _is_cut_of(self._recorded.by, derived.by)
            and _is_cut_of(self._recorded.lifted, derived.lifted)
            and self._kinds == [*kinds_of(decision.obligations)]
            and obligations in (None, [*decision.obligations])
            and required in (None, [[one.group, one.count] for one in decision.requirements[:SOURCES_MAX]])
        )
        if alike:
            text = f"the policies decide as they did: {derived.effect}, by {', '.join(derived.by)}"
            return self._answer("same", text, derived=derived, unchecked=unchecked)
        return self._answer(
            "differs",
            f"the policies decide {derived.effect}, by {', '.join(derived.by)}; the entry says "
            f"{self._recorded.effect}, by {', '.join(self._recorded.by)}",
            derived=derived,
        )

    def _answer(
        self, verdict: Verdict, text: str, *, derived: Said | None = None, unchecked: tuple[str, ...] = ()
    ) -> Replayed:
        return Replayed(
            index=self._entry.index,
            action=str(self._leaf.get("action") or self._leaf.get("approval") or ""),
            verdict=verdict,
            text=text,
            recorded=self._recorded,
            derived=derived,
            unchecked=unchecked,
        )


def _is_cut_of(recorded: tuple[str, ...], whole: tuple[str, ...]) -> bool:
    """Whether the recorded names are the whole list, or as much of the list as a leaf has room for."""
    count = len(recorded)
    if recorded == whole:
        return True
    too_long = sum(map(len, whole[: count + 1])) > SOURCES_CHARS_MAX
    return recorded == whole[:count] and (count == SOURCES_MAX or too_long)
