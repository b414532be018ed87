"""The page of MariaDB targets against the code, and its commands as the tests of the real server run them."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from answerable.core.canonical import freeze
from answerable.testing.clock import ManualClock
from answerable.testing.entropy import SeededEntropy
from answerable.wiring.target_kinds import TargetWorld, kind_named
from tests.mariadb_server import BROKER_PASSWORD
from tests.mariadb_world import BROKER_RIGHTS

PAGE = (Path(__file__).parents[2] / "docs/reference/adapters/mariadb.md").read_text()
KIND = kind_named("mariadb")

pytestmark = pytest.mark.requirement("MARIADB-11")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.S)


def shown(default: object) -> str:
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, str):
        return f"`{default}`" if default else ""
    return f"{default:g}" if isinstance(default, float) else str(default or "")


def test_every_setting_stands_there_with_its_default():
    listed = dict(re.findall(r"^\| `([a-z_]+)` \| ([^|]*?) ?\|", PAGE.split("## What to set")[0], flags=re.M))
    assert listed == {one.name: shown(one.default) for one in fields(KIND.settings)}


def test_the_commands_for_the_brokers_account_are_those_that_the_tests_run():
    told = blocks("sql")[0].replace("CHOOSE ONE", BROKER_PASSWORD)
    assert told == BROKER_RIGHTS


def test_the_sample_is_understood():
    capability = next(one for one in yaml.safe_load_all(blocks("yaml")[0]) if one["kind"] == "Capability")
    world = TargetWorld(clock=ManualClock(), entropy=SeededEntropy(), secret_of=lambda _: b"")
    issuer = KIND.build(KIND.settings(databases=("shop",)), world).issuer
    assert not issuer.faults(freeze(capability["spec"]["lease"]["grants"]))
