"""The page about targets of kind `ssh` says what the code says; tests/stand_ins/ssh_server.py runs its commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from answerable.adapters.ssh_certificates import checked_command_tool
from answerable.adapters.ssh_certificates.commands import command_asked
from answerable.adapters.ssh_certificates.scope import grant_of
from answerable.core.canonical import freeze
from answerable.core.lease.scope import filled
from answerable.wiring.target_kinds import kind_named
from tests.worlds.target_pages import settings_table

PAGE = (Path(__file__).parents[2] / "docs/reference/adapters/ssh.md").read_text(encoding="utf-8")
pytestmark = pytest.mark.requirement("SSH-08")


def test_its_settings_are_those_of_the_code():
    assert settings_table(kind_named("ssh").settings) in PAGE


def test_its_sample_lets_a_call_do_what_the_lease_allows():
    documents = list(yaml.safe_load_all(PAGE.partition("```yaml\n")[2].partition("```")[0]))
    grants = documents[1]["spec"]["lease"]["grants"]
    grant = grant_of(filled(grants, {"argument.unit": "nginx"}), {"web1"})
    said = re.search(r'`commands = \["(.*)"\]`', PAGE)
    assert said is not None
    tool = checked_command_tool(said[1])
    assert tool.name == documents[1]["spec"]["target"]
    assert command_asked((tool,), tool.name, {"host": "web1", "unit": "nginx"}) == grant.command
    assert freeze(grants).thaw() == grants
