"""Every command that a page, a message, a template or an example names is one that there is, with the options named."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from answerable.main.commands import application
from tests.probes.demo_run import ROOT, blocks

READ = {
    ".": ["README.md"],
    "docs": ["**/*.md"],
    "src": ["**/*.py", "**/*.html"],
    "examples": ["**/*.py"],
}
HISTORY = "docs/explanation/decisions"
"""What was decided once, in the words of its time."""
TAGS = ("evidence bundle", "ledger v2", "ledger pseudonyms v2", "ledger chain v1")
"""What is written into files begins like a command."""
PAGE = re.compile(r"\bdocs/[a-z0-9/-]+\.md\b")
NAMED = re.compile(r"(?:`|<code>)(?:\.dev/venv/bin/)?answerable ([^`<\n]+)")
TYPED = re.compile(r"^(?:\$ )?(?:[A-Z]+=\$\()?answerable (.+)$")
WORD = re.compile(r"[a-z][a-z0-9-]*")
OPTION = re.compile(r"--[a-z][a-z0-9-]*")
_TYPED = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


@cache
def tree() -> Any:
    return application()


def named(text: str, *, page: bool) -> Iterator[str]:
    """What stands after `answerable`, up to a pipe, a redirection or the end."""
    text = text.replace("\\\n", " ")
    found = [one for line in text.splitlines() for one in NAMED.findall(line)]
    if page:
        blocks = re.findall(r"^```(?:sh|console)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        found += [m[1] for block in blocks for line in block.splitlines() if (m := TYPED.match(line.strip()))]
    for one in found:
        if not one.startswith(TAGS):
            yield re.split(r"[|>&;#)]| 2>", one)[0]


def fault(line: str) -> str:
    """What is wrong with a command line; empty if nothing is."""
    try:
        words = shlex.split(line)
    except ValueError:  # An apostrophe of a sentence.
        words = line.split()
    here, value = tree(), False
    for word in words:
        if value:
            value = False
        elif OPTION.fullmatch(name := word.partition("=")[0]):
            known = _options(here) | _options(tree())
            if name not in known:
                return f"no option {name}"
            value = known[name] and name == word
        elif commands := getattr(here, "commands", None):
            if word not in commands:
                return f"no command {word}" if WORD.fullmatch(word) else ""
            here = commands[word]
    return ""


def _options(command: Any) -> dict[str, bool]:
    """Each option, and whether a value follows."""
    found = {"--help": False}
    for one in command.params:
        found |= dict.fromkeys([*one.opts, *one.secondary_opts], not getattr(one, "is_flag", False))
    return found


def files() -> list[Path]:
    found = [path for place, globs in READ.items() for one in globs for path in (ROOT / place).glob(one)]
    return sorted(path for path in found if HISTORY not in path.as_posix())


@pytest.mark.requirement("NEWCOMER-01")
def test_every_command_that_is_named_anywhere_exists_with_its_options():
    faults, seen = [], 0
    for path in files():
        for line in named(path.read_text(), page=path.suffix == ".md"):
            seen += 1
            if told := fault(line):
                faults.append(f"{path.relative_to(ROOT)}: `answerable {line}`: {told}")
    assert faults == []
    assert seen > 300, "the commands are written in another way, and this test reads none of them"


def verbs(node: Any, *path: str) -> Iterator[tuple[str, Any]]:
    """Every command by its words."""
    for name, one in getattr(node, "commands", {}).items():
        yield " ".join((*path, name)), one
        yield from verbs(one, *path, name)


@pytest.mark.requirement("NEWCOMER-02")
def test_what_people_sign_with_is_shown_whole_in_the_help_of_its_command():
    examples = {
        words: one.epilog.rpartition("answerable ")[2] for words, one in verbs(tree()) if one.epilog and words
    }
    assert {words: line for words, line in examples.items() if not line.startswith(words)} == {}
    assert {line: told for line in examples.values() if (told := fault(line))} == {}
    signed = {f"approval {verb}" for verb in ("approve", "deny", "narrow", "break-glass", "review")}
    assert signed | {"duty delegate", "person invite", "channel test"} <= set(examples)
    for words, line in examples.items():
        needed = [
            one.opts[0] for one in dict(verbs(tree()))[words].params if one.required and "-" in one.opts[0]
        ]
        assert [name for name in needed if name not in line] == [], words


@pytest.mark.requirement("NEWCOMER-01")
def test_every_page_that_the_product_sends_people_to_is_there():
    sources = [path for one in ("**/*.py", "**/*.html") for path in (ROOT / "src").glob(one)]
    pages = {page for path in sources for page in PAGE.findall(path.read_text())}
    assert {page for page in pages if not (ROOT / page).exists()} == set()
    assert pages


@pytest.mark.requirement("NEWCOMER-01")
def test_python_on_a_page_is_python_that_can_be_typed_and_imports_what_there_is():
    seen = 0
    for page in sorted((ROOT / "docs").glob("*/*.md")):
        for block in blocks(page.read_text(), "python"):
            for node in ast.walk(compile(block, page.name, "exec", _TYPED)):
                if isinstance(node, ast.ImportFrom) and node.module:
                    module = importlib.import_module(node.module)
                    missing = [one.name for one in node.names if not hasattr(module, one.name)]
                    assert missing == [], (page.name, node.module)
                    seen += node.module.startswith("answerable")
    assert seen


@pytest.mark.requirement("NEWCOMER-01")
@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("demo", "no command demo"),
        ("hold place key X", "no command place"),
        ("approval list --groups", "no option --groups"),
        ("approval list --grouped --json", ""),
        ("--data DIR approval approve ID --as chen", ""),
    ],
)
def test_a_command_that_is_not_there_is_found_out(line: str, told: str):
    assert fault(line) == told
