"""Signed manifests that live as long as the process."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from answerable.errors import Malformed, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.identity.principal import AgentId
    from answerable.core.registry.manifest_token import SignedManifest


class MemoryManifestRegister:
    """Implements ports.manifest_register.ManifestRegister."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_agent: dict[AgentId, tuple[SignedManifest, ...]] = {}
        self._changes = 0

    def put(self, signed: SignedManifest) -> None:
        """As the port says."""
        agent = signed.manifest.agent
        with self._lock:
            kept = self._by_agent.get(agent, ())
            if kept and kept[0].token == signed.token:
                return
            if kept and signed.signed_at <= kept[0].signed_at:
                raise Malformed(
                    f"agent {shown(agent)} has a manifest that was signed at the same time or later",
                    code="manifest.older",
                )
            self._by_agent[agent] = (signed, *kept)
            self._changes += 1

    def current(self, agent: AgentId) -> SignedManifest | None:
        """As the port says."""
        kept = self._by_agent.get(agent, ())
        return kept[0] if kept else None

    def is_unreadable(self, agent: AgentId) -> bool:
        """As the port says: nothing is written here that could not be read."""
        return False

    def changes(self) -> int:
        """As the port says."""
        return self._changes

    def history(self, agent: AgentId) -> Sequence[SignedManifest]:
        """As the port says."""
        return self._by_agent.get(agent, ())
