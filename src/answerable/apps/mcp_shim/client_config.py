"""Rewrite an MCP client's configuration so that every server goes through the gateway, and restore it (`answerable mcp
wrap` and `unwrap`).

A wrapped server is wrapped again in one step, with another mandate, key or gateway: no server is reached directly in
between. Values of environment variables may be secrets, and registered documents are written into the ledger; so each
value goes into its own file, mode 0600, and only a reference to that file is registered. Printed differences do not
show the values either.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import yaml

from answerable.core.canonical import parse
from answerable.core.identity.names.principal import checked_name
from answerable.core.registry.documents.documents import Server
from answerable.errors import shown
from answerable.errors.codes.services import (
    CLIENT_CONFIG_MALFORMED,
    CLIENT_CONFIG_NOT_WRAPPED,
    CLIENT_CONFIG_NOTHING_TO_WRAP,
)

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue

SECRETS_SUFFIX: Final = ".answerable-secrets"
SECONDS_MAX: Final = 120
"""Longest call with which a wrapped server is registered: how long the walk waits unless its settings say more."""

_SHIM: Final = ("mcp", "shim")
_INDENT: Final = re.compile(r'\A\s*\{\s*\n([ \t]+)"')
_HTTP_KINDS: Final = frozenset({"http", "streamable-http", "streamable_http", "streamableHttp"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ShimCommand:
    """How a client starts the shim. gateway, key, mandate: as the shim takes them; mandate may be empty."""

    gateway: str
    key: str
    mandate: str = ""
    program: str = "answerable"

    def entry(self, server: str) -> dict[str, JSONValue]:
        """Return the entry that replaces the server with this registered name."""
        args: list[JSONValue] = [*_SHIM, "--server", server, "--gateway", self.gateway, "--key", self.key]
        if self.mandate:
            args += ["--mandate", self.mandate]
        return {"command": self.program, "args": args}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrapped:
    """Result of wrapping. text: the new file. original: the file before anything was wrapped; empty if unknown.
    servers: to be registered, secrets as references.

    secrets: values by path below the file's secrets directory. left: servers that stay unchanged, and why.
    """

    text: str
    original: str = field(repr=False)
    servers: tuple[Server, ...]
    secrets: dict[str, str] = field(repr=False)
    left: tuple[str, ...]


def wrapped(text: str, shim: ShimCommand, *, file: str, backup: str = "") -> Wrapped:
    """Return the configuration with every server behind the shim; unknown members of the file are kept.

    file: its absolute path; secrets go into a directory beside it, and relative working directories start there.
    backup: the file before anything in it was wrapped, if known. A server that is already wrapped gets this shim, with
    its present mandate if `shim` names none.

    Raises Malformed (`client_config.malformed`, `json.*`, `name.invalid`), Refused (`client_config.nothing_to_wrap`).
    """
    config = _config(text)
    before = _servers(_config(backup)) if backup else {}
    servers: list[Server] = []
    secrets: dict[str, str] = {}
    left: list[str] = []
    changed: dict[str, JSONValue] = {}
    originals: dict[str, JSONValue] = {}
    for name, entry in _servers(config).items():
        again = is_wrapped(entry)
        original = originals[name] = before.get(name, entry) if again else entry
        if again:
            changed[name] = replace(shim, mandate=shim.mandate or _option(entry, "--mandate")).entry(
                _option(entry, "--server")
            )
        why = "" if again and is_wrapped(original) else _why_not(original)
        if why:
            left.append(f"{shown(name)}: {why}")
            changed.setdefault(name, entry)
        if why or is_wrapped(original):
            continue
        server = _server(registered_name(name), original, secrets, file)
        if any(server.name == other.name for other in servers):
            raise CLIENT_CONFIG_MALFORMED(
                f"server {shown(name)} and another one would both be called {shown(server.name)}"
            )
        servers.append(server)
        changed.setdefault(name, shim.entry(server.name))
    if not any(is_wrapped(entry) for entry in changed.values()):
        raise CLIENT_CONFIG_NOTHING_TO_WRAP()
    whole: dict[str, JSONValue] = {**config, "mcpServers": originals}
    return Wrapped(
        text=_written({**config, "mcpServers": changed}, like=text),
        # Keep the text byte for byte if nothing was wrapped, or nothing else has changed since.
        original=next(
            (one for one in (text, backup) if one and _config(one) == whole), _written(whole, like=text)
        )
        if servers
        else "",
        servers=tuple(servers),
        secrets=secrets,
        left=tuple(left),
    )


def lost_by(backup: str, text: str) -> tuple[str, ...]:
    """Return the servers of a backup that the file lacks or has in another form. Raises as `wrapped`."""
    entries = _servers(_config(text))
    return tuple(name for name, entry in _servers(_config(backup)).items() if entries.get(name) != entry)


def holds_wrapped(text: str) -> bool:
    """Whether any server of the file already goes through the gateway. Raises as `wrapped`."""
    return any(map(is_wrapped, _servers(_config(text)).values()))


def unwrapped(text: str, original: str) -> str:
    """Return the configuration with every wrapped server as in `original`; other later changes are kept.

    Raises Malformed (`client_config.malformed`, `json.*`), Refused (`client_config.not_wrapped`).
    """
    config, before = _config(text), _servers(_config(original))
    entries = _servers(config)
    if not any(is_wrapped(entry) for entry in entries.values()):
        raise CLIENT_CONFIG_NOT_WRAPPED()
    restored: dict[str, JSONValue] = {}
    for name, entry in entries.items():
        if is_wrapped(entry) and name not in before:
            raise CLIENT_CONFIG_MALFORMED(f"the backup does not hold server {shown(name)}")
        restored[name] = before[name] if is_wrapped(entry) else entry
    whole: dict[str, JSONValue] = {**config, "mcpServers": restored}
    # If nothing else changed, return the original byte for byte.
    return original if whole == _config(original) else _written(whole, like=text)


def is_wrapped(entry: JSONValue) -> bool:
    """Whether an entry starts the shim, by whatever path."""
    args = entry.get("args") if isinstance(entry, dict) else None
    return isinstance(args, list) and tuple(args[:2]) == _SHIM and "--server" in args and "--gateway" in args


def _option(entry: JSONValue, name: str) -> str:
    """Return an option that a wrapped entry passes to the shim; empty if absent."""
    args = entry.get("args") if isinstance(entry, dict) else None
    listed = [str(one) for one in args] if isinstance(args, list) else []
    at = listed.index(name) + 1 if name in listed else len(listed)
    return listed[at] if at < len(listed) else ""


def registered_name(name: str) -> str:
    """Return the registry name for a client's name of a server. Raises Malformed (`name.invalid`)."""
    plain = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-._")
    return checked_name(plain, what=f"server {shown(name)} as")


def server_documents(servers: tuple[Server, ...]) -> str:
    """Return YAML documents for the registry."""
    documents = []
    for server in servers:
        spec: dict[str, object] = {}
        if server.url:
            spec["url"] = server.url
        else:
            spec["command"] = server.command
            if server.args:
                spec["args"] = list(server.args)
            if server.env:
                spec["env"] = dict(server.env)
            if server.cwd:
                spec["cwd"] = server.cwd
        if server.call_seconds_max != Server(name=server.name).call_seconds_max:
            spec["callSecondsMax"] = server.call_seconds_max
        documents.append(
            {"apiVersion": "answerable/v1", "kind": "Server", "metadata": {"name": server.name}, "spec": spec}
        )
    text: str = yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True, width=120)
    return text


def servers_of(text: str) -> tuple[Server, ...]:
    """Return the servers of an `mcpServers` file as registry values, with plain environment values: for trying things
    out.

    Raises Malformed (`client_config.malformed`, `json.*`, `name.invalid`).
    """
    found = []
    for name, entry in _servers(_config(text)).items():
        why = _why_not(entry)
        if why:
            raise CLIENT_CONFIG_MALFORMED(f"server {shown(name)}: {why}")
        secrets: dict[str, str] = {}
        server = _server(registered_name(name), entry, secrets, "")
        values = tuple((key, secrets[f"{server.name}/{key}"]) for key, _ in server.env)
        found.append(
            Server(
                name=server.name,
                command=server.command,
                args=server.args,
                env=values,
                cwd=server.cwd,
                url=server.url,
                call_seconds_max=server.call_seconds_max,
            )
        )
    return tuple(found)


def _config(text: str) -> dict[str, JSONValue]:
    value = parse(text.encode())
    if not isinstance(value, dict):
        raise CLIENT_CONFIG_MALFORMED("a client configuration is a JSON object")
    return value


def _servers(config: dict[str, JSONValue]) -> dict[str, JSONValue]:
    servers = config.get("mcpServers")
    if not isinstance(servers, dict):
        raise CLIENT_CONFIG_MALFORMED("the file has no object `mcpServers`")
    return servers


def _why_not(entry: JSONValue) -> str:
    """Return why a server cannot be put behind the gateway as it is written; empty if it can."""
    if not isinstance(entry, dict):
        return "its entry is not an object"
    kind = entry.get("type", entry.get("transport"))
    if entry.keys() & {"headers", "auth", "oauth"}:
        return "it has credentials of its own (headers or auth), which the registry does not hold"
    if isinstance(entry.get("url"), str):
        known = kind is None or kind in _HTTP_KINDS
        return "" if known else f"its transport {shown(kind, 40)} is not streamable HTTP"
    if not isinstance(entry.get("command"), str) or not entry["command"]:
        return "it has neither a command nor a url"
    args, env = entry.get("args", []), entry.get("env", {})
    if not isinstance(args, list) or not all(isinstance(arg, str) for arg in args):
        return "its args are not a list of texts"
    if not isinstance(env, dict) or not all(isinstance(value, str) for value in env.values()):
        return "its env is not an object of texts"
    return ""


def _server(name: str, entry: JSONValue, secrets: dict[str, str], file: str) -> Server:
    assert isinstance(entry, dict)  # noqa: S101 - `_why_not` has looked
    milliseconds = entry.get("timeout")
    seconds = 60
    if isinstance(milliseconds, int | float) and milliseconds > 0:
        seconds = max(1, min(SECONDS_MAX, round(milliseconds / 1000)))
    url = entry.get("url")
    if isinstance(url, str):
        return Server(name=name, url=url, call_seconds_max=seconds)
    args, env, cwd = entry.get("args", []), entry.get("env", {}), entry.get("cwd", "")
    references: list[tuple[str, str]] = []
    for key, value in env.items() if isinstance(env, dict) else ():
        secrets[f"{name}/{key}"] = str(value)
        references.append((key, f"file:{file}{SECRETS_SUFFIX}/{name}/{key}"))
    return Server(
        name=name,
        command=str(entry["command"]),
        args=tuple(str(arg) for arg in args) if isinstance(args, list) else (),
        env=tuple(references),
        cwd=os.path.normpath(os.path.join(os.path.dirname(file), cwd))
        if isinstance(cwd, str) and cwd
        else "",
        call_seconds_max=seconds,
    )


def _written(config: dict[str, JSONValue], *, like: str) -> str:
    """Return JSON with the indentation of the original file."""
    found = _INDENT.match(like)
    end = "\n" if like.endswith("\n") else ""
    return json.dumps(config, indent=found[1] if found else 2, ensure_ascii=False) + end
