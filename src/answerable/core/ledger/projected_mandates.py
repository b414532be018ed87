"""Rebuild mandates from the ledger: issued, and closed before their end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from answerable.core.containment.shadow import is_shadow_name
from answerable.core.identity.names.principal import schedule_of
from answerable.core.ledger.leaves import Reference
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.token import mandate_in, verify_mandate
from answerable.errors.codes.mandate import MANDATE_MALFORMED

if TYPE_CHECKING:
    from answerable.core.identity.keys.keys import PublicKey
    from answerable.core.identity.names.principal import PrincipalId
    from answerable.core.ledger.projected import Told
    from answerable.core.mandate.mandate import Mandate
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot

MANDATE_TAGS: Final = frozenset({Tag.MANDATE_ISSUED, Tag.MANDATE_CLOSED})


@dataclass(frozen=True, slots=True)
class MandateRow:
    """A mandate as rebuilt from the ledger. mandate: None for one that was closed before anything else was known of it;
    such a mandate is never in force."""

    mandate: Mandate | None
    closed: bool
    issued: Reference | None


def mandate_after(known: MandateRow | None, told: Told) -> MandateRow | None:
    """Return the mandate after an entry; None for an unknown mandate.

    Raises Unverified, Malformed for one that its named giver did not sign, or whose person was erased.
    """
    if told.tag == Tag.MANDATE_CLOSED:
        return (
            replace(known, closed=True) if known is not None else MandateRow(None, closed=True, issued=None)
        )
    if known is not None and known.mandate is not None:
        return known
    told.sealed("token")
    place = Reference(entry=told.index, leaf=told.leaf_hash, log=told.log)
    if is_shadow_name(str(told.leaf.get("mandate"))):
        # The keys of a drill are in no document. When read back its mandate is closed: nobody acts under it again.
        return MandateRow(mandate_in(told.text("token")), closed=True, issued=place)
    registry = told.world.registry
    mandate = verify_mandate(
        told.text("token"),
        audience=told.log,
        keys_of=lambda issuer: giver_keys(registry, issuer),
        application_keys=lambda name: (
            registry.applications[name].keys if name in registry.applications else ()
        ),
    )
    if mandate.id != told.leaf.get("mandate"):
        raise MANDATE_MALFORMED("its token is for another mandate than its entry")
    return MandateRow(mandate, closed=known is not None and known.closed, issued=place)


def giver_keys(registry: RegistrySnapshot, issuer: PrincipalId) -> tuple[PublicKey, ...]:
    """Return the keys of the schedule or person that gives mandates; empty for an unknown name."""
    schedule = schedule_of(issuer)
    if schedule is not None:
        return registry.schedules[schedule].keys if schedule in registry.schedules else ()
    return registry.principals[issuer].keys if issuer in registry.principals else ()
