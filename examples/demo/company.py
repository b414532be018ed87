"""The example company on disk: people and agents with keys, registry documents, the systems that agents work with."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from answerable.sdk.keyfile import create_key, public_jwk

EXAMPLES: Final = Path(__file__).resolve().parents[1]
ROOT: Final = EXAMPLES.parent
HOME_DEFAULT: Final = ROOT / ".dev" / "demo-data"
MARKER: Final = ".answerable-demo"
SOCKET_PATH_BYTES_MAX: Final = 107
"""What fits the address of a Unix socket on Linux."""

PEOPLE: Final = ("ada", "bela", "chen", "dora", "emil", "fay")
AGENTS: Final = ("support-agent", "finance-agent", "coding-agent", "orchestrator", "researcher", "writer")
PAYEE: Final = "Linden Bakery"
APPROVAL_TTL_MS: Final = 8 * 60 * 60 * 1000
INVOICES: Final = [
    ("INV-2038", "Lindqvist Print", 89_000, "EUR", "2026-11-10", "paid"),
    ("INV-2041", PAYEE, 128_400, "EUR", "2026-11-28", "open"),
    ("INV-2047", "Harbour Logistics", 412_050, "EUR", "2026-12-03", "open"),
    ("INV-2055", PAYEE, 39_650, "EUR", "2026-12-05", "open"),
    ("INV-2056", "Casa Verde", 71_200, "EUR", "2026-12-11", "open"),
]
COMMITS: Final = [
    ("Start the orders service", "README.md", "# Orders service\n\nSchema changes go to staging first.\n"),
    (
        "Add the orders table",
        "migrations/0041_orders.sql",
        "CREATE TABLE orders (order_id BIGINT PRIMARY KEY, total_minor BIGINT NOT NULL);\n",
    ),
    (
        "Give each order a currency (fails on staging, see OPS-42)",
        "migrations/0042_order_currency.sql",
        "-- Fails on staging: the credentials of postgres-staging do not match the volume pg-main.\n"
        "ALTER TABLE orders ADD COLUMN currency TEXT NOT NULL DEFAULT 'EUR';\n",
    ),
]


class SetUpError(Exception):
    """The demo cannot begin; the message says what is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Where everything of one demo lies. path: the product's data directory; the company has a folder in it."""

    path: Path

    @property
    def company(self) -> Path:
        return self.path / "company"

    @property
    def registry(self) -> Path:
        return self.company / "registry"

    @property
    def repository(self) -> Path:
        """A real git repository, and the workspace in which the coding agent reads files."""
        return self.company / "orders"

    @property
    def crm(self) -> Path:
        return self.company / "crm.db"

    @property
    def payments(self) -> Path:
        return self.company / "payments.db"

    @property
    def volumes(self) -> Path:
        return self.company / "volumes.db"

    @property
    def reports(self) -> Path:
        return self.company / "reports.db"

    @property
    def keys(self) -> Path:
        return self.company / "keys"

    def key(self, name: str) -> Path:
        """The key file of a person or an agent."""
        return self.keys / f"{name}.jwk"


def new_home(wanted: Path | None) -> Home:
    """An empty home. What an earlier demo left there is removed; anything else is left alone.

    Raises SetUpError when something else lies there.
    """
    path = (wanted or HOME_DEFAULT).absolute()
    if len(os.fsencode(path / "control.sock")) > SOCKET_PATH_BYTES_MAX:
        path = Path(tempfile.mkdtemp(prefix="answerable-demo-"))
    elif path.exists() and any(path.iterdir()):
        if not (path / MARKER).exists():
            raise SetUpError(f"{path} holds something else than an earlier demo: name another with --home")
        shutil.rmtree(path)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    (path / MARKER).write_text("Made by `./dev demo`, which removes this folder when it runs again.\n")
    return Home(path=path)


def found_company(home: Home) -> None:
    """Make keys, documents, a repository and a database. Raises SetUpError when a program is missing."""
    make_keys(home)
    make_repository(home.repository)
    make_reports(home.reports)
    make_registry(home)
    # Any free port: the demo must not fail because something else runs on the usual one. Nor because a machine is slow.
    # What waits at the end waits as long as its mandate, so that pages can be read before it is answered.
    settings = f"[gateway]\nport = 0\n[walk]\npreview_ms_max = 60000\napproval_ttl_ms = {APPROVAL_TTL_MS}\n"
    (home.path / "answerable.toml").write_text(settings)


def make_keys(home: Home) -> None:
    """A key for each person and agent; the public halves lie beside the registry documents that name them."""
    published = home.registry / "keys"
    published.mkdir(parents=True)
    home.keys.mkdir(mode=0o700)
    for name in (*PEOPLE, *AGENTS):
        key = create_key(home.key(name), seed=os.urandom(32))
        (published / f"{name}.pub.jwk").write_text(public_jwk(key) + "\n")


def make_repository(path: Path) -> None:
    """A git repository with a short history, made by git itself, untouched by the settings of whoever runs this."""
    if shutil.which("git") is None:
        raise SetUpError("git is not installed; on Debian and Ubuntu: apt-get install git")
    path.mkdir(parents=True)
    _git(path, "init", "--quiet", "--template=", "--initial-branch=main")
    for message, name, text in COMMITS:
        file = path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        _git(path, "add", name)
        _git(path, "commit", "--quiet", "--message", message)


def _git(path: Path, *arguments: str) -> None:
    who = ("-c", "user.name=Emil Sato", "-c", "user.email=emil@company.example")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", *who, *arguments], cwd=path, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SetUpError(f"git {arguments[0]} failed: {done.stderr.strip()}")


def make_reports(path: Path) -> None:
    """The reports database with a table of invoices, amounts in minor units."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "CREATE TABLE invoices (number TEXT PRIMARY KEY, supplier TEXT NOT NULL, amount_minor INTEGER NOT NULL,"
            " currency TEXT NOT NULL, due_on TEXT NOT NULL, status TEXT NOT NULL) STRICT"
        )
        connection.executemany("INSERT INTO invoices VALUES (?, ?, ?, ?, ?, ?)", INVOICES)


def make_registry(home: Home) -> None:
    """Copy the example documents and add one for each server, with the paths of this machine."""
    for document in sorted((EXAMPLES / "registry").glob("*.yaml")):
        shutil.copy(document, home.registry)
    text = yaml.safe_dump_all(servers(home), sort_keys=False)
    (home.registry / "servers.yaml").write_text(text)


def add_support_database(home: Home, *, port: int, password: str) -> None:
    """Tell the broker of a PostgreSQL with the support cases, and the registry what may be done there."""
    targets = home.path / "broker" / "targets"
    targets.mkdir(mode=0o700, parents=True)
    secret = targets / "password"
    secret.touch(mode=0o600)
    secret.write_text(password)
    (targets / "support-db.toml").write_text(
        f'kind = "postgres"\nhost = "127.0.0.1"\nport = {port}\naccount = "answerable"\n'
        'password = "file:password"\ndatabases = ["support"]\n'
    )
    shutil.copy(Path(__file__).with_name("support_db") / "support-db.yaml", home.registry)


def servers(home: Home) -> list[dict[str, object]]:
    """Registry documents of the five upstream servers. Raises SetUpError when one is not installed."""
    upstreams = Path(os.environ.get("ANSWERABLE_UPSTREAMS", ROOT / ".dev" / "upstreams")).absolute()
    git, sqlite = upstreams / "git/bin/mcp-server-git", upstreams / "sqlite/bin/mcp-server-sqlite"
    for program in (git, sqlite):
        if not program.exists():
            raise SetUpError(f"{program} is not there: run this as `./dev demo`, which installs it")
    ours = {"crm": ["--database", str(home.crm)], "payments": ["--database", str(home.payments)]}
    ours["volumes"] = ["--database", str(home.volumes), "--workspace", str(home.repository)]
    commands = {
        name: [sys.executable, str(EXAMPLES / "servers" / f"{name}.py"), *arguments]
        for name, arguments in ours.items()
    }
    commands["git"] = [str(git), "--repository", str(home.repository)]
    commands["sqlite"] = [str(sqlite), "--db-path", str(home.reports)]
    return [
        {
            "apiVersion": "answerable/v1",
            "kind": "Server",
            "metadata": {"name": name},
            "spec": {"command": command, "args": arguments},
        }
        for name, (command, *arguments) in sorted(commands.items())
    ]
