"""Store policy sets that were in force, so that one signature restores them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from answerable.core.ledger.projected_documents import kept_record
from answerable.core.registry.policy_sets.policy_record import KEPT_MAX, KeptSets
from answerable.core.registry.policy_sets.publication import documents_digest, policy_documents
from answerable.errors import shown
from answerable.errors.codes.policy import PUBLICATION_AMBIGUOUS, PUBLICATION_NO_REGISTER, PUBLICATION_UNKNOWN

if TYPE_CHECKING:
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.flows.state.policy_desk import PolicyState
    from answerable.ports.policy_register import PolicyRegister
    from answerable.ports.registry_store import RegistryStore

DIGEST_CHARS_MIN: Final = 8


def records_of(policies: PolicyState) -> PolicyRegister:
    """Return the register of proposals and earlier sets. Raises Unavailable (`publication.no_register`)."""
    if policies.records is None:
        raise PUBLICATION_NO_REGISTER()
    return policies.records


def keep_policies(
    registry: RegistryStore, policies: PolicyState, after: dict[str, bytes], *, at: UnixMillis
) -> None:
    """Store the policy sets in force before others replace them. `at`: of the entry that records the change.

    Raises Unavailable.
    """
    records, present = policies.records, policy_documents(registry.documents())
    if records is None or not present or present == after:
        return
    records.put(kept_record(present, policy_set=policies.decision_point.policy_set, at=at))
    for old in records.all("kept")[KEPT_MAX:]:
        records.remove("kept", old.id)


def kept_sets(policies: PolicyState) -> tuple[tuple[int, KeptSets], ...]:
    """Return every stored set that was in force, with the time it ended, latest first. Raises Unavailable."""
    return tuple(
        (record.at, msgspec.json.decode(record.body, type=KeptSets))
        for record in records_of(policies).all("kept")
    )


def kept_set(registry: RegistryStore, policies: PolicyState, name: str) -> KeptSets:
    """Return the stored set with this digest, of its documents or as decisions name it; a prefix is enough.

    `name`: empty for the previous set. Raises Refused (`publication.unknown`, `publication.ambiguous`), Unavailable.
    """
    present = documents_digest(policy_documents(registry.documents()))
    found = [kept for _, kept in kept_sets(policies) if kept.digest != present]
    if name and len(name) < DIGEST_CHARS_MIN:
        message = f"{shown(name)} is too short for a digest: expected {DIGEST_CHARS_MIN} characters or more"
        raise PUBLICATION_AMBIGUOUS(message)
    if name:
        found = [kept for kept in found if kept.digest.startswith(name) or kept.policy_set.startswith(name)]
    if not found:
        known = (
            "no other policy set was in force before"
            if not name
            else f"no earlier policy set {shown(name)} was in force"
        )
        raise PUBLICATION_UNKNOWN(f"{known}: see `answerable policy history`")
    # The same documents under another registry had another decision digest: the latest counts.
    if name and len({kept.digest for kept in found}) > 1:
        message = f"{shown(name)} matches {len(found)} digests: give more characters"
        raise PUBLICATION_AMBIGUOUS(message)
    return found[0]
