"""`./dev verifiers`: what is missing is named with what to install, and never taken for there."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil

import pytest

import go_programs
import node_packages
import set_up
import verifiers

FILES_READ = ("environments/**/*", "tests/interop/*", "tests/interop/*/*.go")


@pytest.fixture
def missing(monkeypatch, tmp_path):
    """One program that is not on this machine, and an apt-get that only writes down what it was asked."""
    program = verifiers.Program(
        name="a", packages=("package-a", "package-b"), paths=(str(tmp_path / "bin/program"),)
    )
    monkeypatch.setattr(verifiers, "PROGRAMS", (program,))
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    return program


def test_without_root_it_only_says_what_to_install(missing, monkeypatch, capsys):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(verifiers, "apt_get", lambda *_: pytest.fail("ran apt-get"))
    assert not verifiers.install_programs()
    assert "apt-get install package-a package-b" in capsys.readouterr().err


def test_as_root_it_installs_what_is_missing_and_says_if_that_failed(missing, monkeypatch, capsys):
    asked = []

    def apt_get(*arguments):
        asked.append(arguments)
        return "" if arguments == ("update",) else "no such package"

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(verifiers, "apt_get", apt_get)
    assert not verifiers.install_programs()
    assert asked == [("update",), ("install", "-y", "--no-install-recommends", "package-a", "package-b")]
    assert "could not install package-a package-b: no such package" in capsys.readouterr().err


def test_what_is_there_is_left_alone(missing, monkeypatch, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/program").touch()
    monkeypatch.setattr(verifiers, "apt_get", lambda *_: pytest.fail("ran apt-get"))
    assert verifiers.install_programs()


def test_a_machine_without_a_new_python_says_so(monkeypatch, capsys):
    def fail(_):
        raise set_up.SetUpError("no interpreter found for Python >=3.12")

    monkeypatch.setattr(set_up, "set_up", fail)
    monkeypatch.setattr(node_packages, "set_up_all", lambda: None)
    assert not verifiers.make_environments()
    assert "3.12" in capsys.readouterr().err


def test_a_program_in_go_that_cannot_be_compiled_is_named_and_the_next_one_is_tried(
    missing, monkeypatch, capsys, tmp_path
):
    tried = []

    def fail(sources, compiler, within):
        tried.append((sources, compiler, within))
        raise set_up.SetUpError(f"cannot compile {sources.name}: no such package")

    (tmp_path / "here").touch()
    here = verifiers.Program(name="b", packages=(), paths=(str(tmp_path / "here"),))
    monkeypatch.setattr(
        verifiers, "GO_PROGRAMS", (("one", missing, ""), ("two", here, ""), ("three", here, "x"))
    )
    monkeypatch.setattr(go_programs, "compiled", fail)
    assert not verifiers.compile_programs()
    folder = set_up.ROOT / "tests/interop"
    assert tried == [(folder / "two", here.paths[0], ""), (folder / "three", here.paths[0], "x")]
    assert "cannot compile three: no such package" in capsys.readouterr().err


def test_every_program_in_go_that_tests_use_is_compiled_before_them():
    folder = set_up.ROOT / "tests/interop"
    assert {one.parent.name for one in folder.glob("*/*.go")} == {
        name for name, _, _ in verifiers.GO_PROGRAMS
    }


def test_every_environment_has_its_source_and_a_lock_with_hashes():
    for environment in (*set_up.ENVIRONMENTS, *set_up.VERIFIERS):
        assert (set_up.ROOT / environment.source).exists(), environment
        assert "--hash=sha256:" in (set_up.ROOT / environment.lock).read_text(), environment


def test_a_machine_without_npm_says_so_and_keeps_nothing_half_made(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(set_up, "set_up", lambda _: None)
    monkeypatch.setattr(set_up, "DEV", tmp_path / ".dev")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert not verifiers.make_environments()
    assert "apt-get install npm" in capsys.readouterr().err
    assert not [one for one in node_packages.ALL if one.is_ready() or one.folder.exists()]


def test_an_npm_that_fails_leaves_no_stamp(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(set_up, "set_up", lambda _: None)
    monkeypatch.setattr(set_up, "DEV", tmp_path / ".dev")
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho EINTEGRITY >&2\nexit 1\n")
    npm.chmod(0o700)
    monkeypatch.setattr(shutil, "which", lambda _: str(npm))
    assert not verifiers.make_environments()
    assert "EINTEGRITY" in capsys.readouterr().err
    assert not node_packages.MCP_CONFORMANCE.stamp.exists()


def test_an_environment_of_another_lock_is_not_ready(monkeypatch, tmp_path):
    monkeypatch.setattr(set_up, "DEV", tmp_path)
    packages = node_packages.MCP_CONFORMANCE
    for path, text in ((packages.node, ""), (packages.stamp, packages.fingerprint())):
        path.parent.mkdir(parents=True)
        path.write_text(text)
    assert packages.is_ready()
    packages.stamp.write_text(packages.fingerprint().replace("1 ", "0 ", 1))
    assert not packages.is_ready()
    assert not dataclasses.replace(packages, path="elsewhere").is_ready()


def test_every_node_package_in_a_lock_has_its_hash_and_nobodys_address():
    for packages in node_packages.ALL:
        lock = json.loads((set_up.ROOT / packages.sources / "package-lock.json").read_text())
        entries = {name: entry for name, entry in lock["packages"].items() if name}
        # Of what Node runs; what a browser runs is one file.
        assert len(entries) > (30 if packages.runs else 0)
        for name, entry in entries.items():
            assert entry["integrity"].startswith("sha512-"), name
            assert "resolved" not in entry, name
            assert "hasInstallScript" not in entry, name
