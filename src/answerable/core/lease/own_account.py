"""What a broker declares of its targets: who keeps credentials there to their task, and its own long-lived secrets."""

from __future__ import annotations

import msgspec


class OwnAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A long-lived secret of the broker's own at a target. name: of its account; empty where the secret alone admits.
    setting: which names it. kept: where the secret is: `store:NAME`, `file` or `env`."""

    name: str
    setting: str
    kept: str


class DeclaredTarget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A target as the broker declares it. boundary: who keeps a credential of a lease to its task."""

    name: str
    boundary: str
    own: tuple[OwnAccount, ...] = ()
