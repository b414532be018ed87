"""Read the packages that a project's lock files pin, and find the agent frameworks among them."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from answerable.core.canonical import Limits, parse
from answerable.errors import Malformed, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from answerable.adapters.project_files.tree import ProjectTree

FRAMEWORKS: Final = (
    # In order of preference: frameworks that run the agent's loop first, mere client libraries for models and tools
    # last.
    "langgraph", "@langchain/langgraph", "crewai", "openai-agents", "@openai/agents", "claude-agent-sdk",
    "@anthropic-ai/claude-agent-sdk", "pydantic-ai", "pydantic-ai-slim", "autogen-agentchat", "ag2", "pyautogen",
    "autogen", "google-adk", "strands-agents", "semantic-kernel", "smolagents", "agno", "@mastra/core",
    "llama-index", "llama-index-core", "llamaindex", "haystack-ai", "dspy", "langchain", "ai", "fastmcp",
    "anthropic", "@anthropic-ai/sdk", "openai", "mcp", "@modelcontextprotocol/sdk",
)  # fmt: skip
REQUIREMENTS_FILES_MAX: Final = 20
LOCK_DEPTH_MAX: Final = 32

_SEPARATORS: Final = re.compile(r"[-_.]+")
_PINNED: Final = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*==\s*([^\s;,\\#]+)")
_PNPM: Final = re.compile(
    r"^  ['\"]?/?((?:@[^@/'\"\s]+/)?[^@/'\"\s]+)[@/]([0-9][^()'\":\s]*)[^\n]*:\s*$", re.MULTILINE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package with its version. where: the file that states it."""

    name: str
    version: str
    where: str


def normalized(name: str) -> str:
    """Normalize a Python package's name as the index does; npm names keep their exact spelling."""
    return name if name.startswith("@") else _SEPARATORS.sub("-", name).lower()


def frameworks_pinned(tree: ProjectTree, notes: list[str]) -> tuple[Package, ...]:
    """Return the known frameworks that lock files in the project's root pin, in the order of `FRAMEWORKS`."""
    found: dict[str, Package] = {}
    for file in _lock_files(tree):
        octets = tree.text(file)
        if octets is None:
            continue
        try:
            for name, version in _reader(file)(octets):
                if (plain := normalized(name)) in FRAMEWORKS:
                    known = found.setdefault(plain, Package(name=plain, version=version, where=file))
                    if known.version != version:
                        one, other = shown(known.version), shown(version)
                        notes.append(f"{plain} is pinned to {one} in {known.where} and to {other} in {file}")
        except (Malformed, ValueError, RecursionError) as error:
            reason = error.message if isinstance(error, Malformed) else "not what such a file holds"
            notes.append(f"{file} was left out: {reason}")
    return tuple(found[name] for name in FRAMEWORKS if name in found)


def framework_installed(tree: ProjectTree, name: str) -> Package | None:
    """Return the framework version that is installed inside the project, which may differ from the pinned one."""
    octets = tree.text(f"node_modules/{name}/package.json")
    if octets is not None:
        try:
            said = parse(octets, limits=Limits(size_bytes_max=1_048_576, depth_max=LOCK_DEPTH_MAX))
        except Malformed:
            return None
        version = said.get("version") if isinstance(said, dict) else None
        if isinstance(version, str):
            return Package(name=name, version=version, where=f"node_modules/{name}/package.json")
    for environment in (".venv", "venv"):
        for python in tree.names_in(f"{environment}/lib"):
            place = f"{environment}/lib/{python}/site-packages"
            for entry in tree.names_in(place):
                package, _, version = entry.removesuffix(".dist-info").partition("-")
                if entry.endswith(".dist-info") and version and normalized(package) == name:
                    return Package(name=name, version=version, where=f"{place}/{entry}")
    return None


def _lock_files(tree: ProjectTree) -> list[str]:
    top = [path for path in tree.files if "/" not in path]
    fixed = [
        name for name in ("uv.lock", "poetry.lock", "package-lock.json", "pnpm-lock.yaml") if name in top
    ]
    requirements = [path for path in top if fnmatchcase(path, "requirements*.txt")]
    return [*fixed, *requirements[:REQUIREMENTS_FILES_MAX]]


def _reader(file: str) -> Callable[[bytes], Iterator[tuple[str, str]]]:
    if file.endswith(".lock"):
        return _toml_packages
    if file.endswith(".json"):
        return _npm_packages
    return _pnpm_packages if file.endswith(".yaml") else _requirements


def _toml_packages(octets: bytes) -> Iterator[tuple[str, str]]:
    packages = tomllib.loads(octets.decode("utf-8")).get("package")
    for package in packages if isinstance(packages, list) else ():
        match package:
            case {"name": str(name), "version": str(version)}:
                yield name, version


def _npm_packages(octets: bytes) -> Iterator[tuple[str, str]]:
    said = parse(octets, limits=Limits(size_bytes_max=len(octets) + 1, depth_max=LOCK_DEPTH_MAX))
    packages = said.get("packages") if isinstance(said, dict) else None
    for place, package in packages.items() if isinstance(packages, dict) else ():
        version = package.get("version") if isinstance(package, dict) else None
        # Only direct installs; nested directories belong to dependencies of packages.
        if isinstance(version, str) and place.count("node_modules/") == 1:
            yield place.removeprefix("node_modules/"), version


def _pnpm_packages(octets: bytes) -> Iterator[tuple[str, str]]:
    _, _, packages = octets.decode("utf-8").partition("\npackages:")
    for found in _PNPM.finditer(packages):
        yield found[1], found[2]


def _requirements(octets: bytes) -> Iterator[tuple[str, str]]:
    for line in octets.decode("utf-8").replace("\\\n", " ").splitlines():
        if found := _PINNED.match(line):
            yield found[1], found[2]
