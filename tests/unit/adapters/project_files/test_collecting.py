"""What a project shows, field by field, and how well each is known."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from answerable.adapters.project_files import CollectLimits, collected
from answerable.adapters.project_files.collecting import files_digest
from answerable.errors import Malformed, Unavailable


def write(project: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        place = project / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return project


def fields(project: Path, **options):
    return {
        one.field: (one.value, one.grade) for one in collected(project, grade="sidecar", **options).fields
    }


def notes(project: Path, **options):
    return " | ".join(collected(project, grade="sidecar", **options).notes)


def test_an_empty_project_shows_nothing(tmp_path):
    assert fields(tmp_path) == {}
    assert "no prompt file" in notes(tmp_path)


def test_the_whole_of_an_ordinary_project(tmp_path):
    write(
        tmp_path,
        {
            "SYSTEM_PROMPT.md": "answer customers",
            "src/agent.py": 'client.run(model="claude-sonnet-4-5-20250929")\n',
            "uv.lock": 'version = 1\n[[package]]\nname = "LangGraph"\nversion = "1.0.3"\n'
            '[[package]]\nname = "anthropic"\nversion = "0.70.0"\n',
            ".mcp.json": json.dumps(
                {
                    "mcpServers": {
                        "crm": {"command": "/opt/answerable", "args": ["mcp", "shim", "--server", "crm"]},
                        "mail": {"type": "http", "url": "https://mail.test/mcp"},
                    }
                }
            ),
        },
    )
    found = fields(tmp_path)
    assert found["model_name"] == ("claude-sonnet-4-5", "claimed")
    assert found["model_version"] == ("20250929", "claimed")
    assert found["framework_name"] == ("langgraph", "claimed")
    assert found["framework_version"] == ("1.0.3", "claimed")
    assert found["prompt_digest"][1] == found["code_digest"][1] == "sidecar"
    told = collected(tmp_path, grade="sidecar")
    assert told.prompts == ("SYSTEM_PROMPT.md",)
    assert [(one.name, one.governed) for one in told.servers] == [("crm", True), ("mail", False)]
    assert "not behind the gateway: `mail`" in notes(tmp_path)
    assert "also pinned: anthropic 0.70.0" in notes(tmp_path)


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("poetry.lock", '[[package]]\nname = "crewai"\nversion = "1.2.0"\n', ("crewai", "1.2.0")),
        (
            "requirements.txt",
            "# pinned\nopenai-agents==0.6.1 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n",
            ("openai-agents", "0.6.1"),
        ),
        ("requirements-prod.txt", "pydantic_ai[x]==1.9.0 ; python_version>'3'\n", ("pydantic-ai", "1.9.0")),
        (
            "package-lock.json",
            json.dumps(
                {
                    "packages": {
                        "": {"version": "1.0.0"},
                        "node_modules/@langchain/langgraph": {"version": "1.1.0"},
                        "node_modules/x/node_modules/ai": {"version": "0.0.1"},
                    }
                }
            ),
            ("@langchain/langgraph", "1.1.0"),
        ),
        (
            "pnpm-lock.yaml",
            "lockfileVersion: '9.0'\n\npackages:\n\n  '@openai/agents@0.3.2':\n    resolution: {integrity: sha512-a}\n",
            ("@openai/agents", "0.3.2"),
        ),
        (
            "pnpm-lock.yaml",
            "lockfileVersion: '6.0'\n\npackages:\n\n  /ai@5.0.9(zod@3.0.0):\n    resolution: {integrity: sha512-a}\n",
            ("ai", "5.0.9"),
        ),
    ],
    ids=["poetry", "requirements", "requirements of a kind", "npm", "pnpm 9", "pnpm 6"],
)
def test_each_kind_of_lock_file_tells_framework_and_version(tmp_path, file, text, expected):
    found = fields(write(tmp_path, {file: text}))
    assert (found["framework_name"][0], found["framework_version"][0]) == expected


@pytest.mark.parametrize("text", ["[[package", "\udcff", "package = 1", "[[[[[" * 3000])
def test_a_lock_file_that_is_none_is_left_out(tmp_path, text):
    (tmp_path / "uv.lock").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert set(fields(tmp_path)) == {"code_digest"}


def test_two_lock_files_that_disagree_are_told(tmp_path):
    write(
        tmp_path,
        {"uv.lock": '[[package]]\nname = "mcp"\nversion = "1.0"\n', "requirements.txt": "mcp==2.0\n"},
    )
    assert fields(tmp_path)["framework_version"] == ("1.0", "claimed")
    assert "pinned to `1.0` in uv.lock and to `2.0` in requirements.txt" in notes(tmp_path)


def test_what_is_installed_in_the_project_is_measured_and_counts_more_than_the_lock_file(tmp_path):
    write(
        tmp_path,
        {
            "requirements.txt": "openai-agents==0.6.1\n",
            ".venv/lib/python3.13/site-packages/openai_agents-0.6.2.dist-info/METADATA": "",
        },
    )
    assert fields(tmp_path)["framework_version"] == ("0.6.2", "sidecar")
    assert "pinned to `0.6.1` and `0.6.2` is installed" in notes(tmp_path)


def test_an_installed_npm_package_is_measured_too(tmp_path):
    write(
        tmp_path,
        {
            "package-lock.json": json.dumps({"packages": {"node_modules/ai": {"version": "5.0.9"}}}),
            "node_modules/ai/package.json": '{"version": "5.0.9"}',
        },
    )
    assert fields(tmp_path)["framework_version"] == ("5.0.9", "sidecar")
    (tmp_path / "node_modules/ai/package.json").write_text("{")
    assert fields(tmp_path)["framework_version"] == ("5.0.9", "claimed")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('MODEL = "gpt-5-2025-08-07"', ("gpt-5", "2025-08-07")),
        ("model: anthropic/claude-opus-4-5", ("anthropic/claude-opus-4-5", None)),
        ('model_name = "gemini-3-pro"', ("gemini-3-pro", None)),
        ('OPENAI_MODEL="gpt-5"', ("gpt-5", None)),
        ('ANSWER_MODEL_ID: "mistral-large@2411"', ("mistral-large", "2411")),
    ],
)
def test_a_model_is_named_in_many_ways(tmp_path, text, expected):
    found = fields(write(tmp_path, {"settings.yaml": f"{text}\n"}))
    assert found["model_name"] == (expected[0], "claimed")
    assert found.get("model_version", (None,))[0] == expected[1]


@pytest.mark.parametrize(
    "text", ["model: BaseModel", "remodel: gpt-5", "model of the world: gpt", "model = user"]
)
def test_what_only_looks_like_a_model_is_none(tmp_path, text):
    assert "model_name" not in fields(write(tmp_path, {"settings.yaml": f"{text}\n"}))


def test_of_several_models_none_is_guessed(tmp_path):
    write(tmp_path, {"a.yaml": "model: gpt-5\n", "b.yaml": "model: claude-opus-4-5\n"})
    assert "model_name" not in fields(tmp_path)
    assert "say which with --model" in notes(tmp_path)


def test_prompts_are_found_by_their_usual_names_or_by_patterns(tmp_path):
    write(
        tmp_path,
        {name: name for name in ("AGENTS.md", "app/CLAUDE.md", "app/prompts/x/y.txt", "docs/a.md", "b.md")},
    )
    assert collected(tmp_path, grade="sidecar").prompts == (
        "AGENTS.md",
        "app/CLAUDE.md",
        "app/prompts/x/y.txt",
    )
    assert collected(tmp_path, grade="sidecar", prompts=["*.md"]).prompts == ("AGENTS.md", "b.md")
    assert collected(tmp_path, grade="sidecar", prompts=["./docs/?.md"]).prompts == ("docs/a.md",)
    assert len(collected(tmp_path, grade="sidecar", prompts=["**/*.md"]).prompts) == 4


@pytest.mark.parametrize("patterns", [["nothing/*"], ["*"] * 51, ["x" * 201], ["../*"]])
def test_a_pattern_that_fits_nothing_is_an_error_and_not_an_empty_prompt(tmp_path, patterns):
    write(tmp_path, {"AGENTS.md": ""})
    with pytest.raises(Malformed) as raised:
        collected(tmp_path, grade="sidecar", prompts=patterns)
    assert raised.value.code == "project.prompts"


def test_a_prompt_that_is_a_link_inside_the_project_is_read_where_it_ends(tmp_path):
    write(tmp_path, {"docs/rules.md": "one"})
    (tmp_path / "AGENTS.md").symlink_to("docs/rules.md")
    first = fields(tmp_path)["prompt_digest"]
    write(tmp_path, {"docs/rules.md": "two"})
    assert fields(tmp_path)["prompt_digest"] != first


def test_installed_packages_caches_secrets_and_the_manifest_itself_are_no_code(tmp_path):
    write(tmp_path, {"main.py": "x"})
    first = fields(tmp_path)["code_digest"]
    write(
        tmp_path,
        {
            ".venv/lib/x.py": "1",
            "node_modules/x.js": "1",
            "__pycache__/main.pyc": "1",
            ".git/HEAD": "1",
            ".env": "KEY=1",
            ".env.local": "KEY=1",
            "agent-manifest.yaml": "1",
            "sub/.DS_Store": "1",
        },
    )
    assert fields(tmp_path)["code_digest"] == first
    write(tmp_path, {"sub/other.py": ""})
    assert fields(tmp_path)["code_digest"] != first


def test_names_that_are_not_utf_8_are_measured(tmp_path):
    (tmp_path / os.fsdecode(b"\xff.py")).write_text("x")
    first = fields(tmp_path)["code_digest"]
    (tmp_path / os.fsdecode(b"\xff.py")).write_text("y")
    assert fields(tmp_path)["code_digest"] != first


def test_progress_is_told_to_the_end(tmp_path):
    write(tmp_path, {f"{n}.txt": "" for n in range(5)})
    told: list[tuple[int, int]] = []
    collected(tmp_path, grade="sidecar", progress=lambda done, total: told.append((done, total)))
    assert told == [(n, 5) for n in range(1, 6)]


@pytest.mark.parametrize("place", ["nowhere", "file"])
def test_what_is_no_directory_is_unavailable(tmp_path, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable) as raised:
        collected(tmp_path / place, grade="sidecar")
    assert raised.value.code == "project.unreadable"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_directory_that_cannot_be_read_is_unavailable_and_not_empty(tmp_path):
    write(tmp_path, {"closed/main.py": ""})
    (tmp_path / "closed").chmod(0)
    try:
        with pytest.raises(Unavailable):
            collected(tmp_path, grade="sidecar")
    finally:
        (tmp_path / "closed").chmod(0o700)


def test_a_client_file_of_another_shape_names_no_server(tmp_path):
    write(
        tmp_path,
        {".mcp.json": "[]", "mcp.json": '{"mcpServers": []}', ".vscode/mcp.json": '{"servers": {"a": 1}}'},
    )
    (server,) = collected(tmp_path, grade="sidecar").servers
    assert (server.name, server.how, server.governed, server.where) == (
        "a",
        "unknown",
        False,
        ".vscode/mcp.json",
    )


def test_an_address_that_cannot_be_read_is_not_shown(tmp_path):
    write(tmp_path, {".mcp.json": '{"mcpServers": {"a": {"url": "http://[::"}}}'})
    (server,) = collected(tmp_path, grade="sidecar").servers
    assert server.how == "an address that cannot be read"


def test_too_many_servers_are_cut_and_told(tmp_path):
    servers = {f"s{n}": {"command": "x"} for n in range(501)}
    write(tmp_path, {".mcp.json": json.dumps({"mcpServers": servers})})
    assert len(collected(tmp_path, grade="sidecar").servers) == 500
    assert "the rest was left out" in notes(tmp_path)


def test_the_digest_of_files_is_fixed_for_ever():
    rows = [("b", True, b"\x02" * 32), ("a", False, b"\x01" * 32)]
    assert files_digest(rows) == "sha256:8d3e8d7ed32e165f4f882b7972e7eb07357fb39653958135d0513d0fd7be10c6"


def test_limits_have_defaults_that_an_ordinary_project_meets():
    assert CollectLimits().files_max >= 10_000


def test_what_git_ignores_is_no_code_and_no_prompt_unless_a_pattern_names_it(tmp_path):
    (tmp_path / ".git" / "objects").mkdir(parents=True)
    (tmp_path / ".git" / "refs").mkdir()
    write(
        tmp_path,
        {
            ".git/HEAD": "ref: refs/heads/main\n",
            ".git/config": "[core]\n\trepositoryformatversion = 0\n",
            ".gitignore": "out/\n*.local.md\n",
            "main.py": "",
            "out/AGENTS.md": "generated",
            "out/settings.yaml": "model: gpt-5\n",
            "prompts/mine.local.md": "",
        },
    )
    found = collected(tmp_path, grade="sidecar")
    assert {one.field for one in found.fields} == {"code_digest"}
    assert collected(tmp_path, grade="sidecar", prompts=["**/AGENTS.md"]).prompts == ("out/AGENTS.md",)
