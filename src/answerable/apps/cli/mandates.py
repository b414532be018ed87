"""Mandates: templates, preview, issue, list, show, close. The person's key is read here and goes nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from answerable.apps.cli.command import Shell, command
from answerable.errors import Malformed, Refused, Unverified, shown

if TYPE_CHECKING:
    from answerable.apps.cli.control import Answer, Control
    from answerable.core.canonical import JSONValue
    from answerable.core.mandate.mandate import MandateTerms

Person = Annotated[str, typer.Option("--as", help="Registered name of the person.", metavar="PERSON")]
KeyFile = Annotated[Path, typer.Option("--key", help="That person's key file.", metavar="FILE")]
Template = Annotated[str, typer.Argument(help="Name of the template.", metavar="TEMPLATE")]
Values = Annotated[
    list[str] | None,
    typer.Option("--set", help="Value of one parameter of the template.", metavar="NAME=VALUE"),
]
Id = Annotated[str, typer.Argument(help="Id of the mandate.", metavar="ID")]
State = Annotated[
    str | None, typer.Option(help="Only those that are open, closed, revoked, expired, not_yet or spent.")
]

_SHORT_PURPOSE_CHARS: Final = 60


def register(app: typer.Typer) -> None:
    """Add the noun."""
    group = typer.Typer(no_args_is_help=True, help="Mandates: signed tasks that agents act under.")
    command(group, "templates", reads=True)(list_templates)
    command(group, "preview", reads=True)(preview_mandate)
    command(group, "issue", reads=True, asks=True)(issue)
    command(group, "list", reads=True)(list_mandates)
    command(group, "show", reads=True)(show)
    command(group, "close", reads=True, asks=True)(close)
    app.add_typer(group, name="mandate")


def list_templates(shell: Shell) -> int | None:
    """Templates, and what each asks for."""
    with shell.control() as control:
        items = list(control.every("/v1/templates"))
    if shell.terminal.as_json:
        shell.terminal.json(items)
        return None
    shell.terminal.table(
        ("name", "state", "agent", "use case", "asks for"),
        [
            (
                one["name"],
                "active" if one["active"] else "inactive",
                one["agent"],
                one["use_case"],
                " ".join(f"--set {p['name']}=…" for p in one["parameters"]) or "nothing",
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
        shell.terminal.json({"claims": draft["claims"], "sentences": list(sentences)})
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
    from answerable.sdk.signing import signed_mandate

    signing_key = load_key(key)
    with shell.control() as control:
        draft = _draft(control, template, person, values)
        terms, sentences = _read_draft(draft, person)
        for sentence in sentences:
            shell.terminal.say(sentence)
        if not shell.terminal.confirmed("Sign this mandate?", yes=shell.yes):
            raise Refused("not confirmed: nothing was signed", code="cli.not_confirmed")
        token = signed_mandate(terms, audience=str(draft["audience"]), key=signing_key)
        mandate = control.post("/v1/mandates", {"token": token})
    if shell.terminal.as_json:
        shell.terminal.json(mandate)
    else:
        shell.terminal.line(mandate["id"])
        shell.terminal.say(f"in force until {mandate['expires_at']}; `answerable mandate close` ends it")
    return None


def list_mandates(shell: Shell, state: State = None) -> int | None:
    """Mandates, newest first."""
    with shell.control() as control:
        items = list(control.every("/v1/mandates", **({"state": state} if state else {})))
    if shell.terminal.as_json:
        shell.terminal.json(items)
        return None
    shell.terminal.table(
        ("id", "state", "agent", "principal", "calls", "until", "purpose"),
        [
            (
                one["id"],
                one["state"],
                one["agent"],
                one["principal"],
                f"{one['calls_used']}/{one['calls_max']}",
                one["expires_at"],
                _cut(one["purpose"]),
            )
            for one in items
        ],
        empty="there is no mandate: `answerable mandate templates` lists what can be issued",
    )
    return None


def show(shell: Shell, id: Id) -> int | None:
    """One mandate, in sentences."""
    from answerable.apps.cli.control import segment

    with shell.control() as control:
        _show(shell, control.get(f"/v1/mandates/{segment(id)}"))
    return None


def close(shell: Shell, id: Id) -> int | None:
    """Close a mandate, at once.

    The next action under it is refused.
    """
    from answerable.apps.cli.control import segment

    with shell.control() as control:
        before = control.get(f"/v1/mandates/{segment(id)}")
        if not shell.terminal.confirmed(
            f"Close the mandate of {before['agent']}: {before['purpose']}?", yes=shell.yes
        ):
            raise Refused("not confirmed: the mandate stays open", code="cli.not_confirmed")
        mandate = control.post(f"/v1/mandates/{segment(id)}/close")
    if shell.terminal.as_json:
        shell.terminal.json(mandate)
    else:
        shell.terminal.say(f"mandate {mandate['id']} is {mandate['state']}")
    return None


def _draft(control: Control, template: str, person: str, values: list[str] | None) -> Answer:
    from answerable.apps.cli.control import segment

    parameters: dict[str, JSONValue] = {}
    for value in values or ():
        name, given, text = value.partition("=")
        if not given or not name:
            raise Malformed(f"--set takes NAME=VALUE, got {shown(value)}", code="cli.set")
        if name in parameters:
            raise Malformed(f"--set gives {shown(name)} twice", code="cli.set")
        parameters[name] = text
    return control.post(
        f"/v1/templates/{segment(template)}/draft", {"principal": person, "parameters": parameters}
    )


def _read_draft(draft: Answer, person: str) -> tuple[MandateTerms, tuple[str, ...]]:
    """What would be signed, and the sentences made from that very text: nobody signs what they were not shown."""
    from answerable.core.mandate.preview import preview
    from answerable.core.mandate.token import terms_of

    terms = terms_of(draft["claims"])
    if terms.principal != person or draft["claims"]["aud"] != draft["audience"]:
        raise Unverified("the draft is for somebody or something else", code="cli.draft", step="draft")
    titles = {str(name): str(title) for name, title in draft["titles"].items()}
    return terms, preview(terms, titles=titles)


def _show(shell: Shell, mandate: Answer) -> None:
    if shell.terminal.as_json:
        shell.terminal.json(mandate)
        return
    shell.terminal.record(
        [
            ("id", mandate["id"]),
            ("state", mandate["state"]),
            ("agent", mandate["agent"]),
            ("principal", mandate["principal"]),
            ("use case", mandate["use_case"]),
            ("purpose", mandate["purpose"]),
            ("calls", f"{mandate['calls_used']} of {mandate['calls_max']}"),
            ("from", mandate["not_before"]),
            ("until", mandate["expires_at"]),
            ("says", mandate["sentences"]),
        ]
    )


def _cut(text: str) -> str:
    return text if len(text) <= _SHORT_PURPOSE_CHARS else f"{text[:_SHORT_PURPOSE_CHARS]}…"
