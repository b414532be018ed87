"""Find out what an action may spend at most, and what it gives back.

The reservation is in the intent and the returned amounts are in the outcome, so that a restart recounts both from the
log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from answerable.core.mandate.budget import NOTHING, ONE_CALL
from answerable.core.mandate.delegation_lineage import hop_accounts
from answerable.core.mandate.mandate import account_of
from answerable.core.mandate.session_claims import session_account
from answerable.core.mandate.spend import rest_of, spend_of
from answerable.core.mandate.token_life import own_use
from answerable.core.registry.documents.budget_name import BYTES
from answerable.errors.codes.mandate import MANDATE_BUDGET_SPENT
from answerable.flows.entries.log_outcome import result_bytes

if TYPE_CHECKING:
    from answerable.core.action.outcome import Outcome
    from answerable.core.action.request import VerifiedRequest
    from answerable.core.mandate.authority import Authority
    from answerable.core.mandate.budget import Account, Amounts, Lack, Reserved
    from answerable.core.mandate.delegation_chain import Hop
    from answerable.core.mandate.mandate import Mandate
    from answerable.errors import Refused
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.ports.mandate_register import MandateRegister
    from answerable.ports.registry_store import RegistryStore


def accounts_of(verified: VerifiedRequest) -> tuple[Account, ...]:
    """Return the accounts that the action counts against, in this order: the mandate, the login session that gave it,
    every delegation hop, and the single use of a token of the highest tier (by the current tier)."""
    hops, tier = verified.hops, verified.resolved.capability.tier
    return task_accounts(verified.mandate, verified.session, hops, tier)


def task_accounts(
    mandate: Mandate, session: tuple[Authority, ...], hops: tuple[Hop, ...], tier: int
) -> tuple[Account, ...]:
    """As `accounts_of`, for any action of this tier under this task."""
    return (
        account_of(mandate),
        *session_account(mandate, session),
        *hop_accounts(hops),
        *own_use(hops, tier=tier),
    )


def spend_on(
    registry: RegistryStore, limits: WalkLimits, verified: VerifiedRequest, accounts: tuple[Account, ...]
) -> Amounts:
    """Return the most that the action can spend. Raises Refused as `spend_of`: an unknown amount may not be spent."""
    if not verified.mandate.budgets and len(accounts) == 1:
        return ONE_CALL
    capability = verified.resolved.capability
    server = registry.current.servers.get(capability.server)
    longest = limits.upstream_ms_max
    wall_ms = longest if server is None else min(longest, server.call_seconds_max * 1000)
    return spend_of(capability, verified.arguments, accounts, wall_ms=wall_ms)


def require_left(mandates: MandateRegister, accounts: tuple[Account, ...], amounts: Amounts) -> None:
    """Check the budget before people are asked for approval. Raises Refused (`mandate.budget_spent`)."""
    lack = mandates.lack(accounts, amounts)
    if lack is not None:
        raise budget_spent(lack)


def with_rest(outcome: Outcome, reserved: Reserved, verified: VerifiedRequest, *, elapsed_ms: int) -> Outcome:
    """Return the outcome with the part of its reservation that is given back, measured from the answer itself."""
    amounts, result = reserved.amounts, outcome.result
    rest = rest_of(
        amounts,
        outcome.status,
        result=result.get("structuredContent") if result is not None else None,
        result_bytes=len(result_bytes(result)) if BYTES in amounts else 0,
        elapsed_ms=elapsed_ms,
        measures=verified.resolved.capability.spending.measures,
    )
    if rest.returned is NOTHING and rest.overrun is NOTHING:
        return outcome
    return msgspec.structs.replace(outcome, returned=rest.returned, overrun=rest.overrun)


def budget_spent(lack: Lack) -> Refused:
    """Return the refusal of an action for which a budget lacks."""
    return MANDATE_BUDGET_SPENT(lack.text())
