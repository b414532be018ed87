"""Ids that begin with `-` on the command line: every command that takes one takes it without `--`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, get_args

import pytest

from answerable.core.base64url import to_base64url
from answerable.main.commands import application

pytestmark = pytest.mark.requirement("WORDS-07")

DIGEST = to_base64url(b"\xf8" + b"\x24q\xd5" * 10 + b"h")
"""As the id of a delegation of duty is: of 32 bytes, the first of which is 0xf8 to 0xfb."""
PASSKEY = to_base64url(b"\xfb\xef\xbe" + b"\x07" * 13)
"""Of 16 bytes, the shortest that WebAuthn allows; it begins with `--`."""


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, one in sorted(group.commands.items()):
        if hasattr(one, "commands"):
            yield from commands(one, (*path, name))
        else:
            yield (*path, name), one


def arguments_of(one: Any) -> list[Any]:
    return [of for of in one.params if of.param_type_name == "argument"]


def is_word(of: Any) -> bool:
    """Whether an argument is text, and neither a file nor a number."""
    return of.type_descriptor.annotation in (str, list[str])


TREE = dict(commands(application()))
TAKING = [
    pytest.param(one, id=" ".join(path)) for path, one in TREE.items() if any(map(is_word, arguments_of(one)))
]


@pytest.fixture(params=[DIGEST, PASSKEY], ids=["digest", "passkey"])
def identity(request: pytest.FixtureRequest) -> str:
    assert request.param.startswith("-")
    return str(request.param)


def parsed(one: Any, line: list[str]) -> dict[str, Any]:
    """What a command makes of its line, with the options that it cannot do without."""
    needed = [of for of in one.params if of.required and of.param_type_name == "option"]
    given = [(of.opts[0], *(get_args(of.type_descriptor.annotation) or ("7",))[:1]) for of in needed]
    return dict(one.make_context("it", [*chain.from_iterable(given), *line]).params)


@pytest.mark.parametrize("one", TAKING)
def test_every_argument_of_every_command_may_be_an_id_that_begins_with_a_dash(
    one: Any, identity: str
) -> None:
    line = [identity if is_word(of) else "7" for of in arguments_of(one)]
    for whole in (["--quiet", *line], [*line, "-q"], [line[0], "-q", *line[1:]], ["-q", "--", *line]):
        made = parsed(one, whole)
        assert made["quiet"] is True
        for of in filter(is_word, arguments_of(one)):
            assert made[of.name] == ([identity] if of.nargs == -1 else identity)


def test_an_id_behind_an_option_is_its_value_and_options_stay_options(identity: str) -> None:
    made = parsed(TREE["revoke",], ["--reason", identity, "key", identity, "-y"])
    assert (made["reason"], made["kind"], made["name"], made["yes"]) == (identity, "key", identity, True)
    made = parsed(TREE["policy", "compile"], ["-qo", identity, "."])
    assert (made["quiet"], str(made["output"])) == (True, identity)
    for wrong in ("--an-option-that-nobody-ever-had", "-x", f"-{'q' * 30}x"):
        with pytest.raises(Exception, match="No such option"):
            parsed(TREE["revoke",], ["key", wrong])
