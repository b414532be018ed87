"""Build from settings the state of policy publication, and follow the shadow policy set."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import anyio

from answerable.adapters.cedar.asking import compiled_asking
from answerable.adapters.cedar.set_checks import check_sets
from answerable.adapters.sqlite import SqlitePolicyRegister
from answerable.errors import AnswerableError, shown
from answerable.flows.policy.shadow_policy import follow_shadow
from answerable.flows.recording.rounds import until_round
from answerable.flows.state.policy_desk import PolicyState

if TYPE_CHECKING:
    from answerable.adapters.sqlite import SqliteStore
    from answerable.flows.state.drill_desk import DrillState
    from answerable.flows.state.parts import AuthorityRegisters, Recorder
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.ports.decision_point import DecisionPoint, PolicyCompiler
    from answerable.ports.registry_store import RegistryStore
    from answerable.wiring.setting_tree import Settings

SHADOW_SECONDS: Final = 1.0
"""Interval at which the shadow set evaluates new decisions."""
SHADOW_TURNS: Final = 5
"""One of this many turns checks the register for a shadow set of another process."""

_log: Final = logging.getLogger(__name__)


def policy_desk(
    settings: Settings, store: SqliteStore, *, decision_point: DecisionPoint, compile_policies: PolicyCompiler
) -> PolicyState:
    """Return the policies in force, who publishes others, and where proposals and earlier sets are stored."""
    return PolicyState(
        decision_point=decision_point,
        compile_policies=compile_policies,
        publishers=settings.policy.publishers,
        records=SqlitePolicyRegister(store),
        check=check_sets,
        compile_asking=compiled_asking,
    )


def say_who_publishes(registry: RegistryStore, policies: PolicyState) -> None:
    """Warn if the publishers' group has no members: then nobody can publish, which is more often a mistake than
    intended."""
    group = policies.publishers
    if group and not any(group in one.groups for one in registry.current.principals.values()):
        _log.warning(
            "group %s, whose members publish policy sets (`policy.publishers`), has no registered member: no policy "
            "set can be put into force",
            shown(group),
        )


async def following_shadow(
    recorder: Recorder,
    authority: AuthorityRegisters,
    policies: PolicyState,
    drills: DrillState,
    limits: WalkLimits,
) -> None:
    """Evaluate new decisions with the shadow set, while there is one. A failure ends nothing."""
    turn = 0
    while True:
        turn = (turn + 1) % SHADOW_TURNS
        try:
            # A shadow set of this process is in memory.
            more = (policies.seen is not None or turn == 0) and await follow_shadow(
                recorder, authority, policies, drills, limits
            )
        except AnswerableError as failed:
            _log.warning("the shadow policy set cannot be evaluated now: %s", failed.message)
            more = False
        await anyio.sleep(0 if more else until_round(SHADOW_SECONDS))
