"""The reference page of the public names of Python: what `import answerable` gives."""

from __future__ import annotations

import inspect
from typing import Any, Final

import answerable
from answerable.extras import INSTALL_REPLAY, INSTALL_SERVER
from wire_tables import markdown_table

_PLAIN: Final = (str, int, float, type(None), tuple)
_STARS: Final = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}
_SECTIONS: Final = {
    "answerable.errors": "Errors",
    "answerable.verify": "Verifying",
    "answerable.core": "What verifying takes",
    "answerable.sdk": "Agents, workflows and people who sign",
}
"""By the beginning of the module that a name is in."""


def python_page(made: str) -> str:
    """Every public name with its home, its signature and what its docstring says. made: the line that says so."""
    lines = ["# Python", "", made, ""]
    lines += [
        "`import answerable` gives these names, each loaded when it is asked for, and needs no more than",
        "`pip install answerable` brings. Modules may be imported by their own names, too; only what is here keeps",
        "its name from one minor version to the next, deprecation aside.",
        "",
        f"`{INSTALL_REPLAY}` adds what asks decisions again, matches patterns and checks signatures by",
        f"passkeys; without it they are told as not checked. `{INSTALL_SERVER}` is the whole product, and",
        "`answerable.testing` needs it.",
    ]
    for start, heading in _SECTIONS.items():
        lines += ["", f"## {heading}", ""]
        found = [(name, getattr(answerable, name)) for name in answerable.__all__ if not name.startswith("_")]
        mine = [(name, one) for name, one in found if one.__module__.startswith(start)]
        lines += markdown_table(
            ("Name", "What it is", "Defined in"),
            [(f"`{name}`", first(one), f"`{one.__module__}`") for name, one in mine],
        )
        for name, one in mine:
            if not (inspect.isclass(one) and issubclass(one, Exception)):
                lines += part_about(name, one)
    return "\n".join(lines) + "\n"


def part_about(name: str, one: Any) -> list[str]:
    """The part about one class or function."""
    lines = [
        "",
        f"### {name}",
        "",
        "```",
        f"{name}{signature_of(one)}",
        "```",
        "",
        *cleaned(one).splitlines(),
    ]
    methods = vars(one).items() if inspect.isclass(one) else ()
    rows = [
        (f"`{method}({', '.join([*inspect.signature(function).parameters][1:])})`", first(function))
        for method, function in methods
        if not method.startswith("_") and inspect.isfunction(function) and function.__doc__
    ]
    return [*lines, "", *markdown_table(("Method", "What it does"), rows)] if rows else lines


def signature_of(one: Any, *, leaves_out: str = "") -> str:
    """As it is written, with defaults that are objects told as `...`. leaves_out: the name of a parameter."""
    signature = inspect.signature(one)
    parts: list[str] = []
    for parameter in signature.parameters.values():
        if parameter.name == leaves_out:
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        default = parameter.default
        given = (
            ""
            if default is parameter.empty
            else f" = {default!r}"
            if isinstance(default, _PLAIN)
            else " = ..."
        )
        parts.append(
            f"{_STARS.get(parameter.kind.name, '')}{parameter.name}: {_type(parameter.annotation)}{given}"
        )
    returned = "" if inspect.isclass(one) else f" -> {_type(signature.return_annotation)}"
    return f"({', '.join(parts)}){returned}"


def _type(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def first(one: Any) -> str:
    """The first sentence of its docstring, on one line."""
    return " ".join(cleaned(one).split("\n\n")[0].split()).split(". ")[0].removesuffix(".")


def cleaned(one: Any) -> str:
    """Its docstring without the indentation."""
    return inspect.cleandoc(one.__doc__ or "")
