"""Settings become the desk at which policy sets are published."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import anyio

from answerable.adapters.cedar.asking import compiled_asking
from answerable.adapters.cedar.set_checks import check_sets
from answerable.adapters.sqlite import SqlitePolicyRegister
from answerable.errors import AnswerableError, shown
from answerable.flows.policy.shadow_policy import follow_shadow
from answerable.flows.state.policy_desk import PolicyState

if TYPE_CHECKING:
    from answerable.adapters.sqlite import SqliteStore
    from answerable.flows.state.walk import Walk
    from answerable.wiring.setting_tree import Settings

SHADOW_SECONDS: Final = 1.0
"""How soon the set in the shadow decides what was decided."""
SHADOW_TURNS: Final = 5
"""Of so many turns, one asks the register whether another process has put a set into the shadow."""

_log: Final = logging.getLogger(__name__)


def policy_desk(settings: Settings, store: SqliteStore) -> PolicyState:
    """Who publishes, and where proposals and earlier sets are kept."""
    return PolicyState(
        publishers=settings.policy.publishers,
        records=SqlitePolicyRegister(store),
        check=check_sets,
        compile_asking=compiled_asking,
    )


def say_who_publishes(walk: Walk) -> None:
    """A group that nobody is in lets nobody publish, and is more often a slip than a wish."""
    group = walk.policies.publishers
    if group and not any(group in one.groups for one in walk.registry.current.principals.values()):
        _log.warning(
            "nobody is in group %s, whose members publish policy sets (`policy.publishers`): until somebody registered "
            "is, no policy set can be put into force",
            shown(group),
        )


async def following_shadow(walk: Walk) -> None:
    """Compare what is decided with the set in the shadow, as long as there is one. It ends nothing when it fails."""
    turn = 0
    while True:
        turn = (turn + 1) % SHADOW_TURNS
        try:
            # What this process put there is in memory.
            more = (walk.policies.seen is not None or turn == 0) and await follow_shadow(walk)
        except AnswerableError as failed:
            _log.warning("the policy set in the shadow is not followed for now: %s", failed.message)
            more = False
        await anyio.sleep(0 if more else SHADOW_SECONDS)
