"""Join what several shards say that agents could do at an earlier time, each for its own mandates and by its own log.

Laws: only answers by one registry are joined; a shard whose answer is not in it is named with the reason; an agent that
could act under a mandate of any of them is not told that it could not.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final

from msgspec import UNSET
from msgspec.structs import asdict, replace

from answerable.api.decision_answers import PossibleAgent, PossibleWay

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from answerable.api.decision_answers import Possible

_ORDER: Final = ("allow", "depends", "deny")
_NONE: Final = ("mandate.none",)


def joined_possible(own: str, answers: Mapping[str, Possible], unread: Mapping[str, str]) -> Possible:
    """Return one answer. own: the shard whose process answers. answers: by shard, one at least. unread: shards that
    gave none, with the reason."""
    home = own if own in answers else min(answers)
    registry = answers[home].registry
    alike = {shard: one for shard, one in sorted(answers.items()) if one.registry == registry}
    others = {
        shard: f"its log has another registry of that time, {one.registry}"
        for shard, one in sorted(answers.items())
        if one.registry != registry
    }
    # The same registry has the same agents; that of the home comes first.
    each = [answers[home], *(one for shard, one in alike.items() if shard != home)]
    names = dict.fromkeys(agent.agent for one in each for agent in one.agents)
    return replace(
        answers[home],
        withheld=sum(one.withheld for one in each),
        unfollowed=sum(one.unfollowed for one in each),
        agents=tuple(
            _joined([agent for one in each for agent in one.agents if agent.agent == name]) for name in names
        ),
        shards=tuple(alike),
        elsewhere={**unread, **others},
    )


def _joined(agents: Sequence[PossibleAgent]) -> PossibleAgent:
    ways = sorted(
        chain.from_iterable(map(_ways, agents)),
        key=lambda one: (_ORDER.index(one.effect), len(one.conditions)),
    )
    if not ways:
        # Of a no, one under a mandate says more than that there is none.
        return min(agents, key=lambda one: one.by == _NONE)
    best, *rest = ways
    also = tuple(rest) if best.effect == "depends" else ()
    return PossibleAgent(**asdict(best), also=also or UNSET)


def _ways(agent: PossibleAgent) -> Iterator[PossibleWay]:
    """Yield the ways in which an agent could act."""
    if agent.effect == "deny":
        return
    yield PossibleWay(
        agent=agent.agent,
        by=agent.by,
        conditions=agent.conditions,
        effect=agent.effect,
        mandates=agent.mandates,
    )
    yield from agent.also or ()
