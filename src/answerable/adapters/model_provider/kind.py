"""Settings and construction of `model-provider` targets: providers of language models."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

from answerable.adapters.model_provider.issuer import ModelIssuer, ModelLeases
from answerable.adapters.model_provider.prices import read_prices
from answerable.adapters.model_provider.rights import ModelRights
from answerable.adapters.model_provider.target import ModelPlace, ModelTarget
from answerable.errors import Malformed
from answerable.setting_fields import number, reference, seconds, text, texts
from answerable.targets.http_place import TlsPlace, address_fault, quiet_wire
from answerable.targets.kind import BuiltTarget, TargetKind
from answerable.targets.standing_secret import StandingSecret

if TYPE_CHECKING:
    from answerable.adapters.model_provider.prices import Prices
    from answerable.adapters.model_provider.wire import Api
    from answerable.targets.kind import TargetContext

APIS: Final[dict[str, Api]] = {"openai": "openai", "anthropic": "anthropic"}
LIMIT_NAMES: Final = ("max_completion_tokens", "max_tokens")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelProviderSettings:
    """One provider of language models and the broker's key for it."""

    base_url: str = text(
        "", "where its API is, with the version, such as `/v1`, at the end: https", unit="URL"
    )
    api: str = text("openai", f"what it speaks: {', '.join(APIS)}")
    key: str = reference("the provider's key")
    key_header: str = text("", "header of the key; empty for what the API is used to")
    limit_name: str = text(
        LIMIT_NAMES[0], f"how it calls the most tokens of an answer, with `openai`: {', '.join(LIMIT_NAMES)}"
    )
    prices: tuple[str, ...] = texts(
        (),
        "each `MODEL INPUT OUTPUT`, for a million tokens, in the currency below; models without one cost nothing known",
    )
    prices_currency: str = text("", "three capital letters, such as `EUR`")
    prices_day: str = text("", "day on which they were looked up", unit="YYYY-MM-DD")
    prices_source: str = text("", "where they were looked up")
    prices_minor_per_unit: int = number(
        100, "minor units in one unit of the currency", unit="minor units", minimum=1, maximum=10_000
    )
    body_bytes_max: int = number(
        1_048_576, "longest messages and tools of one call", unit="bytes", minimum=1_024, maximum=16_777_216
    )
    answer_bytes_max: int = number(
        4_194_304, "longest answer on the wire", unit="bytes", minimum=65_536, maximum=67_108_864
    )
    connect_seconds_max: float = seconds(5.0, "longest time to connect", minimum=0.1, maximum=60)
    authorities: str = reference("whose server certificates count, PEM; empty for those of this machine")


def faults_of(settings: ModelProviderSettings) -> tuple[str, ...]:
    """Return the faults beyond types and bounds, each with what to write instead."""
    faults = [f"base_url: {fault}"] if (fault := address_fault(settings.base_url)) else []
    if settings.api not in APIS:
        faults.append(f"api is one of {', '.join(APIS)}")
    if settings.limit_name not in LIMIT_NAMES:
        faults.append(f"limit_name is one of {', '.join(LIMIT_NAMES)}")
    if not settings.key:
        faults.append("key says where the provider's key is")
    if settings.key_header and not (
        settings.key_header.isascii() and settings.key_header.replace("-", "").isalnum()
    ):
        faults.append("key_header is the name of a header")
    try:
        _prices(settings)
        if settings.prices_day:
            date.fromisoformat(settings.prices_day)
    except Malformed as fault:
        faults.append(f"prices: {fault.message}")
    except ValueError:
        faults.append("prices_day is a day such as 2026-11-28")
    return tuple(faults)


def built(settings: ModelProviderSettings, world: TargetContext) -> BuiltTarget:
    """Build issuer and target over shared lease state; connects to nothing."""
    quiet_wire()
    leases = ModelLeases()
    usual = "x-api-key" if settings.api == "anthropic" else "authorization"
    name = settings.key_header or usual
    key = StandingSecret(
        "header",
        secret=settings.key,
        secret_of=world.secret_of,
        name=name,
        prefix="Bearer " if name.lower() == "authorization" else "",
    )
    place = ModelPlace(
        base_url=settings.base_url,
        api=APIS[settings.api],
        limit_name=settings.limit_name,
        prices=_prices(settings),
        body_bytes_max=settings.body_bytes_max,
        answer_bytes_max=settings.answer_bytes_max,
        connect_seconds_max=settings.connect_seconds_max,
    )
    tls = TlsPlace(settings.base_url, secret_of=world.secret_of, authorities=settings.authorities)
    return BuiltTarget(
        issuer=ModelIssuer(key, leases=leases, clock=world.clock, entropy=world.entropy),
        target=ModelTarget(place, key=key, leases=leases, clock=world.clock, tls=tls.context),
        rights=ModelRights(),
    )


def _prices(settings: ModelProviderSettings) -> Prices:
    return read_prices(
        settings.prices,
        currency=settings.prices_currency,
        day=settings.prices_day,
        source=settings.prices_source,
        minor_per_unit=settings.prices_minor_per_unit,
    )


KIND: Final = TargetKind(
    api=1, name="model-provider", settings=ModelProviderSettings, build=built, faults=faults_of
)
