"""The pages of PostgreSQL and MariaDB targets against the code, and their commands as the tests of the real servers run
them."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from answerable.core.canonical import freeze
from answerable.targets.kind import TargetContext
from answerable.testing.clock import ManualClock
from answerable.testing.entropy import SeededEntropy
from answerable.wiring.target_kinds import kind_named
from tests.stand_ins import mariadb_server, postgres_server
from tests.worlds import mariadb as mariadb_world
from tests.worlds import postgres as postgres_world

PAGES = Path(__file__).parents[2] / "docs/reference/adapters"


pytestmark = pytest.mark.parametrize(
    "name",
    [
        pytest.param("postgres", marks=pytest.mark.requirement("PG-12")),
        pytest.param("mariadb", marks=pytest.mark.requirement("MARIADB-11")),
    ],
)


@pytest.fixture
def page(name):
    return (PAGES / f"{name}.md").read_text()


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page, flags=re.S)


def shown(default: object) -> str:
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, str):
        return f"`{default}`" if default else ""
    return f"{default:g}" if isinstance(default, float) else str(default or "")


def test_every_setting_stands_there_with_its_default(name, page):
    listed = dict(re.findall(r"^\| `([a-z_]+)` \| ([^|]*?) ?\|", page.split("## What to set")[0], flags=re.M))
    assert listed == {one.name: shown(one.default) for one in fields(kind_named(name).settings)}


def test_the_commands_for_the_brokers_account_are_those_that_the_tests_run(name, page):
    told = blocks(page, "sql")
    if name == "postgres":
        commands = told[0].replace("CHOOSE ONE", postgres_server.BROKER_PASSWORD)
        assert commands.strip() in postgres_world.BROKER_RIGHTS
        assert told[2].strip().removesuffix(";") in postgres_world.SHOP
    else:
        commands = told[0].replace("CHOOSE ONE", mariadb_server.BROKER_PASSWORD)
        assert commands == mariadb_world.BROKER_RIGHTS


def test_the_sample_is_understood(name, page):
    kind = kind_named(name)
    capability = next(
        one for one in yaml.safe_load_all(blocks(page, "yaml")[0]) if one["kind"] == "Capability"
    )
    world = TargetContext(clock=ManualClock(), entropy=SeededEntropy(), secret_of=lambda _: b"")
    database = {"postgres": "prod", "mariadb": "shop"}[name]
    issuer = kind.build(kind.settings(databases=(database,)), world).issuer
    assert not issuer.faults(freeze(capability["spec"]["lease"]["grants"]))
