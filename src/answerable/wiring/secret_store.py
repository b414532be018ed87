"""Open the broker's store of static secrets, and resolve references to it in settings."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from answerable.adapters.secret_store import Keyring, SealedSecretStore
from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.errors.codes.leases import SECRET_REFERENCE, SECRETS_UNAVAILABLE
from answerable.wiring.settings import secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.ports.secret_store import SecretStore
    from answerable.wiring.setting_tree import Settings

DIRECTORY: Final = "secrets"
STORE: Final = "store:"


def open_secrets(settings: Settings) -> SecretStore:
    """Open the store in the broker's own directory; create it if there is none. Raises Unavailable (`secrets.*`)."""
    entropy, broker = SystemEntropy(), settings.broker
    broker.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    keyring = Keyring(broker.secrets_keyring, entropy)
    return SealedSecretStore.open(broker.directory / DIRECTORY, keyring, clock=SystemClock(), entropy=entropy)


def has_store(settings: Settings) -> bool:
    """Whether a secret was ever stored there."""
    try:
        return (settings.broker.directory / DIRECTORY).is_dir()
    except PermissionError:
        message = "the directory of secrets cannot be read by this account: it is the broker's"
        raise SECRETS_UNAVAILABLE(message) from None


def secrets_of(settings: Settings, *, by: str = "target settings") -> Callable[[str], bytes]:
    """Return the resolver of references in target files: those of settings, and `store:NAME`. by: name that the store
    records as the secret's user."""
    return partial(_secret_of, settings, by)


def others_of(settings: Settings, *, by: str) -> Callable[[str], tuple[bytes, ...]]:
    """Return the resolver of a secret's other possible values, before or after the present one, while it is being
    changed at its target."""
    return partial(_others_of, settings, by)


def _others_of(settings: Settings, by: str, reference: str) -> tuple[bytes, ...]:
    if not reference.startswith(STORE) or not has_store(settings):
        return ()
    found = open_secrets(settings).candidates(reference.removeprefix(STORE), by=by)
    prepared = (found.prepared,) if found.prepared is not None else ()
    return tuple(one.text.encode() for one in (*prepared, found.current, *found.before))


def _secret_of(settings: Settings, by: str, reference: str) -> bytes:
    if not reference.startswith(STORE):
        return secret(reference, data=settings.broker.targets)
    name = reference.removeprefix(STORE)
    if not has_store(settings):
        raise SECRET_REFERENCE(
            "there is no store of secrets yet: create it with `answerable secret put NAME`"
        )
    found = open_secrets(settings).check_out(name, by=by)
    return found.text.encode()
