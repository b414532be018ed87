"""OpenID providers whose people are believed, as settings name them; their tokens are read in `oidc_person`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LOGIN_SECONDS_MAX: Final = 3_600
"""From when the person logged in, unless the settings say otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonIssuer:
    """An OpenID provider whose people are believed. audience: the client id under which it knows this deployment."""

    issuer: str
    audience: str
    login_seconds_max: int = LOGIN_SECONDS_MAX
