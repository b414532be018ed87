"""Settings and construction of `rabbitmq` targets: RabbitMQ by AMQP 0.9.1 and its management API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.adapters.rabbitmq_users import (
    Management,
    RabbitIssuer,
    RabbitOwnAccount,
    RabbitRights,
    RabbitServer,
    RabbitTarget,
)
from answerable.setting_fields import flag, number, reference, seconds, text
from answerable.targets.addresses import address_faults, tls_context
from answerable.targets.kind import BuiltTarget, TargetKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from answerable.targets.kind import TargetContext


@dataclass(frozen=True, slots=True, kw_only=True)
class RabbitTargetSettings:
    """The server, and the broker's own account on it."""

    address: str = text(
        "", "The server: `amqps://HOST:PORT`, or `amqp://HOST:PORT` on this machine.", unit="address"
    )
    management: str = text(
        "",
        "Its management API: `https://HOST:PORT`, or `http://HOST:PORT` on this machine.",
        unit="address",
    )
    plaintext: bool = flag(
        False, "Whether `amqp://` and `http://` may name another machine, so that passwords go in the clear."
    )
    ca_file: str = text(
        "", "Who signs the server's certificates; those that the system trusts when empty.", unit="path"
    )
    vhost: str = text("/", "The virtual host that agents act in.")
    account: str = text("answerable", "The broker's own user, with the tag `administrator`.")
    password: str = reference("Its password.")
    answer_seconds_max: float = seconds(
        10.0, "How long the server may take for a connection or a request.", minimum=0.1, maximum=60
    )
    result_bytes_max: int = number(
        262_144, "How much of one message is handed on.", unit="bytes", minimum=1_024, maximum=16_777_216
    )


def faults(settings: RabbitTargetSettings) -> tuple[str, ...]:
    """Return the faults beyond types and bounds."""
    found = []
    for name, schemes in (("address", ("amqp", "amqps")), ("management", ("http", "https"))):
        address = getattr(settings, name)
        found += [
            f"{name}: {fault}" for fault in address_faults(address, schemes, plain_is_let=settings.plaintext)
        ]
    if not settings.vhost:
        found.append("vhost: say which, `/` for the one that a server has from the beginning")
    if not settings.account:
        found.append("account: the broker needs a user of its own")
    if not settings.password:
        found.append("password: say where it is, such as `file:rabbitmq-password`")
    return tuple(found)


def build(settings: RabbitTargetSettings, world: TargetContext) -> BuiltTarget:
    """Build the target; connects to nothing. Raises Malformed (`target.tls`)."""
    tls = tls_context(settings.ca_file) if settings.management.startswith("https:") else None

    def asked_with(
        password_of: Callable[[], str], others_of: Callable[[], Iterable[str]] = tuple
    ) -> Management:
        return Management(
            settings.management,
            account=settings.account,
            password_of=password_of,
            others_of=others_of,
            tls=tls,
            seconds_max=settings.answer_seconds_max,
        )

    management = asked_with(
        lambda: world.secret_of(settings.password).decode().strip(), lambda: world.texts_of(settings.password)
    )
    server = RabbitServer(
        address=settings.address,
        vhost=settings.vhost,
        tls=tls_context(settings.ca_file) if settings.address.startswith("amqps:") else None,
        connect_seconds_max=settings.answer_seconds_max,
    )
    return BuiltTarget(
        issuer=RabbitIssuer(management, vhost=settings.vhost, entropy=world.entropy),
        target=RabbitTarget(server, result_bytes_max=settings.result_bytes_max),
        own=RabbitOwnAccount(
            settings.management,
            settings.account,
            asked_with=lambda password: asked_with(lambda: password),
            entropy=world.entropy,
        ),
        rights=RabbitRights(),
    )


KIND: Final = TargetKind(api=1, name="rabbitmq", settings=RabbitTargetSettings, build=build, faults=faults)
