"""What the base distribution is made of: the packages that its rooms import, and the names that it gives."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from operator import attrgetter

import pytest

import answerable
from answerable.extras import REPLAY, SERVER
from tests.tidy.answers import answers
from tests.tidy.tree import ROOT, Module, parsed
from tests.worlds.base_installation import declared

ROOMS = (
    "api",
    "client",
    "core",
    "errors",
    "sdk",
    "verify",
    "connection_fault",
    "extras",
    "interruption",
    "plain_file",
    "unix_http",
    "",
)
WITH_AN_EXTRA = {
    "answerable.core.identity.people.passkey": {"webauthn"},
    "answerable.core.identity.people.passkey_registration": {"webauthn"},
    "answerable.core.mandate.bounded_match": {"jsonschema_rs"},
    "answerable.verify.partial_asking": {"cedarpy"},
    "answerable.verify.policy_evaluation": {"cedarpy"},
}
"""Modules that import what an extra brings, where it is."""


def imported(node: ast.AST) -> Iterator[str]:
    """Top-level packages that a module imports when it runs, in functions too: not what only a type checker reads."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and getattr(child.test, "id", "") == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.Import):
            yield from (one.name.partition(".")[0] for one in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module:
            yield child.module.partition(".")[0]
        else:
            yield from imported(child)


def of_others(module: Module) -> list[str]:
    """What a module imports that is neither ours nor Python's."""
    return sorted({*imported(module.tree)} - sys.stdlib_module_names - {"answerable"})


def modules_of(one: Distribution) -> set[str]:
    """Names of packages and modules that a distribution brings, with those inside of them."""
    found = {
        ".".join(file.with_suffix("").parts[: -1 if file.stem == "__init__" else None])
        for file in one.files or ()
        if file.suffix == ".py"
    }
    return found | {file.name.partition(".")[0] for file in one.files or () if file.suffix == ".so"}


def needed(extra: str) -> list[Distribution]:
    return [distribution(one.name) for one in declared()[extra] if one.name != "answerable"]


def base_modules() -> set[str]:
    return {name.partition(".")[0] for one in needed("") for name in modules_of(one)}


@pytest.mark.requirement("LIGHT-03")
def test_the_base_imports_no_package_of_an_extra_but_where_it_is_named() -> None:
    base = base_modules()
    assert {"anyio", "cryptography", "httpx2", "joserfc", "msgspec", "nacl", "rfc8785"} <= base
    there = {parsed(path, ""): names for path, names in answers(of_others, "src").items()}
    ours = {one.name: {*names} - base for one, names in there.items() if one.room in ROOMS}
    assert len(ours) > 300
    assert {name: more for name, more in ours.items() if more} == WITH_AN_EXTRA


def test_an_import_in_a_function_is_found_and_one_for_types_is_not() -> None:
    text = "if TYPE_CHECKING:\n    import typer\ndef one():\n    from mcp.server import two\n    import json, yaml.ok\n"
    assert of_others(parsed("src/answerable/core/one.py", text)) == ["mcp", "yaml"]


@pytest.mark.requirement("LIGHT-03")
@pytest.mark.parametrize(("extras", "names"), [(["replay"], REPLAY), (["replay", "server"], SERVER)])
def test_what_is_asked_for_at_the_start_is_what_the_extras_bring(
    extras: list[str], names: tuple[str, ...]
) -> None:
    brought = {one.name: modules_of(one) for extra in extras for one in needed(extra)}
    assert {name for name, found in brought.items() if not found & {*names}} == set()
    assert {name for name in names if not any(name in found for found in brought.values())} == set()


# --- the public names ------------------------------------------------------------------------------------


def read_by_type_checkers() -> dict[str, str]:
    """Module by name, as the block says that only they read."""
    tree = ast.parse((ROOT / "src/answerable/__init__.py").read_text())
    block = next(one for one in tree.body if isinstance(one, ast.If))
    return {
        name.name: str(one.module)
        for one in block.body
        if isinstance(one, ast.ImportFrom)
        for name in one.names
    }


@pytest.mark.requirement("LIGHT-08")
def test_every_reader_of_the_public_names_gets_the_same_ones() -> None:
    names = [name for name in answerable.__all__ if name != "__version__"]
    assert names == sorted(names)
    assert read_by_type_checkers() == answerable._PLACES
    assert sorted(answerable._PLACES) == names
    assert {*answerable.__all__} <= {*dir(answerable)}
    page = (ROOT / "docs/reference/python.md").read_text()
    assert [name for name in names if f"| `{name}` |" not in page] == []
    with pytest.raises(AttributeError, match="answerable has no `gateway`"):
        attrgetter("gateway")(answerable)


@pytest.mark.requirement("LIGHT-08")
def test_nothing_is_loaded_before_it_is_asked_for() -> None:
    tried = "import sys, answerable; print([one for one in sys.modules if one.startswith('answerable.')])"
    line = [sys.executable, "-P", "-c", tried]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.requirement("LIGHT-08")
def test_no_public_name_is_one_that_is_kept_for_the_client() -> None:
    """Names of the client that `answerable try` is to bring mean something else there."""
    kept = {"AsyncClient", "Call", "Client", "Denied", "Permit", "Task", "Unreachable", "Waiting"}
    kept |= {"governed", "guard", "hand_on", "task"}
    assert kept & {*answerable.__all__} == set()
