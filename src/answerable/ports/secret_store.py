"""Port: the broker's store of standing secrets, for targets that support no short-lived credentials."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from answerable.core.lease.credential import Secret
    from answerable.core.lease.secret_watch import SecretWatch
    from answerable.core.lease.stored_secret import SecretKind, SecretUse, StoredSecret

VALUE_BYTES_MAX = 65_536
VALUE = "value"
"""Name of the only text in a checked-out secret."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CheckedOut:
    """One version of a secret, for one use."""

    name: str
    version: int
    secret: Secret = field(repr=False)

    @property
    def text(self) -> str:
        """Return the value, for immediate use."""
        return self.secret.reveal(VALUE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """All values that the target may accept at present. prepared: the value that is replacing `current`. before: older
    versions that stay stored for targets that still accept them, newest first."""

    current: CheckedOut
    prepared: CheckedOut | None = None
    before: tuple[CheckedOut, ...] = ()


class SecretStore(Protocol):
    """Promises: values are on no medium in clear, and leave the store only through `check_out` and `candidates`; every
    check-out is on stable storage before its value is returned; a change that returned survives whatever follows, and
    one that did not return left the state as it was. Several processes may share a store. Content that was altered
    outside the store, or that was sealed with another key, is refused.

    Raises only Unavailable (`secrets.*`) and the errors named below.
    """

    def put(
        self, name: str, value: bytes, *, kind: SecretKind, owner: str, about: str, rotate_days: int
    ) -> StoredSecret:
        """Store a new secret. Raises Refused (`secret.taken`, `secret.full`), Malformed (`secret.name`, `secret.text`,
        `secret.value`)."""
        ...

    def rotate(self, name: str, value: bytes, *, keep_old: bool = False) -> StoredSecret:
        """Store the secret's next version, which check-outs return from now on. Older versions are retired and their
        values deleted, unless `keep_old` keeps them for those who still use them. Raises Refused (`secret.missing`,
        `secret.same`, `secret.full`), Malformed (`secret.value`)."""
        ...

    def rotating(self, name: str) -> AbstractContextManager[None]:
        """Hold the lock of a rotation at the target: one at a time over all processes; a killed process releases it.
        Entering raises Refused (`secret.rotating`)."""
        ...

    def prepare(self, name: str, value: bytes) -> StoredSecret:
        """Store this value as the next version, which `check_out` does not return yet. A version that is already
        prepared stays instead, because a target may know it. Raises Refused (`secret.missing`, `secret.retired`,
        `secret.same`, `secret.canary`), Malformed (`secret.value`)."""
        ...

    def candidates(self, name: str, *, by: str) -> Candidates:
        """Return every value that the target may accept. Raises Refused, as `check_out`."""
        ...

    def settle(self, name: str) -> StoredSecret:
        """Make the prepared version current. The previous version stays a candidate until the next rotation, for a
        target that is restored to an earlier state, unless the secret was exposed; older ones are deleted. Where none
        is prepared, nothing changes. Raises Refused (`secret.missing`, `secret.full`)."""
        ...

    def retire(self, name: str, *, only_old: bool = False) -> StoredSecret:
        """Stop check-outs and delete every value, or only those of older versions; the record stays. Idempotent. Raises
        Refused (`secret.missing`)."""
        ...

    def expose(self, name: str, why: str) -> StoredSecret:
        """Note that the secret was seen outside its place: it is due for rotation from now on. Raises Refused
        (`secret.missing`)."""
        ...

    def check_out(self, name: str, *, by: str) -> CheckedOut:
        """Return the current version, for one use by `by`. Raises Refused (`secret.missing`, `secret.retired`;
        `secret.canary` for a planted one, which nobody uses)."""
        ...

    def listed(self) -> Sequence[StoredSecret]:
        """Return all secrets, by name, without values."""
        ...

    def uses(self, name: str) -> Sequence[SecretUse]:
        """Return the uses of a secret, the last first."""
        ...

    def watch(self) -> SecretWatch:
        """Return a watch that detects any of the secrets, planted ones included, in passing data, and reveals none."""
        ...

    def state(self) -> object:
        """Return a value that differs whenever any secret changed. Cheap."""
        ...

    def change_key(self) -> int:
        """Re-encrypt everything under a new key and delete the old keys; return the number of secrets. After a crash
        everything is readable, and the next call completes the change."""
        ...
