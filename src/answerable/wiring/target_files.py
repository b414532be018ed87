"""Read the files of a broker's targets: one TOML file per target, `NAME.toml`, with its `kind` and that kind's
settings.

They are separate files because they belong to the broker: under its own account, nobody else can read them. All faults
of all files are reported at once.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from answerable.core.identity.names.principal import checked_name
from answerable.core.lease.own_account import OwnAccount
from answerable.errors import AnswerableError, Malformed, shown
from answerable.errors.codes.leases import TARGET_FAULTS, TARGET_FILES, TARGET_KIND
from answerable.errors.codes.services import SETTINGS_VALUE
from answerable.plain_file import read_plain
from answerable.wiring.settings import SettingFault, lines_of, unknown_key
from answerable.wiring.target_kinds import declared_value, installed_kinds, kind_named
from answerable.wiring.toml_text import TOMLDecodeError, toml_in

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from answerable.targets.kind import TargetKind
    from answerable.wiring.target_kinds import Installed

SUFFIX: Final = ".toml"
FILE_BYTES_MAX: Final = 262_144
TARGETS_MAX: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetFile:
    """A target as in its file. settings: an instance of its kind's settings class."""

    name: str
    kind: TargetKind
    settings: Any


ACCOUNT_FIELDS: Final = ("account", "access_key", "app", "client_id", "role_id")
"""Settings that name the account of a secret, in this order."""
REFERENCE: Final = "secret reference"
"""Unit of a setting that refers to a secret."""
REFERENCES: Final = ("store:NAME", "file:PATH", "env:NAME")
PUBLIC: Final = frozenset({"authorities", "certificate", "server_authorities"})
"""Settings that are references but no secrets."""
FILES: Final = frozenset({"refresh_token_file"})
"""Settings that are paths of files which contain only a secret."""


def secrets_named(target: TargetFile) -> dict[str, str]:
    """Return the references to a target's secrets, by setting; never their values."""
    found = {}
    for one in fields(target.settings):
        value = getattr(target.settings, one.name)
        if value and one.metadata.get("unit") == REFERENCE and one.name not in PUBLIC:
            found[one.name] = value
        elif value and one.name in FILES:
            found[one.name] = f"file:{value}"
    return found


def account_named(target: TargetFile) -> str:
    """Return the broker's own account at a target; empty where its settings name none."""
    return next((text for one in ACCOUNT_FIELDS if (text := getattr(target.settings, one, ""))), "")


def own_accounts(target: TargetFile) -> tuple[OwnAccount, ...]:
    """Return the broker's own secrets at a target, without their values and the paths of their files."""
    return tuple(
        OwnAccount(account_named(target), setting, one if one.startswith("store:") else one.partition(":")[0])
        for setting, one in secrets_named(target).items()
    )


def has_targets(directory: Path) -> bool:
    """Whether there is any target file, readable or not."""
    try:
        return any(path.suffix == SUFFIX for path in directory.iterdir())
    except OSError:
        return False


def place_fault(directory: Path) -> str:
    """Return why no target file can exist there; empty if one can."""
    if directory.exists() and not directory.is_dir():
        return f"`broker.targets` names {shown(directory)}, which is not a directory: set one with NAME{SUFFIX} files"
    return ""


def read_targets(directory: Path) -> tuple[list[TargetFile], list[str]]:
    """Return every target, and every fault of every file as a line of text. Raises Unavailable (`target.files`)."""
    try:
        paths = sorted(path for path in directory.iterdir() if path.suffix == SUFFIX)
    except FileNotFoundError:
        return [], []
    except OSError as error:
        raise TARGET_FILES(f"the directory of targets cannot be read: {error.strerror}") from None
    if len(paths) > TARGETS_MAX:
        return [], [f"{directory.name}: at most {TARGETS_MAX} targets, got {len(paths)}"]
    found: list[TargetFile] = []
    faults: list[str] = []
    kinds = installed_kinds() if paths else {}
    for path in paths:
        target, wrong = _read(path, kinds)
        found += [target] if target is not None else []
        faults += [fault.text(path.name) for fault in wrong]
    return found, faults


def checked_targets(directory: Path) -> list[TargetFile]:
    """Return every target. Raises Malformed (`target.faults`) that names the first fault and counts the others,
    Unavailable (`target.files`)."""
    found, faults = read_targets(directory)
    if faults:
        raise faulty_targets(faults)
    return found


def faulty_targets(faults: Sequence[str]) -> Malformed:
    """Return the error (`target.faults`) that names the first fault and counts the others."""
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return TARGET_FAULTS(f"targets: {faults[0]}{more}")


def _read(path: Path, kinds: Installed) -> tuple[TargetFile | None, list[SettingFault]]:
    try:
        name = checked_name(path.stem, what="target")
        content = read_plain(path, FILE_BYTES_MAX + 1)
        if len(content) > FILE_BYTES_MAX:
            raise SETTINGS_VALUE(f"more than {FILE_BYTES_MAX} bytes")
        text = content.decode()
        tree = toml_in(text)
    except OSError as error:
        return None, [SettingFault(line=0, key="", message=f"cannot be read: {error.strerror}")]
    except UnicodeDecodeError as error:
        return None, [SettingFault(line=0, key="", message=f"not UTF-8: at byte {error.start}")]
    except TOMLDecodeError as error:
        return None, [SettingFault(line=0, key="", message=f"not TOML: {error}")]
    except Malformed as fault:
        return None, [SettingFault(line=0, key="", message=fault.message)]
    lines, faults = lines_of(text), []
    kind_name = tree.pop("kind", None)
    try:
        if not isinstance(kind_name, str):
            raise TARGET_KIND("a target file must set `kind`")
        kind = kind_named(kind_name, kinds)
    except Malformed as fault:
        return None, [SettingFault(line=lines.get("kind", 0), key="kind", message=fault.message)]
    known = {one.name: one for one in fields(kind.settings)}
    values: dict[str, object] = {}
    for key, value in tree.items():
        if key not in known:
            faults.append(
                SettingFault(line=lines.get(key, 0), key=key, message=unknown_key("key", key, known))
            )
            continue
        try:
            values[key] = declared_value(value, known[key], REFERENCES)
        except Malformed as fault:
            faults.append(SettingFault(line=lines.get(key, 0), key=key, message=fault.message))
    try:
        settings = kind.settings_from(values)
        faults += [SettingFault(line=0, key="", message=message) for message in kind.faults(settings)]
    except AnswerableError as fault:
        return None, [*faults, SettingFault(line=lines.get("kind", 0), key="kind", message=fault.message)]
    return TargetFile(name=name, kind=kind, settings=settings), faults
