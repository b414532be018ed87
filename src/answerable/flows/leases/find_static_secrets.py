"""Find long-lived secrets that work without a lease: in given configuration files and in the broker's secret store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.lease.secret_forms import secrets_in
from answerable.core.lease.standing import StandingSecret, fingerprint_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from answerable.core.identity.names.principal import UnixMillis
    from answerable.ports.configuration_files import ConfigurationFiles
    from answerable.ports.secret_store import SecretStore


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingReport:
    """The result of a search in files. unread: path and reason. files: how many were read."""

    found: tuple[StandingSecret, ...]
    unread: tuple[tuple[str, str], ...]
    files: int


def find_static_secrets(files: ConfigurationFiles, paths: Iterable[str], *, key: bytes) -> StandingReport:
    """Return the secrets in these files. key: of the fingerprints. Raises nothing."""
    found: list[StandingSecret] = []
    unread: list[tuple[str, str]] = []
    count = 0
    for file in files.shown(paths):
        if file.fault:
            unread.append((file.path, file.fault))
            continue
        count += 1
        name = file.path.rsplit("/", 1)[-1]
        found += [
            StandingSecret(
                kind=one.kind,
                where=file.path,
                line=one.line,
                name=one.name,
                fingerprint=fingerprint_of(one.value, key),
                owner=file.owner,
                since=file.changed_at,
                exposed=f"{file.readers} may read the file" if file.readers else "",
            )
            for one in secrets_in(name, file.text)
        ]
    return StandingReport(found=tuple(found), unread=tuple(unread), files=count)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownUse:
    """Known use of a secret. users: human-readable, such as `target shop`, `capability case.read` and `agent scout`.
    last_at: Unix milliseconds; 0 for unknown."""

    users: tuple[str, ...] = ()
    last_at: UnixMillis | int = 0

    def and_also(self, other: KnownUse) -> KnownUse:
        """Return both uses joined, each user once."""
        users = tuple(dict.fromkeys((*self.users, *other.users)))
        return KnownUse(users=users, last_at=max(self.last_at, other.last_at))


NOT_USED: Final = KnownUse()


def stored_standing(
    store: SecretStore, now: UnixMillis, uses: Mapping[str, KnownUse] | None = None
) -> tuple[StandingSecret, ...]:
    """Return the secrets of the store that may still be used. uses: by name, known use beyond the store's own record.
    Raises as the store does."""
    found = []
    for secret in store.listed():
        current = secret.current
        if current is None or secret.kind == "canary":
            continue
        known = store.uses(secret.name)
        own = KnownUse(users=tuple(use.by for use in known), last_at=known[0].last_at if known else 0)
        use = (uses or {}).get(secret.name, NOT_USED).and_also(own)
        found.append(
            StandingSecret(
                kind="stored_secret",
                where="store",
                line=0,
                name=secret.name,
                fingerprint="",
                owner=secret.owner,
                since=current.made_at,
                users=use.users,
                last_used_at=use.last_at,
                exposed=secret.exposed_why,
                kept=f"store:{secret.name}",
                due=secret.due(now),
            )
        )
    return tuple(found)
