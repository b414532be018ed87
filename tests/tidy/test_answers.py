"""What tidy tests find in files is kept by content: no answer outlives its file, and nothing else changes one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from imports import Imports, KeptImports
from tests.tidy import answers
from tests.tidy.tree import Module, modules, parsed

pytestmark = pytest.mark.requirement("FAST-52")
Ask = Callable[..., dict[str, list[str]]]
asked: list[str] = []


def names(module: Module) -> list[str]:
    """A question that tells when it is asked."""
    asked.append(module.path)
    return [*module.text.split()]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """The answers about these texts, as a run of its own has them."""

    def about(**texts: str) -> dict[str, list[str]]:
        asked.clear()
        return answers.answered(
            names, [parsed(f"src/{path}.py", text) for path, text in texts.items()], tmp_path
        )

    return about


def test_only_what_has_changed_is_asked_again(ask: Ask) -> None:
    assert ask(a="x y", b="z") == {"src/a.py": ["x", "y"], "src/b.py": ["z"]}
    assert asked == ["src/a.py", "src/b.py"]
    assert ask(a="x y", b="z z", c="x y") == {
        "src/a.py": ["x", "y"],
        "src/b.py": ["z", "z"],
        "src/c.py": ["x", "y"],
    }
    assert asked == ["src/b.py", "src/c.py"], "a name of a file may count, too"
    assert ask(b="z") == {"src/b.py": ["z"]}
    assert ask(a="x y") == {"src/a.py": ["x", "y"]}
    assert asked == []


def test_all_is_asked_again_where_questions_may_have_changed(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(a="x")
    monkeypatch.setattr(answers, "_made_of", lambda: "others")
    assert ask(a="x") == {"src/a.py": ["x"]}
    assert asked == ["src/a.py"]


def test_a_question_that_is_not_of_this_folder_is_none() -> None:
    """Its own text would count, and is not looked at."""
    made_of = {one.parent.name for one in answers.MADE_OF}
    assert made_of == {"tidy"}
    using = [one.path for one in modules("tests") if "tests.tidy.answers" in one.text]
    assert [path for path in using if not path.startswith("tests/tidy/")] == []


def test_imports_that_are_kept_are_those_that_are_there() -> None:
    kept, read = KeptImports(), Imports()
    for name in ("answerable.core.canonical", "tests.conftest", "tests.tidy.answers", "tools.check"):
        assert kept.names(name) == read.names(name)
        assert kept.imported(name) == read.imported(name)
