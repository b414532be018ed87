"""Claims about whose client secret goes to which provider."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from answerable.errors import Malformed
from answerable.wiring.console_settings import ConsoleSettings
from answerable.wiring.identity_settings import IdentitySettings
from answerable.wiring.provider_settings import provider_faults, provider_secrets
from answerable.wiring.settings import faults, load_settings

ONE, OTHER = "https://one.example", "https://other.example"


def settings(tmp_path: Path, *issuers: str, **console: object):
    listed = IdentitySettings(person_issuers=tuple(f"{one} client" for one in issuers))
    return replace(load_settings(tmp_path), identity=listed, console=ConsoleSettings(**console))


@pytest.mark.parametrize(
    ("issuers", "console", "found"),
    [
        ((ONE, OTHER), {}, {}),
        ((ONE,), {"oidc_secret": "file:a"}, {ONE: "file:a"}),
        ((ONE, OTHER), {"oidc_secrets": (f"{OTHER} env:B",)}, {OTHER: "env:B"}),
    ],
)
def test_each_provider_has_the_secret_that_is_given_for_it_or_none(tmp_path, issuers, console, found):
    wanted = settings(tmp_path, *issuers, **console)
    assert provider_secrets(wanted) == found
    assert [*provider_faults(wanted)] == []


@pytest.mark.parametrize(
    ("issuers", "console", "key"),
    [
        ((ONE, OTHER), {"oidc_secret": "file:a"}, "console.oidc_secret"),
        ((ONE,), {"oidc_secret": "file:a", "oidc_secrets": (f"{ONE} file:b",)}, "console.oidc_secret"),
        ((ONE,), {"oidc_secrets": (f"{OTHER} file:b",)}, "console.oidc_secrets"),
        ((ONE,), {"oidc_secrets": (f"{ONE} file:b", f"{ONE} file:c")}, "console.oidc_secrets"),
        ((ONE,), {"oidc_secrets": (f"{ONE} the-secret-itself",)}, "console.oidc_secrets"),
        ((ONE,), {"oidc_secrets": (ONE,)}, "console.oidc_secrets"),
    ],
)
def test_one_secret_for_several_and_one_for_nobody_are_faults_that_show_no_secret(
    tmp_path, issuers, console, key
):
    wanted = settings(tmp_path, *issuers, **console)
    [(named, message)] = provider_faults(wanted)
    assert (named, "the-secret-itself" in message) == (key, False)
    with pytest.raises(Malformed):
        provider_secrets(wanted)


def test_a_fault_of_the_list_of_providers_is_told_once_and_an_unreadable_secret_is_named(tmp_path):
    assert [*provider_faults(settings(tmp_path, "no-url"))] == []
    (tmp_path / "answerable.toml").write_text(
        f'[identity]\nperson_issuers = ["{ONE} c"]\n[console]\noidc_secrets = ["{ONE} file:nowhere"]\n'
    )
    [line] = faults(tmp_path)
    assert "console.oidc_secrets: secret file `nowhere` cannot be read" in line
