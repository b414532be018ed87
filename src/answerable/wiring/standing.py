"""List standing credentials, which work without a lease: found in configuration, stored by the broker, or named by its
target files."""

from __future__ import annotations

import pwd
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio

from answerable.adapters.broker_http import HttpLeaseBroker
from answerable.adapters.local_keys import open_or_create_secret
from answerable.adapters.sqlite.leases import SqliteLeaseRegister
from answerable.adapters.standing_files import LocalConfigurationFiles
from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.core.lease.standing import StandingSecret
from answerable.core.lease.wire import LISTED_MAX
from answerable.errors import Unavailable
from answerable.flows.leases.find_static_secrets import (
    NOT_USED,
    KnownUse,
    StandingReport,
    find_static_secrets,
    stored_standing,
)
from answerable.wiring.secret_store import STORE, has_store, open_secrets
from answerable.wiring.target_files import account_named, checked_targets, secrets_named

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.lease.lease import Lease
    from answerable.wiring.setting_tree import Settings
    from answerable.wiring.target_files import TargetFile

KEY_BYTES: Final = 32
ROTATED: Final = frozenset({"mariadb", "postgres", "rabbitmq", "redis"})
INSTEAD: Final = {
    "aws": "the role that the broker's machine or workload has by itself, without a key",
    "http": "OAuth with `private_key_jwt` or a client certificate, whose key leaves no machine",
    "kubernetes": "a token that the cluster projects for the broker and renews by itself",
    "openbao": "`jwt`: the broker's own identity document, which lives for minutes",
    "model-provider": "a key of the provider for the broker alone, with a budget of its own, and its rotation",
}
"""Replacement advice by kind of target. Where there is none, the advice is a secret in the store with a due date."""


def scan(settings: Settings, paths: Iterable[str]) -> StandingReport:
    """Report the secrets in these files. With a data directory, fingerprints are the same from run to run."""
    return find_static_secrets(LocalConfigurationFiles(), paths, key=_key(settings.data))


def broker_standing(settings: Settings) -> tuple[StandingSecret, ...]:
    """List the broker's stored secrets and its own accounts at targets, with the users of each as recorded by its
    leases.

    Raises Unavailable (`secrets.*`, `target.*`), and Malformed (`target.faults`): entries of an unreadable file would
    be missing without notice.
    """
    targets = checked_targets(settings.broker.targets)
    of_targets = _used(anyio.run(_leases, settings))
    uses: dict[str, KnownUse] = {}
    for target in targets:
        of_targets[target.name] = KnownUse(users=(f"target {target.name}",)).and_also(
            of_targets.get(target.name, NOT_USED)
        )
        for reference in secrets_named(target).values():
            if reference.startswith(STORE):
                name = reference.removeprefix(STORE)
                uses[name] = uses.get(name, NOT_USED).and_also(of_targets[target.name])
    stored: tuple[StandingSecret, ...] = ()
    if has_store(settings):
        stored = stored_standing(open_secrets(settings), SystemClock().now(), uses)
    known = {one.kept: one for one in stored}
    found = stored
    for target in targets:
        for setting, reference in secrets_named(target).items():
            found += (_account(settings, target, setting, reference, known, of_targets[target.name]),)
    return found


def _account(
    settings: Settings,
    target: TargetFile,
    setting: str,
    reference: str,
    stored: dict[str, StandingSecret],
    use: KnownUse,
) -> StandingSecret:
    """Return the broker's own account at one target."""
    account = account_named(target)
    made: dict[str, Any] = {"owner": "", "since": 0, "exposed": "", "due": ""}
    secret = stored.get(reference)
    if secret is not None:
        made = {one: getattr(secret, one) for one in made}
    elif reference.startswith(STORE):
        made["due"] = "there is no such secret in the store, or it was retired"
    elif reference.startswith("file:"):
        made |= _file(settings.broker.targets / Path(reference.removeprefix("file:")).expanduser())
    return StandingSecret(
        kind="target_account",
        where=f"target {target.name}",
        line=0,
        name=f"{account} ({setting})" if account else setting,
        fingerprint="",
        users=use.users[1:],
        last_used_at=use.last_at,
        kept=reference,
        instead=_instead(target.kind.name, is_stored=secret is not None),
        **made,
    )


def _instead(kind: str, *, is_stored: bool) -> str:
    if kind in ROTATED:
        return (
            "nothing to do: the broker changes it at the target itself, on schedule and after exposure"
            if is_stored
            else "a secret of the store (`store:NAME`), which the broker then changes at the target by itself"
        )
    return INSTEAD.get(
        kind, "" if is_stored else "a secret of the store (`store:NAME`), sealed and with its day"
    )


def _file(path: Path) -> dict[str, Any]:
    """Return the owner of a file with a secret, its minimum age, and who else may read it."""
    try:
        status = path.stat()
    except OSError:
        return {"due": "there is no such file, or it cannot be read"}
    owner = str(status.st_uid)
    with suppress(KeyError):
        owner = pwd.getpwuid(status.st_uid).pw_name
    others = ""
    if status.st_mode & stat.S_IROTH:
        others = "every user of this machine may read the file"
    elif status.st_mode & stat.S_IRGRP:
        others = "its group may read the file"
    return {"owner": owner, "since": status.st_mtime_ns // 1_000_000, "exposed": others}


async def _leases(settings: Settings) -> tuple[Lease, ...]:
    """Return the open and the most recently ended leases, from the running broker or from its register."""
    broker = settings.broker
    try:
        asked = HttpLeaseBroker(broker.socket)
        return (*await asked.leases("open", LISTED_MAX), *await asked.leases("ended", LISTED_MAX))
    except Unavailable as failed:
        path = broker.directory / "leases.db"
        if failed.code != "broker.unreachable" or not path.exists():
            return ()
    try:
        register = SqliteLeaseRegister(path)
    except Unavailable:
        return ()
    try:
        return (*register.open_leases(), *register.ended(LISTED_MAX))
    finally:
        register.close()


def _used(leases: Iterable[Lease]) -> dict[str, KnownUse]:
    """Return the use by target."""
    found: dict[str, KnownUse] = {}
    for lease in leases:
        users = tuple(
            f"{what} {name}"
            for what, name in (("capability", lease.capability), ("agent", lease.agent))
            if name
        )
        use = KnownUse(users=users, last_at=lease.used_at)
        found[lease.target] = found.get(lease.target, NOT_USED).and_also(use)
    return found


def _key(data: Path) -> bytes:
    if not data.is_dir():
        return secrets.token_bytes(KEY_BYTES)
    return open_or_create_secret(data / "keys" / "fingerprints", count=KEY_BYTES, entropy=SystemEntropy())
