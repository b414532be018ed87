"""The reference page of the public face of target plug-ins: what `answerable.targets` gives."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from functools import cache
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from answerable import targets
from answerable.errors.code import Code
from python_page import cleaned, first, part_about, signature_of
from wire_tables import markdown_table

SECTIONS: Final[dict[str, str]] = {
    "The kind": "What the entry point leads to, what its target is built with, and what it builds.",
    "Settings": "Each setting of a kind is declared by one of these, with a sentence for whoever sets it.",
    "Ports": "What a plug-in implements, or is given. What a method may raise is said with it; nothing else is raised.",
    "Values": "What goes in and comes out of the ports.",
    "Functions": "What every target does the same way.",
    "Errors": "The classes of errors; `Malformed`, `Unverified` and `Broken` are not for plug-ins.",
    "Error codes": 'Called with a message, each makes its error: `raise LEASE_TARGET("…")`.',
}


def targets_page(made: str) -> str:
    """Every public name with its home, its signature and what its docstring says. made: the line that says so."""
    lines = ["# Target plug-ins", "", made, ""]
    lines += [
        "`answerable.targets` gives these names to a package that adds a kind of target to the broker; how, says",
        "[Add a kind of target](../how-to/add-a-target.md). They keep their meaning while `API` is",
        f"{targets.API}; names may be added. The broker refuses a kind that is written for another number.",
    ]
    for heading, says in SECTIONS.items():
        mine = [name for name in targets.__all__ if section_of(name) == heading]
        lines += ["", f"## {heading}", "", says, ""]
        if heading == "Error codes":
            rows = [(f"`{name}`", f"`{_value(name).id}`", _value(name).says) for name in mine]
            lines += markdown_table(("Name", "Code", "Such as"), rows)
            continue
        rows = [(f"`{name}`", _sentence(name), f"`{home_of(name)}`") for name in mine]
        lines += markdown_table(("Name", "What it is", "Defined in"), rows)
        for name in mine:
            lines += _more(name)
    return "\n".join(lines) + "\n"


def section_of(name: str) -> str:
    """The heading under which a name is."""
    one = _value(name)
    if isinstance(one, Code):
        return "Error codes"
    if inspect.isclass(one) and issubclass(one, Exception):
        return "Errors"
    if getattr(one, "_is_protocol", False):
        return "Ports"
    home = home_of(name)
    if home == "answerable.targets.kind":
        return "The kind"
    if home == "answerable.setting_fields":
        return "Settings"
    return "Functions" if inspect.isfunction(one) else "Values"


@cache
def _homes() -> dict[str, str]:
    tree = ast.parse(Path(inspect.getfile(targets)).read_text(encoding="utf-8"))
    imports = (one for one in tree.body if isinstance(one, ast.ImportFrom))
    return {name.name: str(one.module) for one in imports for name in one.names}


def home_of(name: str) -> str:
    """The module from which the public face imports a name."""
    return _homes()[name]


def _value(name: str) -> Any:
    return getattr(targets, name)


def _more(name: str) -> list[str]:
    one = _value(name)
    if _is_alias(name) or (inspect.isclass(one) and issubclass(one, Exception)):
        return []
    if section_of(name) != "Ports":
        return part_about(name, one)
    lines = ["", f"### {name}", "", *cleaned(one).splitlines()]
    for method, function in vars(one).items():
        if not method.startswith("_") and function.__doc__:
            lines += ["", f"**`{_heading(method, function)}`**", "", *cleaned(function).splitlines()]
    return lines


def _heading(method: str, function: Any) -> str:
    if isinstance(function, property):
        read: Any = function.fget
        return f"{method} -> {inspect.signature(read).return_annotation}"
    plain: Callable[..., object] = inspect.unwrap(function)
    kind = "async " if inspect.iscoroutinefunction(plain) else ""
    return f"{kind}{method}{signature_of(plain, leaves_out='self')}"


def _is_alias(name: str) -> bool:
    """Whether a name is no class and no function of its own: a number, or another name of a type."""
    one = _value(name)
    return not (inspect.isfunction(one) or (inspect.isclass(one) and one.__name__ == name))


def _sentence(name: str) -> str:
    return _beside(name) if _is_alias(name) else first(_value(name))


def _beside(name: str) -> str:
    """What the text below its declaration says."""
    body = ast.parse(Path(str(import_module(home_of(name)).__file__)).read_text(encoding="utf-8")).body
    for declared, below in pairwise(body):
        names = getattr(declared, "targets", None) or [getattr(declared, "target", None)]
        if any(isinstance(one, ast.Name) and one.id == name for one in names):
            text = below.value if isinstance(below, ast.Expr) else None
            said = str(text.value) if isinstance(text, ast.Constant) else ""
            return " ".join(said.split()).removesuffix(".")
    return ""
