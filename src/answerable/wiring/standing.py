"""What works without a lease: found in configuration, kept by the broker, and named by its target files."""

from __future__ import annotations

import secrets
from dataclasses import fields
from typing import TYPE_CHECKING, Final

from answerable.adapters.local_keys import open_or_create_secret
from answerable.adapters.standing_files import LocalConfigurationFiles
from answerable.adapters.system import SystemEntropy
from answerable.core.lease.standing import StandingSecret
from answerable.flows.find_standing_secrets import StandingReport, find_standing_secrets, stored_standing
from answerable.wiring.secret_store import DIRECTORY, STORE, open_secrets
from answerable.wiring.target_files import read_targets

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from answerable.wiring.setting_tree import Settings

KEY_BYTES: Final = 32
REFERENCE: Final = "secret reference"


def scan(settings: Settings, paths: Iterable[str]) -> StandingReport:
    """What is in these files. Fingerprints are the same from run to run where there is a data directory."""
    return find_standing_secrets(LocalConfigurationFiles(), paths, key=_key(settings.data))


def broker_standing(settings: Settings) -> tuple[StandingSecret, ...]:
    """What the broker keeps, and the accounts of its own at targets. Raises Unavailable (`secrets.*`, `target.*`)."""
    found: tuple[StandingSecret, ...] = ()
    if (settings.broker.directory / DIRECTORY).is_dir():
        found += stored_standing(open_secrets(settings))
    targets, _ = read_targets(settings.broker.targets)
    for target in targets:
        for one in fields(target.settings):
            value = getattr(target.settings, one.name)
            # What is in the store stands there already.
            if one.metadata.get("unit") == REFERENCE and value and not value.startswith(STORE):
                found += (
                    StandingSecret(
                        kind="target_account",
                        where=f"target {target.name}",
                        line=0,
                        name=f"{one.name} ({value.partition(':')[0]} reference)",
                        fingerprint="",
                        since=_changed(settings.broker.targets, value),
                        users=(settings.broker.name,),
                    ),
                )
    return found


def _changed(folder: Path, reference: str) -> int:
    kind, _, name = reference.partition(":")
    try:
        return (folder / name).stat().st_mtime_ns // 1_000_000 if kind == "file" else 0
    except OSError:
        return 0


def _key(data: Path) -> bytes:
    if not data.is_dir():
        return secrets.token_bytes(KEY_BYTES)
    return open_or_create_secret(data / "keys" / "fingerprints", count=KEY_BYTES, entropy=SystemEntropy())
