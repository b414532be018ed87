"""The typed client of the control API, made from its operations: `answerable.client`, a module for each subject.

`python tools/control_client.py` writes the modules; a test holds them to the operations. A function asks through a
`Transport`, takes path parameters by place, then the body, query parameters by name, and returns the answer's type; for
a list it iterates over all items.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from answerable.apps.control_api.operation import Operation
from answerable.apps.control_api.operations import OPERATIONS

WIDTH = 110
FOLDER = Path(__file__).resolve().parents[1] / "src/answerable/client"
_SHARED = (
    "INDEX_SECONDS_MAX",
    "READ_SECONDS_MAX",
    "Transport",
    "WAIT_SECONDS_MAX",
    "given",
    "items_of",
    "segment",
)
_PARAMETER = re.compile(r"\{(\w+)\}")


def modules() -> dict[str, str]:
    """Text of each module by file name."""
    declared = sorted((row for row in OPERATIONS if row.types), key=_subject)
    return {f"{subject}_calls.py": _module(subject, [*rows]) for subject, rows in groupby(declared, _subject)}


def _subject(row: Operation) -> str:
    return row.run.__module__.rpartition(".")[2].removesuffix("_operations")


def _module(subject: str, rows: list[Operation]) -> str:
    text = "\n\n\n".join("\n".join(_function(row)) for row in rows)
    used = {*re.findall(r"\w+", text)}
    lines = [
        f'"""Operations of the control API on the subject `{subject}`, made by `tools/control_client.py`."""',
        "",
        "from __future__ import annotations",
        "",
        *(["from collections.abc import Iterator", ""] if "Iterator" in used else []),
        *_imports(_places(rows, used)),
        "",
        "",
        text,
    ]
    return "\n".join(lines) + "\n"


def _places(rows: list[Operation], used: set[str]) -> dict[str, set[str]]:
    """Imported names by module."""
    found = {"answerable.client.transport": used & {*_SHARED}}
    for kind in (one for row in rows for one in row.types if one.__name__ in used):
        found.setdefault(kind.__module__, set()).add(kind.__name__)
    if "Page" in used:
        found.setdefault("answerable.api.members", set()).add("Page")
    return found


def _imports(places: dict[str, set[str]]) -> Iterator[str]:
    for module, names in sorted(places.items()):
        listed = sorted(names, key=_import_order)
        line = f"from {module} import {', '.join(listed)}"
        if len(line) <= WIDTH:
            yield line
        else:
            yield f"from {module} import ("
            yield from (f"    {name}," for name in listed)
            yield ")"


def _wrapped(start: str, items: list[str], end: str) -> Iterator[str]:
    """A call or a signature, as the formatter writes it."""
    indent = " " * (len(start) - len(start.lstrip()))
    joined = ", ".join(items)
    if len(f"{start}({joined}){end}") <= WIDTH:
        yield f"{start}({joined}){end}"
        return
    yield f"{start}("
    if len(f"{indent}    {joined}") <= WIDTH:
        yield f"{indent}    {joined}"
    else:
        yield from (f"{indent}    {one}," for one in items)
    yield f"{indent}){end}"


def _import_order(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions, as an import is sorted."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name.lower())


def _function(row: Operation) -> Iterator[str]:
    answer = f"Iterator[{row.answer}]" if row.page else row.answer
    yield from _wrapped(f"def {row.id}", [*_arguments(row)], f" -> {answer}:")
    yield f'    """{row.summary}."""'
    yield from _wrapped(f"    return {'items_of' if row.page else 'control.answer_as'}", [*_asked(row)], "")


def _arguments(row: Operation) -> Iterator[str]:
    yield "control: Transport"
    yield from (f"{name}: str" for name in _PARAMETER.findall(row.path))
    if _has_body(row):
        yield f"body: {row.body}"
    if row.query or not row.page:
        yield "*"
    yield from (f"{name}: str | None = None" for name in _names(row))
    if not row.page:
        yield f"seconds_max: float = {_seconds_max(row)}"


def _asked(row: Operation) -> Iterator[str]:
    path = _PARAMETER.sub(r"{segment(\1)}", row.path)
    if row.page:
        yield from ("control", f"Page[{row.answer}]")
    else:
        yield from (row.answer, f'"{row.method}"')
    yield f'{"f" if "{" in path else ""}"{path}"'
    if row.query:
        yield f"query=given({', '.join(f'{name}={name}' for name in _names(row))})"
    if _has_body(row):
        yield "body=body"
    if not row.page:
        yield "seconds_max=seconds_max"
    elif row.is_long or row.of_index:
        yield f"seconds_max={_seconds_max(row)}"


def _seconds_max(row: Operation) -> str:
    if row.of_index:
        return "INDEX_SECONDS_MAX"
    return "WAIT_SECONDS_MAX" if row.is_long or row.method == "POST" else "READ_SECONDS_MAX"


def _has_body(row: Operation) -> bool:
    return row.body not in ("", "Nothing")


def _names(row: Operation) -> Iterable[str]:
    return [name for name, _, _ in row.query]


def main() -> int:
    """Write every module."""
    for name, text in modules().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        print(f"wrote src/answerable/client/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
