"""`./dev verifiers`: what is missing is named with what to install, and never taken for there."""

from __future__ import annotations

import os
import shutil

import pytest

import set_up
import verifiers


@pytest.fixture
def missing(monkeypatch, tmp_path):
    """One program that is not on this machine, and an apt-get that only writes down what it was asked."""
    program = verifiers.Program(packages=("package-a", "package-b"), paths=(str(tmp_path / "bin/program"),))
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
    assert not verifiers.make_environments()
    assert "3.12" in capsys.readouterr().err


def test_every_environment_has_its_source_and_a_lock_with_hashes():
    for environment in (*set_up.ENVIRONMENTS, *set_up.VERIFIERS):
        assert (set_up.ROOT / environment.source).exists(), environment
        assert "--hash=sha256:" in (set_up.ROOT / environment.lock).read_text(), environment
