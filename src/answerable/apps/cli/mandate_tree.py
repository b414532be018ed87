"""Draw a mandate as a tree: its hops, the state of each, and the actions done under each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from answerable.apps.cli.command import Shell
from answerable.apps.cli.terminal import safe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from answerable.api.tree_answers import HopRow, MandateTree

Id = Annotated[str, typer.Argument(help="Id of the mandate.", metavar="ID")]

_WORDS: Final = (
    ("done", "done"),
    ("failed", "failed"),
    ("refused", "refused"),
    ("unknown", "with unknown effect"),
    ("in_flight", "in flight"),
)


def tree(shell: Shell, id: Id) -> int | None:
    """The delegations below a mandate.

    Prints each hop with its agent, what it narrows, whether it is valid, and its actions.
    """
    from answerable.client import tree_calls

    with shell.control() as control:
        answer = tree_calls.show_mandate_tree(control, id)
    if shell.terminal.as_json:
        shell.terminal.json(answer)
        return None
    for line in drawn(answer):
        shell.terminal.line(line)
    return None


def drawn(answer: MandateTree) -> Iterator[str]:
    """Yield the lines of the tree, each safe to print."""
    mandate = safe(answer.id)
    yield f"mandate {mandate} · {_state(answer)}"
    yield f"{safe(answer.principal)} → {safe(answer.agent)}: {safe(answer.purpose)}"
    if not answer.hops:
        yield f"not delegated; {_actions(answer)}"
        return
    if any(getattr(answer.actions, name) for name, _ in _WORDS):
        yield f"under the mandate itself: {_actions(answer)}"
    last = _last_of_their_parents(answer.hops)
    bars: list[str] = []
    for index, hop in enumerate(answer.hops):
        # A hop whose parent is not in the log is drawn at the top level.
        depth = hop.depth if hop.parent else 0
        del bars[depth:]
        bars += ["   "] * (depth - len(bars))
        before = "".join(bars)
        yield f"{before}{'└─ ' if index in last else '├─ '}{_title(hop)}"
        bars.append("   " if index in last else "│  ")
        for text in _below(hop):
            yield f"{''.join(bars)}   {text}"
    left = answer.hops_count - len(answer.hops)
    if left:
        yield f"and {left} more hops that are not shown"


def _title(hop: HopRow) -> str:
    number = f"hop {hop.depth}" if hop.depth else "token of its own"
    return f"{safe(hop.agent)} · {number}, {safe(hop.form)} · {_state(hop)}"


def _state(one: MandateTree | HopRow) -> str:
    because = f" ({safe(one.because)})" if one.because else ""
    until = f" until {one.expires_at}" if one.state == "open" else ""
    return f"{safe(one.state)}{because}{until}"


def _below(hop: HopRow) -> Iterator[str]:
    for text in hop.narrowed:
        yield safe(text)
    yield f"{_actions(hop)} · id {safe(hop.id)}"


def _actions(one: MandateTree | HopRow) -> str:
    counts = [(getattr(one.actions, name), word) for name, word in _WORDS]
    parts = [f"{count} {word}" for count, word in counts if count]
    return ", ".join(parts) or "nothing done"


def _last_of_their_parents(hops: Sequence[HopRow]) -> set[int]:
    """Return the indexes of the hops that are the last child of their parent."""
    found: dict[str, int] = {}
    for index, hop in enumerate(hops):
        found[hop.parent] = index
    return set(found.values())
