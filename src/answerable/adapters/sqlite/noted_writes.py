"""Note writes of other programs in each table of the registers, by triggers of a schema version.

Never edit what a version names: another table needs a new version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

PROJECTED: Final = {
    "approvals": "approvals",
    "documents": "documents",
    "mandates": "mandates",
    "mandates_issued": "mandates",
    "manifests": "manifests",
    "policy_records": "policies",
    "projections": "positions",
    "tool_pins": "tool_pins",
}
"""Register by table."""
RECALLED: Final = {
    "budgets_used": "budgets",
    "calls_counted": "budgets",
    "duty_delegations": "duty_delegations",
    "holds": "holds",
    "passkeys": "passkeys",
    "revocations": "revocations",
}
"""Register by table, for registers that readers of their own restore (`restore_ended_authority`)."""
RECALLED_TOO: Final = {
    "agent_uses": "agent_uses",
    "authorities": "authorities",
    "drills": "drills",
    "federated": "federated",
    "history": "history",
    "history_kept": "history",
    "instances": "instances",
    "invitations": "invitations",
    "join_tokens": "join_tokens",
    "looks": "openings",
    "nonces": "openings",
    "prepared": "prepared",
    "push_devices": "push_devices",
    "receivers": "receivers",
    "token_names": "tokens",
    "tokens": "tokens",
    "trust_domain": "authorities",
    "use_days": "agent_uses",
    "uses_read": "agent_uses",
}
"""The same, from 2026-12-02 on."""
REST: Final = {
    "channels": "messages",
    "citations": "citations",
    "citations_kept": "citations",
    "deliveries": "messages",
    "duty_marks": "duty_marks",
    "event_streams": "event_streams",
    "events_read": "events",
    "events_waiting": "events",
    "figures": "figures",
    "figures_kept": "figures",
    "inventory": "inventory",
    "said": "said",
    "status_lists": "status_lists",
}
"""Every other table but those about the file itself: `authority_changes`, `migrations`, `touched`."""


def noted_writes(registers: Mapping[str, str]) -> tuple[str, ...]:
    """Return statements of one schema version, which must never change. Triggers mark each write; `SqliteStore.write`
    removes the mark in its own transaction, so that a remaining mark shows a write by another program."""
    return (
        *(f"INSERT INTO touched VALUES ('{name}', 0)" for name in sorted({*registers.values()})),  # noqa: S608 - ours
        *(
            f"CREATE TRIGGER {table}_{what.lower()} AFTER {what} ON {table} BEGIN "  # noqa: S608 - names of ours
            f"UPDATE touched SET by_others = 1 WHERE name = '{name}' AND by_others = 0; END"
            for table, name in registers.items()
            for what in ("INSERT", "UPDATE", "DELETE")
        ),
    )
