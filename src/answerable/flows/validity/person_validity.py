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
    from answerable.flows.state.parts import AuthorityRegisters
    from answerable.flows.state.passkey_desk import PasskeyState


def desk_of(passkeys: PasskeyState | None) -> PasskeyState:
    """Return the sign-in state. Raises Refused (`passkey.off`) if there is none."""
    if passkeys is None:
        raise no_desk()
    return passkeys


def person_standing(
    authority: AuthorityRegisters, passkeys: PasskeyState | None, name: str, *, key: str = ""
) -> Principal:
    """Return the registered person if their actions are valid now. `key`: thumbprint of the key they use; empty for
    none.

    Raises Refused (`person.unknown`, `person.disabled`, `person.group`, `revoked.*`, `held.*`), Unavailable.
    """
    person = authority.registry.current.principals.get(PrincipalId(name))
    if person is None:
        raise PERSON_UNKNOWN(
            f"no person is registered as {shown(name)}: see `answerable registry list --kind Principal`"
        )
    if person.status != "active":
        raise PERSON_DISABLED(f"{shown(name)} is disabled in the registry")
    groups = desk_of(passkeys).groups
    if groups and not set(groups) & set(person.groups):
        listed = ", ".join(groups)
        raise PERSON_GROUP(f"{shown(name)} is in none of the groups that may sign in: {listed}")
    fault = signer_fault(authority, person.name, key)
    if fault is not None:
        raise fault
    return person


def standing_passkey(passkeys: PasskeyState | None, name: str) -> Passkey | None:
    """Return the passkey of this name (base64url of its id) if it is valid."""
    if passkeys is None:
        return None
    return passkeys.register.find(octets_in({"name": name}, "name", CREDENTIAL_ID_BYTES_MAX))
