"""Recount stop-rule events from the log at a start, from where the stored counts end.

Laws: counts that fired a placed hold are not counted again, nor is anything from before that hold was lifted; a hold
that no register has was not placed durably, so its counts still pass the limit; a refusal under such a hold belongs to
the attempt that tripped the rule right before a crash, and counts; events without an entry, such as refusals past a
quota, are not counted again; an action that was not started is no retry: its end takes it back.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from answerable.core.approval.approval import ApprovalId
from answerable.core.containment.hold import HoldId
from answerable.core.containment.stop_rule_signal import (
    HELD,
    TOOL_CODES,
    StopRuleSignal,
    events_of,
    instances_of,
    shown_by_log,
    turned_away,
)
from answerable.core.decision.counter import resource_key
from answerable.core.decision.history import History
from answerable.core.ledger.happened import resource_in, whole
from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.records_delegation import KIND
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.mandate import MandateId
from answerable.core.registry.documents.stop_rule import TARGETS
from answerable.core.registry.tools.tool_pin import TOOLS_CALL
from answerable.errors import Malformed, Unavailable
from answerable.flows.counters.count_history import fields_of, registered
from answerable.flows.counters.keep_history import restore_counted, rules_origin
from answerable.flows.counters.trigger_rules import name_source, rules_now, trip_restored, unname_source
from answerable.flows.counters.watch_denials import is_new_round, no_said

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.documents.stop_rule import StopRule
    from answerable.flows.counters.read_parts import ReadLog, ReadRegisters
    from answerable.flows.state.parts import AuthorityRegisters, Counters, Recorder
    from answerable.flows.state.stop_rules import StopRules
    from answerable.flows.state.walk_limits import WalkLimits

RETRY: Final = "identical_retry"
HOPS_MAX: Final = 20_000
"""Hops kept in memory while reading."""


def restore_rules(
    recorder: Recorder, authority: AuthorityRegisters, counts: Counters, limits: WalkLimits
) -> int:
    """At a start, restore the counts and place holds for passed limits that have none; return how many holds that
    placed.

    Raises Unavailable, and Broken (`ledger.*`).
    """
    state = counts.stop_rules
    rules_now(authority.registry, counts.stop_rules)
    trackers = tuple(one.tracker for one in state.history.counters)
    restore_counted(
        recorder.ledger,
        authority.mandates,
        counts.history_register,
        limits,
        recorder.clock,
        state.history,
        trackers,
        origin=rules_origin(recorder.ledger),
        fold=partial(_fold, recorder, authority, counts.stop_rules),
    )
    # Restoring replaced the counters: pair the rules with the new ones.
    counters = {one.name: one for one in state.history.counters}
    state.rules = tuple((rule, counters.get(rule.name)) for rule, _ in state.rules)
    return trip_restored(authority, counts, recorder.entropy)


def _fold(
    recorder: Recorder, authority: AuthorityRegisters, stop_rules: StopRules, history: History, start: int
) -> None:
    names = {one.name for one in history.trackers}
    stop_rules.named_from.update(dict.fromkeys(names, start))
    rules = [rule for rule, _ in rules_now(authority.registry, stop_rules) if rule.name in names]
    if rules:
        reader = RuleReader(recorder, authority, history, rules, sources=stop_rules)
        for stored in recorder.ledger.replay(start):
            reader.fold(stored)


def take_back_retry(
    recorder: Recorder, authority: AuthorityRegisters, stop_rules: StopRules, intent: int
) -> None:
    """Count the action of this intent no longer as a retry: it was not started. Never raises: what cannot be read stays
    counted."""
    rules = [rule for rule, _ in rules_now(authority.registry, stop_rules) if rule.watches == RETRY]
    if not rules:
        return
    state = stop_rules
    reader = RuleReader(recorder, authority, state.history, rules, sources=state)
    with suppress(Malformed, Unavailable):
        reader.take_back(recorder.ledger.entry(intent))


class RuleReader:
    """Counts the events of entries, in order, for these rules."""

    def __init__(
        self,
        recorder: ReadLog,
        authority: ReadRegisters,
        history: History,
        rules: list[StopRule],
        *,
        sources: StopRules | None = None,
    ) -> None:
        """sources: where the entries are named that the numbers come from."""
        self._recorder, self._authority, self._history, self._rules, self._sources = (
            recorder,
            authority,
            history,
            rules,
            sources,
        )
        self._with_fields = any(one.canary.values or one.canary.resources for one in rules)
        self._with_targets = any(one.holds in TARGETS or one.canary.capabilities for one in rules)
        self._watches_retries = any(one.watches == RETRY for one in rules)
        self._hops: dict[str, tuple[str, str]] = {}
        self._enrolled: set[str] = set()
        self._taken_back: set[int] = set()
        self._noes: dict[tuple[str, str], int] = {}

    def fold(self, stored: StoredEntry) -> None:
        """Count the event of an entry."""
        reset = self.reset_by(stored)
        if reset is not None:
            name, owner, keys = reset
            if keys is None:
                self._history.forget_owner(name, owner)
            else:
                self._history.forget(name, owner, keys)
            if self._sources is not None:
                self._sources.entries.pop((name, owner), None)
        if stored.tag in (Tag.RULE_FIRED, Tag.HOLD_LIFTED):
            return
        intent = not_started(stored)
        if intent is not None and self._watches_retries and intent not in self._taken_back:
            self._taken_back.add(intent)
            with suppress(Malformed):
                self.take_back(self._recorder.ledger.entry(intent))
        stop_rule_signal = self.told(stored)
        for rule in self._rules if stop_rule_signal is not None else ():
            for event in events_of(rule, stop_rule_signal) if stop_rule_signal is not None else ():
                self._history.happened(event)
                if self._sources is not None:
                    name_source(self._sources, rule.name, event.agent, stored.index)

    def take_back(self, intent: StoredEntry) -> None:
        """Count the action of this intent no longer as a retry. Raises Unavailable."""
        attempt = self.told(intent) if intent.tag == Tag.INTENT else None
        for rule in self._rules if attempt is not None else ():
            for event in events_of(rule, attempt) if attempt is not None and rule.watches == RETRY else ():
                self._history.take_back(event)
                if self._sources is not None:
                    unname_source(self._sources, rule.name, event.agent, intent.index)

    def reset_by(self, stored: StoredEntry) -> tuple[str, str, list[str] | None] | None:
        """Return which count an entry resets, by rule, owner and keys; None as keys for all of them."""
        leaf = leaf_of(stored) if stored.tag in (Tag.RULE_FIRED, Tag.HOLD_LIFTED) else {}
        if stored.tag == Tag.RULE_FIRED and leaf.get("fired") == "held" and self._knows(leaf.get("hold")):
            counted = leaf.get("counted")
            keys = [str(one) for one in counted] if isinstance(counted, list) else []
            return str(leaf.get("rule")), str(leaf.get("owner")), keys
        if stored.tag == Tag.HOLD_LIFTED and leaf.get("rule_owner"):
            return str(leaf.get("rule")), str(leaf["rule_owner"]), None
        return None

    def told(self, stored: StoredEntry) -> StopRuleSignal | None:
        """Return the signal of an entry; None if stop rules do not watch it."""
        leaf = leaf_of(stored)
        if stored.tag == Tag.INTENT:
            return self._attempted(stored, leaf, "started")
        if stored.tag == Tag.REFUSAL:
            return None if self._is_known(leaf) else self._attempted(stored, leaf, "denied")
        if stored.tag == Tag.DOOR_REFUSAL and leaf.get("agent"):
            times, at = whole(leaf, "count"), whole(leaf, "last")
            return turned_away(str(leaf["agent"]), str(leaf.get("code")), at=at, times=times)
        if stored.tag == Tag.LOG_FINDING:
            agent, mandate = str(leaf.get("agent") or ""), str(leaf.get("mandate") or "")
            return shown_by_log(
                str(leaf.get("verdict")),
                agent,
                mandate,
                at=whole(leaf, "at"),
                grade=str(leaf.get("grade") or ""),
            )
        if stored.tag == Tag.OUTCOME and leaf.get("overrun"):
            return self._overrun(leaf)
        if stored.tag == Tag.APPROVAL_ANSWER and leaf.get("verdict") == "deny":
            return self._no(leaf)
        if stored.tag == Tag.CITED and leaf.get("kind") == KIND:
            return self._hop(leaf)
        if stored.tag == Tag.WORKLOAD_ENROLLED and leaf.get("parent"):
            return self._sub_agent(leaf)
        return None

    def _is_known(self, leaf: Mapping[str, JSONValue]) -> bool:
        """Whether this was refused for a hold that the register has."""
        by = leaf.get("by")
        if not str(leaf.get("code")).startswith(HELD) or not isinstance(by, list) or len(by) < 2:
            return False
        return self._knows(by[1])

    def _knows(self, hold: JSONValue) -> bool:
        """Whether the register has the hold, in force or no longer."""
        return self._authority.holds.get(HoldId(str(hold))) is not None

    def _attempted(self, stored: StoredEntry, leaf: dict[str, JSONValue], kind: str) -> StopRuleSignal:
        code = str(leaf.get("code") or "")
        # A request refused before its action was known names its target only in a sealed field.
        nameless = self._with_targets and not leaf.get("capability")
        fields = (
            fields_of(self._recorder.subject_keys, stored, leaf) if self._with_fields or nameless else None
        )
        action = (fields or {}).get("action") or (fields or {}).get("request")
        members = action if isinstance(action, dict) else {}
        arguments = members.get("arguments")
        capability = registered(self._authority.registry.current, str(leaf.get("capability") or ""))
        if capability is None and nameless:
            resolved = self._authority.registry.index.resolve(
                str(members.get("server")), str(members.get("method")), str(members.get("target"))
            )
            capability = resolved.capability if resolved is not None else None
        evidence = leaf.get("evidence")
        is_tool = capability is not None and capability.method == TOOLS_CALL
        return StopRuleSignal(
            kind="denied" if kind == "denied" else "started",
            at=whole(leaf, "at"),
            agents=_agents(leaf),
            mandate=str(leaf.get("mandate") or ""),
            instances=instances_of(str(leaf.get("instance") or "")),
            server=capability.server if capability is not None else "",
            tool=capability.target if capability is not None and is_tool else "",
            capability=capability.name if capability is not None else "",
            code=code,
            drifted=isinstance(evidence, dict) and evidence.get("drifted") is True,
            actions=(str(leaf.get("digest")),) if leaf.get("digest") else (),
            resource=self._touched(capability, members),
            is_aimed=bool(leaf.get("capability")) or code in TOOL_CODES,
            arguments=arguments if isinstance(arguments, dict) else {},
        )

    def _touched(self, capability: Capability | None, action: Mapping[str, JSONValue]) -> str:
        """Return the canary resource that an action is on; empty for none."""
        target, arguments = action.get("target"), action.get("arguments")
        if capability is None or not isinstance(target, str) or not isinstance(arguments, dict):
            return ""
        key, kind = resource_in(capability, target, arguments), capability.resource.type
        canaries = (one for rule in self._rules for one in rule.canary.resources)
        return next((one for one in canaries if resource_key(kind, one) == key), "")

    def _overrun(self, leaf: dict[str, JSONValue]) -> StopRuleSignal | None:
        try:
            intent = self._recorder.ledger.entry(whole(leaf, "intent"))
        except Malformed:
            return None
        begun = leaf_of(intent)
        capability = registered(self._authority.registry.current, str(begun.get("capability") or ""))
        return StopRuleSignal(
            kind="overrun",
            at=whole(leaf, "at"),
            agents=_agents(begun),
            mandate=str(begun.get("mandate") or ""),
            instances=instances_of(str(begun.get("instance") or "")),
            server=capability.server if capability is not None else "",
            tool=capability.target if capability is not None and capability.method == TOOLS_CALL else "",
            capability=capability.name if capability is not None else "",
        )

    def _no(self, leaf: dict[str, JSONValue]) -> StopRuleSignal | None:
        approval = self._authority.approvals.find(ApprovalId(str(leaf.get("approval"))))
        if approval is None:
            return None
        place, at = (str(approval.agent), approval.capability), whole(leaf, "at")
        before = self._noes.get(place, 0)
        if not is_new_round(approval, before, at):
            return None
        self._noes[place] = at
        return no_said(approval, self._authority.registry.current, at=at)

    def _hop(self, leaf: dict[str, JSONValue]) -> StopRuleSignal | None:
        name, agent, parent = (str(leaf.get(one) or "") for one in ("hop", "agent", "parent"))
        if len(self._hops) >= HOPS_MAX:
            del self._hops[next(iter(self._hops))]
        self._hops[name] = (agent, parent)
        givers = self._above(parent)
        if not parent or leaf.get("own") is True or givers[:1] == (agent,):
            return None
        if not givers:
            mandate = self._authority.mandates.find(MandateId(str(leaf.get("mandate"))))
            givers = (mandate.agent,) if mandate is not None else ()
        return StopRuleSignal(
            kind="handed_on",
            at=whole(leaf, "at"),
            agents=tuple(dict.fromkeys(givers)),
            mandate=str(leaf.get("mandate") or ""),
        )

    def _above(self, hop: str) -> tuple[str, ...]:
        found: list[str] = []
        while hop in self._hops and len(found) < HOPS_MAX:
            agent, hop = self._hops[hop]
            found.append(agent)
        return tuple(found)

    def _sub_agent(self, leaf: dict[str, JSONValue]) -> StopRuleSignal | None:
        instance = str(leaf.get("instance"))
        # Later entries for the same instance change it and count no second sub-agent.
        if instance in self._enrolled:
            return None
        self._enrolled.add(instance)
        return StopRuleSignal(
            kind="handed_on",
            at=whole(leaf, "at"),
            agents=(str(leaf.get("agent")),),
            instances=instances_of(str(leaf.get("parent"))),
        )


def not_started(stored: StoredEntry) -> int | None:
    """Return the intent of an action whose end says that it was not started; None for any other entry."""
    if stored.tag != Tag.OUTCOME:
        return None
    leaf = leaf_of(stored)
    return whole(leaf, "intent") if leaf.get("status") == "not_started" else None


def _agents(leaf: Mapping[str, JSONValue]) -> tuple[str, ...]:
    hops = leaf.get("hops")
    named = [str(one.get("agent")) for one in hops if isinstance(one, dict)] if isinstance(hops, list) else []
    return tuple(dict.fromkeys((str(leaf.get("agent")), *reversed(named))))
