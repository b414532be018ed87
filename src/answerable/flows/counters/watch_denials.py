"""Telling stop rules that people said no to an agent once more.

It counts once for each round of asking: what waited already when the last no that counts was said to the same agent
about the same capability was asked before that, and is no variation of it. So whoever says no to two hundred at once
says it once. A no that does not count begins no round: else an agent that always asks the next one before it hears of
the last would never be counted.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from answerable.core.containment.stop_rule_signal import StopRuleSignal
from answerable.core.registry.documents.stop_rule import BY_PEOPLE
from answerable.core.registry.tools.tool_pin import TOOLS_CALL
from answerable.errors import Unavailable
from answerable.flows.counters.trigger_rules import count, rules_now

if TYPE_CHECKING:
    from answerable.core.approval.approval import Approval
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.flows.state.walk import Walk

NOES_MAX: Final = 10_000
"""Agents and capabilities that are kept in mind; past it the register is asked again."""


def count_no(walk: Walk, after: Approval, *, at: UnixMillis, index: int) -> None:
    """An answer has its place in the log, and `after` is what became of the approval: whether that is another no, and
    what follows from it. Never raises: what cannot be read of earlier noes makes this one count."""
    if after.state != "denied" or not any(rule.watches in BY_PEOPLE for rule, _ in rules_now(walk)):
        return
    place, noes = (str(after.agent), after.capability), walk.stop_rules.noes
    before = noes.get(place, 0)
    with suppress(Unavailable):
        before = before or _last_counted(walk, after)
    if len(noes) >= NOES_MAX:
        noes.clear()
    is_new = is_new_round(after, before, at)
    noes[place] = at if is_new else before
    if is_new:
        count(walk, no_said(after, walk.registry.current, at=at), index=index)


def is_new_round(approval: Approval, before: int, at: int) -> bool:
    """Whether it was asked when the last no that counts had been said. before: when that was, Unix milliseconds; 0 for
    none. at: when this one is said; if that is earlier, the clock was set back, and it counts."""
    return not before or approval.created_at >= before or at < before


def no_said(approval: Approval, snapshot: RegistrySnapshot, *, at: int) -> StopRuleSignal:
    """What stop rules are told of a no."""
    capability = snapshot.capabilities.get(approval.capability)
    is_tool = capability is not None and capability.method == TOOLS_CALL
    return StopRuleSignal(
        kind="said_no",
        at=at,
        agents=(approval.agent,),
        mandate=approval.mandate,
        server=capability.server if capability is not None else "",
        tool=capability.target if capability is not None and is_tool else "",
        capability=approval.capability,
    )


def _last_counted(walk: Walk, after: Approval) -> int:
    """When people last said a no that counts, as the register has it, but for the answer that is being given."""
    noes = sorted(
        (
            (answer.at, one.id, one)
            for one in walk.approvals.all(pending_only=False, now=after.created_at)
            if one.canary is None
            and one.id != after.id
            and (one.agent, one.capability) == (after.agent, after.capability)
            for answer in one.answers
            if answer.verdict == "deny"
        ),
        key=lambda no: no[:2],
    )
    before = 0
    for at, _, approval in noes:
        before = at if is_new_round(approval, before, at) else before
    return before
