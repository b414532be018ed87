"""Settings and construction of `redis` targets: Redis and Valkey."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.adapters.redis_acl import (
    RedisIssuer,
    RedisOwnAccount,
    RedisRights,
    RedisServer,
    RedisTarget,
    address_faults,
)
from answerable.setting_fields import flag, number, reference, seconds, text
from answerable.targets.addresses import tls_context
from answerable.targets.kind import BuiltTarget, TargetKind

if TYPE_CHECKING:
    from answerable.targets.kind import TargetContext


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisTargetSettings:
    """The server, and the broker's own account on it."""

    address: str = text(
        "",
        "The server: `rediss://HOST:PORT` with TLS, `unix:///PATH`, or `redis://HOST:PORT` on this machine.",
        unit="address",
    )
    plaintext: bool = flag(
        False, "Whether `redis://` may name another machine, so that passwords go in the clear."
    )
    ca_file: str = text(
        "", "Who signs the server's certificate; those that the system trusts when empty.", unit="path"
    )
    account: str = text("answerable", "The broker's own user, which may make and delete users.")
    password: str = reference("Its password.")
    saves_users: bool = flag(
        False,
        "Whether the server keeps its users in a file (`aclfile`): then each lease that ends is taken out of it.",
    )
    answer_seconds_max: float = seconds(
        10.0,
        "How long the server may take for a connection, or to make or end a user.",
        minimum=0.1,
        maximum=60,
    )
    result_bytes_max: int = number(
        262_144,
        "How much of one answer is read for an agent; a longer one is not handed on, and says so.",
        unit="bytes",
        minimum=1_024,
        maximum=16_777_216,
    )


def faults(settings: RedisTargetSettings) -> tuple[str, ...]:
    """Return the faults beyond types and bounds."""
    found = [
        f"address: {fault}" for fault in address_faults(settings.address, plain_is_let=settings.plaintext)
    ]
    if not settings.account:
        found.append("account: the broker needs a user of its own")
    if not settings.password:
        found.append("password: say where it is, such as `file:redis-password`")
    return tuple(found)


def build(settings: RedisTargetSettings, world: TargetContext) -> BuiltTarget:
    """Build the target; connects to nothing. Raises Malformed (`target.tls`)."""
    server = RedisServer(
        address=settings.address,
        tls=tls_context(settings.ca_file) if settings.address.startswith("rediss:") else None,
        connect_seconds_max=settings.answer_seconds_max,
    )
    issuer = RedisIssuer(
        server,
        account=settings.account,
        password_of=lambda: world.secret_of(settings.password).decode().strip(),
        entropy=world.entropy,
        saves=settings.saves_users,
        seconds_max=settings.answer_seconds_max,
        others_of=lambda: world.texts_of(settings.password),
    )
    target = RedisTarget(
        server, result_bytes_max=settings.result_bytes_max, seconds_max=settings.answer_seconds_max
    )
    own = RedisOwnAccount(server, account=settings.account, seconds_max=settings.answer_seconds_max)
    return BuiltTarget(
        issuer=issuer,
        target=target,
        own=own if settings.saves_users else None,
        why_not="its server keeps no file of users (`saves_users`), and would come back with the old password",
        rights=RedisRights(),
    )


KIND: Final = TargetKind(api=1, name="redis", settings=RedisTargetSettings, build=build, faults=faults)
