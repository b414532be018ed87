"""What a hostile project could do to those who ask what its agent is made of."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import Any

import pytest

from answerable.adapters.project_files import CollectLimits, collected
from answerable.core.registry.manifests.manifest_drift import drift, drifted_fields
from answerable.errors import Malformed
from answerable.testing.contracts.manifest_register import sample_manifest


@pytest.mark.requirement("MANIFEST-04")
def test_a_prompt_that_was_changed_by_one_letter_is_drift(tmp_path):
    (tmp_path / "AGENTS.md").write_text("never delete customers\n")
    manifest = measured_as(tmp_path)
    (tmp_path / "AGENTS.md").write_text("ever delete customers\n")
    now = collected(tmp_path, grade="sidecar").measured()
    assert drifted_fields(drift(manifest, now)) == ("prompt_digest", "code_digest")


@pytest.mark.requirement("MANIFEST-04")
def test_a_prompt_that_was_added_moved_or_swapped_with_another_is_drift(tmp_path):
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    (prompts / "system.md").write_text("a")
    (prompts / "user.md").write_text("b")
    manifest = measured_as(tmp_path)

    def is_drift():
        return "prompt_digest" in drifted_fields(
            drift(manifest, collected(tmp_path, grade="sidecar").measured())
        )

    assert not is_drift()
    (prompts / "system.md").write_text("b")
    (prompts / "user.md").write_text("a")
    assert is_drift()
    (prompts / "system.md").write_text("a")
    (prompts / "user.md").rename(prompts / "other.md")
    assert not (prompts / "user.md").exists()
    assert is_drift()


@pytest.mark.requirement("MANIFEST-08")
def test_a_link_that_leads_out_is_not_read_and_is_told(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("s3cr3t")
    project = tmp_path / "project"
    (project / "prompts").mkdir(parents=True)
    (project / "prompts" / "system.md").symlink_to(secret)
    (project / "everything").symlink_to(tmp_path)
    (project / "main.py").write_text("")
    first = collected(project, grade="sidecar")
    secret.write_text("otherwise")
    assert collected(project, grade="sidecar").fields == first.fields
    assert any("lead out of the project" in note for note in first.notes)
    # Where to it leads is measured.
    (project / "prompts" / "system.md").unlink()
    (project / "prompts" / "system.md").symlink_to(tmp_path / "elsewhere.txt")
    assert collected(project, grade="sidecar").fields != first.fields


@pytest.mark.requirement("MANIFEST-08")
def test_a_configuration_or_lock_file_that_leads_out_is_not_read(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "uv.lock").write_text('[[package]]\nname = "crewai"\nversion = "1.0.0"\n')
    (outside / "mcp.json").write_text('{"mcpServers": {"crm": {"command": "crm"}}}')
    (outside / "settings.yaml").write_text("model: claude-opus-4-5\n")
    project = tmp_path / "project"
    project.mkdir()
    (project / ".cursor").symlink_to(outside)
    for name in ("uv.lock", "settings.yaml"):
        (project / name).symlink_to(outside / name)
    (project / ".mcp.json").symlink_to(outside / "mcp.json")
    found = collected(project, grade="sidecar")
    assert {one.field for one in found.fields} == {"code_digest"}
    assert found.servers == ()


@pytest.mark.requirement("MANIFEST-08")
def test_links_in_a_circle_pipes_and_sockets_stop_nobody(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "up").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "uv.lock")
    os.mkfifo(tmp_path / ".mcp.json")
    (tmp_path / "AGENTS.md").write_text("be good")
    found = collected(tmp_path, grade="sidecar")
    assert "prompt_digest" in {one.field for one in found.fields}


@pytest.mark.requirement("MANIFEST-08")
@pytest.mark.parametrize(
    "limits",
    [
        CollectLimits(file_bytes_max=999),
        CollectLimits(total_bytes_max=1_999),
        CollectLimits(files_max=2),
        CollectLimits(depth_max=1),
        CollectLimits(text_bytes_max=999),
    ],
    ids=["file", "total", "files", "depth", "text"],
)
def test_a_project_past_a_bound_is_refused_whole_and_never_measured_in_part(tmp_path, limits):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "deep.bin").write_bytes(b"x" * 1000)
    (tmp_path / "one.bin").write_bytes(b"x" * 1000)
    (tmp_path / "config.json").write_bytes(b" " * 1000)
    assert collected(tmp_path, grade="sidecar").files == 3
    with pytest.raises(Malformed) as raised:
        collected(tmp_path, grade="sidecar", limits=limits)
    assert raised.value.code == "project.size"


@pytest.mark.requirement("MANIFEST-08")
def test_nothing_that_a_repository_names_for_git_to_run_is_run(tmp_path):
    project = tmp_path / "project"
    hooks = project / ".git"
    for name in ("objects", "refs", "hooks"):
        (hooks / name).mkdir(parents=True)
    (hooks / "HEAD").write_text("ref: refs/heads/main\n")
    witness = tmp_path / "was-run"
    program = tmp_path / "program.sh"
    program.write_text(f"#!/bin/sh\ntouch {witness}\n")
    program.chmod(0o755)
    (hooks / "hooks" / "post-index-change").write_text(program.read_text())
    (hooks / "hooks" / "post-index-change").chmod(0o755)
    (hooks / "config").write_text(
        "[core]\n\trepositoryformatversion = 0\n\tbare = false\n"
        f"\tfsmonitor = {program}\n\tpager = {program}\n\talternateRefsCommand = {program}\n"
    )
    (project / ".gitignore").write_text("*.log\n")
    (project / "main.py").write_text("x = 1\n")
    (project / "noise.log").write_text("1\n")
    first = collected(project, grade="sidecar")
    assert not witness.exists()
    (project / "noise.log").write_text("2\n")
    assert collected(project, grade="sidecar").fields == first.fields


@pytest.mark.requirement("MANIFEST-08")
def test_code_in_a_repository_inside_the_project_is_measured_too(tmp_path):
    """git lists such a directory as one entry and does not look into it."""
    inner = tmp_path / "vendor" / "inner"
    for name in ("objects", "refs"):
        (inner / ".git" / name).mkdir(parents=True)
        (tmp_path / ".git" / name).mkdir(parents=True)
    for place in (inner, tmp_path):
        (place / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
        (place / ".git" / "config").write_text("[core]\n\trepositoryformatversion = 0\n")
    (inner / "code.py").write_text("x = 1\n")
    first = collected(tmp_path, grade="sidecar")
    (inner / "code.py").write_text("x = 2\n")
    assert collected(tmp_path, grade="sidecar").fields != first.fields


@pytest.mark.requirement("MANIFEST-08")
def test_a_configuration_with_duplicate_members_is_left_out_and_told(tmp_path):
    (tmp_path / ".mcp.json").write_text('{"mcpServers": {"a": {"command": "x"}}, "mcpServers": {}}')
    (tmp_path / "package-lock.json").write_text(
        '{"packages": {}, "packages": {"node_modules/ai": {"version": "5"}}}'
    )
    found = collected(tmp_path, grade="sidecar")
    assert found.servers == ()
    assert {one.field for one in found.fields} == {"code_digest"}
    assert len([note for note in found.notes if "member given twice" in note]) == 2


@pytest.mark.requirement("MANIFEST-03")
def test_what_a_file_merely_says_is_claimed_whoever_reads_it(tmp_path):
    (tmp_path / "uv.lock").write_text('[[package]]\nname = "langgraph"\nversion = "1.0.3"\n')
    (tmp_path / "config.yaml").write_text("model: claude-sonnet-4-5-20250929\n")
    grades = {one.field: one.grade for one in collected(tmp_path, grade="kernel").fields}
    assert grades == {
        "framework_name": "claimed",
        "framework_version": "claimed",
        "model_name": "claimed",
        "model_version": "claimed",
        "code_digest": "kernel",
    }


@pytest.mark.requirement("MANIFEST-08")
def test_secrets_in_client_configurations_are_not_shown(tmp_path):
    (tmp_path / ".mcp.json").write_text(
        json.dumps(
            {
                "mcpServers": {
                    "crm": {"command": "/opt/crm", "args": ["--token", "s3cr3t"], "env": {"KEY": "s3cr3t"}},
                    "web": {"url": "https://user:s3cr3t@example.test/s3cr3t?key=s3cr3t"},
                }
            }
        )
    )
    found = collected(tmp_path, grade="sidecar")
    assert [(one.name, one.how) for one in found.servers] == [("crm", "crm"), ("web", "https://example.test")]
    assert "s3cr3t" not in repr(found)


def measured_as(project):
    """The manifest that an owner signs of a project as it is."""
    found = collected(project, grade="sidecar").measured()
    values: dict[str, Any] = {name: value for name, (value, _) in found.values.items()}
    return replace(sample_manifest(), **values)
