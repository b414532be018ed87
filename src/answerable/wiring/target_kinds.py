"""The kinds of targets that a broker can act on, each in its own module, imported only when a target file names it.

So a broker needs the libraries of its own targets only.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from answerable.errors import shown
from answerable.errors.codes.leases import TARGET_KIND
from answerable.targets.kind import TargetKind

if TYPE_CHECKING:
    from collections.abc import Mapping


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
