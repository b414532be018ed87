"""Check that a person who lets a critical action run has typed the name of its target. Runs before anything of the
answer is used up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.approval.assurance_level import tier_shown
from answerable.core.approval.typed_name import CRITICAL, how_unlike, is_same_name, name_to_type
from answerable.errors import shown
from answerable.errors.codes.approval import APPROVAL_TYPED_NAME, APPROVAL_TYPED_OFTEN
from answerable.flows.state.typed_tries import TRIES_MAX

if TYPE_CHECKING:
    from answerable.core.approval.approval import Approval
    from answerable.core.approval.token import Verdict
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.flows.state.parts import InProgress
    from answerable.ports.registry_store import RegistryStore


def name_wanted(registry: RegistryStore, approval: Approval) -> str:
    """Return the name to type to let this run; empty where its tier requires none. The higher of the displayed tier and
    the tier now counts; an unknown capability counts as the highest."""
    capability = registry.current.capabilities.get(approval.capability)
    tier = max(tier_shown(approval), capability.tier if capability is not None else CRITICAL)
    return name_to_type(approval) if tier >= CRITICAL else ""


def check_typed(
    registry: RegistryStore,
    under_way: InProgress,
    approval: Approval,
    *,
    person: str,
    verdict: Verdict,
    typed: str,
    now: UnixMillis,
    session: str = "",
) -> None:
    """Check that this person typed the name, where one is required. A no requires none, nor does an approval that is no
    longer pending. session: the console session in which they typed; empty for an answer signed with a key file.

    Raises Refused (`approval.typed_name`, and after too many wrong ones `approval.typed_often`).
    """
    if verdict == "deny" or approval.state_at(now) != "pending":
        return
    wanted = name_wanted(registry, approval)
    if not wanted:
        return
    tries = under_way.typed
    if tries.count(person, session, approval.id, now) >= TRIES_MAX:
        raise APPROVAL_TYPED_OFTEN(
            f"the typed name was wrong {TRIES_MAX} times within a minute: wait a minute, then "
            "read the card again"
        )
    if not is_same_name(wanted, typed):
        if typed:
            tries.wrong(person, session, approval.id, now)
        raise APPROVAL_TYPED_NAME(
            f"this action is critical: type {shown(wanted)} to approve it; {how_unlike(wanted, typed)}"
        )
