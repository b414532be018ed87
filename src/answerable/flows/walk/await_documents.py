"""Documents that another process applied are in force here before anything is decided or started.

What changed in the registers' file is known at the next look at the epoch; documents with many policies take seconds to
compile, and until then nobody here can say what they forbid. So actions wait, and what is on its way is not started.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from answerable.errors.codes.registry import REGISTRY_COMING
from answerable.flows.state.stop_rules import Bell

if TYPE_CHECKING:
    from answerable.flows.state.walk import Walk

WAIT_SECONDS_MAX: Final = 10.0


def require_none_coming(walk: Walk) -> None:
    """Of whoever has looked at the epoch. Raises Unavailable (`registry.coming`)."""
    if walk.registry.coming is not None:
        raise REGISTRY_COMING()


async def await_documents(walk: Walk) -> None:
    """Until whoever follows the registers has put them into force. Raises Unavailable: `register.*` where nobody can
    say whether there are any, and `registry.coming`."""
    walk.worlds.epoch()
    if walk.registry.coming is None:
        return
    bell, loop = Bell(), asyncio.get_running_loop()
    ends = loop.time() + WAIT_SECONDS_MAX
    walk.registered.append(bell)
    try:
        while walk.registry.coming is not None and loop.time() < ends:
            await bell.heard(seconds_max=ends - loop.time())
    finally:
        walk.registered.remove(bell)
    require_none_coming(walk)
