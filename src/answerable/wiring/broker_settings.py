"""Settings of the broker, and of how long its leases live."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from answerable.errors import shown
from answerable.setting_fields import about, flag, number, seconds, text, texts

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSettings:
    """The process that mints credentials and acts with them, so that neither agents nor the gateway hold any."""

    enabled: bool = flag(
        True,
        "`answerable up` starts a broker once there is a file in `targets`; false where one runs elsewhere, or none",
    )
    name: str = text("broker", "name of the broker, which warrants for it carry")
    user: str = text(
        "",
        "account of this machine that it runs under, when `answerable up` is started by root; empty for the same",
    )
    directory: Path = field(
        default=Path("broker"),
        metadata=about("directory of the broker's leases, accessible to the broker alone", unit="path"),
    )
    socket: Path = field(
        default=Path("broker.sock"), metadata=about("Unix socket between gateway and broker", unit="path")
    )
    targets: Path = field(
        default=Path("broker/targets"),
        metadata=about("directory of target files, `NAME.toml`, which only the broker reads", unit="path"),
    )
    secrets_keyring: Path = field(
        default=Path("broker/keyring"),
        metadata=about(
            "keys that seal static secrets, made at first use; best on another medium than `directory`",
            unit="path",
        ),
    )
    refuse_exposed: bool = flag(
        True,
        "refuse actions at a target with an exposed static secret until it is replaced, and end its leases",
    )
    rotate_accounts: bool = flag(
        True,
        "the broker changes passwords of its own accounts at targets, where these are in its store and can be changed, "
        "on their day and after exposure; false leaves that to `answerable secret rotate --at-target`",
    )
    warrant_keys: Path = field(
        default=Path("warrant-keys.json"),
        metadata=about(
            "public keys of the gateways whose warrants the broker believes, a JWK set", unit="path"
        ),
    )
    gateway_users: tuple[str, ...] = texts(
        (), "accounts whose processes the broker answers, by name or number, beside its own and root"
    )
    action_seconds: int = number(
        60, "lifetime of the lease of one action", unit="seconds", minimum=1, maximum=3_600
    )
    task_seconds: int = number(
        900,
        "lifetime of the lease of a task window, renewed while the task runs",
        unit="seconds",
        minimum=1,
        maximum=86_400,
    )
    tier_0_seconds_max: int = number(
        900,
        "longest lifetime of any lease of a capability of tier 0",
        unit="seconds",
        minimum=1,
        maximum=86_400,
    )
    tier_1_seconds_max: int = number(900, "the same of tier 1", unit="seconds", minimum=1, maximum=86_400)
    tier_2_seconds_max: int = number(900, "the same of tier 2", unit="seconds", minimum=1, maximum=86_400)
    tier_3_seconds_max: int = number(300, "the same of tier 3", unit="seconds", minimum=1, maximum=86_400)
    issue_seconds_max: float = seconds(
        15.0, "longest time a target may take to issue", minimum=0.1, maximum=120
    )
    revoke_seconds_max: float = seconds(
        30.0, "longest time a target may take to revoke before it counts as failed", minimum=0.1, maximum=600
    )
    release_seconds_max: float = seconds(
        5.0,
        "how long a result waits for its lease to be revoked; after that, the lease is revoked in the background",
        minimum=0,
        maximum=60,
    )
    actions_per_target: int = number(
        64, "actions on one target at a time; more wait", unit="actions", minimum=1, maximum=10_000
    )
    enders_per_target: int = number(
        16, "revocations at one target at a time", unit="revocations", minimum=1, maximum=1_000
    )
    kept_days: int = number(
        7, "how long the broker remembers ended leases", unit="days", minimum=1, maximum=3_650
    )


def broker_faults(settings: BrokerSettings) -> Iterator[tuple[str, str]]:
    """Yield each faulty key with the fault."""
    if not settings.name or not settings.name.isprintable() or len(settings.name) > 64:
        yield "broker.name", f"expected 1 to 64 printable characters, got {shown(settings.name)}"
