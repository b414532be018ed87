"""Settings of the logs of targets that are followed."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from answerable.core.attribution.followed import Followed
from answerable.core.attribution.log_line import LOG_KINDS
from answerable.core.identity.names.principal import checked_name
from answerable.errors import Malformed, shown
from answerable.setting_fields import about, number, texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.core.attribution.log_line import LogKind

LOGS_MAX: Final = 64
_OPTIONS: Final = ("account", "prefix", "zone")
_FORM: Final = "TARGET KIND PATH, and then account=NAME, zone=OFFSET or prefix=TEXT"
_DELIVERED: Final = "cloudtrail"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogsSettings:
    """Logs of targets that the process that answers searches follows."""

    follow: tuple[str, ...] = texts(
        (),
        f"logs that are followed, each as {_FORM}, quoted as in a shell. TARGET: whose log it is, several with commas; "
        "KIND: as of `answerable attribute`; PATH: of the file that is written to, and with `*` in its name where each "
        "file gets a name of its own; account: one that only the broker is to use, as often as there are",
    )
    silent_seconds: int = number(
        300,
        "how long actions at a target may go without a line of its log until that is told",
        unit="seconds",
        minimum=10,
        maximum=86_400,
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
            raise ValueError(f"expected account=, zone= or prefix=, got {shown(word, 40)}")
        options[name].append(value)
    if max(len(options["prefix"]), len(options["zone"])) > 1:
        raise ValueError("a log has one prefix and one zone")
    if options["zone"] and offset_of(options["zone"][0]) is None:
        raise ValueError("a zone is an offset such as +01:00")
    if options["prefix"]:
        # A faulty one is told before anything is followed.
        LinePrefix(options["prefix"][0])
    return Followed(
        targets=targets,
        kind=_kind(words[1]),
        path=str(data / Path(words[2]).expanduser()),
        accounts=frozenset(options["account"]),
        prefix="".join(options["prefix"]),
        zone="".join(options["zone"]),
    )


def _kind(word: str) -> LogKind:
    for kind in LOG_KINDS:
        if kind == word and kind != _DELIVERED:
            return kind
    kinds = ", ".join(one for one in LOG_KINDS if one != _DELIVERED)
    raise ValueError(f"no log of kind {shown(word, 40)} is followed: expected one of {kinds}")
