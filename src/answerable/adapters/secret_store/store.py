"""Store secrets as sealed files: `NAME.secret`, and beside it `NAME.uses`, in a directory of the broker's own."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

from answerable.adapters.secret_store.files import (
    faults,
    locked,
    locked_now,
    open_directory,
    read_private,
    replace_private,
)
from answerable.adapters.secret_store.sealing import NONCE_BYTES, PREPARED, SEALED_BYTES_MAX, opened, sealed
from answerable.adapters.secret_store.uses import USES_BYTES_MAX, read_uses, with_use, written
from answerable.core.lease.credential import Secret
from answerable.core.lease.secret_watch import SecretWatch
from answerable.core.lease.stored_secret import (
    ROTATE_DAYS_MAX,
    StoredSecret,
    checked_secret_name,
    checked_text,
)
from answerable.errors import shown
from answerable.errors.codes.leases import (
    SECRET_CANARY,
    SECRET_FULL,
    SECRET_MISSING,
    SECRET_RETIRED,
    SECRET_SAME,
    SECRET_TAKEN,
    SECRET_TEXT,
    SECRET_VALUE,
    SECRETS_FULL,
)
from answerable.ports.secret_store import VALUE, VALUE_BYTES_MAX, Candidates, CheckedOut

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from answerable.adapters.secret_store.keyring import Keyring, Keys
    from answerable.adapters.secret_store.sealing import Values
    from answerable.core.lease.stored_secret import SecretKind, SecretUse
    from answerable.ports.clock import Clock
    from answerable.ports.entropy import Entropy

SEALED: Final = ".secret"
USES: Final = ".uses"
ROTATING: Final = ".rotating"
LOCK: Final = "lock"
SECRETS_MAX: Final = 10_000


class SealedSecretStore:
    """Implements ports.secret_store.SecretStore. Created by `open`.

    A user who can read both directory and keyring has every secret: store the keyring elsewhere if possible. A user who
    can write the directory can restore an old file, which is an old version, never another secret.
    """

    def __init__(self, directory: Path, keyring: Keyring, clock: Clock, entropy: Entropy) -> None:
        self._directory = directory
        self._keyring = keyring
        self._clock = clock
        self._entropy = entropy

    @classmethod
    def open(cls, directory: Path, keyring: Keyring, *, clock: Clock, entropy: Entropy) -> SealedSecretStore:
        """Open the store; create what does not exist. Raises Unavailable (`secrets.*`)."""
        open_directory(directory)
        keyring.keys(creates=not any(directory.glob(f"*{SEALED}")))
        return cls(directory, keyring, clock, entropy)

    def put(
        self, name: str, value: bytes, *, kind: SecretKind, owner: str, about: str, rotate_days: int
    ) -> StoredSecret:
        checked_secret_name(name)
        _check_value(value)
        if not 0 <= rotate_days <= ROTATE_DAYS_MAX:
            raise SECRET_TEXT(f"expected a rotation every 1 to {ROTATE_DAYS_MAX} days, or 0 for none")
        secret = StoredSecret(
            name=name,
            kind=kind,
            owner=checked_text(owner, what="the owner"),
            about=checked_text(about, what="the purpose"),
            rotate_days=rotate_days,
            versions=(),
        ).with_version(self._clock.now())
        with self._locked():
            if read_private(self._path(name), SEALED_BYTES_MAX) is not None:
                raise SECRET_TAKEN(f"secret {shown(name)} exists already: rotate it, or choose another name")
            if sum(1 for _ in self._directory.glob(f"*{SEALED}")) >= SECRETS_MAX:
                raise SECRET_FULL(f"there are {SECRETS_MAX} secrets, which is the limit: remove one first")
            self._write(secret, {1: value})
        return secret

    def rotate(self, name: str, value: bytes, *, keep_old: bool = False) -> StoredSecret:
        _check_value(value)
        with self._locked():
            secret, values = self._read(name)
            if any(hmac.compare_digest(value, old) for old in values.values()):
                raise SECRET_SAME(
                    f"the new value is a current or earlier value of {shown(name)}: choose another one"
                )
            now = self._clock.now()
            secret = secret.with_version(now)
            number = secret.versions[-1].number
            values[number] = value
            if not keep_old:
                secret = secret.retired(now, before=number)
                values = {number: value}
            values.pop(PREPARED, None)
            self._write(secret, values)
        return secret

    def rotating(self, name: str) -> AbstractContextManager[None]:
        return locked_now(
            self._path(name, ROTATING), f"secret {shown(name)} is already being rotated: wait for it"
        )

    def prepare(self, name: str, value: bytes) -> StoredSecret:
        _check_value(value)
        with self._locked():
            secret, values = self._read(name)
            _current(secret, values)
            if PREPARED not in values:
                if any(hmac.compare_digest(value, old) for old in values.values()):
                    raise SECRET_SAME(
                        f"the new value is a current or earlier value of {shown(name)}: choose another one"
                    )
                secret = secret.prepared(self._clock.now())
                self._write(secret, values | {PREPARED: value})
        return secret

    def candidates(self, name: str, *, by: str) -> Candidates:
        checked_text(by, what="the user")
        with self._locked():
            secret, values = self._read(name)
            number = _current(secret, values)
            self._used(name, by)
        before = sorted((one for one in values if one not in (PREPARED, number)), reverse=True)
        prepared = values.get(PREPARED)
        return Candidates(
            current=_checked_out(name, number, values[number]),
            prepared=_checked_out(name, PREPARED, prepared) if prepared is not None else None,
            before=tuple(_checked_out(name, one, values[one]) for one in before),
        )

    def settle(self, name: str) -> StoredSecret:
        with self._locked():
            secret, values = self._read(name)
            if PREPARED not in values:
                return secret
            before = _current(secret, values)
            now, was_exposed = self._clock.now(), bool(secret.exposed_at)
            secret = secret.settled(now)
            number = secret.versions[-1].number
            values[number] = values.pop(PREPARED)
            first = number if was_exposed else before
            secret = secret.retired(now, before=first)
            self._write(secret, {one: value for one, value in values.items() if one >= first})
        return secret

    def retire(self, name: str, *, only_old: bool = False) -> StoredSecret:
        with self._locked():
            secret, values = self._read(name)
            current = secret.current
            before = current.number if only_old and current else 0
            secret = secret.retired(self._clock.now(), before=before)
            kept = {
                one: value for one, value in values.items() if before and (one >= before or one == PREPARED)
            }
            self._write(secret, kept)
        return secret

    def expose(self, name: str, why: str) -> StoredSecret:
        with self._locked():
            secret, values = self._read(name)
            secret = secret.exposed(self._clock.now(), why)
            self._write(secret, values)
        return secret

    def check_out(self, name: str, *, by: str) -> CheckedOut:
        checked_text(by, what="the user")
        with self._locked():
            secret, values = self._read(name)
            number = _current(secret, values)
            self._used(name, by)
        return _checked_out(name, number, values[number])

    def listed(self) -> Sequence[StoredSecret]:
        keys = self._keyring.keys()
        return [self._opened(name, keys)[0] for name in self._names()]

    def uses(self, name: str) -> Sequence[SecretUse]:
        return self._uses(checked_secret_name(name))

    def watch(self) -> SecretWatch:
        keys, found = self._keyring.keys(), []
        for name in self._names():
            found += [(name, value.decode()) for value in self._opened(name, keys)[1].values()]
        return SecretWatch(found)

    def state(self) -> object:
        with faults("the directory of secrets cannot be read"):
            return sorted(
                (path.name, seen.st_mtime_ns, seen.st_ino, seen.st_size)
                for path in self._directory.glob(f"*{SEALED}")
                for seen in (path.stat(),)
            )

    def change_key(self) -> int:
        """Change the sealing key: 1. add the new key to the ring, beside the old; 2. seal every file under it; 3.
        remove the old keys from the ring. After an interruption at any point, the ring contains the key of every file.
        """
        with self._locked():
            keys = self._keyring.begin_change()
            names = self._names()
            for name in names:
                self._write(*self._opened(name, keys), keys=keys)
            self._keyring.end_change()
        return len(names)

    def _locked(self) -> AbstractContextManager[None]:
        return locked(self._directory, LOCK, f"*{SEALED}", f"*{USES}")

    def _names(self) -> list[str]:
        with faults("the directory of secrets cannot be read"):
            return sorted(path.name.removesuffix(SEALED) for path in self._directory.glob(f"*{SEALED}"))

    def _path(self, name: str, suffix: str = SEALED) -> Path:
        return self._directory / f"{checked_secret_name(name)}{suffix}"

    def _read(self, name: str) -> tuple[StoredSecret, Values]:
        return self._opened(name, self._keyring.keys())

    def _opened(self, name: str, keys: Keys) -> tuple[StoredSecret, Values]:
        content = read_private(self._path(name), SEALED_BYTES_MAX)
        if content is None:
            raise SECRET_MISSING(f"there is no secret {shown(name)}")
        return opened(content, name, keys)

    def _write(self, secret: StoredSecret, values: Values, *, keys: Keys | None = None) -> None:
        content = sealed(secret, values, keys or self._keyring.keys(), self._entropy.bytes(NONCE_BYTES))
        if len(content) > SEALED_BYTES_MAX:
            raise SECRETS_FULL(
                f"the versions of {shown(secret.name)} have more than {SEALED_BYTES_MAX} bytes: retire old ones"
            )
        replace_private(self._path(secret.name), content, self._entropy.token)

    def _used(self, name: str, by: str) -> None:
        uses = with_use(self._uses(name), by, self._clock.now())
        replace_private(self._path(name, USES), written(uses), self._entropy.token)

    def _uses(self, name: str) -> tuple[SecretUse, ...]:
        return read_uses(read_private(self._path(name, USES), USES_BYTES_MAX), name)


def _current(secret: StoredSecret, values: Values) -> int:
    """Return the number of the version in use. Raises Refused (`secret.canary`, `secret.retired`)."""
    if secret.kind == "canary":
        raise SECRET_CANARY(f"{shown(secret.name)} is a planted (canary) secret and cannot be used")
    current = secret.current
    if current is None or current.number not in values:
        raise SECRET_RETIRED(f"secret {shown(secret.name)} was retired")
    return current.number


def _checked_out(name: str, version: int, value: bytes) -> CheckedOut:
    return CheckedOut(name=name, version=version, secret=Secret(**{VALUE: value.decode()}))


def _check_value(value: bytes) -> None:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = ""
    if not text or len(value) > VALUE_BYTES_MAX or "\0" in text:
        raise SECRET_VALUE(f"a secret is 1 to {VALUE_BYTES_MAX} bytes of UTF-8 text, without NUL")
