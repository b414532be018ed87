"""Read the settings: one TOML file becomes one frozen tree, and all its faults are reported at once.

Every limit is a field with its unit and a safe default, so an empty or absent file is a complete configuration. An
unknown key is a fault. Secrets are references (`file:PATH`, `env:NAME`), never values. Relative paths start at the data
directory. No other module reads the environment.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, fields, is_dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from answerable.errors import Malformed, Unavailable, shown
from answerable.errors.codes.leases import SECRET_REFERENCE, SECRET_UNREADABLE
from answerable.errors.codes.services import CLI_DIRECTORY, SETTINGS_FAULTS, SETTINGS_VALUE
from answerable.plain_file import read_plain
from answerable.setting_fields import references_in
from answerable.wiring.announcing_settings import announcing_faults
from answerable.wiring.broker_settings import broker_faults
from answerable.wiring.channel_settings import channel_faults
from answerable.wiring.click_settings import click_faults
from answerable.wiring.console_settings import console_faults
from answerable.wiring.containment_settings import containment_faults
from answerable.wiring.identity_settings import identity_faults
from answerable.wiring.log_settings import log_faults
from answerable.wiring.name_settings import name_faults
from answerable.wiring.provider_settings import provider_faults
from answerable.wiring.setting_tree import SECTIONS, GatewaySettings, Settings, described
from answerable.wiring.shard_settings import shard_faults, with_shard
from answerable.wiring.telemetry_settings import telemetry_faults
from answerable.wiring.token_settings import token_faults
from answerable.wiring.toml_text import TOMLDecodeError, toml_in
from answerable.wiring.walk_settings import walk_faults
from answerable.wiring.witness_settings import witness_faults

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FILE_NAME: Final = "answerable.toml"
FILE_BYTES_MAX: Final = 262_144
SECRET_BYTES_MAX: Final = 65_536

_DATA_VARIABLE: Final = "ANSWERABLE_DATA"
_DATA_DEFAULT: Final = ".answerable"
_SUGGESTION_CUTOFF: Final = 0.6

Toml: TypeAlias = "dict[str, Any]"


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingFault:
    """One fault. line: 1-based, or 0 if it concerns no line. key: dotted, empty for the file as a whole."""

    line: int
    key: str
    message: str

    def text(self, file: str) -> str:
        """Return `FILE:LINE: KEY: message`."""
        where = f"{file}:{self.line}" if self.line else file
        return f"{where}: {self.key}: {self.message}" if self.key else f"{where}: {self.message}"


def product_directory(given: Path | None) -> Path:
    """Return the data directory: the given one, else that of the environment variable ANSWERABLE_DATA, else
    `./.answerable`.

    Raises Malformed (`cli.directory`) if the path cannot be resolved: an unknown user, or a working directory that is
    gone.
    """
    chosen = given or Path(os.environ.get(_DATA_VARIABLE) or _DATA_DEFAULT)
    try:
        return Path(os.path.abspath(chosen.expanduser()))
    except (RuntimeError, OSError):
        raise CLI_DIRECTORY(
            f"there is no directory {shown(chosen)} from here: name the data directory in full with --data"
        ) from None


def is_directory_named(given: Path | None) -> bool:
    """Whether the data directory was named, by option or environment variable."""
    return given is not None or bool(os.environ.get(_DATA_VARIABLE))


def load_settings(data: Path, config: Path | None = None) -> Settings:
    """Read `config`, or `answerable.toml` of the data directory if there is one.

    Raises Malformed (`settings.faults`) that names the first fault and counts the others; `faults` lists them all.
    """
    settings, found, file = _loaded(data, config)
    if settings is None or found:
        more = f" (and {len(found) - 1} more: run `answerable check-config`)" if len(found) > 1 else ""
        raise SETTINGS_FAULTS(f"settings: {found[0].text(file)}{more}")
    return settings


def faults(data: Path, config: Path | None = None) -> tuple[str, ...]:
    """Return every fault of the settings, one line each, including unreadable secrets; empty when there is none."""
    settings, found, file = _loaded(data, config)
    if settings is not None:
        found += [*_unreadable_secrets(settings)]
    return tuple(fault.text(file) for fault in sorted(found, key=lambda fault: (fault.line, fault.key)))


def secret(reference: str, *, data: Path) -> bytes:
    """Return the bytes that a reference points at: of a file, or of an environment variable.

    Raises Malformed (`secret.reference`) when it is not a reference, Unavailable (`secret.unreadable`) when nothing is
    found. Neither message contains the secret.
    """
    kind, _, name = reference.partition(":")
    if kind == "env" and name:
        value = os.environ.get(name)
        if value is None:
            raise SECRET_UNREADABLE(f"environment variable {shown(name)} is not set")
        return value.encode()
    if kind == "file" and name:
        try:
            content = read_plain(data / Path(name).expanduser(), SECRET_BYTES_MAX + 1)
        except OSError as error:
            raise SECRET_UNREADABLE(
                f"secret file {shown(name)} cannot be read: {(error.strerror or 'unknown fault').lower()}"
            ) from None
        if len(content) > SECRET_BYTES_MAX:
            raise SECRET_REFERENCE(f"secret file {shown(name)} holds more than {SECRET_BYTES_MAX} bytes")
        return content
    # The value may be the secret itself, so it is not shown.
    raise SECRET_REFERENCE("a secret is a reference, `file:PATH` or `env:NAME`, never a value")


def _loaded(data: Path, config: Path | None) -> tuple[Settings | None, list[SettingFault], str]:
    path = config or data / FILE_NAME
    name = str(config) if config else FILE_NAME
    try:
        content = read_plain(path, FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        if config is None:
            content = b""
        else:
            return None, [SettingFault(line=0, key="", message="there is no such file")], name
    except OSError as error:
        why = (error.strerror or "unknown fault").lower()
        return None, [SettingFault(line=0, key="", message=f"cannot be read: {why}")], name
    if len(content) > FILE_BYTES_MAX:
        return None, [SettingFault(line=0, key="", message=f"more than {FILE_BYTES_MAX} bytes")], name
    settings, found = parse_settings(content, data=data)
    return settings, found, name


def parse_settings(content: bytes, *, data: Path) -> tuple[Settings | None, list[SettingFault]]:
    """Return a tree and no fault, or no tree and every fault. Does no I/O."""
    try:
        text = content.decode()
        tree = toml_in(text)
    except UnicodeDecodeError as error:
        return None, [SettingFault(line=0, key="", message=f"not UTF-8: at byte {error.start}")]
    except TOMLDecodeError as error:
        line = getattr(error, "lineno", None) or _line_in(str(error))
        said = str(error).split(" (at ", 1)[0]
        return None, [SettingFault(line=line, key="", message=f"not TOML: {said[:1].lower()}{said[1:]}")]
    reader = _Reader(tree, lines_of(text), data)
    settings = reader.settings()
    return (None, reader.found) if reader.found else (settings, [])


class _Reader:
    """Builds the tree and collects every fault."""

    def __init__(self, tree: Toml, lines: Mapping[str, int], data: Path) -> None:
        self.found: list[SettingFault] = []
        self._tree = tree
        self._lines = lines
        self._data = data

    def settings(self) -> Settings:
        for key in self._tree:
            if key not in SECTIONS:
                self._fault(key, unknown_key("section", key, SECTIONS))
        built = {name: self._section(name, kind) for name, kind in SECTIONS.items()}
        settings = Settings(data=self._data, **built)
        self._check_gateway(settings.gateway)
        for key, message in (
            *witness_faults(settings.witnesses),
            *shard_faults(settings),
            *identity_faults(settings.identity),
            *token_faults(settings.tokens),
            *announcing_faults(settings.announcing),
            *telemetry_faults(settings.telemetry),
            *containment_faults(settings.containment),
            *broker_faults(settings.broker),
            *console_faults(settings.console),
            *channel_faults(settings.channels),
            *walk_faults(settings.walk),
            *click_faults(settings),
            *log_faults(settings.logs, settings.data, has_process=settings.search.enabled),
            *provider_faults(settings),
        ):
            self._fault(key, message)
        if settings.ledger.shard and not self.found:
            # Build the tree without the shard first, to distinguish default sockets from configured ones.
            settings = with_shard(
                replace(settings, ledger=replace(settings.ledger, shard="")), settings.ledger.shard
            )
        for key, message in name_faults(settings):
            self._fault(key, message)
        return settings

    def _section(self, name: str, kind: type) -> Any:
        table = self._tree.get(name, {})
        if not isinstance(table, dict):
            self._fault(name, f"expected a section `[{name}]`, got {_kind(table)}")
            table = {}
        known = {one.name: one for one in fields(kind)}
        for key in table:
            if key not in known:
                self._fault(f"{name}.{key}", unknown_key("key", key, known))
        values: dict[str, object] = {}
        for key, one in known.items():
            values[key] = (
                self._value(f"{name}.{key}", table[key], one.default) if key in table else one.default
            )
            if isinstance(values[key], Path):
                values[key] = self._data / cast("Path", values[key]).expanduser()
        return kind(**values)

    def _value(self, key: str, value: object, default: object) -> object:
        section, _, name = key.partition(".")
        kind = next(one for one in fields(SECTIONS[section]) if one.name == name)
        _, unit, minimum, maximum = described(section, name, kind.metadata)
        try:
            return checked_value(value, default, unit=unit, minimum=minimum, maximum=maximum)
        except Malformed as fault:
            return self._fault(key, fault.message, default)

    def _check_gateway(self, gateway: GatewaySettings) -> None:
        if bool(gateway.tls_certificate) != bool(gateway.tls_key):
            missing = "tls_key" if gateway.tls_certificate else "tls_certificate"
            self._fault(
                f"gateway.{missing}", "a certificate and its key must be set together: this one is missing"
            )
        if gateway.tls_client_ca and not gateway.tls_certificate:
            self._fault(
                "gateway.tls_client_ca", "client certificates need `tls_certificate` and `tls_key` too"
            )
        if not _is_loopback(gateway.host) and not gateway.tls_certificate:
            self._fault(
                "gateway.host",
                f"{shown(gateway.host)} is not loopback: set `tls_certificate` and `tls_key`, or listen on 127.0.0.1",
            )

    def _fault(self, key: str, message: str, default: object = None) -> object:
        self.found.append(SettingFault(line=self._lines.get(key, 0), key=key, message=message))
        return default


def checked_value(
    value: object,
    default: object,
    *,
    unit: str,
    minimum: float | None,
    maximum: float | None,
    references: tuple[str, ...] = ("file:PATH", "env:NAME"),
) -> object:
    """Return a value checked against a setting's default, unit and bounds. references: kinds of references accepted for
    a secret. Raises Malformed (`settings.value`)."""
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise SETTINGS_VALUE(f"expected {unit}, got {_kind(value)}")
        return value
    if isinstance(default, int | float):
        whole = isinstance(default, int)
        if type(value) is not int and (whole or not isinstance(value, float)):
            raise SETTINGS_VALUE(
                f"expected {'a whole number' if whole else 'a number'} of {unit}, got {_kind(value)}"
            )
        if minimum is not None and maximum is not None and not minimum <= value <= maximum:
            raise SETTINGS_VALUE(f"expected {minimum} to {maximum} {unit}, got {value}")
        return value
    if isinstance(default, tuple):
        if default and all(type(one) is int for one in default):
            if not isinstance(value, list) or not all(type(item) is int for item in value):
                raise SETTINGS_VALUE(f"expected a list of whole numbers, got {_kind(value)}")
            return tuple(value)
        if not isinstance(value, list):
            raise SETTINGS_VALUE(f"expected a list of texts, got {_kind(value)}")
        for place, item in enumerate(value, 1):
            if not isinstance(item, str):
                raise SETTINGS_VALUE(f"expected a list of texts, and item {place} is {_kind(item)}")
        return tuple(value)
    if not isinstance(value, str):
        raise SETTINGS_VALUE(f"expected text, got {_kind(value)}")
    if "\0" in value:
        raise SETTINGS_VALUE("must not contain a zero character")
    if isinstance(default, Path):
        if not value:
            raise SETTINGS_VALUE("expected a path, got empty text")
        return Path(value)
    if unit == "secret reference" and value and not _is_reference(value, references):
        known = " or ".join(f"`{one}`" for one in references)
        raise SETTINGS_VALUE(f"a secret is a reference, {known}, never a value")
    return value


def _unreadable_secrets(settings: Settings) -> Iterator[SettingFault]:
    for section in (getattr(settings, one.name) for one in fields(settings)):
        if not is_dataclass(section) or isinstance(section, type):
            continue
        name = next(key for key, kind in SECTIONS.items() if isinstance(section, kind))
        for one in fields(section):
            for reference in references_in(getattr(section, one.name), one.metadata.get("unit")):
                try:
                    secret(reference, data=settings.data)
                except (Malformed, Unavailable) as error:
                    yield SettingFault(line=0, key=f"{name}.{one.name}", message=error.message)


def lines_of(text: str) -> dict[str, int]:
    """Return the line on which each key is written, parsing statement by statement, because `tomllib` does not report
    lines."""
    found: dict[str, int] = {}
    here: tuple[str, ...] = ()
    pending: list[str] = []
    start = 0
    for number, line in enumerate(text.splitlines(), start=1):
        if not pending:
            start = number
        pending.append(line)
        try:
            statement = toml_in("\n".join(pending))
        except TOMLDecodeError:
            continue  # The value continues on the next line.
        pending = []
        header = line.lstrip().startswith("[") and start == number
        if header:
            here = ()
        steps, below = list(here), statement
        while below:
            key, value = next(iter(below.items()))
            steps.append(key)
            found.setdefault(".".join(steps), start)
            below = value[0] if header and isinstance(value, list) else value
            below = below if isinstance(below, dict) else {}
        if header:
            here = tuple(steps)
    return found


def _line_in(message: str) -> int:
    """Return the line in an error's text: `tomllib` before Python 3.14 reports it only there."""
    _, _, rest = message.partition("(at line ")
    digits = rest.partition(",")[0]
    return int(digits) if digits.isdigit() else 0


def unknown_key(what: str, key: str, known: Mapping[str, object]) -> str:
    close = get_close_matches(key[:60], known, n=1, cutoff=_SUGGESTION_CUTOFF)
    hint = f"did you mean `{close[0]}`?" if close else f"known here: {', '.join(known)}"
    return f"unknown {what} {shown(key, 60)}; {hint}"


def _kind(value: object) -> str:
    match value:
        case bool():
            return "true or false"
        case str():
            return "text"
        case int() | float():
            return "a number"
        case list():
            return "a list"
        case dict():
            return "a section"
        case _:
            return "a date"


def _is_reference(value: str, references: tuple[str, ...]) -> bool:
    kind, _, name = value.partition(":")
    return kind in {one.partition(":")[0] for one in references} and bool(name)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
