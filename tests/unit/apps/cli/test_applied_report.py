"""What is said of documents that were applied."""

from __future__ import annotations

from pathlib import Path

import pytest

from answerable.api.registry_answers import Applied
from answerable.apps.cli.applied_report import show_applied
from answerable.apps.cli.command import Shell
from answerable.apps.cli.terminal import Terminal


@pytest.mark.parametrize(("count", "named", "more"), [(0, 0, ""), (5, 5, ""), (8, 5, "and 3 policies more")])
def test_of_many_void_policies_some_are_named_and_the_others_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], count: int, named: int, more: str
) -> None:
    shell = Shell(
        terminal=Terminal(),
        offline=lambda _: pytest.fail("nothing is asked"),
        data=tmp_path,
        data_named=True,
        config=None,
        yes=False,
    )
    void = tuple(f"rules.cedar: policy p{number} never applies" for number in range(count))
    applied = Applied(changes=(), inactive=(), before="0", after="1", void=void, undrilled=())
    show_applied(shell, applied, done=True)
    said = capsys.readouterr().err
    assert [one in said for one in void] == [True] * named + [False] * (count - named)
    assert ("policies more: `answerable policy check` lists all" in said) == bool(more)
    assert more in said
