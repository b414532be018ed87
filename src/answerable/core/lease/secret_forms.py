"""Find secrets in a configuration file by the form of a value, by its name, and by the file's name.

Laws: each finding has its line; references to secrets and placeholders are not reported; the run time is linear in the
length of the input, and findings per file are bounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.core.lease.standing import StandingKind

FOUND_MAX: Final = 1_000
PIECE_CHARS: Final = 20_000
OVERLAP_CHARS: Final = 8_000
VALUE_CHARS_MIN: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSecret:
    """A finding. value: to be fingerprinted and dropped; hidden in every representation."""

    kind: StandingKind
    line: int
    name: str
    value: str = field(repr=False)


_FORMS: Final[tuple[tuple[StandingKind, str], ...]] = (
    ("cloud_key", r"(?:AKIA|ASIA)[A-Z2-7]{16}"),
    ("cloud_key", r"AIza[A-Za-z0-9_-]{35}"),
    ("cloud_key", r"ya29\.[A-Za-z0-9_-]{20,400}"),
    ("source_host_token", r"gh[pousr]_[A-Za-z0-9]{30,255}"),
    ("source_host_token", r"github_pat_[A-Za-z0-9_]{22,255}"),
    ("source_host_token", r"glpat-[A-Za-z0-9_-]{20,64}"),
    ("model_key", r"sk-(?:ant-|proj-|live-)?[A-Za-z0-9_-]{16,200}"),
    ("token", r"xox[abeoprs]-[A-Za-z0-9-]{10,200}"),
    ("token", r"[rs]k_(?:live|test)_[A-Za-z0-9]{16,200}"),
    ("token", r"hv[sb]\.[A-Za-z0-9_-]{20,300}"),
    ("token", r"npm_[A-Za-z0-9]{36}"),
    ("token", r"eyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{10,1000}"),
)
_VALUES: Final = tuple(
    (kind, re.compile(rf"(?<![A-Za-z0-9_])(?:{form})(?![A-Za-z0-9_])")) for kind, form in _FORMS
)
_URL: Final = re.compile(
    r"([a-z][a-z0-9+.-]{1,20})://([^\s:/@\"'<>]{0,100}):([^\s/@\"'<>]{1,200})@[A-Za-z0-9\[]"
)
_PEM: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]{0,30}PRIVATE KEY)-----")
_ASSIGNED: Final = re.compile(
    r"""(?:^|[\s,{(\["'&?;:/])(?:export\s+|set\s+|-{1,2})?["']?([A-Za-z0-9_.-]{2,80})["']?\s*"""
    r"""(?:[:=]>?|["']\s*,)\s*(?:(?:Bearer|Basic|Token)\s+)?["']?((?:(?:Bearer|Basic|Token)\s+)?[^\s"',;#}\])]{1,4000})"""
)
_SECRET_NAME: Final = re.compile(
    r"(?:^|[_.-])(?:api[_-]?key|apikey|access[_-]?key|account[_-]?key|auth|authorization|client[_-]?key[_-]?data|"
    r"client[_-]?secret|credentials?|key[_-]?data|pass|passphrase|passwd|password|pgpassword|sshpass|"
    r"private[_-]?key|pwd|refresh[_-]?token|secret|secret[_-]?key|secret[_-]?access[_-]?key|token|pat)$",
    re.IGNORECASE,
)
_NO_SECRET: Final = re.compile(
    r"(?i)(?:file|env|store|issuer|op|vault|secretref|arn|aws|gcp|keychain):.*|\$.*|%.*%|<.*|\{.*|\[.*|.*\$\{.*|"
    r"-{3,}.*|true|false|null|none|nil|yes|no|[0-9.]{1,12}|x{3,}.*|\*+|\.{3}.*|/.*|~.*|\./.*|"
    r"changeme|change[_-]me|example|placeholder|redacted|required|optional|string|str|password|secret|token|your[_-].*"
)
_NAME_BEFORE: Final = re.compile(
    r"""([A-Za-z0-9_.-]{2,80})["']?\s*[:=,>]?\s*["']?(?:(?:Bearer|Token)\s+)?$"""
)
_FLAG: Final = re.compile(r"""\s*(?:-\s+)?["']?-{1,2}([A-Za-z0-9][A-Za-z0-9_-]{1,60})["']?,?\s*""")
FLAG_CHARS_MAX: Final = 200
_LIST_MARKS: Final = " \t-\"',"
_HUMPS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_BEARER: Final = re.compile(r"^(?:Bearer|Basic|Token)\s+", re.IGNORECASE)


def secrets_in(name: str, text: str) -> Iterator[FoundSecret]:
    """Yield each secret in a file of this name, once for a line and value; at most FOUND_MAX."""
    seen: set[tuple[int, str]] = set()
    for one in _all(name, text):
        if (one.line, one.value) not in seen:
            seen.add((one.line, one.value))
            yield one
            if len(seen) >= FOUND_MAX:
                return


def _all(name: str, text: str) -> Iterator[FoundSecret]:
    lines = text.splitlines()
    by_file = {".pgpass": _pgpass, "pgpass.conf": _pgpass, ".netrc": _netrc, "_netrc": _netrc}.get(name)
    if by_file is not None:
        yield from by_file(lines)
    for number, whole in enumerate(lines, start=1):
        for line in _pieces(whole):
            if found := _PEM.search(line):
                body = line[found.end() :].strip() or "".join(lines[number : number + 3])
                yield FoundSecret(kind="private_key", line=number, name=found[1].lower(), value=body or line)
            yield from _by_value(number, line)
            yield from _by_name(name, number, line)
        flag = _FLAG.fullmatch(whole) if len(whole) <= FLAG_CHARS_MAX else None
        if flag and number < len(lines):
            # A list with one command-line argument on each line.
            yield from _by_name(
                name, number + 1, f"{flag[1]}={lines[number].strip(_LIST_MARKS)[:PIECE_CHARS]}"
            )


def _pieces(line: str) -> Iterator[str]:
    """Split a line into overlapping pieces, so that even the longest secret is complete in one of them."""
    for start in range(0, max(1, len(line) - OVERLAP_CHARS), PIECE_CHARS - OVERLAP_CHARS):
        yield line[start : start + PIECE_CHARS]


def _by_value(number: int, line: str) -> Iterator[FoundSecret]:
    for kind, pattern in _VALUES:
        for found in pattern.finditer(line):
            yield FoundSecret(kind=kind, line=number, name=_name_before(line, found.start()), value=found[0])
    for found in _URL.finditer(line):
        if not _NO_SECRET.fullmatch(found[3]):
            name = f"{found[1]} URL of {found[2]}" if found[2] else f"{found[1]} URL"
            is_web = found[1].startswith("http")
            yield FoundSecret(
                kind="password" if is_web else "database_password", line=number, name=name, value=found[3]
            )


def _by_name(file: str, number: int, line: str) -> Iterator[FoundSecret]:
    for found in _ASSIGNED.finditer(line):
        name, value = found[1], _BEARER.sub("", found[2])
        if not _SECRET_NAME.search(_HUMPS.sub("_", name)) or _NO_SECRET.fullmatch(value):
            continue
        if len(value) >= VALUE_CHARS_MIN and not any(pattern.search(value) for _, pattern in _VALUES):
            yield FoundSecret(kind=_kind_of(file, name), line=number, name=name, value=value)


def _kind_of(file: str, name: str) -> StandingKind:
    low = _HUMPS.sub("_", name).lower()
    if file == "config.json" and low in {"auth", "identitytoken"}:
        return "registry_login"
    if "key_data" in low.replace("-", "_") or (file.startswith("kube") and low == "token"):
        return "cluster_credential"
    if "aws" in low or "secret_access_key" in low or "account_key" in low:
        return "cloud_key"
    if any(one in low for one in ("openai", "anthropic", "gemini", "mistral", "cohere", "model_")):
        return "model_key"
    if any(one in low for one in ("github", "gitlab", "bitbucket", "gitea")):
        return "source_host_token"
    if any(one in low for one in ("pg", "postgres", "mysql", "mariadb", "redis", "mongo", "db_", "database")):
        return "database_password"
    if "private" in low:
        return "private_key"
    return "password" if any(one in low for one in ("pass", "pwd")) else "token"


def _name_before(line: str, start: int) -> str:
    before = _NAME_BEFORE.search(line[max(0, start - 120) : start])
    return before[1] if before else ""


def _pgpass(lines: list[str]) -> Iterator[FoundSecret]:
    for number, line in enumerate(lines, start=1):
        parts = re.split(r"(?<!\\):", line.strip())
        if len(parts) == 5 and not line.lstrip().startswith("#") and parts[4]:
            yield FoundSecret(
                kind="database_password", line=number, name=f"{parts[3]} at {parts[0]}", value=parts[4]
            )


def _netrc(lines: list[str]) -> Iterator[FoundSecret]:
    machine = ""
    for number, line in enumerate(lines, start=1):
        words = line.split("#")[0].split()
        for word, value in pairwise(words):
            if word == "machine":
                machine = value
            elif word == "password":
                yield FoundSecret(kind="password", line=number, name=machine, value=value)
