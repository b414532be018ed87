"""The kind `notes`: the settings of its target files, and what the broker builds from them."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from answerable.targets import (
    LEASE_TARGET,
    BuiltTarget,
    TargetContext,
    TargetKind,
    Unavailable,
    number,
    reference,
    seconds,
    text,
)
from answerable_notes.issuer import NotesIssuer
from answerable_notes.target import NotesTarget
from answerable_notes.wire import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class NotesSettings:
    """The note service, and the account by which the broker makes others."""

    host: str = text("127.0.0.1", "Address of the service, on this machine: it has no TLS.")
    port: int = number(7007, "Port of the service.", unit="port", minimum=1, maximum=65_535)
    password: str = reference("Password of the service's account `admin`, read anew at each call.")
    answer_seconds_max: float = seconds(
        10.0, "How long one answer to the broker's own account may take.", minimum=0.1, maximum=60.0
    )


def faults(settings: NotesSettings) -> tuple[str, ...]:
    """Return the faults beyond types and bounds."""
    found = []
    try:
        is_here = ip_address(settings.host).is_loopback
    except ValueError:
        is_here = False
    if not is_here:
        found.append("`host` is an address of this machine, such as 127.0.0.1: the service has no TLS")
    if not settings.password:
        found.append("`password` says where the password of `admin` is, such as `file:PATH`")
    return tuple(found)


def build(settings: NotesSettings, context: TargetContext) -> BuiltTarget:
    """Build the target; connects to nothing."""
    place = Place(settings.host, settings.port)

    def password() -> str:
        try:
            return context.secret_of(settings.password).decode().strip()
        except Unavailable as away:
            raise LEASE_TARGET(f"the broker's own secret: {away.message}") from None

    return BuiltTarget(
        issuer=NotesIssuer(
            place, password=password, entropy=context.entropy, seconds_max=settings.answer_seconds_max
        ),
        target=NotesTarget(place, seconds_max=settings.answer_seconds_max),
    )


KIND = TargetKind(api=1, name="notes", settings=NotesSettings, build=build, faults=faults)
