"""The capabilities of the samples fit the tools that they name: what they say of arguments the tools really take."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from answerable.adapters.mcp_upstream.closed_schema import compile_closed
from answerable.core.canonical import JSONValue
from answerable.core.lease.scope import filled
from answerable.core.registry.documents.capability import Capability
from answerable.core.registry.parsing.parse import Shapes, shapes_of
from answerable.core.registry.tools.tool_hints import hint_fault
from answerable.core.registry.tools.tool_types import type_fault
from answerable.targets.kind import TargetContext
from answerable.testing.clock import ManualClock
from answerable.testing.entropy import SeededEntropy
from answerable.wiring.target_files import read_targets
from answerable.wiring.target_kinds import kind_named

PAGES = Path(__file__).parents[2] / "docs/reference/adapters"
POD = "/api/v1/namespaces/support/pods/web-1"
SETTINGS: dict[str, dict[str, Any]] = {
    "mariadb": {"databases": ("shop",)},
    "nats": {"address": "nats://127.0.0.1:4222", "account": "A"},
    "postgres": {"databases": ("prod",)},
    "rabbitmq": {"address": "amqp://127.0.0.1:5672", "management": "http://127.0.0.1:15672"},
    "redis": {"address": "redis://127.0.0.1:6379"},
}
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "aws": ("7", {"service": "s3", "operation": "GetObject", "parameters": {"Bucket": "cases", "Key": "7"}}),
    "github_app": ("/repos/octo/hello/issues", {"method": "GET", "path": "/repos/octo/hello/issues"}),
    "kubernetes": (POD, {"method": "GET", "path": POD}),
    "mariadb": ("7", {"sql": "SELECT id FROM cases WHERE case_id = ?", "parameters": ["7"]}),
    "nats": ("case.7.note", {"subject": "case.7.note", "message": "seen"}),
    "openbao": ("7", {"sql": "SELECT id FROM cases WHERE case_id = $1", "parameters": ["7"]}),
    "postgres": ("7", {"sql": "SELECT id FROM support_messages WHERE case_id = $1", "parameters": ["7"]}),
    "rabbitmq": ("case.7.note", {"exchange": "cases", "routing_key": "case.7.note", "message": "seen"}),
    "redis": ("case:7:note", {"command": "get", "arguments": ["case:7:note"]}),
}
"""What an agent would call, and the resource that is decided on."""

pytestmark = pytest.mark.requirement("LEASE-02")


def documents(kind: str) -> Shapes:
    page = (PAGES / f"{kind}.md").read_text()
    found = re.search(r"```yaml\n(.*?)```", page.partition("## Sample")[2], flags=re.S)
    assert found, f"{kind}.md has no sample"
    return shapes_of(list(yaml.safe_load_all(found[1])))


def settings_of(kind: str, folder: Path) -> Any:
    """Those of the page's own target file, where it shows one."""
    if kind in SETTINGS:
        return kind_named(kind).settings(**SETTINGS[kind])
    page = (PAGES / f"{kind}.md").read_text()
    found = re.search(r"```toml\n(.*?)```", page.partition("## Sample")[2], flags=re.S)
    assert found
    (folder / "sample.toml").write_text(found[1])
    (target,), faults = read_targets(folder)
    assert not faults
    return (
        replace(target.settings, authorities="")
        if hasattr(target.settings, "authorities")
        else target.settings
    )


def sample(kind: str, folder: Path) -> tuple[Capability, dict[str, Any]]:
    shapes = documents(kind)
    (capability,) = [one.noun for one in shapes.nouns if isinstance(one.noun, Capability)]
    world = TargetContext(clock=ManualClock(), entropy=SeededEntropy(), secret_of=lambda _: b"")
    built = kind_named(kind).build(settings_of(kind, folder), world)
    (tool,) = [one for one in built.target.tools() if one["name"] == capability.target]
    assert capability.lease is not None
    scope = filled(
        capability.lease.grants.thaw(), {"resource": CALLS[kind][0], "agent": "bot", "mandate": "m-1"}
    )
    assert not built.issuer.faults(scope)
    return capability, dict(tool)


@pytest.mark.parametrize(
    "kind", sorted(one.stem for one in PAGES.glob("*.md") if "## Sample" in one.read_text())
)
def test_the_registry_takes_the_documents_of_every_sample(kind):
    assert documents(kind).faults == ()
    assert documents(kind).nouns


@pytest.mark.parametrize("kind", sorted(CALLS))
def test_a_call_that_the_sample_is_about_is_one_that_the_tool_takes(kind, tmp_path):
    capability, tool = sample(kind, tmp_path)
    assert type_fault(capability, tool) == ""
    assert hint_fault(capability, tool) == ""
    wanted, arguments = CALLS[kind]
    violations = compile_closed(tool["inputSchema"], open_members=capability.open_members)
    assert not violations(arguments)
    (place,) = [one for one in capability.arguments if one.name == capability.resource.argument]
    value: Any = arguments
    for step in (place.pointer or f"/{place.name}").split("/")[1:]:
        value = value[int(step)] if isinstance(value, list) else value[step]
    assert value == wanted


DEEP: dict[str, JSONValue] = {"a": [{"b": {"c": [1]}}], "d": "e"}


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("aws", {"parameters": {"Key": "7", **DEEP}}),
        ("github_app", {"method": "POST", "body": DEEP}),
        ("kubernetes", {"method": "POST", "body": DEEP}),
    ],
)
def test_what_an_api_takes_the_gateway_lets_through_at_every_depth(kind, more, tmp_path):
    capability, tool = sample(kind, tmp_path)
    violations = compile_closed(tool["inputSchema"], open_members=capability.open_members)
    assert not violations({**CALLS[kind][1], **more})
    assert violations({**CALLS[kind][1], "more": 1}), "and nothing beside it"
