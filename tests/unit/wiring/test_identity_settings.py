"""What is said about a trust domain that cannot work."""

from typing import get_args

import pytest

from answerable.core.identity.workload.oidc_shapes import Kind
from answerable.wiring.identity_settings import IdentitySettings, identity_faults


def faults(**changed: object) -> list[str]:
    return [key for key, _ in identity_faults(IdentitySettings(**changed))]


def test_the_defaults_have_no_fault() -> None:
    assert faults() == []


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"trust_domain": "Not A Domain"}, "identity.trust_domain"),
        ({"authority_seconds": 3_600}, "identity.authority_seconds"),
        ({"pkcs11_module": "/lib/hsm.so"}, "identity.pkcs11_module"),
        ({"pkcs11_token": "token", "pkcs11_pin": "env:PIN"}, "identity.pkcs11_module"),
        ({"oidc_issuers": ("https://issuer.example",)}, "identity.oidc_issuers"),
        ({"oidc_issuers": ("issuer.example answerable",)}, "identity.oidc_issuers"),
        ({"person_issuers": ("https://login.example",)}, "identity.person_issuers"),
        ({"person_issuers": ("login.example answerable",)}, "identity.person_issuers"),
        ({"person_issuers": ("https://login.example answerable 0",)}, "identity.person_issuers"),
        ({"person_issuers": ("https://login.example answerable soon",)}, "identity.person_issuers"),
        ({"person_issuers": ("https://l.example a", "https://l.example b")}, "identity.person_issuers"),
        ({"oidc_issuers": ("https://issuer.example answerable gitlab",)}, "identity.oidc_issuers"),
        ({"brokers": ("agent:relay *",)}, "identity.brokers"),
        ({"federation": ("partner.example carrier-pigeon somewhere",)}, "identity.federation"),
        (
            {"jwt_seconds": 3_600, "x509_seconds": 60, "authority_seconds": 3_600},
            "identity.authority_seconds",
        ),
        ({"bundle_key": "file:key.pem"}, "identity.bundle_certificate"),
    ],
)
def test_what_cannot_work_is_a_fault_of_its_key(changed: dict[str, object], key: str) -> None:
    assert faults(**changed) == [key]


def test_issuers_of_every_kind_have_no_fault() -> None:
    assert faults(person_issuers=("https://login.example answerable 900", "https://l.example a")) == []
    assert faults(oidc_issuers=tuple(f"https://i.example a {kind}" for kind in get_args(Kind))) == []


def test_an_hsm_with_all_three_has_no_fault() -> None:
    assert faults(pkcs11_module="/lib/hsm.so", pkcs11_token="token", pkcs11_pin="env:PIN") == []
