"""Check which registered people may sign in now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.identity.names.principal import PrincipalId
from answerable.core.identity.people.passkey import CREDENTIAL_ID_BYTES_MAX, octets_in
from answerable.errors import shown
from answerable.errors.codes.people import PERSON_DISABLED, PERSON_GROUP, PERSON_UNKNOWN
from answerable.flows.state.passkey_desk import no_desk
from answerable.flows.validity.refuse_revoked import signer_fault

if TYPE_CHECKING:
    from answerable.core.identity.people.passkey import Passkey
    from answerable.core.registry.documents.documents import Principal
    from answerable.flows.state.passkey_desk import PasskeyState
    from answerable.flows.state.walk import Walk


def desk_of(walk: Walk) -> PasskeyState:
    """Return the sign-in state. Raises Refused (`passkey.off`) if there is none."""
    if walk.passkeys is None:
        raise no_desk()
    return walk.passkeys


def person_standing(walk: Walk, name: str, *, key: str = "") -> Principal:
    """Return the registered person if their actions are valid now. `key`: thumbprint of the key they use; empty for
    none.

    Raises Refused (`person.unknown`, `person.disabled`, `person.group`, `revoked.*`, `held.*`), Unavailable.
    """
    person = walk.registry.current.principals.get(PrincipalId(name))
    if person is None:
        raise PERSON_UNKNOWN(
            f"no person is registered as {shown(name)}: see `answerable registry list --kind Principal`"
        )
    if person.status != "active":
        raise PERSON_DISABLED(f"{shown(name)} is disabled in the registry")
    groups = desk_of(walk).groups
    if groups and not set(groups) & set(person.groups):
        listed = ", ".join(groups)
        raise PERSON_GROUP(f"{shown(name)} is in none of the groups that may sign in: {listed}")
    fault = signer_fault(walk, person.name, key)
    if fault is not None:
        raise fault
    return person


def standing_passkey(walk: Walk, name: str) -> Passkey | None:
    """Return the passkey of this name (base64url of its id) if it is valid."""
    if walk.passkeys is None:
        return None
    return walk.passkeys.register.find(octets_in({"name": name}, "name", CREDENTIAL_ID_BYTES_MAX))
