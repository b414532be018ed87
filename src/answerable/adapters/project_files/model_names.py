"""Find model names in a project's configuration and code. Nothing here can measure the model: every name is a claim."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.adapters.project_files.tree import ProjectTree

SUFFIXES: Final = (".toml", ".yaml", ".yml", ".json", ".py", ".ts", ".js")
SCANNED_FILES_MAX: Final = 500
SCANNED_BYTES_MAX: Final = 262_144
NAMES_MAX: Final = 20

_FAMILIES: Final = (
    "claude|gpt|chatgpt|o[1-9]|gemini|gemma|llama|mistral|mixtral|ministral|codestral|devstral|qwen|deepseek|command|"
    "grok|phi|nova|titan|kimi|glm|granite|minimax"
)
_SAID: Final = re.compile(
    r"(?:\b|_)(?:model|model_name|modelname|model_id)[\"']?\s{0,20}[:=]\s{0,20}[\"']?"
    rf"((?:[a-z0-9_-]{{1,40}}[/:.]){{0,3}}(?:{_FAMILIES})[a-z0-9._:@-]{{0,80}})",
    re.IGNORECASE,
)
_VERSION: Final = re.compile(r"[-@](20[0-9]{6}|20[0-9]{2}-[0-9]{2}-[0-9]{2})$")


def models_named(tree: ProjectTree, code: Iterable[str]) -> dict[str, str]:
    """Return each name that is assigned to a model setting, with the first file that states it."""
    found: dict[str, str] = {}
    scanned = [path for path in code if path.endswith(SUFFIXES) and path not in tree.outside]
    # Files nearest to the root first: a model named in a test or an example is not the agent's.
    for path in sorted(scanned, key=lambda one: (one.count("/"), one))[:SCANNED_FILES_MAX]:
        octets = tree.text(path) or b""
        if len(octets) > SCANNED_BYTES_MAX or _is_lock(path):
            continue
        for said in _SAID.finditer(octets.decode("utf-8", "replace")):
            found.setdefault(said[1].rstrip(".:-"), path)
            if len(found) >= NAMES_MAX:
                return found
    return found


def parted(model: str) -> tuple[str, str]:
    """Split a model's name and version, where the version is a final date or follows `@`."""
    if found := _VERSION.search(model):
        return model[: found.start()], found[1]
    name, _, version = model.partition("@")
    return name, version


def _is_lock(path: str) -> bool:
    return path.rpartition("/")[2] in ("package-lock.json", "pnpm-lock.yaml")
