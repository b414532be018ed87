"""Make actions wait until documents that another process applied are in force in this process.

A change in the register file is noticed at the next read of the epoch. Documents with many policies take seconds to
compile, and until then this process does not know whose authority they end. So actions wait, and an action already on
its way is not started. Actions do not wait for policy sets alone: those take effect once they are compiled (PUB-10).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from answerable.errors.codes.registry import REGISTRY_COMING
from answerable.flows.state.stop_rules import Bell

if TYPE_CHECKING:
    from answerable.errors import Unavailable
    from answerable.flows.state.policy_desk import PolicyState
    from answerable.ports.registry_store import RegistryStore

WAIT_SECONDS_MAX: Final = 10.0


def are_coming(registry: RegistryStore) -> bool:
    """Whether actions must wait for documents, as of the last read of the epoch."""
    coming = registry.coming
    return coming is not None and not coming.only_policies


def require_none_coming(registry: RegistryStore) -> None:
    """Raise Unavailable (`registry.coming`) if documents of another process are not yet in force."""
    if are_coming(registry):
        raise REGISTRY_COMING()


async def await_documents(fault: Unavailable, registry: RegistryStore, policies: PolicyState) -> None:
    """After `registry.coming`, and no other fault, wait up to `WAIT_SECONDS_MAX` seconds until the follower of the
    registers has put pending documents into force.

    Raises the fault if it is another one, and Unavailable (`registry.coming`) after the time limit.
    """
    if fault.code != REGISTRY_COMING.id:
        raise fault
    bell, loop = Bell(), asyncio.get_running_loop()
    ends = loop.time() + WAIT_SECONDS_MAX
    policies.registered.append(bell)
    try:
        while are_coming(registry) and loop.time() < ends:
            await bell.heard(seconds_max=ends - loop.time())
    finally:
        policies.registered.remove(bell)
    require_none_coming(registry)
