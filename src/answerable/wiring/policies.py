"""Settings become the desk at which policy sets are published."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.adapters.cedar.asking import compiled_asking
from answerable.adapters.sqlite import SqlitePolicyRegister
from answerable.flows.policy_desk import PolicyDesk

if TYPE_CHECKING:
    from answerable.adapters.sqlite import SqliteStore
    from answerable.wiring.setting_tree import Settings


def policy_desk(settings: Settings, store: SqliteStore) -> PolicyDesk:
    """Who publishes, and where proposals and earlier sets are kept."""
    return PolicyDesk(
        publishers=settings.policy.publishers,
        records=SqlitePolicyRegister(store),
        compile_asking=compiled_asking,
    )
