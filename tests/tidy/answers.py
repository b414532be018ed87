"""What questions about Python files find in them, kept by content: a file that is as it was is not parsed again.

A question is a function that looks at one module and at nothing else, and finds what JSON can hold. All is asked again
where anything changes that questions are made of, and by another Python.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.tidy.tree import ROOT, Module, modules

KEPT = ROOT / ".dev/cache/tidy"
MADE_OF = sorted((ROOT / "tests/tidy").glob("*.py"))
Question = Callable[[Module], Iterable[Any]]


def answers(question: Question, *folders: str) -> dict[str, list[Any]]:
    """By path, what it found in each Python file of these folders."""
    return answered(question, modules(*folders), KEPT)


def found(question: Question, *folders: str) -> list[Any]:
    """All that it found in them."""
    return [one for several in answers(question, *folders).values() for one in several]


def answered(question: Question, asked: Iterable[Module], kept: Path) -> dict[str, list[Any]]:
    """By path, of these modules. kept: the folder that has what was found before."""
    file = kept / f"{question.__module__}.{question.__name__}.json"
    known = _known(file)
    told, is_new = dict[str, list[Any]](), False
    with _parsing():
        for module in asked:
            digest, answer = known.get(module.path, ("", []))
            if digest != (now := _digest(module)):
                answer, is_new = json.loads(json.dumps([*question(module)])), True
                known[module.path] = (now, answer)
            told[module.path] = answer
    if is_new:
        file.parent.mkdir(parents=True, exist_ok=True)
        written = file.with_suffix(f".{os.getpid()}")
        written.write_text(json.dumps({"made_of": _made_of(), "known": known}), encoding="utf-8")
        written.replace(file)
    return told


def _known(file: Path) -> dict[str, tuple[str, list[Any]]]:
    """By path, the digest of its text and the answer."""
    stored = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return stored["known"] if stored.get("made_of") == _made_of() else {}


@cache
def _made_of() -> str:
    return sha256(b"".join([sys.version.encode(), *(one.read_bytes() for one in MADE_OF)])).hexdigest()


@cache
def _digest(module: Module) -> str:
    return sha256(f"{module.path} {module.text}".encode()).hexdigest()[:32]


@contextmanager
def _parsing() -> Iterator[None]:
    """Millions of nodes may be made, which live as long as the process: meanwhile there is no garbage among them, and
    were they not set aside, every later collection would go through them. That took longer than all these tests."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
