"""Port: secrets that stand, for what can do no better, kept for the broker alone."""

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
"""The one text of a secret that was checked out."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CheckedOut:
    """One version of a secret, for one use."""

    name: str
    version: int
    secret: Secret = field(repr=False)

    @property
    def text(self) -> str:
        """Its value, to be used at once."""
        return self.secret.reveal(VALUE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Whatever the target may take at present. prepared: what is being put in the place of `current`. before: versions
    that were kept for those who still have them, the newest first."""

    current: CheckedOut
    prepared: CheckedOut | None = None
    before: tuple[CheckedOut, ...] = ()


class SecretStore(Protocol):
    """Promises: values are on no medium in clear, and leave by `check_out` alone; every check-out is on stable storage
    before its value is handed out; what returned is kept whatever happens next, and what did not is as it was. Several
    processes may share a store. What was changed behind its back, and what another key sealed, is refused.

    Raises only Unavailable (`secrets.*`) and what is named.
    """

    def put(
        self, name: str, value: bytes, *, kind: SecretKind, owner: str, about: str, rotate_days: int
    ) -> StoredSecret:
        """Keep a new secret. Raises Refused (`secret.taken`, `secret.full`), Malformed (`secret.name`, `secret.text`,
        `secret.value`)."""
        ...

    def rotate(self, name: str, value: bytes, *, keep_old: bool = False) -> StoredSecret:
        """Keep its next version, which is given out from now on; the older ones are retired, their values forgotten,
        unless they are kept for those who still have them. Raises Refused (`secret.missing`, `secret.same`,
        `secret.full`), Malformed (`secret.value`)."""
        ...

    def rotating(self, name: str) -> AbstractContextManager[None]:
        """For the length of a rotation at the target: one at a time, of all processes; a killed one holds nobody up.
        Entering it raises Refused (`secret.rotating`)."""
        ...

    def prepare(self, name: str, value: bytes) -> StoredSecret:
        """Keep this as the next version, which `check_out` does not give yet. Where one is prepared already, that one
        stays: a target may know it. Raises Refused (`secret.missing`, `secret.retired`, `secret.same`,
        `secret.canary`), Malformed (`secret.value`)."""
        ...

    def candidates(self, name: str, *, by: str) -> Candidates:
        """Every value that the target may take. Raises Refused, as `check_out`."""
        ...

    def settle(self, name: str) -> StoredSecret:
        """The prepared version is given out from now on. The one before stays among the candidates until the next, for
        a target that was brought back to where it stood, unless the secret was exposed; those before it are forgotten.
        Where none is prepared, nothing changes. Raises Refused (`secret.missing`, `secret.full`)."""
        ...

    def retire(self, name: str, *, only_old: bool = False) -> StoredSecret:
        """Give it out no more and forget every value, or those of older versions only; its record stays. Idempotent.
        Raises Refused (`secret.missing`)."""
        ...

    def expose(self, name: str, why: str) -> StoredSecret:
        """Note that it was seen where it should not be: it is due from now on. Raises Refused (`secret.missing`)."""
        ...

    def check_out(self, name: str, *, by: str) -> CheckedOut:
        """Its current version, for one use by `by`. Raises Refused (`secret.missing`, `secret.retired`; `secret.canary`
        for a planted one, which nobody uses)."""
        ...

    def listed(self) -> Sequence[StoredSecret]:
        """All, by name, without values."""
        ...

    def uses(self, name: str) -> Sequence[SecretUse]:
        """Who had it, the last first."""
        ...

    def watch(self) -> SecretWatch:
        """Looks for all of them, planted ones too, in what passes; shows none."""
        ...

    def state(self) -> object:
        """Another value whenever any secret is another. Cheap."""
        ...

    def change_key(self) -> int:
        """Seal everything under a new key, and forget the old ones; how many secrets that were. What a crash leaves is
        readable, and ends with the next call."""
        ...
