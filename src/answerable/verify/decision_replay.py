"""Asking a recorded decision again, with nothing but what is shown of its entry and of what the entry refers to.

Laws:
- what was asked is what the entry sealed; what was decided is what its leaf says; what comes of asking again is held
  against that, and a difference is an alarm;
- what is erased or not shown is said to be so, and nothing is put in its place;
- the policies are asked as a whole by Cedar's public call (`policy_asking`), not as the gateway asks them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from answerable.core.decision.asked import read_question
from answerable.core.decision.decision import after_narrowing
from answerable.core.decision.narrowing import narrowed_arguments, same
from answerable.core.decision.obligation import duties_of, kinds_of
from answerable.core.ledger.records import SOURCES_CHARS_MAX, SOURCES_MAX
from answerable.core.ledger.records_delegation import KIND
from answerable.core.ledger.tags import Tag
from answerable.errors import Malformed, Refused, shown
from answerable.verify.asked_arguments import HIDDEN, arguments_in, named_by, sent_in
from answerable.verify.mandate_asking import attempt_of, short_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.decision.asked import Asked
    from answerable.core.decision.decision import Decision
    from answerable.core.decision.obligation import Narrowing
    from answerable.core.mandate.authority import Authority
    from answerable.core.mandate.mandate import Mandate
    from answerable.verify.policy_asking import PolicyAsking

Verdict = Literal["same", "differs", "erased", "not_disclosed", "not_asked", "cannot_tell"]
VERDICTS: Final[tuple[Verdict, ...]] = (
    "same",
    "differs",
    "erased",
    "not_disclosed",
    "not_asked",
    "cannot_tell",
)
DECIDED: Final = (Tag.INTENT, Tag.REFUSAL, Tag.APPROVAL_ASKED)
"""Entries of decisions."""
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
"""What asking again looks at, of the entries of decisions."""

_UNKNOWN_FACTS: Final = "facts.unknown"
_UNMAPPABLE: Final = "arguments.unmappable"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionEntry:
    """fields: those that are shown, as JSON by name; None where nobody can open them any more. whole: whether that is
    all of them."""

    index: int
    tag: int
    leaf: Mapping[str, Any]
    fields: Mapping[str, bytes] | None
    whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A decision, as far as leaves tell it."""

    effect: str
    by: tuple[str, ...]
    lifted: tuple[str, ...] = ()

    def as_value(self) -> dict[str, Any]:
        """For `--json`."""
        return {"by": [*self.by], "effect": self.effect, "lifted": [*self.lifted]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What came of asking one decision again. text: for people, on one line. action: id of the action, or of the
    approval. derived: None where it could not be asked. unchecked: what was not asked again, though policies were."""

    index: int
    action: str
    verdict: Verdict
    text: str
    recorded: Said
    derived: Said | None = None
    unchecked: tuple[str, ...] = ()

    def as_value(self) -> dict[str, Any]:
        """For `--json`: only JSON types."""
        return {
            "action": self.action,
            "derived": self.derived.as_value() if self.derived else None,
            "index": self.index,
            "recorded": self.recorded.as_value(),
            "text": self.text,
            "unchecked": [*self.unchecked],
            "verdict": self.verdict,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfit:
    """Why a policy set that is shown cannot be asked."""

    verdict: Verdict
    text: str


def replay(
    entry: DecisionEntry,
    *,
    policies: PolicyAsking | Unfit | None,
    mandate: Mandate | None,
    hops: tuple[Authority, ...] | None = None,
    whole: bool = True,
) -> Replayed:
    """Ask one decision again. policies, mandate: what the entry refers to, where that is shown. hops: what each of
    those allows that it came by; None where one is not shown. whole: as `PolicyAsking.decide` says."""
    return _Replay(entry, policies, mandate, hops, whole=whole).run()


def shown_for_replay(tag: int, leaf: Mapping[str, Any]) -> frozenset[str]:
    """Fields of an entry that must be shown for decisions to be asked again."""
    if tag in DECIDED:
        return FIELDS
    if tag == Tag.POLICY_CHANGE:
        return frozenset({"policies", "declared", "schema_digest"})
    kind = leaf.get("kind") if tag == Tag.CITED else "mandate" if tag == Tag.MANDATE_ISSUED else ""
    return frozenset({"policy_set": ("text",), "mandate": ("token",), KIND: ("token",)}.get(str(kind), ()))


class _Replay:
    def __init__(
        self,
        entry: DecisionEntry,
        policies: PolicyAsking | Unfit | None,
        mandate: Mandate | None,
        hops: tuple[Authority, ...] | None,
        *,
        whole: bool,
    ) -> None:
        self._entry, self._mandate, self._hops, self._whole = entry, mandate, hops, whole
        self._unfit = policies if isinstance(policies, Unfit) else None
        self._policies = None if isinstance(policies, Unfit) else policies
        self._leaf = entry.leaf
        self._fields = entry.fields or {}
        decided = entry.leaf.get("decision")
        told = decided if isinstance(decided, dict) else {**entry.leaf, "effect": "deny", "lifted": []}
        self._recorded = Said(
            effect=str(told.get("effect")),
            by=tuple(told.get("by") or ()),
            lifted=tuple(told.get("lifted") or ()),
        )
        self._kinds = [*(told.get("obligations") or ())]

    def run(self) -> Replayed:
        if self._entry.fields is None:
            return self._answer("erased", "the key to what was asked is gone, so nobody can ask it again")
        if "question" not in self._fields:
            return self._unasked()
        if HIDDEN in self._fields["question"]:
            return self._answer(
                "not_disclosed",
                "a credential was left out of what was asked, so it cannot be asked as it was",
            )
        try:
            asked = read_question(self._fields["question"])
            unlike = self._unlike(asked)
            if unlike:
                return self._answer("differs", f"what was asked is not what the entry is about: {unlike}")
            if self._unfit is not None:
                return self._answer(self._unfit.verdict, self._unfit.text)
            return self._by_rule(asked) if asked.rule else self._by_policies(asked)
        except Malformed as fault:
            return self._answer("cannot_tell", fault.message)

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
        """What of the question is about something else than the leaf; empty if it fits."""
        leaf, task = self._leaf, asked.context["task"]
        pairs = [
            ("agent", asked.principal.id, leaf.get("agent")),
            ("capability", asked.action.id, leaf.get("capability")),
            ("mandate", task.get("mandate"), leaf.get("mandate")),
        ]
        if self._entry.tag == Tag.INTENT:
            pairs += [
                ("time", asked.context.get("now"), leaf.get("at")),
                ("approval", asked.approval.id if asked.approval else "", leaf.get("approval")),
                ("use case", task.get("use_case"), leaf.get("use_case")),
            ]
        # Figures are counted by these; entries from before they said so are no lie.
        if "tier" in leaf:
            pairs.append(("tier", asked.context["capability"].get("tier"), leaf["tier"]))
        if "use_case" in leaf:
            pairs.append(("use case", task.get("use_case"), leaf["use_case"]))
        return next((name for name, one, other in pairs if one != other), "")

    # --- a rule said no ---------------------------------------------------------------------------------

    def _by_rule(self, asked: Asked) -> Replayed:
        rule = asked.rule
        if self._recorded.effect != "deny" or self._recorded.by != (rule,):
            return self._answer(
                "differs", f"the question says that rule {shown(rule)} said no, the entry does not"
            )
        if rule == _UNKNOWN_FACTS:
            return self._by_unknown(asked)
        arguments = arguments_in(self._fields.get("request"), asked)
        attempt = None if arguments is None else attempt_of(asked, arguments)
        if rule == _UNMAPPABLE or attempt is None or self._mandate is None:
            lacks = "the action" if self._mandate is not None else "the mandate"
            lacks = "how the registry mapped the arguments" if rule == _UNMAPPABLE else lacks
            return self._answer("not_disclosed", f"{lacks} is not shown, by which rule {shown(rule)} said no")
        found = short_of(asked, attempt, self._mandate, self._hops or ())
        if found is not None and found.code == rule:
            return self._answer("same", found.text, derived=Said(effect="deny", by=(rule,)))
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
        if self._policies is None or self._policies.parts is None:
            return self._answer("not_disclosed", "what the policy set declares is not shown")
        lacking = {one.name for one in self._policies.parts.trackers} - asked.context["history"].keys()
        derived = Said(effect="deny", by=(_UNKNOWN_FACTS,))
        if lacking:
            return self._answer("same", "a tracker of the policy set was not known", derived=derived)
        return self._answer("differs", "everything that the policy set counts was known")

    # --- the policies were asked ------------------------------------------------------------------------

    def _by_policies(self, asked: Asked) -> Replayed:
        policies = self._policies
        if policies is None:
            return self._answer("not_disclosed", "the text of the policy set is not shown")
        unlike = policies.unlike(asked)
        if unlike:
            text = f"the policy set's declarations make another {shown('context.' + unlike)} of the facts"
            return self._answer("differs", text)
        unchecked = []
        arguments = arguments_in(self._fields.get("request"), asked)
        attempt = None if arguments is None else attempt_of(asked, arguments)
        if attempt is None or self._mandate is None:
            unchecked.append("mandate")
        elif (short := short_of(asked, attempt, self._mandate, self._hops or ())) is not None:
            derived = Said(effect="deny", by=(short.code,))
            return self._answer("differs", f"the mandate does not cover it: {short.text}", derived=derived)
        if asked.context["chain"].get("depth") and (self._hops is None or attempt is None):
            unchecked.append("hops")
        decision = policies.decide(asked, whole=self._whole)
        if self._leaf.get("narrowed"):
            if "asked_question" not in self._fields:
                return self._answer(
                    "not_disclosed", "the question about the action before it was narrowed is not shown"
                )
            wider = policies.decide(read_question(self._fields["asked_question"]), whole=self._whole)
            unlike = self._wider_unlike(wider, asked)
            if unlike:
                return self._answer("differs", f"the action was narrowed otherwise: {unlike}")
            decision = after_narrowing(wider, decision, asked.approval_fact())
        return self._compared(decision, unchecked)

    def _wider_unlike(self, wider: Decision, asked: Asked) -> str:
        if [*kinds_of(wider.obligations)] != [*self._leaf["narrowed"]]:
            return "other obligations come of it"
        told = self._fields.get("asked_decision")
        if told is not None:
            wanted = {
                "by": [*wider.determined_by],
                "effect": wider.effect,
                "lifted": [*wider.lifted],
                "obligations": [*wider.obligations],
            }
            if msgspec.json.decode(told) != wanted:
                return "another decision comes of it"
        return self._narrowed_unlike(duties_of(wider.obligations).narrow, asked)

    def _narrowed_unlike(self, narrow: tuple[Narrowing, ...], asked: Asked) -> str:
        """What of the arguments is not as narrowing makes it; empty if all is. asked: about the narrowed action."""
        before, after = sent_in(self._fields.get("asked")), sent_in(self._fields.get("request"))
        if before is None or after is None:
            return ""
        known = named_by(read_question(self._fields["asked_question"]), before)
        try:
            made = narrowed_arguments(narrow, known)
        except Refused as fault:
            return fault.message
        narrowed = {one.argument for one in narrow}
        now = named_by(asked, after)
        alike = all(same(made[name], now.get(name)) for name in narrowed)
        # What has its name by a pointer lies in another argument, which is another one then.
        deep = any(
            name not in before or not same(before[name], known[name]) for name in narrowed & known.keys()
        )
        for name in (before.keys() | after.keys()) - narrowed:
            value = before.get(name)
            alike = alike and (same(value, after.get(name)) or (deep and isinstance(value, dict | list)))
        return "" if alike else "other arguments come of it"

    def _compared(self, decision: Decision, unchecked: list[str]) -> Replayed:
        derived = Said(effect=decision.effect, by=decision.determined_by, lifted=decision.lifted)
        told = self._fields.get("obligations")
        obligations = msgspec.json.decode(told) if told is not None else None
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
            return self._answer("same", text, derived=derived, unchecked=tuple(unchecked))
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
    """Whether a leaf says these names, or as many of them as it has room for."""
    count = len(recorded)
    if recorded == whole:
        return True
    too_long = sum(map(len, whole[: count + 1])) > SOURCES_CHARS_MAX
    return recorded == whole[:count] and (count == SOURCES_MAX or too_long)
