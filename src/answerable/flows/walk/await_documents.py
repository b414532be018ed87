"""Documents that another process applied are in force here before anything is decided or started.

What changed in the registers' file is known at the next look at the epoch; documents with many policies take seconds to
compile, and until then nobody here can say whose right to act they end. So actions wait, and what is on its way is not
started. For policy sets alone nobody waits: they hold once they are compiled (PUB-10).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from answerable.errors.codes.registry import REGISTRY_COMING
from answerable.flows.state.stop_rules import Bell

if TYPE_CHECKING:
    from answerable.flows.state.walk import Walk

WAIT_SECONDS_MAX: Final = 10.0


def are_coming(walk: Walk) -> bool:
    """Whether actions wait for documents, as whoever has looked at the epoch knows."""
    coming = walk.registry.coming
    return coming is not None and not coming.only_policies


def require_none_coming(walk: Walk) -> None:
    """Raises Unavailable (`registry.coming`)."""
    if are_coming(walk):
        raise REGISTRY_COMING()


async def await_documents(walk: Walk) -> None:
    """Until whoever follows the registers has put them into force. Raises Unavailable: `register.*` where nobody can
    say whether there are any, and `registry.coming`."""
    walk.worlds.epoch()
    if not are_coming(walk):
        return
    bell, loop = Bell(), asyncio.get_running_loop()
    ends = loop.time() + WAIT_SECONDS_MAX
    walk.registered.append(bell)
    try:
        while are_coming(walk) and loop.time() < ends:
            await bell.heard(seconds_max=ends - loop.time())
    finally:
        walk.registered.remove(bell)
    require_none_coming(walk)
