"""Settings and construction of `nats` targets: servers with operators, accounts and user tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.adapters.nats_users import (
    NatsIssuer,
    NatsRights,
    NatsServer,
    NatsTarget,
    SystemAccount,
    is_public_key,
    user_of,
)
from answerable.setting_fields import flag, number, reference, seconds, text, texts
from answerable.targets.addresses import address_faults, tls_context
from answerable.targets.kind import BuiltTarget, TargetKind

if TYPE_CHECKING:
    from answerable.targets.kind import TargetContext


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsTargetSettings:
    """The servers, and the keys that sign and revoke users."""

    address: str = text(
        "", "A server: `tls://HOST:PORT`, or `nats://HOST:PORT` on this machine.", unit="address"
    )
    plaintext: bool = flag(
        False, "Whether `nats://` may name another machine, so that all goes in the clear."
    )
    ca_file: str = text(
        "", "Who signs the server's certificate; those that the system trusts when empty.", unit="path"
    )
    account: str = text("", "The public key of the account that agents act in, `A…`.", unit="public key")
    account_key: str = reference("The seed of that account, or of one of its signing keys without a scope.")
    operator_key: str = reference(
        "The seed of a key of the operator, to revoke users before their time; without it none can be."
    )
    system_credentials: str = reference(
        "A file of credentials of a user of the system account; set together with `operator_key`."
    )
    operators: tuple[str, ...] = texts(
        (),
        "Public keys of the operator, besides that of `operator_key`, that may have signed the account's token.",
    )
    servers: int = number(
        1,
        "How many servers there are: each must take a revocation.",
        unit="servers",
        minimum=1,
        maximum=1_000,
    )
    lease_seconds_max: int = number(
        3_600, "The longest life of a user token.", unit="seconds", minimum=2, maximum=86_400
    )
    answer_seconds_max: float = seconds(
        5.0, "How long servers may take for a connection, or to take a revocation.", minimum=0.1, maximum=60
    )
    result_bytes_max: int = number(
        262_144, "How much of one answer is handed on.", unit="bytes", minimum=1_024, maximum=16_777_216
    )


def faults(settings: NatsTargetSettings) -> tuple[str, ...]:
    """Return the faults beyond types and bounds."""
    wrong = address_faults(settings.address, ("nats", "tls"), plain_is_let=settings.plaintext)
    found = [f"address: {fault}" for fault in wrong]
    if not is_public_key(settings.account, of="A"):
        found.append("account: is no public key of an account, 56 characters that begin with A")
    if not settings.account_key:
        found.append("account_key: say where it is, such as `file:nats-account-seed`")
    if bool(settings.operator_key) != bool(settings.system_credentials):
        found.append("operator_key and system_credentials: set both, or neither and nothing can be revoked")
    found += [
        "operators: has what is no public key of an operator, 56 characters that begin with O"
        for key in settings.operators
        if not is_public_key(key, of="O")
    ]
    return tuple(found)


def build(settings: NatsTargetSettings, world: TargetContext) -> BuiltTarget:
    """Build the target; connects to nothing. Raises Malformed (`target.tls`)."""
    server = NatsServer(
        address=settings.address,
        tls=tls_context(settings.ca_file) if settings.address.startswith("tls:") else None,
        connect_seconds_max=settings.answer_seconds_max,
    )

    def secret(reference: str) -> str:
        return world.secret_of(reference).decode()

    system = None
    if settings.operator_key:
        system = SystemAccount(
            server,
            user_of=lambda: user_of(secret(settings.system_credentials)),
            servers=settings.servers,
            seconds_max=settings.answer_seconds_max,
        )
    issuer = NatsIssuer(
        account=settings.account,
        key_of=lambda: secret(settings.account_key),
        clock=world.clock,
        system=system,
        operator_of=(lambda: secret(settings.operator_key)) if settings.operator_key else None,
        operators=frozenset(settings.operators),
        lease_seconds_max=settings.lease_seconds_max,
    )
    return BuiltTarget(
        issuer=issuer,
        target=NatsTarget(server, result_bytes_max=settings.result_bytes_max),
        rights=NatsRights(),
    )


KIND: Final = TargetKind(api=1, name="nats", settings=NatsTargetSettings, build=build, faults=faults)
