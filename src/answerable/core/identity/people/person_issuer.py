"""Settings of the OpenID providers that are trusted to identify people; `oidc_person` reads their tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LOGIN_SECONDS_MAX: Final = 3_600
"""Default maximum time since the person's login."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonIssuer:
    """An OpenID provider that is trusted to identify people. audience: this deployment's client id at the provider."""

    issuer: str
    audience: str
    login_seconds_max: int = LOGIN_SECONDS_MAX
