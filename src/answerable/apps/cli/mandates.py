"""Mandates on the command line: templates, preview, issue, list, show, close. The person's key is read here and never
leaves this process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.ending import ending, ends_authority
from answerable.apps.cli.mandate_tree import tree
from answerable.core.identity.names.principal import SCHEDULE_PREFIX
from answerable.errors import shown
from answerable.errors.codes.services import CLI_DRAFT, CLI_NOT_CONFIRMED, CLI_SET

if TYPE_CHECKING:
    from answerable.api.mandate_answers import Draft, Mandate
    from answerable.apps.cli.control import Control
    from answerable.core.identity.keys.keys import SigningKey
    from answerable.core.mandate.mandate import MandateTerms

Person = Annotated[str, typer.Option("--as", help="Registered name of the person.", metavar="PERSON")]
KeyFile = Annotated[Path, typer.Option("--key", help="That person's key file.", metavar="FILE")]
Template = Annotated[str, typer.Argument(help="Name of the template.", metavar="TEMPLATE")]
Values = Annotated[
    list[str] | None,
    typer.Option("--set", help="Value of one parameter of the template.", metavar="NAME=VALUE"),
]
Filled = Annotated[
    list[str] | None, typer.Argument(help="Values of its parameters.", metavar="[NAME=VALUE]...")
]
Scheduled = Annotated[str, typer.Argument(help="Name of the schedule.", metavar="SCHEDULE")]
SchedulerKey = Annotated[Path, typer.Option("--key", help="The schedule's key file.", metavar="FILE")]
Id = Annotated[str, typer.Argument(help="Id of the mandate.", metavar="ID")]
State = Annotated[
    str | None,
    typer.Option(
        help="Only mandates in this state: open, held, fallen, closed, revoked, expired, not_yet or spent."
    ),
]

_SHORT_PURPOSE_CHARS: Final = 60


def register(app: typer.Typer) -> None:
    """Add the noun `mandate`."""
    group = typer.Typer(no_args_is_help=True, help="Mandates: signed tasks that agents act under.")
    command(group, "templates", reads=True)(list_templates)
    command(group, "preview", reads=True)(preview_mandate)
    command(group, "issue", reads=True, asks=True)(issue)
    command(group, "new", reads=True, asks=True)(new)
    command(group, "run", reads=True)(run_schedule)
    command(group, "list", reads=True)(list_mandates)
    command(group, "show", reads=True)(show)
    command(group, "tree", reads=True)(tree)
    command(group, "close", reads=True, asks=True)(close)
    app.add_typer(group, name="mandate")


def list_templates(shell: Shell) -> int | None:
    """Templates and their parameters."""
    from answerable.client import registry_calls

    with shell.control() as control:
        items = list(registry_calls.list_templates(control))
    if shell.terminal.as_json:
        shell.terminal.json(items)
        return None
    shell.terminal.table(
        ("name", "state", "agent", "use case", "asks for"),
        [
            (
                one.name,
                "active" if one.active else "inactive",
                one.agent,
                one.use_case,
                " ".join(f"--set {p.name}=…" for p in one.parameters) or "nothing",
            )
            for one in items
        ],
        empty="no mandate template is registered",
    )
    return None


def preview_mandate(shell: Shell, template: Template, person: Person, values: Values = None) -> int | None:
    """What a mandate would let an agent do."""
    with shell.control() as control:
        draft = _draft(control, template, person, values)
    _, sentences = _read_draft(draft, person)
    if shell.terminal.as_json:
        shell.terminal.json({"claims": draft.claims, "sentences": list(sentences)})
        return None
    for sentence in sentences:
        shell.terminal.line(sentence)
    return None


def issue(
    shell: Shell, template: Template, person: Person, key: KeyFile, values: Values = None
) -> int | None:
    """Sign a mandate and put it into force.

    Shows what it says, asks, signs with your key, and prints the id.
    """
    from answerable.sdk.keyfile import load_key

    signing_key = load_key(key)
    with shell.control() as control:
        draft = _draft(control, template, person, values)
        _signed_into_force(shell, control, draft, giver=person, key=signing_key)
    return None


def new(shell: Shell, template: Template, person: Person, key: KeyFile, values: Filled = None) -> int | None:
    """Issue a mandate by filling in a template.

    Asks for what is missing, shows what the agent will and will not be able to do, asks, and signs.
    """
    from answerable.api.mandate_answers import DraftRequest
    from answerable.client import mandate_calls, registry_calls
    from answerable.sdk.keyfile import load_key

    signing_key = load_key(key)
    given = _by_name(values, "a value is given as NAME=VALUE")
    with shell.control() as control:
        for parameter in registry_calls.show_template(control, template).parameters:
            name, title = parameter.name, parameter.title
            if name in given:
                continue
            question = f"{title} ({name})" if title else name
            given[name] = shell.terminal.asked(question, otherwise=f"give {name}=VALUE")
        draft = mandate_calls.draft_mandate(
            control, template, DraftRequest(principal=person, parameters=given)
        )
        _signed_into_force(shell, control, draft, giver=person, key=signing_key)
    return None


def run_schedule(shell: Shell, schedule: Scheduled, key: SchedulerKey) -> int | None:
    """Issue the mandate of a schedule that is due.

    For a scheduler: asks nothing, and gives what the schedule says for this time, once.
    """
    from answerable.client import mandate_calls
    from answerable.sdk.keyfile import load_key

    signing_key = load_key(key)
    with shell.control() as control:
        draft = mandate_calls.draft_scheduled(control, schedule)
        giver = f"{SCHEDULE_PREFIX}{schedule}"
        _signed_into_force(shell, control, draft, giver=giver, key=signing_key, ask=False)
    return None


def _signed_into_force(
    shell: Shell, control: Control, draft: Draft, *, giver: str, key: SigningKey, ask: bool = True
) -> None:
    """Show the mandate, ask for confirmation, sign, register, and print the id."""
    from answerable.api.members import Token
    from answerable.client import mandate_calls
    from answerable.sdk.signing import signed_mandate

    terms, sentences = _read_draft(draft, giver)
    for sentence in sentences:
        shell.terminal.say(sentence)
    if ask and not shell.terminal.confirmed("Sign this mandate?", yes=shell.yes):
        raise CLI_NOT_CONFIRMED("not confirmed: nothing was signed")
    token = signed_mandate(terms, audience=draft.audience, key=key)
    mandate = mandate_calls.issue_mandate(control, Token(token=token))
    if shell.terminal.as_json:
        shell.terminal.json(mandate)
        return
    shell.terminal.line(mandate.id)
    shell.terminal.say(f"in force until {mandate.expires_at}; `answerable mandate close` ends it")


def list_mandates(shell: Shell, state: State = None) -> int | None:
    """Mandates, newest first."""
    from answerable.client import mandate_calls

    with shell.control() as control:
        items = list(mandate_calls.list_mandates(control, state=state or None))
    if shell.terminal.as_json:
        shell.terminal.json(items)
        return None
    shell.terminal.table(
        ("id", "state", "agent", "principal", "calls", "until", "purpose"),
        [
            (
                one.id,
                one.state,
                one.agent,
                one.principal,
                f"{'?' if one.counted_in else one.calls_used}/{one.calls_max}",
                one.expires_at,
                _cut(one.purpose),
            )
            for one in items
        ],
        empty="there is no mandate: `answerable mandate templates` lists what can be issued",
    )
    return None


def show(shell: Shell, id: Id) -> int | None:
    """Show one mandate, in sentences."""
    from answerable.client import mandate_calls

    with shell.control() as control:
        _show(shell, mandate_calls.show_mandate(control, id))
    return None


@ends_authority("the mandate may still be open")
def close(shell: Shell, id: Id) -> int | None:
    """Close a mandate, at once.

    The next action under it is refused.
    """
    from answerable.client import mandate_calls

    with ending(shell) as control:
        before = mandate_calls.show_mandate(control, id)
        if not shell.terminal.confirmed(
            f"Close the mandate of {before.agent}: {before.purpose}?", yes=shell.yes
        ):
            raise CLI_NOT_CONFIRMED("not confirmed: the mandate stays open")
        mandate = mandate_calls.close_mandate(control, id)
    if shell.terminal.as_json:
        shell.terminal.json(mandate)
    else:
        shell.terminal.say(f"mandate {mandate.id} is {mandate.state}")
    return None


def _draft(control: Control, template: str, person: str, values: list[str] | None) -> Draft:
    from answerable.api.mandate_answers import DraftRequest
    from answerable.client import mandate_calls

    parameters = _by_name(values, "--set takes NAME=VALUE")
    return mandate_calls.draft_mandate(
        control, template, DraftRequest(principal=person, parameters=parameters)
    )


def _by_name(values: list[str] | None, says: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for value in values or ():
        name, given, text = value.partition("=")
        if not given or not name:
            raise CLI_SET(f"{says}, got {shown(value)}")
        if name in found:
            raise CLI_SET(f"{shown(name)} is given twice")
        found[name] = text
    return found


def _read_draft(draft: Draft, person: str) -> tuple[MandateTerms, tuple[str, ...]]:
    """Return the terms to be signed, and the sentences derived from those same terms, so that what is signed is what is
    displayed."""
    from answerable.core.mandate.left_out import LeftOut
    from answerable.core.mandate.preview import preview
    from answerable.core.mandate.token import terms_of

    terms = terms_of(draft.claims)
    if terms.principal != person or draft.claims.get("aud") != draft.audience:
        raise CLI_DRAFT()
    beside = LeftOut(
        capabilities=draft.beside.capabilities,
        environments=draft.beside.environments,
        beyond=draft.beside.beyond,
    )
    return terms, preview(terms, titles=draft.titles, beside=beside)


def _show(shell: Shell, mandate: Mandate) -> None:
    if shell.terminal.as_json:
        shell.terminal.json(mandate)
        return
    shell.terminal.record(
        [
            ("id", mandate.id),
            ("state", " · ".join(one for one in (mandate.state, mandate.because) if one)),
            ("agent", mandate.agent),
            ("principal", mandate.principal),
            ("owner", mandate.owner),
            ("application", mandate.application),
            ("use case", mandate.use_case),
            ("purpose", mandate.purpose),
            ("counted in", mandate.counted_in),
            ("calls", _used(mandate, mandate.calls_used, mandate.calls_max)),
            *((name, _used(mandate, one.used, one.limit)) for name, one in sorted(mandate.budgets.items())),
            ("from", mandate.not_before),
            ("until", mandate.expires_at),
            ("intent", mandate.intent_hash),
            ("authority", mandate.authority_hash),
            ("says", mandate.sentences),
        ]
    )


def _cut(text: str) -> str:
    return text if len(text) <= _SHORT_PURPOSE_CHARS else f"{text[:_SHORT_PURPOSE_CHARS]}…"


def _used(mandate: Mandate, used: int, limit: int) -> str:
    """Return how much of a budget is used, as far as this process knows it."""
    return f"{'?' if mandate.counted_in else used} of {limit}"
