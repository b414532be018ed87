"""The reference pages that are made from the code: commands, settings, errors, control API, Python, conformance.

`python tools/reference.py` writes them to docs/reference; tests/docs/test_reference_drift.py holds them to the code.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from answerable.apps.cli.exit_codes import EXIT_CODES
from answerable.apps.control_api.openapi import openapi_document, schemas
from answerable.apps.control_api.operations import OPERATIONS
from answerable.core.search.scope import LIMITS
from answerable.errors import (
    BrokenCode,
    Code,
    DecisionCode,
    FindingCode,
    MalformedCode,
    RefusedCode,
    UnavailableCode,
    UnverifiedCode,
    codes,
)
from answerable.errors.declared import beyond_of
from answerable.main.commands import application
from answerable.wiring.problem_details import TYPE_PREFIX
from answerable.wiring.setting_tree import SECTIONS, listed_settings
from python_page import python_page
from search_page import search_page
from targets_page import targets_page
from wire_tables import markdown_table, wire_pages

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "reference"
CONFORMANCE = ROOT / "tests" / "interop" / "mcp_conformance.toml"
ATTENU = ROOT / "tests" / "vectors" / "attenu_guard.toml"
ASKING = ROOT / "tests" / "interop" / "mcp_asking.toml"
AARM = ROOT / "tests" / "conformance" / "aarm.toml"
AARM_OUTCOMES = {"proved": "proved", "partly": "partly", "not_here": "not here"}
OUTCOMES = {"pass": "pass", "fail": "fail", "not_applicable": "not applicable"}
ROLES = {
    "client": "Our client: `answerable.sdk`, under the client of the MCP SDK",
    "authorization": "Our token service",
    "server": "Our gateway, asking people about every action",
}
MADE = "<!-- Made by tools/reference.py from the code. Do not edit. -->"


def pages() -> dict[str, str]:
    """Each page by file name."""
    makers: dict[str, Callable[[], str]] = {
        "cli.md": cli_page,
        "settings.md": settings_page,
        "errors.md": errors_page,
        "search.md": lambda: search_page(MADE),
        "api.md": api_page,
        "conformance.md": conformance_page,
        "aarm.md": aarm_page,
        "python.md": lambda: python_page(MADE),
        "targets.md": lambda: targets_page(MADE),
        "openapi.json": lambda: json.dumps(openapi_document(), indent=2, ensure_ascii=False) + "\n",
    }
    return {name: make() for name, make in makers.items()} | wire_pages(FOLDER)


def conformance_page() -> str:
    """What the MCP conformance suite says of client and token service, from the table that a test holds to it."""
    table = tomllib.loads(CONFORMANCE.read_text(encoding="utf-8"))
    rows = [*table["scenario"], *tomllib.loads(ASKING.read_text(encoding="utf-8"))["scenario"]]
    counted = {outcome: sum(row["outcome"] == outcome for row in rows) for outcome in OUTCOMES}
    lines = [
        "# MCP conformance",
        "",
        MADE.replace("the code", "the tables of tests/interop and tests/vectors"),
        "",
    ]
    lines += [
        f"What `{table['package']}` {table['version']}, which others wrote, says of us in every scenario about",
        "authorization, and about elicitation and input-required. `./dev prove` runs each that passes or fails, at",
        "every revision of the protocol it is for, and is red when a check that fails begins to hold.",
        "",
        *markdown_table(
            ("Outcome", "Scenarios"), [(OUTCOMES[name], str(number)) for name, number in counted.items()]
        ),
    ]
    for role, heading in ROLES.items():
        lines += ["", f"## {heading}", ""]
        lines += markdown_table(
            ("Scenario", "Outcome", "Checks that fail", "Why"),
            [
                (
                    f"`{row['name']}`",
                    OUTCOMES[row["outcome"]],
                    ", ".join(f"`{one}`" for one in row.get("failing", ())) or "none"
                    if row["outcome"] != "not_applicable"
                    else "",
                    row.get("reason", ""),
                )
                for row in rows
                if row["role"] == role
            ],
        )
    lines += [
        "",
        "The suite's scenarios for MCP servers call without any credential, and none of them is about authorization: a",
        "proxy proves to the gateway which agent calls, and says that it opens addresses where the suite says it asks",
        "people. Most of what fails there wants the gateway to believe what a client says; where nobody answers, the",
        "test sees that nothing ran. What fails of authorization stands once more in",
        "`tests/interop/mcp_conformance_baseline.txt`, to which nothing is added.",
        "",
        *_ledgers_of_others(),
    ]
    return "\n".join(lines) + "\n"


def aarm_page() -> str:
    """Each technical test of AARM with the tests of ours that prove it, from the table that a test holds to them."""
    table = tomllib.loads(AARM.read_text(encoding="utf-8"))
    rows = table["test"]
    counted = {outcome: sum(row["outcome"] == outcome for row in rows) for outcome in AARM_OUTCOMES}
    lines = ["# AARM", "", MADE.replace("the code", "tests/conformance/aarm.toml"), ""]
    lines += [
        f"The technical tests of {table['source']}, in our words, and the tests of ours",
        "that prove them at a real gateway or below it. Nothing else is claimed: who calls a system *AARM-conformant*",
        "must also run it for customers, hold a certificate and take part in the working group.",
        "",
        *markdown_table(
            ("Outcome", "Tests"), [(AARM_OUTCOMES[name], str(number)) for name, number in counted.items()]
        ),
        "",
        "| Requirement | Level | What must hold | Outcome | Proved by |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        proof = [f"[`{one.partition('::')[2]}`](../../{one.partition('::')[0]})" for one in row["tests"]]
        told = "; ".join([*proof, *([row["why"]] if row.get("why") else [])])
        lines.append(
            f"| {row['requirement']} | {row['level']} | {row['sentence']} | {AARM_OUTCOMES[row['outcome']]} | {told} |"
        )
    return "\n".join(lines) + "\n"


def _ledgers_of_others() -> list[str]:
    """What our verifiers say of the ledgers that are published with Agent Delegation Chain."""
    table = tomllib.loads(ATTENU.read_text(encoding="utf-8"))
    lines = [
        "# Ledgers of Agent Delegation Chain",
        "",
        f"`{table['package']}` {table['version']} publishes 55 chains, all of which our verifier ends with the",
        "outcome that is published, and ledgers of another form than ours: 29 bundles, and 19 with envelopes of",
        "witnesses. Those are told as ours and judged by `verified_chain`, `chain_failure` and `verify_ledger`; a test",
        "computes every row anew.",
    ]
    for kind, heading in {"bundle": "Bundles", "envelope": "Envelopes"}.items():
        lines += ["", f"## {heading}", ""]
        lines += markdown_table(
            ("Case", "Published", "Ours", "Why ours does not refuse it"),
            [
                (
                    f"`{row['name']}`",
                    _words(row["published"]),
                    "not refused" if row.get("reason") else _words(row["ours"]),
                    row.get("reason", ""),
                )
                for row in table[kind]
            ],
        )
    return lines


def _words(found: Sequence[str]) -> str:
    return ", ".join(f"`{one}`" for one in found) or "sound"


def cli_page() -> str:
    """Every command with its arguments and options."""
    lines = ["# Commands", "", MADE, ""]
    lines += [
        "Nouns, then verbs. Results go to standard output, messages to standard error; every read has `--json`.",
        "Without a running server a command works on the data directory itself, and says so.",
        "",
        *markdown_table(("Exit code", "Meaning"), [(str(code), says) for code, says in EXIT_CODES.items()]),
    ]
    root: Any = application()
    lines += ["", "## answerable", "", *_options(root)]
    for path, command in _commands(root, ("answerable",)):
        lines += ["", f"## {' '.join(path)}", "", *_told(command.help)]
        arguments = [param for param in command.params if param.param_type_name == "argument"]
        usage = " ".join(f"[{one.metavar}]" if not one.required else str(one.metavar) for one in arguments)
        lines += ["", "```", f"{' '.join(path)} [OPTIONS] {usage}".rstrip(), "```", ""]
        lines += _options(command)
    return "\n".join(lines) + "\n"


def settings_page() -> str:
    """Every setting with its default and bounds."""
    lines = ["# Settings", "", MADE, ""]
    lines += [
        "One TOML file: `answerable.toml` in the data directory, or what `--config` names. Absent, all defaults hold.",
        "Relative paths start at the data directory. A secret is a reference, `file:PATH` or `env:NAME`, not a value.",
        "`answerable check-config` prints every fault at once, an unknown key with the nearest known one.",
    ]
    for section, kind in SECTIONS.items():
        rows = [
            (f"`{one.key}`", one.unit, _default(one.default), one.bounds, one.says)
            for one in listed_settings()
            if one.section == section
        ]
        # From Python 3.13 on docstrings come without their indentation: one page for all versions.
        said = inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0]
        lines += ["", f"## [{section}]", "", said, ""]
        lines += markdown_table(("Key", "Unit", "Default", "Bounds", "What it is"), rows)
    return "\n".join(lines) + "\n"


BRANCHES: dict[type[Code], tuple[str, str]] = {
    MalformedCode: ("Malformed", "the caller sent nonsense (HTTP 400)"),
    UnverifiedCode: ("Unverified", "identity, mandate or proof did not check (HTTP 401)"),
    RefusedCode: ("Refused", "somebody entitled to say no said no (HTTP 403)"),
    UnavailableCode: ("Unavailable", "a port failed (HTTP 503)"),
    BrokenCode: ("Broken", "an invariant of ours fell (HTTP 500)"),
    DecisionCode: ("Decision", "rules that refuse beside the policies; the code of a `Refused`"),
    FindingCode: ("Finding", "what is wrong in documents and policies, listed in the answer"),
}
"""By class of the declaration: what the reference calls it, and what it means."""


def declared_codes() -> list[tuple[str, str, Code]]:
    """Subject, name and code of every declaration."""
    return [
        (subject.name, name, code)
        for subject in pkgutil.iter_modules(codes.__path__)
        for name, code in vars(importlib.import_module(f"{codes.__name__}.{subject.name}")).items()
        if isinstance(code, Code)
    ]


def errors_page() -> str:
    """Every stable code, by the branch of the family it belongs to."""
    lines = ["# Errors", "", MADE, ""]
    lines += [
        "Codes are stable, wording is not. `…` stands for what differs from case to case. In problem details",
        f"(RFC 9457) `type` is `{TYPE_PREFIX}` and the code; a code that ends in `.unknown` is HTTP 404 there.",
        "*Subject* is the module of `answerable.errors.codes` that declares it.",
    ]
    declared = sorted(declared_codes(), key=lambda one: one[2].id)
    for kind, (branch, says) in BRANCHES.items():
        lines += ["", f"## {branch}: {says}", ""]
        lines += markdown_table(
            ("Code", "Says, for example", "Subject"),
            [
                (f"`{code.id}`", " ".join(code.says.split()), f"`{subject}`")
                for subject, _, code in declared
                if type(code) is kind
            ],
        )
    lines += [
        "",
        "## Outside of scope",
        "",
        "[`answerable scope`](cli.md#answerable-scope) counts refusals with these codes: the action was not covered",
        "by the `mandate`, by the `delegation` of it, by what the `agent` may do in any task, or by any `policy`.",
        "",
    ]
    for beyond in LIMITS:
        counting = sorted({code.id for _, _, code in declared if beyond_of(code.id) == beyond})
        lines.append(f"- `{beyond}`: {', '.join(f'`{one}`' for one in counting)}")
    return "\n".join(lines) + "\n"


def api_page() -> str:
    """Every operation, and every object that is sent or answered."""
    lines = ["# Control API", "", MADE, ""]
    lines += [
        "HTTP on the Unix socket `control.sock` of the data directory. The caller is known by the kernel's word: only",
        "the user who runs the server, and root, are answered. As OpenAPI 3.1: [openapi.json](openapi.json), which is",
        "served at `/v1/openapi.json` too.",
        "Errors are problem details (RFC 9457) with the codes of [errors.md](errors.md). A list comes in pages: up to",
        "`limit` items from after `cursor`, and `next` is the cursor of the page after it.",
        "",
    ]
    rows = [
        (
            f"`{row.method} {row.path}`",
            row.summary,
            _linked(row.body),
            f"page of {_linked(row.answer)}" if row.page else _linked(row.answer),
        )
        for row in OPERATIONS
    ]
    lines += markdown_table(("Operation", "What it does", "Takes", "Answers"), rows)
    for name, schema in schemas().items():
        lines += ["", f"## {name}", ""]
        members: Any = schema.get("properties", {})
        if not members:
            lines.append("An empty object.")
            continue
        lines += markdown_table(
            ("Member", "Type"), [(f"`{key}`", _type(value)) for key, value in members.items()]
        )
    return "\n".join(lines) + "\n"


def _commands(group: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if command.hidden:
            continue
        if hasattr(command, "commands"):
            yield from _commands(command, (*path, name))
        else:
            yield (*path, name), command


def _told(text: str | None) -> list[str]:
    return [line.strip() for line in (text or "").strip().splitlines()]


def _options(command: Any) -> list[str]:
    rows = []
    for param in command.params:
        if param.param_type_name == "argument":
            name = str(param.metavar)
        else:
            flag = getattr(param, "is_flag", False)
            names = ", ".join(f"`{name}`" for name in sorted(param.opts, key=len, reverse=True))
            name = names if flag else f"{names} {param.metavar or 'VALUE'}"
        needed = " Needed." if param.required and param.param_type_name != "argument" else ""
        rows.append((name, f"{param.help or ''}{needed}"))
    return markdown_table(("Argument or option", "What it is"), rows)


def _default(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(f"`{item}`" for item in value) or "none"
    return f"`{value}`" if str(value) else "none"


def _linked(name: str) -> str:
    return f"[{name}](#{name.lower()})" if name else ""


def _type(schema: Any) -> str:
    if "$ref" in schema:
        return _linked(str(schema["$ref"]).rsplit("/", 1)[1])
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "enum" in schema:
        return "one of " + ", ".join(f"`{word}`" for word in schema["enum"])
    said = f" ({schema['description']})" if "description" in schema else ""
    match schema.get("type"):
        case "array":
            return f"list of {_type(schema['items'])}"
        case "object" if isinstance(schema.get("additionalProperties"), dict):
            return f"object of {_type(schema['additionalProperties'])}"
        case "object" if "properties" in schema:
            inner = ", ".join(f"`{key}`: {_type(value)}" for key, value in schema["properties"].items())
            return f"object ({inner})"
        case kind:
            return f"{kind}{said}"


def main() -> int:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        path = FOLDER / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote docs/reference/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
