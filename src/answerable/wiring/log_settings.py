"""Settings of the logs of targets that are followed."""

from __future__ import annotations

import shlex
from codecs import BOM_UTF8
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from answerable.core.attribution.followed import JOURNAL, Followed
from answerable.core.attribution.log_line import LOG_KINDS
from answerable.core.identity.names.principal import checked_name
from answerable.errors import Malformed, shown
from answerable.errors.codes.services import SETTINGS_VALUE
from answerable.extras import is_here
from answerable.plain_file import NotPlain, read_plain
from answerable.setting_fields import about, flag, number, texts
from answerable.targets.api_access import address_faults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.core.attribution.log_line import LogKind

LOGS_MAX: Final = 64
_OPTIONS: Final = ("account", "prefix", "zone", "region", "endpoint", "keys", "unit")
_BUCKET: Final = ("region", "endpoint", "keys")
_SEVERAL: Final = frozenset(("account", "unit"))
_FORM: Final = (
    "TARGET KIND PATH, and then account=, zone= or prefix=, of a bucket region=, keys= and endpoint=, "
    "or of a journal unit="
)
_DELIVERED: Final = "cloudtrail"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogsSettings:
    """Logs of targets that the process that answers searches follows."""

    follow: tuple[str, ...] = texts(
        (),
        f"logs that are followed, each as {_FORM}, quoted as in a shell. TARGET: whose log it is, several with commas; "
        "KIND: as of `answerable attribute`; PATH: of the file that is written to, and with `*` in its name where each "
        "file gets a name of its own, `s3://BUCKET/PREFIX` of CloudTrail, or `journal:` or `journal:/DIRECTORY` of "
        "journald; account: one that only the broker is to "
        "use, as often as there are; keys: of a bucket, a file with `access_key` and `secret_key` as JSON; unit: of a "
        "journal, a service whose entries alone are read, as often as there are",
    )
    silent_seconds: int = number(
        300,
        "how long actions at a target may go without a line of its log until that is told",
        unit="seconds",
        minimum=10,
        maximum=86_400,
    )
    accounts: bool = flag(
        False,
        "keep the names of all accounts that followed logs have lines of, with times and numbers, for `answerable "
        "account list`; they are names of people and services, too",
    )
    standing: Path = field(
        default=Path("target-logs.json"),
        metadata=about("file with how far each log was read", unit="path"),
    )


def followed_in(settings: LogsSettings, data: Path) -> tuple[Followed, ...]:
    """Return the logs that are followed. data: where relative paths start. Raises Malformed as `_parsed`."""
    return tuple(_parsed(line, data) for line in settings.follow)


def log_faults(settings: LogsSettings, data: Path, *, has_process: bool) -> Iterator[tuple[str, str]]:
    """Yield each faulty key with the fault, beyond the form of each field. has_process: whether the process that
    answers searches runs."""
    wanted = settings.follow
    if wanted and not has_process:
        yield "logs.follow", "needs `search.enabled`: the process that answers searches follows logs"
    if len(wanted) > LOGS_MAX:
        yield "logs.follow", f"at most {LOGS_MAX} logs can be followed"
    names = set()
    for line in wanted:
        try:
            found = _parsed(line, data)
        except (Malformed, ValueError) as error:
            yield "logs.follow", f"{shown(line, 120)}: {error}"
            continue
        if found.name in names:
            yield "logs.follow", f"{shown(line, 120)}: this log is followed already"
        names.add(found.name)


def require_files(settings: LogsSettings, data: Path) -> None:
    """Raise Malformed (`settings.value`) where a file that is followed is none, or none of its kind. One that is not
    there yet is waited for."""
    for line, log in zip(settings.follow, followed_in(settings, data), strict=True):
        if log.region or log.is_journal or "*" in Path(log.path).name:
            continue
        try:
            begin = read_plain(Path(log.path), len(BOM_UTF8) + 1)
        except IsADirectoryError:
            fault = "it is a directory"
        except NotPlain:
            fault = "it is a pipe or a device, and no plain file"
        except OSError:
            # What may not be read here may be read by the account that runs the server.
            continue
        else:
            if log.kind != "journald" or not begin or begin.removeprefix(BOM_UTF8).startswith(b"{"):
                continue
            fault = "it is no output of `journalctl -o json`; a journal itself is followed as `journal:`"
        raise SETTINGS_VALUE(f"{shown(line, 120)}: {fault}")


def _parsed(line: str, data: Path) -> Followed:
    """Read one log. Raises Malformed (`name.*`, `attribute.*`), and ValueError with what is at fault."""
    # The readers are not needed where no log is followed.
    from answerable.adapters.log_readers import LinePrefix, offset_of

    words = shlex.split(line)
    if len(words) < 3:
        raise ValueError(f"expected {_FORM}")
    targets = tuple(str(checked_name(one, what="target")) for one in words[0].split(","))
    options: dict[str, list[str]] = {name: [] for name in _OPTIONS}
    for word in words[3:]:
        name, equals, value = word.partition("=")
        if name not in options or not equals or not value:
            raise ValueError(f"expected {', '.join(f'{one}=' for one in _OPTIONS)}, got {shown(word, 40)}")
        options[name].append(value)
    if any(len(values) > 1 for name, values in options.items() if name not in _SEVERAL):
        raise ValueError("only account= and unit= can be given several times")
    if options["zone"] and offset_of(options["zone"][0]) is None:
        raise ValueError("a zone is an offset such as +01:00")
    if options["prefix"]:
        # A faulty one is told before anything is followed.
        LinePrefix(options["prefix"][0])
    kind = _kind(words[1])
    if kind == _DELIVERED:
        path = _bucket(words[2], options)
    elif any(options[name] for name in _BUCKET):
        raise ValueError(
            "region=, endpoint= and keys= are of a bucket, s3://BUCKET/PREFIX, with kind cloudtrail"
        )
    elif words[2].startswith(JOURNAL):
        path = _journal(words[2], kind, options)
    else:
        path = str(data / Path(words[2]).expanduser())
    if options["unit"] and not path.startswith(JOURNAL):
        raise ValueError("unit= is of a journal, `journal:` or `journal:/DIRECTORY`, with kind journald")
    return Followed(
        targets=targets,
        kind=kind,
        path=path,
        accounts=frozenset(options["account"]),
        prefix="".join(options["prefix"]),
        zone="".join(options["zone"]),
        region="".join(options["region"]),
        endpoint="".join(options["endpoint"]),
        keys=str(data / Path(options["keys"][0]).expanduser()) if options["keys"] else "",
        units=tuple(options["unit"]),
    )


def _journal(path: str, kind: LogKind, options: dict[str, list[str]]) -> str:
    """Check what a journal needs, and return its path. Raises ValueError."""
    from answerable.adapters.log_readers import journal_of

    if kind != "journald":
        raise ValueError("a journal is read with kind journald")
    journal_of(path, tuple(options["unit"]))
    return path


def _bucket(path: str, options: dict[str, list[str]]) -> str:
    """Check what a bucket needs, and return its path. Raises ValueError."""
    from answerable.adapters.log_readers import names_of

    try:
        names_of(path)
    except ValueError as fault:
        raise ValueError(f"{fault}, with region= and keys=: what CloudTrail delivers is read there") from None
    if missing := [f"{one}=" for one in ("region", "keys") if not options[one]]:
        there = f"{' and '.join(missing)} {'are' if len(missing) > 1 else 'is'} missing"
        raise ValueError(f"a bucket needs region= and keys=, the path of a file: {there}")
    for endpoint in options["endpoint"]:
        if faults := address_faults(endpoint, setting="endpoint"):
            raise ValueError("; ".join(faults))
    if not is_here("botocore"):
        raise ValueError('a bucket is read with botocore: pip install "answerable[aws]"')
    return path


def _kind(word: str) -> LogKind:
    for kind in LOG_KINDS:
        if kind == word:
            return kind
    kinds = ", ".join(LOG_KINDS)
    raise ValueError(f"no log of kind {shown(word, 40)} is followed: expected one of {kinds}")
