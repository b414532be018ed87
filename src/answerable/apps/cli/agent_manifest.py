"""Agent manifests on the command line: write, sign, register, check. The owner's key never leaves this process."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperGroup

from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.exit_codes import CHECK_FAILED
from answerable.apps.cli.manifest_files import (
    FILE_BYTES_MAX,
    as_yaml,
    bounded_text,
    put_file,
    read_manifest,
    show_findings,
    told_collection,
    told_finding,
    with_said,
)
from answerable.errors.codes.mandate import PRINCIPAL_UNKNOWN
from answerable.errors.codes.registry import MANIFEST_FALLEN, MANIFEST_TOOLS_UNSEEN
from answerable.errors.codes.services import CLI_AGAINST, CLI_NOT_CONFIRMED

if TYPE_CHECKING:
    from answerable.api.manifest_answers import AgentTools
    from answerable.core.registry.manifests.manifest import Manifest, ManifestField
    from answerable.wiring.project_manifest import Collected, FoundField

FILE_NAME: Final = "agent-manifest.yaml"
OF_GATEWAY: Final = "gateway"
"""Value given in place of a file of tool definitions."""
DEFAULT_TIER: Final = 3  # Critical: nobody has assessed the agent's possible harm.

Directory = Annotated[
    Path, typer.Argument(help="The project; default: the current directory.", metavar="DIR")
]
Prompt = Annotated[
    list[str] | None,
    typer.Option(
        "--prompt",
        help="Pattern of prompt files (*, ?, **); default: the usual names. May be given several times.",
        show_default=False,
        metavar="GLOB",
    ),
]
Tools = Annotated[
    Path | None,
    typer.Option(
        "--tools",
        help="JSON file with the tool definitions of each server: {SERVER: [TOOL, ...]}; `gateway`: as that sees them.",
        show_default=False,
        metavar="FILE",
    ),
]
Model = Annotated[
    str, typer.Option("--model", help="Name of the model.", show_default=False, metavar="NAME[@VERSION]")
]
Image = Annotated[
    str,
    typer.Option("--image", help="Digest of the container image.", show_default=False, metavar="sha256:HEX"),
]
Program = Annotated[
    Path | None,
    typer.Option(
        "--program",
        help="File of the program that the kernel will see running: a compiled agent, or the interpreter of one.",
        show_default=False,
        metavar="FILE",
    ),
]
ManifestFile = Annotated[Path, typer.Argument(help="An AgentManifest, as YAML or JSON.", metavar="FILE")]
Name = Annotated[str, typer.Argument(help="Name of the agent.", metavar="NAME")]
TokenFile = Annotated[Path, typer.Argument(help="What `sign` printed.", metavar="FILE")]


class _WritesByDefault(TyperGroup):
    """Treat `answerable agent manifest DIR` as `answerable agent manifest write DIR`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ("--help", "-h")):
            args = ["write", *args]
        return list(super().parse_args(ctx, args))


def register(agent: typer.Typer) -> None:
    """Add the noun below `agent`."""
    group = typer.Typer(
        cls=_WritesByDefault,
        help="Manifests of agents, signed by their owners. Without a command: `write`.",
    )
    command(group, "write", reads=True, asks=True)(write)
    command(group, "sign", reads=True, asks=True)(sign)
    command(group, "register", reads=True)(register_token)
    command(group, "show", reads=True)(show)
    command(group, "check", reads=True)(check)
    command(group, "tools", reads=True)(tools_of)
    agent.add_typer(group, name="manifest")


def write(
    shell: Shell,
    directory: Directory = Path(),
    agent: Annotated[
        str,
        typer.Option(
            help="Registered name; default: the name of the directory.", show_default=False, metavar="NAME"
        ),
    ] = "",
    environment: Annotated[str, typer.Option(help="Where the agent runs.", metavar="NAME")] = "production",
    tier: Annotated[
        int, typer.Option(help="Tier of harm it can do, from 0 (none) to 3 (critical).", min=0, max=3)
    ] = DEFAULT_TIER,
    model: Model = "",
    image: Image = "",
    prompt: Prompt = None,
    program: Program = None,
    tools: Tools = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help=f"File to write; default: {FILE_NAME} in the project, or none with --json.",
            show_default=False,
            metavar="FILE",
        ),
    ] = None,
) -> int | None:
    """Write a manifest from a running project.

    Shows each field with where it came from and how well it is known. Nothing of the project is run.
    """
    from answerable.core.identity.names.principal import agent_id
    from answerable.core.registry.manifests.manifest import Manifest, manifest_document

    found = _collected(shell, directory, prompt)
    name = agent_id(agent or directory.resolve().name.lower())
    fields = with_said(found, model=model, image=image, tools=_file_of(tools), program=program)
    fields |= _seen_tools(shell, tools, name)
    said: dict[str, Any] = {one.field: one.value for one in fields.values()}
    manifest = Manifest(
        agent=name,
        environment=environment,
        tier=tier,
        **said,
    )
    document = manifest_document(manifest)
    place = out if out is not None or shell.terminal.as_json else directory / FILE_NAME
    if place is not None:
        put_file(shell, place, as_yaml(document))
    if shell.terminal.as_json:
        shell.terminal.json(told_collection(found, fields, document))
        return None
    shell.terminal.table(
        ("field", "value", "grade", "from"),
        [_row(manifest, name, fields.get(name)) for name in _fields()],
        empty="",
    )
    for server in found.servers:
        through = "through the gateway" if server.governed else "directly"
        shell.terminal.say(f"MCP server {server.name} ({server.how}, {server.where}) is used {through}")
    for note in found.notes:
        shell.terminal.warn(note)
    shell.terminal.say(
        f"written to {place}: read it, then `answerable agent manifest sign {place} --key KEYFILE`"
    )
    return None


def sign(
    shell: Shell,
    file: ManifestFile,
    key: Annotated[Path, typer.Option("--key", help="Key file of the agent's owner.", metavar="FILE")],
    person: Annotated[
        str,
        typer.Option(
            "--as",
            help="Registered name of the owner; default: the person who registered this key.",
            show_default=False,
            metavar="PERSON",
        ),
    ] = "",
) -> int | None:
    """Sign a manifest as its agent's owner or backup owner.

    Shows what it says, asks, and prints the token. The key stays here.
    """
    from answerable.core.identity.names.principal import UnixMillis, principal_id
    from answerable.core.registry.manifests.manifest import manifest_digest, manifest_document
    from answerable.core.registry.manifests.manifest_token import signed_manifest
    from answerable.sdk.keyfile import load_key

    signing_key = load_key(key)
    manifest = read_manifest(shell, file)
    for line in as_yaml(manifest_document(manifest)).splitlines():
        shell.terminal.say(line)
    owner = principal_id(person or _owner_of(shell, signing_key.public.thumbprint))
    if not shell.terminal.confirmed(f"Sign this manifest as {owner}?", yes=shell.yes):
        raise CLI_NOT_CONFIRMED("not confirmed: nothing was signed")
    at = UnixMillis(time.time_ns() // 1_000_000)
    token = signed_manifest(manifest, owner=owner, key=signing_key, at=at)
    if shell.terminal.as_json:
        shell.terminal.json({"digest": manifest_digest(manifest), "token": token})
    else:
        shell.terminal.line(token)
        shell.terminal.say(
            f"digest {manifest_digest(manifest)}; `answerable agent manifest register FILE` takes it"
        )
    return None


def register_token(shell: Shell, file: TokenFile) -> int | None:
    """Put a signed manifest into force.

    Its signer must own the agent now, and the signing key must be registered now.
    """
    from answerable.api.members import Token
    from answerable.client import manifest_calls

    token = bounded_text(file, FILE_BYTES_MAX).strip()
    with shell.control() as control:
        answer = manifest_calls.register_manifest(control, Token(token=token))
    if shell.terminal.as_json:
        shell.terminal.json(answer)
    else:
        shell.terminal.line(answer.digest)
        shell.terminal.say(f"the manifest of {answer.agent}, signed by {answer.signed_by}, is in force")
    return None


def show(shell: Shell, name: Name) -> int | None:
    """The manifest of an agent that is in force."""
    from answerable.client import manifest_calls

    with shell.control() as control:
        answer = manifest_calls.show_manifest(control, name)
    if shell.terminal.as_json:
        shell.terminal.json(answer)
        return None
    rows = [("agent", answer.agent), ("digest", answer.digest), ("signed by", answer.signed_by)]
    rows += [("signed at", answer.signed_at), ("stands", answer.fault or "yes")]
    shell.terminal.record(
        [*rows, *((one.replace("_", " "), answer.manifest.get(one, "")) for one in _fields())]
    )
    return None


def check(
    shell: Shell,
    directory: Directory = Path(),
    against: Annotated[
        Path | None,
        typer.Option(
            "--against",
            help="A manifest or its token; default: the manifest in force of --agent.",
            show_default=False,
            metavar="FILE",
        ),
    ] = None,
    agent: Annotated[
        str,
        typer.Option(
            help="Registered name of the agent whose manifest in force is used.",
            show_default=False,
            metavar="NAME",
        ),
    ] = "",
    prompt: Prompt = None,
    program: Program = None,
    tools: Tools = None,
    model: Model = "",
    image: Image = "",
) -> int | None:
    """Compare a running project with its manifest.

    Exit code 5 if a field differs. A field that is only claimed never matches and is printed as unmeasured.
    """
    from answerable.core.registry.manifests.manifest_drift import Measured, drift, drifted_fields

    manifest = _expected(shell, against, agent)
    found = _collected(shell, directory, prompt)
    fields = with_said(found, model=model, image=image, tools=_file_of(tools), program=program)
    fields |= _seen_tools(shell, tools, manifest.agent)
    measured = Measured(values={one.field: (one.value, one.grade) for one in fields.values()})
    findings = drift(manifest, measured)
    drifted = drifted_fields(findings)
    if shell.terminal.as_json:
        shell.terminal.json({"drifted": list(drifted), "fields": [told_finding(one) for one in findings]})
    else:
        show_findings(shell, findings, fields)
    if drifted:
        shell.terminal.fault(f"{manifest.agent} differs from its manifest: {', '.join(drifted)}")
        return CHECK_FAILED
    unmeasured = [one.field for one in findings if one.verdict == "unmeasured"]
    if unmeasured:
        shell.terminal.say(f"nothing differs; not measured here: {', '.join(unmeasured)}")
    return None


def tools_of(shell: Shell, name: Name) -> int | None:
    """The tools that the gateway offers an agent, as it sees them now.

    Exit code 5 when they are not those of the manifest in force.
    """
    answer = _tools_answer(shell, name)
    if shell.terminal.as_json:
        shell.terminal.json(answer)
    else:
        rows = [(one.server, one.name) for one in answer.tools]
        shell.terminal.table(("server", "tool"), rows, empty="no tools")
        shell.terminal.say(answer.unseen or f"digest {answer.digest or 'of no tools'}, seen by the gateway")
    if answer.verdict == "differs":
        shell.terminal.fault(f"the manifest of {name} says {answer.expected}")
        return CHECK_FAILED
    return None


def _tools_answer(shell: Shell, name: str) -> AgentTools:
    from answerable.client import manifest_calls

    with shell.control() as control:
        return manifest_calls.show_agent_tools(control, name)


def _file_of(tools: Path | None) -> Path | None:
    return None if tools is not None and str(tools) == OF_GATEWAY else tools


def _seen_tools(shell: Shell, tools: Path | None, agent: str) -> dict[ManifestField, FoundField]:
    """Return the tools that the gateway sees, if requested. Raises Refused (`manifest.tools_unseen`)."""
    if tools is None or _file_of(tools) is not None:
        return {}
    from answerable.wiring.project_manifest import FoundField

    answer = _tools_answer(shell, agent)
    if answer.unseen:
        raise MANIFEST_TOOLS_UNSEEN(f"the gateway cannot see the tools: {answer.unseen}")
    if not answer.digest:
        return {}
    seen = FoundField(field="tools_digest", value=answer.digest, grade="gateway", where="the gateway")
    return {"tools_digest": seen}


def _collected(shell: Shell, directory: Path, prompts: list[str] | None) -> Collected:
    from answerable.wiring.project_manifest import collected

    with shell.terminal.progress("reading the project") as progress:
        # Grade `sidecar`: this program read the files itself. They do not prove what a process has loaded.
        return collected(directory, grade="sidecar", prompts=tuple(prompts or ()), progress=progress)


def _expected(shell: Shell, against: Path | None, agent: str) -> Manifest:
    from answerable.client import manifest_calls
    from answerable.core.registry.manifests.manifest import manifest_of

    if against is not None:
        return read_manifest(shell, against)
    if not agent:
        raise CLI_AGAINST()
    with shell.control() as control:
        answer = manifest_calls.show_manifest(control, agent)
    if answer.fault:
        raise MANIFEST_FALLEN(f"the manifest in force is not valid: {answer.fault}")
    return manifest_of(answer.manifest)


def _owner_of(shell: Shell, thumbprint: str) -> str:
    from answerable.client import registry_calls
    from answerable.core.identity.keys.keys import public_key

    with shell.control() as control:
        for one in registry_calls.list_documents(control, kind="Principal"):
            keys = one.document["spec"].get("keys", [])
            if any(public_key(key).thumbprint == thumbprint for key in keys):
                return one.name
    raise PRINCIPAL_UNKNOWN()


def _fields() -> tuple[ManifestField, ...]:
    from answerable.core.registry.manifests.manifest import MANIFEST_FIELDS

    return MANIFEST_FIELDS


def _row(manifest: Manifest, name: ManifestField, found: FoundField | None) -> tuple[str, ...]:
    value = str(getattr(manifest, name))
    if found is not None:
        return name, value, found.grade, found.where
    if name in ("environment", "tier"):
        return name, value, "claimed", f"--{name}"
    return name, "-", "-", "not found"
