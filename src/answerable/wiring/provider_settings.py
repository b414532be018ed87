"""Settings of the OpenID providers at which people sign in: each has its own client secret, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.errors import Malformed, shown
from answerable.errors.codes.services import SETTINGS_OIDC_SECRETS
from answerable.wiring.identity_settings import person_issuers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.wiring.setting_tree import Settings


def provider_secrets(settings: Settings) -> dict[str, str]:
    """Return the reference to each provider's client secret, by its URL; a public client has none. Raises Malformed
    (`settings.oidc_secrets`, `settings.person_issuers`)."""
    issuers = [one.issuer for one in person_issuers(settings.identity)]
    console = settings.console
    if console.oidc_secret:
        if len(issuers) > 1 or console.oidc_secrets:
            raise SETTINGS_OIDC_SECRETS(
                "`oidc_secret` is for one provider only: give each provider a secret of its own in "
                "`oidc_secrets`"
            )
        return dict.fromkeys(issuers, console.oidc_secret)
    found: dict[str, str] = {}
    for line in console.oidc_secrets:
        url, _, reference = line.partition(" ")
        if url not in issuers or url in found or not reference.startswith(("file:", "env:")):
            raise SETTINGS_OIDC_SECRETS(
                "each is `URL REFERENCE`, such as `https://login.example file:keys/console-client`, with a URL of "
                f"`identity.person_issuers`, each once; {shown(url, 80)} does not fit"
            )
        found[url] = reference
    return found


def provider_faults(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield each faulty key with the fault, beyond the form of each field."""
    try:
        provider_secrets(settings)
    except Malformed as fault:
        # Faults of the list of providers are reported where that list is checked.
        if fault.code == "settings.oidc_secrets":
            key = "oidc_secret" if settings.console.oidc_secret else "oidc_secrets"
            yield f"console.{key}", fault.message
