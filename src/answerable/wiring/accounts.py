"""Under which account of this machine the servers run that `answerable up` starts, and what that means."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from answerable.adapters.mcp_upstream.account import account_of
from answerable.core.registry.directory import registered_under
from answerable.errors import Unavailable

if TYPE_CHECKING:
    from answerable.flows.verify_caller import CallerVerifier
    from answerable.ports.registry_store import RegistryStore
    from answerable.wiring.setting_tree import Settings


def stdio_fault(settings: Settings) -> str:
    """Why nothing can be started under `upstreams.user`; empty where it can."""
    try:
        account_of(settings.upstreams.user)
    except Unavailable as fault:
        return f"`upstreams.user`: {fault.message}"
    return ""


def stdio_note(settings: Settings) -> str:
    """What follows where servers run under our own account; empty where they do not."""
    if settings.upstreams.user:
        return ""
    says = "run under the account of this server: one that is hostile reads its keys and answers in people's names"
    mend = "set `upstreams.user`" if os.geteuid() == 0 else "start it as root and set `upstreams.user`"
    return f"{says}; {mend}"


def agents_beside(verifier: CallerVerifier, registry: RegistryStore) -> frozenset[str]:
    """Agents that are known to run under our account: that came from it, or are registered under it."""
    return verifier.beside | registered_under(registry.current, os.geteuid())
