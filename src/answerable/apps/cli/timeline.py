"""`answerable timeline`: the story of any name, or of what meets a search."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.search import Index, Keys, Since, Until

if TYPE_CHECKING:
    from answerable.api.search_answers import StoryAnswer
    from answerable.apps.cli.asked_index import CopyAsked
    from answerable.apps.cli.told_story import StoryAsked

Words = Annotated[
    list[str] | None,
    typer.Argument(
        help="Names: of an action, approval, mandate, agent, person, resource, lease, session, key, hold or anything "
        "else that `search` knows, or the index of an entry. FIELD:VALUE, as for `search`, narrows it.",
        show_default=False,
        metavar="[NAME|FIELD:VALUE]...",
    ),
]
UnderManifest = Annotated[
    str,
    typer.Option(
        "--manifest", help="Actions under the manifest of this digest.", show_default=False, metavar="DIGEST"
    ),
]
UnderPrompt = Annotated[
    str,
    typer.Option(
        "--prompt",
        help="Actions under manifests with this prompt, by its digest.",
        show_default=False,
        metavar="sha256:HEX",
    ),
]
UnderModel = Annotated[
    str,
    typer.Option(
        "--model",
        help="Actions under manifests with this model.",
        show_default=False,
        metavar="NAME[@VERSION]",
    ),
]
LedgerCopy = Annotated[
    Path | None,
    typer.Option(
        "--ledger",
        help="Read this ledger directory, or a copy of one; sealed fields stay sealed without --keys.",
        show_default=False,
        metavar="DIR",
    ),
]
Every = Annotated[bool, typer.Option("--all", help="Tell each entry, also of actions that are alike.")]
Limit = Annotated[
    int,
    typer.Option("--limit", help="Entries that are asked about, newest first; at most 1000.", metavar="N"),
]


def register(app: typer.Typer) -> None:
    """Add the verb `timeline`."""
    command(
        app,
        "timeline",
        reads=True,
        panel="What happened",
        example="timeline ans_mfzwizltoqqgk3tuonxxezdbna",
    )(timeline)


def timeline(
    shell: Shell,
    words: Words = None,
    since: Since = "",
    until: Until = "",
    every: Every = False,
    limit: Limit = 1_000,
    manifest: UnderManifest = "",
    prompt: UnderPrompt = "",
    model: UnderModel = "",
    ledger: LedgerCopy = None,
    keys: Keys = None,
    index: Index = None,
) -> int | None:
    """The story of any name, or the actions under one prompt or model.

    With names: who acted for whom, for which task, what was done, how it was decided, the result, and what cannot be
    undone; with all that belongs to it. Actions that are alike are told as one. With --manifest, --prompt or --model:
    every action under a manifest that matches all of these, and how each field of it was measured then.
    """
    from answerable.apps.cli.asked_index import checked_copy
    from answerable.apps.cli.told_story import StoryAsked, check_asked, show_story
    from answerable.apps.cli.without_server import tell_copied_actions

    copy = checked_copy(ledger, keys, index)
    asked = StoryAsked(words=tuple(words or ()), since=since, until=until, limit=limit, every=every)
    about = {"manifest": manifest, "prompt": prompt, "model": model}
    check_asked(asked.search, about)
    if asked.search:
        return show_story(shell.terminal, _story(shell, asked, copy), asked)
    if ledger is not None:
        return tell_copied_actions(shell.terminal, ledger, about)
    from answerable.apps.cli.actions_under import asked_actions, show_actions

    return show_actions(shell.terminal, asked_actions(shell, about))


def _story(shell: Shell, asked: StoryAsked, copy: CopyAsked) -> StoryAnswer:
    """Return the story from the running server, or from files of this data directory or of a copy."""
    from answerable.apps.cli.asked_index import answered
    from answerable.apps.cli.told_story import read_story
    from answerable.client import search_calls
    from answerable.core.search.names import parsed_names
    from answerable.core.search.query import checked_limit, joined_words

    # A fault in what was typed needs no server.
    parsed_names(asked.search, now=0)
    limit = checked_limit(asked.limit)
    first, *rest = asked.search
    return answered(
        shell,
        copy,
        lambda control: search_calls.show_timeline(
            control, first, q=joined_words(rest) or None, limit=str(limit)
        ),
        lambda files: read_story(files, asked),
    )
