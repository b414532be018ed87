"""The pages of kinds of targets against the code: settings, target files and grants work as they stand there."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from answerable.core.lease.scope import filled
from answerable.targets.kind import TargetContext
from answerable.testing.clock import ManualClock
from answerable.testing.entropy import SeededEntropy
from answerable.wiring.target_files import read_targets
from answerable.wiring.target_kinds import kind_named

PAGES = Path(__file__).parents[2] / "docs/reference/adapters"
VALUES = {
    "resource": "42",
    "mandate": "m-1",
    "agent": "support-bot",
    "argument.pod": "web-1",
    "argument.repository": "hello",
}
KINDS = ("aws", "github_app", "kubernetes", "openbao")

pytestmark = [
    pytest.mark.requirement("AWS-07", "BAO-05", "GITHUB-06", "K8S-06"),
    pytest.mark.parametrize("kind", KINDS),
]


def page(kind: str) -> str:
    return (PAGES / f"{kind}.md").read_text()


def block(kind: str, language: str, after: str = "## Sample") -> str:
    found = re.search(rf"```{language}\n(.*?)```", page(kind).partition(after)[2], flags=re.S)
    assert found, f"{kind}.md has no {language} after {after}"
    return found[1]


def shown(default: object) -> str:
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, str):
        return f"`{default}`" if default else ""
    return f"{default:g}" if isinstance(default, float) else str(default or "")


def test_every_setting_stands_there_with_its_default(kind):
    table = page(kind).partition("## Settings")[2].partition("\n## ")[0]
    listed = dict(re.findall(r"^\| `([a-z_]+)` \| ([^|]*?) ?\|", table, flags=re.M))
    assert listed == {one.name: shown(one.default) for one in fields(kind_named(kind).settings)}


def test_the_file_and_the_grants_of_the_sample_are_understood(kind, tmp_path):
    (tmp_path / "sample.toml").write_text(block(kind, "toml"))
    (target,), faults = read_targets(tmp_path)
    assert not faults
    world = TargetContext(clock=ManualClock(), entropy=SeededEntropy(), secret_of=lambda _: b"")
    changed = {"authorities": ""} if hasattr(target.settings, "authorities") else {}
    settings = type(target.settings)(
        **{one.name: getattr(target.settings, one.name) for one in fields(target.settings)} | changed
    )
    built = target.kind.build(settings, world)
    documents = list(yaml.safe_load_all(block(kind, "yaml")))
    capability = next(one for one in documents if one["kind"] == "Capability")
    grants = capability["spec"]["lease"]["grants"]
    assert not built.issuer.faults(filled(grants, VALUES))
    assert capability["spec"]["target"] in [tool["name"] for tool in built.target.tools()]


def test_settings_that_say_nothing_have_faults_that_say_what_to_write(kind):
    found = kind_named(kind)
    assert len(found.faults(found.settings())) >= 2


def test_a_secret_goes_to_no_address_of_another_machine_without_tls(kind):
    found = kind_named(kind)
    setting = "endpoint" if kind == "aws" else "url"
    for url in (
        "http://other.example",
        "http://10.0.0.1",
        "https://user@other.example",
        "https://a/?b",
        "ftp://a",
    ):
        assert [one for one in found.faults(found.settings(**{setting: url})) if f"`{setting}`" in one], url
    for url in ("http://127.0.0.1:8200", "http://[::1]:1", "https://other.example/api/v3"):
        assert not [one for one in found.faults(found.settings(**{setting: url})) if f"`{setting}`" in one], (
            url
        )
