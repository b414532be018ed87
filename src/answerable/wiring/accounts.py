"""Determine the account of this machine under which the stdio servers started by `answerable up` run, and its
consequences."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from answerable.adapters.mcp_upstream.account import TOOLS, account_of, tools_account
from answerable.core.registry.snapshot.directory import registered_under
from answerable.errors import Unavailable
from answerable.wiring.leases import broker_user

if TYPE_CHECKING:
    from answerable.flows.tokens.verify_caller import CallerVerifier
    from answerable.ports.registry_store import RegistryStore
    from answerable.wiring.setting_tree import Settings


def stdio_fault(settings: Settings) -> str:
    """Return why nothing can be started under `upstreams.user`; empty if it can."""
    try:
        tools_account(settings.upstreams.user)
    except Unavailable as fault:
        return f"`upstreams.user`: {fault.message}"
    return ""


def broker_fault(settings: Settings) -> str:
    """Return why no broker can be started under `broker.user`; empty if it can, and where none is started here."""
    if not settings.broker.enabled:
        return ""
    try:
        account_of(broker_user(settings))
    except Unavailable as fault:
        return f"`broker.user`: {fault.message}"
    return ""


def stdio_account(settings: Settings) -> str:
    """Return the name of the account that they run under; empty for this process's own. Raises Unavailable
    (`upstream.user`)."""
    found = tools_account(settings.upstreams.user)
    return found.pw_name if found is not None else ""


def stdio_note(settings: Settings) -> str:
    """Return a warning if servers run under this process's own account; empty if they do not."""
    if tools_account(settings.upstreams.user) is not None:
        return ""
    says = "run under the account of this server: a hostile one can read its keys and answer as its people"
    mend = f"give them an account: `useradd --system {TOOLS}`, or `upstreams.user`"
    if os.geteuid() != 0:
        mend = f"start it as root and {mend}"
    return f"{says}; {mend}"


def agents_beside(verifier: CallerVerifier, registry: RegistryStore) -> frozenset[str]:
    """Return the agents known to run under this process's account: they connected from it, or are registered under
    it."""
    return verifier.beside | registered_under(registry.current, os.geteuid())
