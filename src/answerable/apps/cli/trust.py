"""`answerable trust`: show this server's trust domain and bundle, rotate its keys, revoke an authority."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.ending import ends_authority
from answerable.errors.codes.services import CLI_NOT_CONFIRMED

if TYPE_CHECKING:
    from answerable.api.trust_answers import TrustDomain

AuthorityId = Annotated[str, typer.Argument(help="Id of the authority, or its beginning.", metavar="ID")]
Now = Annotated[
    bool,
    typer.Option(
        "--now",
        help="Sign with them at once: verifiers that have not fetched the new bundle refuse what they sign.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the noun `trust`."""
    noun = typer.Typer(no_args_is_help=True, help="The SPIFFE trust domain: authorities, bundle, federation.")
    command(noun, "show", reads=True)(show)
    command(noun, "bundle")(bundle)
    command(noun, "rotate", reads=True, asks=True)(rotate)
    command(noun, "remove", reads=True, asks=True)(remove)
    app.add_typer(noun, name="trust")


def show(shell: Shell) -> int | None:
    """Authorities with their states and ends, and federated domains."""
    from answerable.client import trust_calls

    with shell.control() as control:
        found = trust_calls.show_trust_domain(control)
    _show(shell, found)
    return None


def bundle(shell: Shell) -> int | None:
    """Print the trust bundle, as others configure it (a JWK Set)."""
    with shell.control() as control:
        found = control.get("/v1/trust-domain/bundle")
    shell.terminal.json(found)
    return None


def rotate(shell: Shell, now: Now = False) -> int | None:
    """Begin the next generation of signing keys.

    Without --now they sign once verifiers have had time to fetch them. Done automatically at half a key's lifetime.
    """
    from answerable.api.trust_answers import Rotation
    from answerable.client import trust_calls

    if not shell.terminal.confirmed(
        "Sign with new keys at once?" if now else "Prepare new keys?", yes=shell.yes
    ):
        raise CLI_NOT_CONFIRMED("not confirmed: nothing was changed")
    with shell.control() as control:
        found = trust_calls.rotate_authority(control, Rotation(activate=now))
    _show(shell, found)
    return None


@ends_authority("what the authority signed may still count")
def remove(shell: Shell, authority: AuthorityId) -> int | None:
    """Revoke everything that one authority signed: it leaves the bundle, and its keys are destroyed.

    Works without a server too, where the keys are lost and the server does not start.
    """
    from answerable.client import trust_calls

    if not shell.terminal.confirmed(f"Revoke all that authority {authority} signed?", yes=shell.yes):
        raise CLI_NOT_CONFIRMED("not confirmed: nothing was changed")
    with shell.control() as control:
        found = trust_calls.remove_authority(control, authority)
    _show(shell, found)
    return None


def _show(shell: Shell, found: TrustDomain) -> None:
    if shell.terminal.as_json:
        shell.terminal.json(found)
        return
    shell.terminal.record([("trust domain", found.trust_domain), ("sequence", found.sequence)])
    shell.terminal.table(
        ("authority", "state", "since", "until"),
        [(one.id, one.state, one.since, one.not_after) for one in found.authorities],
        empty="no authority: the trust domain is not open",
    )
    if found.federated:
        shell.terminal.table(
            ("federated", "profile", "state", "sequence", "fault"),
            [(one.trust_domain, one.profile, one.state, one.sequence, one.fault) for one in found.federated],
            empty="",
        )
