"""The kinds of targets that a broker can act on, each in its own module, imported only when a target file names it.

So a broker needs the libraries of its own targets only.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from answerable.errors import shown
from answerable.errors.codes.leases import TARGET_KIND

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from answerable.ports.admin_account import AdminAccount
    from answerable.ports.brokered_target import BrokeredTarget
    from answerable.ports.clock import Clock
    from answerable.ports.credential_issuer import CredentialIssuer
    from answerable.ports.entropy import Entropy
    from answerable.ports.target_rights import TargetRights


OWN_SETTING: Final = "password"


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetContext:
    """Dependencies with which a target is built. secret_of: resolves a reference (`file:PATH`, `env:NAME`) when called,
    so that a changed secret is used; raises Malformed, Unavailable. others_of: other values that the reference may have
    while the secret is being changed at its target."""

    clock: Clock
    entropy: Entropy
    secret_of: Callable[[str], bytes]
    others_of: Callable[[str], tuple[bytes, ...]] = lambda _: ()

    def texts_of(self, reference: str) -> tuple[str, ...]:
        """Return the other values as texts."""
        return tuple(one.decode().strip() for one in self.others_of(reference))


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltTarget:
    """A ready target: its credential issuer and its executor. own: the account whose secret is the setting OWN_SETTING,
    if the broker can change it at the target; why_not: why it cannot. rights: lists the rights that grants give; None
    for a kind that cannot tell."""

    issuer: CredentialIssuer
    target: BrokeredTarget
    own: AdminAccount | None = None
    why_not: str = (
        "targets of this kind do not let an account change its own secret, or the broker cannot yet"
    )
    rights: TargetRights | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetKind:
    """One kind. settings: a frozen dataclass whose fields are made by `setting_fields`; secrets are references. build:
    from such settings to the target; connects to nothing. faults: faults of settings beyond their types and bounds."""

    name: str
    settings: type[Any]
    build: Callable[[Any, TargetContext], BuiltTarget]
    faults: Callable[[Any], tuple[str, ...]] = lambda _: ()


KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "aws": ("answerable.wiring.target_aws", "aws"),
    "github_app": ("answerable.wiring.target_github_app", ""),
    "http": ("answerable.wiring.target_http", ""),
    "kubernetes": ("answerable.wiring.target_kubernetes", ""),
    "mariadb": ("answerable.wiring.target_mariadb", "mariadb"),
    "model-provider": ("answerable.wiring.target_model", ""),
    "nats": ("answerable.wiring.target_nats", "nats"),
    "openbao": ("answerable.wiring.target_openbao", ""),
    "postgres": ("answerable.wiring.target_postgres", "postgres"),
    "rabbitmq": ("answerable.wiring.target_rabbitmq", "rabbitmq"),
    "redis": ("answerable.wiring.target_redis", "redis"),
    "ssh": ("answerable.wiring.target_ssh", ""),
}
"""By kind: the module that defines its `KIND`, and the extra that installs its libraries; empty for none."""


def kind_named(name: str) -> TargetKind:
    """Return the kind with this name. Raises Malformed (`target.kind`): unknown, or its libraries are not installed."""
    if name not in KINDS:
        raise TARGET_KIND(f"unknown kind of target {shown(name)}: expected one of {', '.join(sorted(KINDS))}")
    module, extra = KINDS[name]
    try:
        kind = import_module(module).KIND
    except ModuleNotFoundError as missing:
        raise TARGET_KIND(
            f"targets of kind {shown(name)} need {shown(missing.name or 'a library')}: install answerable[{extra}]"
        ) from None
    assert isinstance(kind, TargetKind)  # noqa: S101 - modules of ours say so
    return kind
