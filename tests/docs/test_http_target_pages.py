"""The pages about HTTP targets and model providers say what the code says, and their commands do what they say."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from answerable.adapters.mcp_upstream.closed_schema import compile_closed
from answerable.core.canonical import JSONValue
from answerable.core.lease.scope import filled
from answerable.core.registry.documents.lease_template import holes_in
from answerable.testing.clock import ManualClock
from answerable.wiring.target_files import read_targets
from answerable.wiring.target_kinds import kind_named
from tests.probes.loud_skips import skip_loudly
from tests.stand_ins.authorization_server import OPAQUE, SECRET, authorization_server
from tests.worlds.http_target import SECRETS, world
from tests.worlds.target_pages import settings_table

FOLDER = Path(__file__).parents[2] / "docs/reference/adapters"
KINDS = pytest.mark.parametrize("kind", ["http", "model-provider"])


def page_of(kind: str) -> str:
    return (FOLDER / f"{kind}.md").read_text(encoding="utf-8")


def blocks(kind: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page_of(kind), re.DOTALL)


def grants_of(kind: str) -> JSONValue:
    documents: list[Any] = list(yaml.safe_load_all(blocks(kind, "yaml")[0]))
    found: JSONValue = documents[1]["spec"]["lease"]["grants"]
    return found


@pytest.mark.requirement("HTTPLEASE-12")
@KINDS
def test_settings_are_those_of_the_code(kind: str) -> None:
    assert settings_table(kind_named(kind).settings) in page_of(kind)


@pytest.mark.requirement("HTTPLEASE-12")
@KINDS
def test_the_sample_is_a_target_whose_grants_are_understood(kind: str, tmp_path: Path) -> None:
    (tmp_path / "sample.toml").write_text(blocks(kind, "toml")[0])
    found, faults = read_targets(tmp_path)
    assert not faults
    assert found[0].settings == kind_named(kind).settings(
        **{
            name: tuple(value) if isinstance(value, list) else value
            for name, value in tomllib.loads(blocks(kind, "toml")[0]).items()
            if name != "kind"
        }
    )
    target = found[0].kind.build(found[0].settings, world(SECRETS, clock=ManualClock()))
    grants = grants_of(kind)
    values = dict.fromkeys(holes_in(grants), "/cases/7")
    assert target.issuer.faults(filled(grants, values)) == ()
    names = {tool["name"] for tool in target.target.tools()}
    documents: list[Any] = list(yaml.safe_load_all(blocks(kind, "yaml")[0]))
    assert documents[1]["spec"]["target"] in names


@pytest.mark.requirement("HTTPLEASE-12")
@KINDS
def test_tools_are_described_whole_and_take_nothing_unknown(kind: str) -> None:
    more = {"auth": "api_key_header", "secret": "file:key"} if kind == "http" else {}
    settings = kind_named(kind).settings(base_url="https://api.example", **more)
    for tool in kind_named(kind).build(settings, world(SECRETS)).target.tools():
        schema, hints = tool["inputSchema"], tool["annotations"]
        assert isinstance(schema, dict)
        assert isinstance(hints, dict)
        assert schema["additionalProperties"] is False
        assert tool["title"]
        assert tool["description"]
        assert {"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"} <= hints.keys()


@pytest.mark.requirement("HTTPLEASE-12")
def test_what_tools_take_passes_the_gateway_which_closes_what_is_not_said_to_be_open() -> None:
    http = kind_named("http").settings(
        base_url="https://api.example", auth="api_key_header", secret="file:key"
    )
    _, request = kind_named("http").build(http, world(SECRETS)).target.tools()
    fits = compile_closed(request["inputSchema"])
    body: Any = [{"a": [{"b": [[{"c": None}]]}], "d": {"e": {"f": 1}}}]
    for given in (body, body[0], "text", 7):
        assert not fits({"method": "POST", "path": "/a", "query": {"q": "1"}, "body": given}), given
    odds: Any = (
        {"method": "TRACE"},
        {"url": "https://other.example"},
        {"headers": {"host": "x"}},
        {"query": {"q": 1}},
    )
    for odd in odds:
        assert fits({"method": "POST", "path": "/a", **odd}), odd
    models = kind_named("model-provider").settings(base_url="https://api.example/v1", key="file:key")
    chat, _ = kind_named("model-provider").build(models, world(SECRETS)).target.tools()
    fits = compile_closed(chat["inputSchema"])
    call: Any = {"id": "1", "name": "w", "arguments": {"a": [{"b": {"c": 1}}]}}
    messages: Any = [{"role": "assistant", "content": "", "tool_calls": [call]}]
    tools: Any = [{"name": "w", "input_schema": {"type": "object", "properties": {"a": {"type": "array"}}}}]
    asked: Any = {"model": "m", "messages": messages, "max_tokens": 1, "tools": tools, "stream": True}
    assert not fits(asked)
    assert fits({**asked, "api_key": "mine"})


@pytest.mark.requirement("HTTPLEASE-12")
def test_the_commands_show_a_token_and_its_end() -> None:
    if shutil.which("curl") is None:
        skip_loudly("curl", "apt-get install curl", name="curl")
    script = blocks("http", "sh")[0]
    with authorization_server() as server:
        given = {
            "LOGIN": server.issuer,
            "CLIENT": "'broker:" + SECRET.replace(" ", "+") + "'",
            "RESOURCE": OPAQUE,
            "SCOPE": "read:case",
        }
        lines = script.splitlines()
        lines[:4] = [f"{name}={value}" for name, value in given.items()]
        ran = subprocess.run(
            ["sh", "-euc", "\n".join(lines)], capture_output=True, text=True, timeout=60, check=True
        )
    first, last = re.findall(r"\{[^}]*\}", ran.stdout)
    assert json.loads(first)["scope"] == "read:case"
    assert json.loads(last) == {"active": False}
