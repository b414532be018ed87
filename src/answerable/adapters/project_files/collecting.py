"""Collect from a project each manifest field that it shows, with its origin and grade."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from answerable.adapters.project_files.ignoring import ignored_by_git, without
from answerable.adapters.project_files.locks import framework_installed, frameworks_pinned
from answerable.adapters.project_files.mcp_clients import client_servers
from answerable.adapters.project_files.model_names import models_named, parted
from answerable.adapters.project_files.tree import CollectLimits, ProjectTree
from answerable.core.registry.manifests.manifest_drift import Measured
from answerable.errors import shown
from answerable.errors.codes.action import PROJECT_PROMPTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from answerable.adapters.project_files.mcp_clients import ClientServer
    from answerable.core.identity.workload.evidence import Grade
    from answerable.core.registry.manifests.manifest import ManifestField

USUAL_PROMPTS: Final = (
    "**/SYSTEM_PROMPT*", "**/system_prompt*", "**/prompts/**", "**/AGENTS.md", "**/CLAUDE.md",
)  # fmt: skip
PATTERNS_MAX: Final = 50
PATTERN_CHARS_MAX: Final = 200
PROMPTS_MAX: Final = 5_000
_WILD: Final = re.compile(r"\*\*/|\*\*|\*|\?|[^*?]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundField:
    """One field of a manifest. where: human-readable, the file or files that show it."""

    field: ManifestField
    value: str
    grade: Grade
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """The result of reading a project. prompts: the files behind the prompt digest. notes: omissions and ambiguities,
    one line each."""

    fields: tuple[FoundField, ...]
    prompts: tuple[str, ...]
    servers: tuple[ClientServer, ...]
    notes: tuple[str, ...]
    files: int

    def measured(self) -> Measured:
        """Return the fields in the form that is compared with a manifest."""
        return Measured(values={one.field: (one.value, one.grade) for one in self.fields})


def collected(
    root: Path,
    *,
    grade: Grade,
    prompts: Sequence[str] = (),
    limits: CollectLimits | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Collected:
    """Collect the fields of a project. Reads only inside its directory, and runs none of its code.

    grade: of the values computed here from the bytes themselves; what a file merely states stays `claimed`. prompts:
    patterns (`*`, `?`, `**`) of the prompt files; without any, the usual names among the code. progress: called with
    the number of files read and of all files.

    Raises Malformed (`project.size`, `project.prompts`), Unavailable (`project.unreadable`, `project.changed`).
    """
    notes: list[str] = []
    with ProjectTree.opened(root, limits or CollectLimits()) as tree:
        code, how = _code_files(tree)
        chosen = _chosen_prompts(tree.files, prompts) if prompts else _usual_prompts(code)
        digests = _digests(tree, {*code, *chosen}, progress)
        found: list[FoundField] = []
        if chosen:
            shown_names = ", ".join(chosen[:3]) + (f" and {len(chosen) - 3} more" if len(chosen) > 3 else "")
            found.append(_digest_field("prompt_digest", tree, chosen, digests, grade, shown_names))
        else:
            notes.append("no prompt file was found: name them with --prompt")
        if code:
            counted = "1 file" if len(code) == 1 else f"{len(code)} files"
            found.append(_digest_field("code_digest", tree, code, digests, grade, f"{counted}, {how}"))
        found += _framework(tree, grade, notes)
        found += _model(tree, code, notes)
        if outside := [path for path in tree.outside if path in digests]:
            named = ", ".join(shown(path, 60) for path in outside[:5])
            notes.append(f"{len(outside)} links lead out of the project, only where to is measured: {named}")
        servers = client_servers(tree, notes)
        return Collected(
            fields=tuple(found),
            prompts=chosen,
            servers=servers,
            notes=tuple(notes),
            files=len(tree.files),
        )


def files_digest(rows: Iterable[tuple[str, bool, bytes]]) -> str:
    """Return `sha256:HEX` over files. Each row: path, whether it is a link out of the project, SHA-256 of the content
    or of the link's text.

    Hashed for each, sorted by the bytes of its path: `F` or `L`, the path, a zero byte, the 32 bytes.
    """
    whole = sha256()
    for path, is_link, digest in sorted(rows, key=lambda row: os.fsencode(row[0])):
        whole.update(b"%s%s\0%s" % (b"L" if is_link else b"F", os.fsencode(path), digest))
    return f"sha256:{whole.hexdigest()}"


def _digest_field(
    field: ManifestField,
    tree: ProjectTree,
    paths: Iterable[str],
    digests: dict[str, bytes],
    grade: Grade,
    where: str,
) -> FoundField:
    outside = frozenset(tree.outside)
    value = files_digest((path, path in outside, digests[path]) for path in paths)
    return FoundField(field=field, value=value, grade=grade, where=where)


def _digests(tree: ProjectTree, paths: set[str], progress: Callable[[int, int], None]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for path in sorted(paths):
        found[path] = tree.digest(path)
        progress(len(found), len(paths))
    return found


def _code_files(tree: ProjectTree) -> tuple[tuple[str, ...], str]:
    ignored = ignored_by_git(tree.root)
    if ignored is None:
        return tree.files, "all that is not ignored by name"
    return without(tree.files, ignored), "all that git does not ignore"


def _usual_prompts(code: Sequence[str]) -> tuple[str, ...]:
    """Find prompt files by their usual names, among the code only: installed and generated files have such names,
    too."""
    fits = [_as_expression(pattern) for pattern in USUAL_PROMPTS]
    return _few_enough({path for path in code if any(one.fullmatch(path) for one in fits)})


def _chosen_prompts(files: Sequence[str], patterns: Sequence[str]) -> tuple[str, ...]:
    if len(patterns) > PATTERNS_MAX or any(len(one) > PATTERN_CHARS_MAX for one in patterns):
        raise PROJECT_PROMPTS(
            f"expected at most {PATTERNS_MAX} patterns of at most {PATTERN_CHARS_MAX} characters"
        )
    chosen: set[str] = set()
    for pattern in patterns:
        fits = _as_expression(pattern.removeprefix("./"))
        matched = [path for path in files if fits.fullmatch(path)]
        if not matched:
            raise PROJECT_PROMPTS(f"no file of the project matches {shown(pattern)}")
        chosen.update(matched)
    return _few_enough(chosen)


def _few_enough(chosen: set[str]) -> tuple[str, ...]:
    if len(chosen) > PROMPTS_MAX:
        raise PROJECT_PROMPTS(f"{len(chosen)} prompt files, expected at most {PROMPTS_MAX}")
    return tuple(sorted(chosen, key=os.fsencode))


def _as_expression(pattern: str) -> re.Pattern[str]:
    meanings = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile(
        "".join(meanings.get(part) or re.escape(part) for part in _WILD.findall(pattern)), re.DOTALL
    )


def _framework(tree: ProjectTree, grade: Grade, notes: list[str]) -> list[FoundField]:
    pinned = frameworks_pinned(tree, notes)
    if not pinned:
        return []
    first = pinned[0]
    if len(pinned) > 1:
        others = ", ".join(f"{one.name} {one.version}" for one in pinned[1:8])
        notes.append(f"taken for the framework: {first.name}; also pinned: {others}")
    installed = framework_installed(tree, first.name)
    if installed is not None and installed.version != first.version:
        notes.append(
            f"{first.name} is pinned to {shown(first.version)} and {shown(installed.version)} is installed"
        )
    best, known = (installed, grade) if installed is not None else (first, "claimed")
    return [
        FoundField(field="framework_name", value=best.name, grade=known, where=best.where),
        FoundField(field="framework_version", value=best.version, grade=known, where=best.where),
    ]


def _model(tree: ProjectTree, code: Iterable[str], notes: list[str]) -> list[FoundField]:
    named = models_named(tree, code)
    if len(named) > 1:
        listed = ", ".join(shown(name, 60) for name in list(named)[:8])
        notes.append(f"several models are named, so none is taken: {listed}; say which with --model")
    if len(named) != 1:
        return []
    ((model, where),) = named.items()
    name, version = parted(model)
    found = [FoundField(field="model_name", value=name, grade="claimed", where=where)]
    if version:
        found.append(FoundField(field="model_version", value=version, grade="claimed", where=where))
    return found
