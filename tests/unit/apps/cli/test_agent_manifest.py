"""`answerable agent manifest`: from a project to a signed manifest in force, and to a check that fails on drift."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from answerable.apps.control_api.application import control_app
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.registry.manifests.manifest_token import stored_manifest
from answerable.testing.contracts.instance_register import instance as running_instance
from tests.probes.typed_lines import typed
from tests.worlds.control import Product, World, made_world, memory_product

pytestmark = pytest.mark.requirement("MANIFEST-09")

Command = Callable[..., Result]
TOOL = {"name": "read", "description": "Read a case", "inputSchema": {"type": "object"}}


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = made_world(tmp_path)
    made.data.mkdir(mode=0o700)
    return made


@pytest.fixture
def product() -> Product:
    return memory_product()


@pytest.fixture
def command(world: World, product: Product) -> Command:
    @asynccontextmanager
    async def offline(_: Any) -> AsyncIterator[Any]:
        yield control_app(product)

    def run(*arguments: str, code: int = 0, stdin: str | None = None) -> Result:
        given = [*arguments, "--data", str(world.data)]
        result = typed(offline, given, stdin=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    run("apply", "-f", str(world.registry))
    return run


@pytest.fixture
def project(tmp_path: Path) -> Path:
    made = tmp_path / "support-agent"
    made.mkdir()
    (made / "AGENTS.md").write_text("answer customers\n")
    (made / "agent.py").write_text('MODEL = "claude-sonnet-4-5-20250929"\n')
    (made / "uv.lock").write_text('[[package]]\nname = "langgraph"\nversion = "1.0.3"\n')
    (made / ".mcp.json").write_text('{"mcpServers": {"mail": {"url": "https://mail.test/mcp?key=s3cr3t"}}}')
    return made


def manifest_file(project: Path) -> Path:
    return project / "agent-manifest.yaml"


def token_file(command: Command, world: World, project: Path, *, who: str = "ada") -> Path:
    result = command(
        "agent", "manifest", "sign", str(manifest_file(project)), "--key", str(world.key(who)), "--yes"
    )
    file = project.parent / f"{who}.jwt"
    file.write_text(result.stdout)
    return file


def test_a_manifest_is_written_from_a_project_and_says_where_each_field_came_from(command, project):
    result = command("agent", "manifest", str(project))
    rows = {line.split()[0]: line for line in result.stdout.splitlines()}
    assert "claude-sonnet-4-5" in rows["model_name"]
    assert "claimed" in rows["model_name"]
    assert "agent.py" in rows["model_name"]
    assert "sidecar" in rows["prompt_digest"]
    assert "AGENTS.md" in rows["prompt_digest"]
    assert "not found" in rows["tools_digest"]
    assert "MCP server mail (https://mail.test, .mcp.json) is used directly" in result.stderr
    assert "kind: AgentManifest" in manifest_file(project).read_text()
    assert "name: support-agent" in manifest_file(project).read_text()


def test_as_json_nothing_is_written_and_every_grade_is_told(command, project):
    told = json.loads(command("agent", "manifest", str(project), "--json").stdout)
    assert not manifest_file(project).exists()
    grades = {one["field"]: one["grade"] for one in told["fields"]}
    assert grades["model_name"] == grades["framework_version"] == "claimed"
    assert grades["code_digest"] == "sidecar"
    assert told["document"]["spec"]["tier"] == 3


def test_what_is_said_on_the_command_line_is_a_claim(command, project, tmp_path):
    tools = tmp_path / "tools.json"
    tools.write_text(json.dumps({"crm": {"tools": [TOOL]}}))
    image = f"sha256:{'a' * 64}"
    told = json.loads(
        command(
            "agent", "manifest", str(project), "--json", "--tools", str(tools), "--image", image, "--model", "gpt-5"
        ).stdout
    )  # fmt: skip
    grades = {one["field"]: (one["value"], one["grade"]) for one in told["fields"]}
    assert grades["model_name"] == ("gpt-5", "claimed")
    assert "model_version" not in grades
    assert grades["image_digest"] == (image, "claimed")
    assert grades["tools_digest"][1] == "claimed"


def test_from_project_to_a_manifest_in_force_and_back(command, world, product, project):
    command("agent", "manifest", "write", str(project))
    token = token_file(command, world, project)
    assert stored_manifest(token.read_text().strip()).signed_by == "ada"
    digest = command("agent", "manifest", "register", str(token)).stdout.strip()
    shown = json.loads(command("agent", "manifest", "show", "support-agent", "--json").stdout)
    assert (shown["digest"], shown["signed_by"], shown["fault"]) == (digest, "ada", "")
    assert "signed by" in command("agent", "manifest", "show", "support-agent").stdout
    command("agent", "manifest", "check", str(project), "--agent", "support-agent")


def test_who_does_not_own_the_agent_signs_in_vain(command, world, project):
    command("agent", "manifest", str(project))
    token = token_file(command, world, project, who="chen")
    result = command("agent", "manifest", "register", str(token), code=3)
    assert "must sign" in result.stderr


def test_a_key_that_nobody_registered_needs_a_name(command, world, project):
    command("agent", "manifest", str(project))
    stranger = project.parent / "stranger.jwk"
    command("key", "new", str(stranger))
    result = command(
        "agent", "manifest", "sign", str(manifest_file(project)), "--key", str(stranger), "--yes", code=1
    )
    assert "--as" in result.stderr


def test_nothing_is_signed_or_overwritten_without_a_yes(command, world, project):
    command("agent", "manifest", str(project))
    arguments = ("agent", "manifest", "sign", str(manifest_file(project)), "--key", str(world.key("ada")))
    assert command(*arguments, code=1).stdout == ""
    command("agent", "manifest", str(project))
    manifest_file(project).write_text("mine\n")
    command("agent", "manifest", str(project), code=1)
    assert manifest_file(project).read_text() == "mine\n"
    command("agent", "manifest", str(project), "--yes")
    assert "AgentManifest" in manifest_file(project).read_text()


def test_a_link_of_the_manifests_name_is_replaced_and_not_written_through(command, project, tmp_path):
    target = tmp_path / "elsewhere"
    manifest_file(project).symlink_to(target)
    command("agent", "manifest", str(project), "--yes")
    assert not target.exists()
    assert not manifest_file(project).is_symlink()


def test_a_project_as_it_was_passes_and_claims_stay_unmeasured(command, project):
    command("agent", "manifest", str(project))
    result = command("agent", "manifest", "check", str(project), "--against", str(manifest_file(project)))
    lines = result.stdout.splitlines()
    assert any(line.startswith("= prompt_digest") for line in lines)
    assert any(line.startswith("? model_name") and "claimed" in line for line in lines)
    assert not any(line.startswith("= model_name") for line in lines)
    assert "not measured here: model_name" in result.stderr


@pytest.mark.requirement("SAME-24")
def test_drift_is_a_readable_difference_and_the_exit_code_of_a_check_that_found_something(
    command, world, project
):
    command("agent", "manifest", str(project))
    token = token_file(command, world, project)
    (project / "AGENTS.md").write_text("delete customers\n")
    (project / "uv.lock").write_text('[[package]]\nname = "langgraph"\nversion = "1.0.4"\n')
    for against in (manifest_file(project), token):
        result = command("agent", "manifest", "check", str(project), "--against", str(against), code=5)
        assert "- framework_version: 1.0.3" in result.stdout
        assert "+ framework_version: 1.0.4 (claimed, uv.lock)" in result.stdout
        assert "- prompt_digest: sha256:" in result.stdout
        assert "differs from its manifest" in result.stderr
        # Of a token it says that nobody has verified it.
        assert (f"the signature of {token.name} is checked where it is registered" in result.stderr) == (
            against == token
        )
    result = command(
        "agent", "manifest", "check", str(project), "--against", str(manifest_file(project)), "--json", code=5
    )
    assert json.loads(result.stdout)["drifted"] == ["prompt_digest", "framework_version", "code_digest"]


def test_a_drifted_tool_is_found_against_its_listing(command, project, tmp_path):
    tools = tmp_path / "tools.json"
    tools.write_text(json.dumps({"crm": [TOOL]}))
    command("agent", "manifest", str(project), "--tools", str(tools))
    against = ("agent", "manifest", "check", str(project), "--against", str(manifest_file(project)))
    assert "? tools_digest" in command(*against, "--tools", str(tools)).stdout
    tools.write_text(json.dumps({"crm": [{**TOOL, "description": "Read a case, then mail it"}]}))
    assert "+ tools_digest" in command(*against, "--tools", str(tools), code=5).stdout


@pytest.mark.parametrize(
    "text", ['{"kind": "AgentManifest", "kind": "AgentManifest"}', "", "- a\n", "a: &x 1\n"]
)
def test_a_file_that_is_no_manifest_is_an_error_with_its_place(command, project, text):
    manifest_file(project).write_text(text)
    result = command(
        "agent", "manifest", "check", str(project), "--against", str(manifest_file(project)), code=1
    )
    assert "agent-manifest.yaml" in result.stderr or "manifest" in result.stderr


@pytest.mark.parametrize("text", ["[]", '{"crm": 1}', '{"crm": [1]}', "{", '{"crm": [], "crm": []}'])
def test_a_listing_of_tools_that_is_none_is_an_error(command, project, tmp_path, text):
    tools = tmp_path / "tools.json"
    tools.write_text(text)
    command("agent", "manifest", str(project), "--json", "--tools", str(tools), code=1)


def test_what_is_missing_is_said(command, project, tmp_path):
    assert "--against" in command("agent", "manifest", "check", str(project), code=2).stderr
    assert "there is no manifest" in command("agent", "manifest", "show", "support-agent", code=1).stderr
    missing = command("agent", "manifest", "register", str(tmp_path / "nothing"), code=1)
    assert "cannot read `nothing`: no such file or directory" in missing.stderr
    command("agent", "manifest", str(tmp_path / "nowhere"), code=1)
    (tmp_path / "big").write_text("x" * 300_000)
    assert "bytes" in command("agent", "manifest", "register", str(tmp_path / "big"), code=1).stderr


@pytest.mark.requirement("MANIFEST-12")
def test_the_tools_that_the_gateway_sees_are_told_and_go_into_a_manifest_and_a_check(command, world, project):
    told = command("agent", "manifest", "tools", "support-agent", "--json").stdout
    seen = json.loads(told)
    assert seen["digest"].startswith("sha256:")
    assert {"server": "crm", "name": "case_read"} in seen["tools"]
    assert "seen by the gateway" in command("agent", "manifest", "tools", "support-agent").stderr
    result = command("agent", "manifest", "write", str(project), "--tools", "gateway", "--json")
    fields = {one["field"]: one for one in json.loads(result.stdout)["fields"]}
    assert fields["tools_digest"]["value"] == seen["digest"]
    assert fields["tools_digest"]["grade"] == "gateway"
    command("agent", "manifest", "write", str(project), "--tools", "gateway")
    command(
        "agent",
        "manifest",
        "check",
        str(project),
        "--against",
        str(manifest_file(project)),
        "--tools",
        "gateway",
    )
    wrong = manifest_file(project).read_text().replace(seen["digest"], f"sha256:{'0' * 64}")
    manifest_file(project).write_text(wrong)
    token = token_file(command, world, project)
    command("agent", "manifest", "register", str(token))
    result = command("agent", "manifest", "tools", "support-agent", code=5)
    assert "the manifest of support-agent says sha256:000" in result.stderr


def test_what_runs_is_listed_with_how_it_was_seen_and_without_any_nothing_runs(command, product):
    assert "no instance runs" in command("agent", "instances").stderr
    now = product.walk.clock.now()
    one = replace(running_instance(), enrolled_at=now, expires_at=UnixMillis(now + 3_600_000))
    product.workloads.instances.add(one)
    head, row = command("agent", "instances").stdout.splitlines()
    told = [row[head.index(name) :].split()[0] for name in ("INSTANCE", "EVIDENCE", "GRADE")]
    assert told == [str(one.id), one.evidence.source, one.evidence.grade]
