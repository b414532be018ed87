"""The tree of commands is the one that Typer makes, and a line builds what it names alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from inspect import signature
from typing import Any

import pytest
from typer import Context
from typer._coercion import build_runtime_param
from typer.main import get_command, get_command_from_info

from answerable.apps.cli import on_demand
from answerable.apps.cli.application import command_line, first_word
from answerable.main.commands import application


def told(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """What a command and all below it say of themselves."""
    shown = {
        name: value for name, value in vars(command).items() if name not in ("commands", "callback", "params")
    }
    params = [(type(one).__name__, one.name, one.opts, one.default, one.required) for one in command.params]
    yield path, repr((type(command).__name__, sorted((k, repr(v)) for k, v in shown.items()), params))
    for name in getattr(command, "commands", {}):
        yield from told(command.commands[name], (*path, name))


def test_every_command_is_the_one_that_typer_makes_of_it():
    app = command_line(lambda settings: pytest.fail("nothing runs"))
    ours = dict(told(on_demand.command_tree(app)))
    assert len(ours) > 100
    assert ours == dict(told(get_command(app)))


def test_a_line_builds_the_commands_that_it_names_and_no_other(monkeypatch, capsys):
    built: list[str] = []

    def noted(info: Any, **how: Any) -> Any:
        built.append(info.name)
        return get_command_from_info(info, **how)

    monkeypatch.setattr(f"{on_demand.__name__}.get_command_from_info", noted)
    with pytest.raises(SystemExit) as ended:
        application()(["hold", "list", "--help"], prog_name="answerable")
    assert ended.value.code == 0
    assert "answerable hold list" in capsys.readouterr().out
    assert built == ["list"]


@pytest.mark.parametrize("line", [["hold", "lost"], ["hodl"]])
def test_a_command_that_there_is_not_is_told_with_the_nearest(line, capsys):
    with pytest.raises(SystemExit) as ended:
        application()(line, prog_name="answerable")
    assert ended.value.code == 2
    assert "Did you mean" in capsys.readouterr().err


@pytest.mark.requirement("HOUSE-38")
def test_what_a_line_begins_with_is_the_same_where_it_alone_is_put_together():
    whole = application()
    assert len(whole.commands) > 40
    assert [(name, [*application([name]).commands]) for name in whole.commands if name == "up"] == [
        ("up", ["up"])
    ]
    for name, command in whole.commands.items():
        alone = application(["--data", "up", name])
        assert dict(told(alone.commands[name])) == dict(told(command))
        assert len(alone.commands) < 10


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("hold list", "hold"),
        ("--data d --config=c -q --no-color hold list", "hold"),
        ("--data=d hold --help", "hold"),
        ("--help hold", ""),
        ("--version", ""),
        ("--quiet --nonsense hold", ""),
        ("--data", ""),
        ("-- hold", ""),
        ("", ""),
    ],
)
def test_the_word_that_a_line_begins_with_comes_after_what_may_precede_it(line, word):
    assert first_word(line.split()) == word


@pytest.mark.requirement("HOUSE-38")
def test_a_line_imports_the_module_of_its_noun_and_of_no_other():
    script = (
        "import sys; from answerable.main.commands import application; application(sys.argv[1:])\n"
        "from answerable.apps.cli.application import NOUNS; print(*sorted({*NOUNS} & {*sys.modules}))"
    )
    line = [sys.executable, "-P", "-c", script, "streams", "--json"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["answerable.apps.cli.streams"]


VALUES = [None, "", "word", "-", "ä b", "/a/./b", "~/c", "1", "true", "x" * 100_000]


def parameters(command: Any) -> Iterator[Any]:
    yield from command.params
    for name in getattr(command, "commands", {}):
        yield from parameters(command.commands[name])


def outcome(take: Any, value: Any, parameter: Any, context: Any) -> Any:
    try:
        found = take.coerce(value, param=parameter, ctx=context)
    except Exception as refused:
        return type(refused), str(refused)
    return type(found), found


def test_each_value_becomes_what_typer_makes_of_it():
    whole = application()
    context = Context(whole)
    count = 0
    for one in parameters(whole):
        ours, typers = one.get_runtime_param(), build_runtime_param(one.type_descriptor)
        assert type(ours) is not type(typers)
        many = one.multiple or one.nargs == -1
        for value in [(), ("one", "two words"), *VALUES] if many else VALUES:
            assert outcome(ours, value, one, context) == outcome(typers, value, one, context), (
                one.name,
                value,
            )
            count += 1
    assert count > 5_000


@pytest.mark.requirement("FAST-45")
def test_the_options_before_a_noun_are_read_from_their_declaration_once():
    lines = [command_line(lambda settings: pytest.fail("nothing runs")) for _ in range(2)]
    first, second = (signature(one.registered_callback.callback, eval_str=True) for one in lines)
    assert first is second
    assert not [one for one in first.parameters.values() if isinstance(one.annotation, str)]
    roots = [on_demand.command_tree(one) for one in lines]
    shared = [one.name for one in roots[0].params if one in roots[1].params]
    assert shared == ["install_completion", "show_completion"]
