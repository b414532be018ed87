"""Names spelled so that a bound takes them for something else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from answerable.core.mandate.attenuation import narrower
from answerable.core.mandate.authority import Authority, failure
from answerable.core.mandate.caveat import Attempt
from answerable.core.mandate.constraint import NotOneOf, OneOf, Prefix
from answerable.core.mandate.resource_name import trick_in
from answerable.errors import Malformed


def reading(name: str) -> Attempt:
    return Attempt(
        capability="files.read",
        environment="production",
        resource_type="File",
        resource_id=name,
        arguments={},
    )


UNDER = Authority(
    scopes=("files.*",), constraints=(Prefix(key="resource:files.read", prefix="reports/2026"),)
)
EXACT = Authority(
    scopes=("files.*",), constraints=(OneOf(key="resource:files.read", members=("reports/pay",)),)
)
BANNED = Authority(
    scopes=("files.*",), constraints=(NotOneOf(key="resource:files.read", members=("Admin", "café")),)
)

TRICKS = [
    "reports/2026/../../etc/passwd",
    "reports/2026/..",
    "reports/2026/./x",
    "reports/2026/..;v=1/secret",
    "reports/2026/... /x",
    "reports/2026/.. /x",
    "reports/2026\\..\\..\\etc",
    "reports/2026/%2e%2e/secret",
    "reports/2026/%2E%2E%2Fsecret",
    "reports/2026/%252e%252e/secret",
    "reports/2026/%c0%ae%c0%ae/secret",
    "reports/2026/%5c..",
    "reports/2026/%00.pdf",
    "reports/2026/%u002e%u002e/x",
    "reports/2026/%",
    "reports/2026/%2",
    "reports/2026/x\x00",
    "reports/2026/x\n",
    "reports/2026/\u200bx",
    "reports/2026/\u202egpj.exe",
    "reports/2026/\ufeffx",
    "reports/2026/\u2028x",
    "reports/2026/cafe\u0301",
    "reports/2026/\uff0e\uff0e\uff0fx",
    "reports/2026/\u2025/x",
    "reports/2026/p\u0430y",
    "reports/2026/\ue000",
    "reports/20261",
    "reports/2026-old/x",
    "Reports/2026/x",
    "REPORTS/2026/x",
    "r\u0435ports/2026/x",
    " reports/2026/x",
    "reports/2026?/../../x",
    "x/../reports/2026/y",
    "",
]


@pytest.mark.requirement("DELEG-08")
@pytest.mark.parametrize("name", TRICKS)
def test_no_tricky_name_is_under_a_prefix(name):
    why = failure(UNDER, reading(name))
    assert why is not None
    assert why.code == "delegation.ceiling_exceeded"
    assert why.text.isprintable()


@pytest.mark.requirement("DELEG-08")
@pytest.mark.parametrize(
    "name",
    [
        "reports/2026",
        "reports/2026/",
        "reports/2026/q3.pdf",
        "reports/2026/a%20b",
        "reports/2026/café",
        "reports/2026/..hidden",
    ],
)
def test_plain_names_are_under_their_prefix_so_that_the_refusals_mean_something(name):
    assert failure(UNDER, reading(name)) is None


@pytest.mark.requirement("DELEG-08")
@pytest.mark.parametrize(
    "name",
    [
        "Reports/pay",
        "reports/pay/",
        "reports/p\u0430y",
        "reports/p\u200bay",
        "./reports/pay",
        "reports%2fpay",
        "reports//pay",
        "reports/pay ",
    ],
)
def test_a_list_names_what_it_names_to_the_character(name):
    assert failure(EXACT, reading("reports/pay")) is None
    assert failure(EXACT, reading(name)) is not None


@pytest.mark.requirement("DELEG-08")
@pytest.mark.parametrize(
    "name",
    [
        "Admin",
        "admin",
        "ADMIN",
        "Ad\u200bmin",
        "%41dmin",
        "Ａdmin",
        "\u0410dmin",
        "Admin ",
        "admin.",
        "cafe\u0301",
        "CAFÉ",
        "./Admin",
        "Admin\\",
    ],
)
def test_a_ban_holds_for_whatever_could_be_read_as_what_is_banned(name):
    assert failure(BANNED, reading("users")) is None
    assert failure(BANNED, reading(name)) is not None


@pytest.mark.requirement("DELEG-08")
@pytest.mark.parametrize(
    "prefix",
    [
        "reports/2026/../2025",
        "reports/20260",
        "reports/2026/%2e%2e/",
        "reports/2026/\u200b",
        "Reports/2026/x",
    ],
)
def test_a_child_cannot_spell_its_way_out_of_its_parents_prefix(prefix):
    bound = Prefix(key="resource:files.read", prefix=prefix)
    if trick_in(prefix) is None:
        assert narrower(replace(UNDER, constraints=(bound,)), UNDER) is not None
    else:
        with pytest.raises(Malformed) as raised:
            replace(UNDER, constraints=(bound,))
        assert raised.value.code == "delegation.malformed"


@pytest.mark.requirement("DELEG-08")
@pytest.mark.parametrize(
    ("held", "asked"),
    [
        ("crm.*", "crmx.read"),
        ("crm.*", "crm"),
        ("drive.*", "drive.Read"),
        ("User.Read", "user.read"),
        ("crm.read", "crm.*"),
    ],
)
def test_scopes_are_neither_folded_nor_cut(held, asked):
    assert narrower(Authority(scopes=(asked,)), Authority(scopes=(held,))) is not None
