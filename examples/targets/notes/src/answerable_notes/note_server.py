"""A small note service with accounts: what a broker acts on. It knows nothing of Answerable.

It speaks lines of JSON over TCP. The first line of a connection logs in; each further line is one request, and has one
line as its answer: `{"ok": …}`, or `{"refused": "why"}`. The account `admin` makes and removes accounts, each for one
folder. Run it: `python -m answerable_notes.note_server FOLDER`; it writes its port to FOLDER/port and takes the
password of `admin` from FOLDER/password.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ADMIN = "admin"
LINE_BYTES_MAX = 65_536
ACCOUNTS_MAX = 10_000
NOTES_MAX = 10_000


class RefusedRequest(Exception):
    """The service does not do what was asked; the message says why."""


@dataclass
class Account:
    """expires: Unix milliseconds."""

    password: str
    folder: str
    verbs: list[str]
    expires: int
    open: set[asyncio.StreamWriter] = field(default_factory=set)


@dataclass
class NoteServer:
    """The service. mood: empty, or how it misbehaves for tests: `hang`, `lie` or `echo`."""

    password: str
    notes: dict[str, str] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    mood: str = ""
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    async def start(self, port: int = 0) -> int:
        """Listen on loopback; return the port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port, limit=LINE_BYTES_MAX)
        found: int = self._server.sockets[0].getsockname()[1]
        return found

    async def stop(self) -> None:
        """Close every connection; accounts and notes stay."""
        if self._server is not None:
            self._server.close()
        for writer in [*self._open]:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        name, account = "", None
        try:
            while line := await reader.readline():
                try:
                    asked = json.loads(line)
                    if not name:
                        name, account = self._logged_in(asked)
                        if account is not None:
                            account.open.add(writer)
                        said: dict[str, Any] = {"ok": True}
                    elif account is None:
                        said = {"ok": self._administer(asked)}
                    else:
                        said = {"ok": await self._use(name, account, asked, writer)}
                except RefusedRequest as refused:
                    said = {"refused": str(refused)}
                writer.write(json.dumps(said).encode() + b"\n")
                await writer.drain()
        except (OSError, ValueError, KeyError, TypeError):
            return
        finally:
            self._open.discard(writer)
            if account is not None:
                account.open.discard(writer)
            writer.close()

    def _logged_in(self, asked: dict[str, Any]) -> tuple[str, Account | None]:
        name, password = str(asked["login"]), str(asked["password"])
        account = None if name == ADMIN else self._account(name)
        kept = self.password if account is None else account.password
        if not hmac.compare_digest(password.encode(), kept.encode()):
            raise RefusedRequest("login: no such account")
        return name, account

    def _account(self, name: str) -> Account:
        account = self.accounts.get(name)
        if account is None or time.time() * 1000 >= account.expires:
            raise RefusedRequest("login: no such account")
        return account

    def _administer(self, asked: dict[str, Any]) -> Any:
        name = str(asked.get("account", ""))
        match asked["do"]:
            case "list":
                return sorted(self.accounts)
            case "remove":
                account = self.accounts.pop(name, None)
                cut = [] if account is None else [*account.open]
                for writer in cut:
                    writer.transport.abort()
                return len(cut)
            case "create":
                if name in self.accounts or len(self.accounts) >= ACCOUNTS_MAX:
                    raise RefusedRequest("create: the account is there already, or there are too many")
                self.accounts[name] = Account(
                    str(asked["password"]), str(asked["folder"]), [*asked["verbs"]], int(asked["expires"])
                )
                return True
        if name not in self.accounts:
            raise RefusedRequest("no such account")
        account = self.accounts[name]
        if asked["do"] == "extend":
            account.expires = max(account.expires, int(asked["expires"]))
            return True
        return sorted(f"{verb} {account.folder}" for verb in account.verbs)

    async def _use(
        self, name: str, account: Account, asked: dict[str, Any], writer: asyncio.StreamWriter
    ) -> str:
        if self.mood == "hang":
            await asyncio.sleep(3600)
        if self.mood == "lie":
            writer.write(b"HTTP/1.1 200 OK\r\n")
        if self.mood == "echo":
            raise RefusedRequest(f"{name} with the password {account.password} is out of luck")
        verb, note = str(asked["do"]), str(asked["note"])
        folder, _, title = note.partition("/")
        if self._account(name) is not account:
            raise RefusedRequest("login: no such account")
        if verb not in account.verbs or folder != account.folder or not title:
            raise RefusedRequest(f"{name} may not {verb} this note")
        if verb == "write":
            if len(self.notes) >= NOTES_MAX and note not in self.notes:
                raise RefusedRequest("there are too many notes")
            self.notes[note] = str(asked["text"])
        if note not in self.notes:
            raise RefusedRequest("there is no such note")
        return self.notes[note]


async def main(folder: Path) -> None:
    """Serve until the process is ended."""
    service = NoteServer(password=(folder / "password").read_text().strip())
    service.notes["case-7/summary"] = "A parcel is missing."
    service.notes["case-8/summary"] = "A refund is asked for."
    port = await service.start()
    (folder / "port.new").write_text(str(port))
    (folder / "port.new").rename(folder / "port")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
