"""Read, write and print manifests for the commands on them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from answerable.errors import shown
from answerable.errors.codes.services import (
    CLI_FILE,
    CLI_FILE_SIZE,
    CLI_FILE_UNAVAILABLE,
    CLI_NOT_CONFIRMED,
    CLI_TOOLS,
    CLI_UNWRITABLE,
)

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.apps.cli.command import Shell
    from answerable.core.canonical import JSONValue
    from answerable.core.registry.manifests.manifest import Manifest, ManifestField
    from answerable.core.registry.manifests.manifest_drift import FieldFinding
    from answerable.wiring.project_manifest import Collected, FoundField

FILE_BYTES_MAX: Final = 262_144
TOOLS_BYTES_MAX: Final = 16 * 1024 * 1024


def read_manifest(shell: Shell, file: Path) -> Manifest:
    """Read a manifest from a document, or from a token, whose signature is not checked here."""
    from answerable.core.registry.manifests.manifest_token import stored_manifest
    from answerable.wiring.project_manifest import manifest_from_text

    text = bounded_text(file, FILE_BYTES_MAX)
    if text.startswith("eyJ"):
        shell.terminal.say(f"the signature of {file.name} is checked where it is registered, not here")
        return stored_manifest(text.strip()).manifest
    return manifest_from_text(text, file=file.name)


def with_said(
    found: Collected, *, model: str, image: str, tools: Path | None, program: Path | None = None
) -> dict[ManifestField, FoundField]:
    """Return the found fields, replaced by those given on the command line, which count as claims. A program file is
    read."""
    from answerable.core.registry.manifests.manifest import checked_digest
    from answerable.wiring.project_manifest import FoundField, ProgramFile

    fields = {one.field: one for one in found.fields}
    said: list[tuple[ManifestField, str, str]] = []
    if model:
        name, _, version = model.partition("@")
        fields.pop("model_version", None)
        said += [("model_name", name, "--model"), ("model_version", version, "--model")]
    if image:
        said.append(("image_digest", checked_digest(image), "--image"))
    if tools is not None:
        said.append(("tools_digest", _said_tools_digest(tools), f"--tools {tools.name}"))
    for field, value, where in said:
        if value:
            fields[field] = FoundField(field=field, value=value, grade="claimed", where=where)
    if program is not None:
        digest = ProgramFile(str(program)).digest()
        fields["executable_digest"] = FoundField(
            field="executable_digest", value=digest, grade="sidecar", where=program.name
        )
    return fields


def _said_tools_digest(file: Path) -> str:
    from answerable.core.canonical import Limits, parse
    from answerable.core.registry.tools.tool_digest import tools_digest

    octets = bounded_text(file, TOOLS_BYTES_MAX).encode()
    listed = parse(octets, limits=Limits(size_bytes_max=TOOLS_BYTES_MAX))
    if not isinstance(listed, dict):
        raise CLI_TOOLS(f"{shown(file.name)} must hold {{SERVER: [TOOL, ...]}}")
    by_server: dict[str, list[JSONValue]] = {}
    for server, tools in listed.items():
        # Accept the whole answer to tools/list as well as the bare list.
        bare = tools.get("tools") if isinstance(tools, dict) else tools
        if not isinstance(bare, list):
            raise CLI_TOOLS(f"{shown(file.name)}: {shown(server)} must be a list of tools")
        by_server[server] = bare
    return tools_digest(by_server)


def told_collection(
    found: Collected, fields: dict[ManifestField, FoundField], document: dict[str, JSONValue]
) -> dict[str, JSONValue]:
    return {
        "document": document,
        "fields": [
            {"field": one.field, "value": one.value, "grade": one.grade, "from": one.where}
            for one in fields.values()
        ],
        "prompts": list(found.prompts),
        "servers": [
            {"name": one.name, "how": one.how, "governed": one.governed, "from": one.where}
            for one in found.servers
        ],
        "notes": list(found.notes),
    }


def told_finding(one: FieldFinding) -> dict[str, JSONValue]:
    return {
        "field": one.field,
        "expected": one.expected,
        "found": one.found,
        "grade": one.grade,
        "verdict": one.verdict,
    }


def as_yaml(document: dict[str, JSONValue]) -> str:
    import yaml

    return str(yaml.safe_dump(document, sort_keys=False))


def put_file(shell: Shell, place: Path, text: str) -> None:
    """Write a file, asking before replacing one. A symbolic link of this name is replaced, never followed."""
    if place.exists() and bounded_text(place, FILE_BYTES_MAX) == text:
        return
    if os.path.lexists(place) and not shell.terminal.confirmed(f"Replace {place}?", yes=shell.yes):
        raise CLI_NOT_CONFIRMED("not confirmed: nothing was written")
    unfinished = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        with unfinished.open("x", encoding="utf-8") as file:
            file.write(text)
        os.replace(unfinished, place)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        reason = (error.strerror or "no reason given").lower()
        raise CLI_UNWRITABLE(f"cannot write {shown(place.name)}: {reason}") from None


def bounded_text(file: Path, bytes_max: int) -> str:
    try:
        with file.open("rb") as opened:
            octets = opened.read(bytes_max + 1)
        if len(octets) > bytes_max:
            raise CLI_FILE_SIZE(f"{shown(file.name)} has more than {bytes_max} bytes")
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise CLI_FILE(f"{shown(file.name)} is not UTF-8") from None
    except OSError as error:
        reason = (error.strerror or "no reason given").lower()
        raise CLI_FILE_UNAVAILABLE(f"cannot read {shown(file.name)}: {reason}") from None


def show_findings(
    shell: Shell, findings: tuple[FieldFinding, ...], fields: dict[ManifestField, FoundField]
) -> None:
    """Print a field that differs as two lines, like a diff, and every other field as one line."""
    for one in findings:
        grade = one.grade or "not measured"
        if one.verdict == "differs":
            where = fields[one.field].where if one.field in fields else ""
            shell.terminal.line(f"- {one.field}: {one.expected}", "red")
            shell.terminal.line(f"+ {one.field}: {one.found} ({grade}, {where})", "green")
        else:
            sign = "=" if one.verdict == "match" else "?"
            shell.terminal.line(f"{sign} {one.field}: {one.expected} ({grade})", "" if sign == "=" else "dim")
