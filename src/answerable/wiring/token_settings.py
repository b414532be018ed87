"""Settings of the token service: its issuer identifier, and the lifetimes of its tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from answerable.core.mandate.acting_seconds import ACTING_SECONDS_MAX
from answerable.setting_fields import number, text

if TYPE_CHECKING:
    from collections.abc import Iterator

ISSUER_CHARS_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSettings:
    """Tokens for the actions and delegations of agents, on the gateway's own sockets below `/oauth/`."""

    issuer: str = text(
        "",
        "URL under which agents and others reach this server, `https://HOST[:PORT]`; empty takes the gateway's address",
        unit="URL",
    )
    action_seconds: int = number(
        60, "lifetime of a token for actions", unit="seconds", minimum=5, maximum=max(ACTING_SECONDS_MAX)
    )
    action_seconds_max_tier_0: int = number(
        ACTING_SECONDS_MAX[0],
        "longest time that a token is accepted for capabilities of tier 0, whatever its own lifetime",
        unit="seconds",
        minimum=5,
        maximum=ACTING_SECONDS_MAX[0],
    )
    action_seconds_max_tier_1: int = number(
        ACTING_SECONDS_MAX[1],
        "longest time that a token is accepted for capabilities of tier 1",
        unit="seconds",
        minimum=5,
        maximum=ACTING_SECONDS_MAX[1],
    )
    action_seconds_max_tier_2: int = number(
        ACTING_SECONDS_MAX[2],
        "longest time that a token is accepted for capabilities of tier 2",
        unit="seconds",
        minimum=5,
        maximum=ACTING_SECONDS_MAX[2],
    )
    action_seconds_max_tier_3: int = number(
        ACTING_SECONDS_MAX[3],
        "longest time that a token is accepted for a capability of tier 3, once",
        unit="seconds",
        minimum=5,
        maximum=ACTING_SECONDS_MAX[3],
    )
    delegation_seconds: int = number(
        3_600,
        "longest lifetime of a hop from which an agent delegates",
        unit="seconds",
        minimum=5,
        maximum=86_400,
    )
    status_list_seconds: int = number(
        30,
        "how long others may cache a status list; revocations reach them within this time",
        unit="seconds",
        minimum=5,
        maximum=3_600,
    )

    @property
    def action_seconds_max(self) -> tuple[int, int, int, int]:
        """The limits by tier."""
        return (
            self.action_seconds_max_tier_0,
            self.action_seconds_max_tier_1,
            self.action_seconds_max_tier_2,
            self.action_seconds_max_tier_3,
        )


def token_faults(settings: TokenSettings) -> Iterator[tuple[str, str]]:
    """Yield each faulty key with the fault."""
    if not settings.issuer:
        return
    try:
        url = urlsplit(settings.issuer)
        plain = url.scheme in ("https", "http") and bool(url.hostname) and not (url.query or url.fragment)
        bare = url.path == "" and url.username is None and (url.port or 1) > 0
    except ValueError:
        plain = bare = False
    if (
        not (plain and bare)
        or len(settings.issuer) > ISSUER_CHARS_MAX
        or settings.issuer.lower() != settings.issuer
    ):
        yield (
            "tokens.issuer",
            "give a URL such as `https://gateway.example:8765`, in lower case and without a path",
        )
    elif url.scheme == "http" and url.hostname not in ("127.0.0.1", "localhost", "::1"):
        yield "tokens.issuer", "tokens are only issued over TLS: give an `https` URL, or one of loopback"
