"""The kind of a target, what it is built with, and what is built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from answerable.ports.admin_account import AdminAccount
    from answerable.ports.brokered_target import BrokeredTarget
    from answerable.ports.clock import Clock
    from answerable.ports.credential_issuer import CredentialIssuer
    from answerable.ports.entropy import Entropy
    from answerable.ports.target_rights import TargetRights

API: Final = 1
"""The number of the public face. It becomes another one when a kind that was written for it could break."""
OWN_SETTING: Final = "password"
"""The setting that refers to the password of the broker's own account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetContext:
    """Dependencies with which a target is built. secret_of: resolves a reference (`file:PATH`, `env:NAME`) when called,
    so that a changed secret is used; raises Malformed, Unavailable. others_of: other values that the reference may have
    while the secret is being changed at its target. acting: for a kind with `acts_by_another`, the target that acts.
    state_file: path for whatever the target must remember after a kill, written by nobody else, in a folder of the
    broker that exists while it serves; None where nothing is kept."""

    clock: Clock
    entropy: Entropy
    secret_of: Callable[[str], bytes]
    others_of: Callable[[str], tuple[bytes, ...]] = lambda _: ()
    acting: BrokeredTarget | None = None
    state_file: Path | None = None

    def texts_of(self, reference: str) -> tuple[str, ...]:
        """Return the other values as texts."""
        return tuple(one.decode().strip() for one in self.others_of(reference))


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltTarget:
    """A ready target: its credential issuer and its executor. own: the account whose secret is the setting OWN_SETTING,
    if the broker can change it at the target; why_not: why it cannot. rights: lists the rights that grants give; None
    for a kind that cannot tell. sessions_max: sessions of one lease that the broker uses at a time, others wait; 0 for
    any number."""

    issuer: CredentialIssuer
    target: BrokeredTarget
    own: AdminAccount | None = None
    why_not: str = (
        "targets of this kind do not let an account change its own secret, or the broker cannot yet"
    )
    rights: TargetRights | None = None
    sessions_max: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetKind:
    """One kind. api: the `API` for which it was written. name: as in target files. settings: a frozen dataclass whose
    fields are made by `setting_fields`; secrets are references. build: from such settings to the target; connects to
    nothing. faults: faults of settings beyond their types and bounds. acts_by_another: it issues credentials that a
    target of another kind acts with. Its settings `acts_by` and `acts_with` are that kind and its settings, in TOML,
    which the broker checks.

    `build` may raise errors of the family, such as for a secret that cannot be read. Whatever else the two raise is
    refused with the distribution; so is a call that takes longer than 20 s.
    """

    api: int
    name: str
    settings: type[Any]
    build: Callable[[Any, TargetContext], BuiltTarget]
    faults: Callable[[Any], tuple[str, ...]] = lambda _: ()
    acts_by_another: bool = False
