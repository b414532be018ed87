"""Determine which stored secrets the broker can change at their targets, and which targets use which secrets."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.errors import AnswerableError, Malformed, shown
from answerable.errors.codes.leases import SECRET_UNROTATABLE, TARGET_KIND, TARGET_UNKNOWN
from answerable.flows.leases.rotate_account import OwnSecret, rotate_account
from answerable.flows.leases.secret_desk import SecretState
from answerable.targets.kind import OWN_SETTING, TargetContext
from answerable.wiring.secret_store import STORE, has_store, open_secrets, others_of, secrets_of
from answerable.wiring.target_files import SUFFIX, checked_targets, faulty_targets, secrets_named

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from answerable.core.lease.stored_secret import StoredSecret
    from answerable.ports.admin_account import AdminAccount
    from answerable.ports.entropy import Entropy
    from answerable.ports.secret_store import SecretStore
    from answerable.targets.kind import BuiltTarget
    from answerable.wiring.setting_tree import Settings
    from answerable.wiring.target_files import TargetFile


def target_context(settings: Settings, name: str) -> TargetContext:
    """Return the dependencies with which the target of this name is built."""
    by = f"target {name}"
    return TargetContext(
        clock=SystemClock(),
        entropy=SystemEntropy(),
        secret_of=secrets_of(settings, by=by),
        others_of=others_of(settings, by=by),
        state_file=state_folder(settings) / name,
    )


def state_folder(settings: Settings) -> Path:
    """Return the folder in which targets remember what must outlive the broker, a file each."""
    return settings.broker.directory / "state"


def built_targets(settings: Settings, found: Iterable[TargetFile]) -> list[tuple[TargetFile, BuiltTarget]]:
    """Build every target; none is contacted. Raises Malformed (`target.faults`) that names the file whose plug-in
    cannot build it, and whatever a kind raises itself, such as for a secret that cannot be read."""
    built = []
    for one in found:
        try:
            built.append((one, one.kind.build(one.settings, target_context(settings, one.name))))
        except Malformed as fault:
            if fault.code != TARGET_KIND.id:
                raise
            raise faulty_targets([f"{one.name}{SUFFIX}: {fault.message}"]) from None
    return built


@dataclass(slots=True)
class _Uses:
    """Uses of one secret. own: accounts whose password it is, with the reason if it cannot be changed. other: other
    references to it."""

    own: list[tuple[str, AdminAccount | None, str]] = field(default_factory=list)
    other: list[str] = field(default_factory=list)


def broker_secrets(targets: Iterable[tuple[TargetFile, BuiltTarget]]) -> dict[str, OwnSecret]:
    """Return every secret of the store that a target refers to. A secret with several users is never changed: changing
    it would lock the others out."""
    uses: dict[str, _Uses] = {}
    for target, built in targets:
        for setting, reference in secrets_named(target).items():
            if not reference.startswith(STORE):
                continue
            use = uses.setdefault(reference.removeprefix(STORE), _Uses())
            if setting == OWN_SETTING:
                use.own.append((target.name, built.own, built.why_not))
            else:
                use.other.append(f"{setting} of target {target.name}")
    return {name: _own(name, use) for name, use in uses.items()}


def secrets_used(targets: Iterable[TargetFile]) -> dict[str, frozenset[str]]:
    """Return the names of the secrets that each target refers to: stored ones by their names, others by setting and
    target."""
    return {
        target.name: frozenset(
            one.removeprefix(STORE) if one.startswith(STORE) else _name_elsewhere(target, setting)
            for setting, one in secrets_named(target).items()
        )
        for target in targets
    }


def secrets_elsewhere(settings: Settings, targets: Iterable[TargetFile]) -> dict[str, str]:
    """Return the secrets in files and variables that targets refer to, by setting and target. Unreadable ones are left
    out: nobody can use them either."""
    found = {}
    read = secrets_of(settings)
    for target in targets:
        for setting, reference in secrets_named(target).items():
            if not reference.startswith(STORE):
                with suppress(AnswerableError, UnicodeDecodeError):
                    found[_name_elsewhere(target, setting)] = read(reference).decode().strip()
    return found


def _name_elsewhere(target: TargetFile, setting: str) -> str:
    return f"{setting} of target {target.name}"


def secret_desk(
    settings: Settings, targets: Iterable[TargetFile], own: Mapping[str, OwnSecret], entropy: Entropy
) -> SecretState:
    """Build the secret state of a running broker."""
    if not settings.broker.rotate_accounts:
        own = {name: OwnSecret(name=name, why_not="`broker.rotate_accounts` is off") for name in own}
    return SecretState(
        opens=partial(_opened, settings),
        clock=SystemClock(),
        entropy=entropy,
        own=own,
        used_by=secrets_used(targets),
        refuses_exposed=settings.broker.refuse_exposed,
        elsewhere=partial(secrets_elsewhere, settings, tuple(targets)),
    )


def own_secret_of(settings: Settings, target: str) -> OwnSecret:
    """Return the secret of the broker's own account at this target. Raises Refused (`secret.unrotatable`), and as
    `checked_targets` and building do."""
    found = checked_targets(settings.broker.targets)
    named = next((one for one in found if one.name == target), None)
    if named is None:
        known = ", ".join(one.name for one in found) or "none"
        raise TARGET_UNKNOWN(f"there is no target {shown(target)}: expected one of {known}")
    reference = secrets_named(named).get(OWN_SETTING, "")
    if not reference.startswith(STORE):
        raise SECRET_UNROTATABLE(
            f"target {shown(target)} has no `{OWN_SETTING}` in the store: keep it there (`answerable secret put NAME`) "
            f'and refer to it (`{OWN_SETTING} = "store:NAME"`)'
        )
    return broker_secrets(built_targets(settings, found))[reference.removeprefix(STORE)]


async def rotate_at(settings: Settings, target: str) -> StoredSecret:
    """Give the broker's own account at this target a new password, at the target and in the store. Raises as
    `own_secret_of` and `rotate_account`."""
    own = own_secret_of(settings, target)
    return await rotate_account(open_secrets(settings), own, SystemEntropy())


def _own(name: str, use: _Uses) -> OwnSecret:
    first = use.own[0] if use.own else None
    if first is None:
        return OwnSecret(name=name, why_not=f"it is {use.other[0]}, which the broker cannot change there")
    target, account, why_not = first
    if account is None:
        return OwnSecret(name=name, why_not=f"target {target}: {why_not}")
    others = use.other + [
        f"the password of target {one}"
        for one, its, _ in use.own[1:]
        if its is None or its.place != account.place
    ]
    if others:
        return OwnSecret(
            name=name,
            why_not=f"it is the password of target {target}, and also {others[0]}: give each a secret of its own",
        )
    return OwnSecret(name=name, account=account)


def _opened(settings: Settings) -> SecretStore | None:
    return open_secrets(settings) if has_store(settings) else None
