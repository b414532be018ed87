"""The public suite, on a note service that runs in the test."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack

import anyio
import pytest
from answerable_notes.kind import KIND, NotesSettings
from answerable_notes.note_server import NoteServer
from answerable_notes.wire import FAILURES, Place, SaysNo, logged_in

from answerable.targets import BuiltTarget, Credential, CredentialIssuer, TargetContext, UnixMillis, freeze
from answerable.testing import ManualClock, SeededEntropy
from answerable.testing.contracts.target import TargetBench, TargetContract

pytestmark = pytest.mark.anyio

PASSWORD = "the broker's own"  # noqa: S105 - of the service in the test


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class NotesBench(TargetBench):
    kind = KIND
    scope = freeze({"folder": "case-7", "verbs": ["read"]})
    hostile = (
        freeze({"folder": "case-7/../case-8", "verbs": ["read"]}),
        freeze({"folder": "case-8\n", "verbs": ["read"]}),
        freeze({"folder": "*", "verbs": ["read"]}),
        freeze({"folder": "case-7", "verbs": ["read", "remove"]}),
    )
    call = ("read", {"note": "case-7/summary"})

    def __init__(self) -> None:
        self.calls_beside = {
            "another folder": ("read", {"note": "case-8/summary"}),
            "another verb": ("write", {"note": "case-7/summary", "text": "x"}),
            "a path out of it": ("read", {"note": "case-7/../case-8/summary"}),
        }
        notes = {"case-7/summary": "A parcel is missing.", "case-8/summary": "A refund is asked for."}
        self.service = NoteServer(password=PASSWORD, notes=notes)
        self.sessions = AsyncExitStack()

    async def begin(self) -> None:
        self.port = await self.service.start()
        self.built = self.build()
        self.issuer = self.built.issuer

    def build(self) -> BuiltTarget:
        settings = NotesSettings(port=self.port, password="file:password")  # noqa: S106 - a reference
        context = TargetContext(
            clock=ManualClock(), entropy=SeededEntropy(), secret_of=lambda _: PASSWORD.encode()
        )
        return KIND.build(settings, context)

    def rebuilt(self) -> CredentialIssuer:
        return self.build().issuer

    def now(self) -> UnixMillis:
        return UnixMillis(int(time.time() * 1000))

    async def does(self, credential: Credential, do: str, note: str) -> bool:
        place, password = Place("127.0.0.1", self.port), credential.secret.reveal("password")
        try:
            async with logged_in(place, credential.account, password) as line:
                await line.ask(do=do, note=note, text="x")
        except (SaysNo, *FAILURES):
            return False
        return True

    async def use(self, credential: Credential) -> bool:
        return await self.does(credential, "read", "case-7/summary")

    def neighbours(self) -> Mapping[str, Callable[[Credential], Awaitable[bool]]]:
        async def folder(credential: Credential) -> bool:
            return await self.does(credential, "read", "case-8/summary")

        async def verb(credential: Credential) -> bool:
            return await self.does(credential, "write", "case-7/summary")

        return {"another folder": folder, "another verb": verb}

    async def hold_open(self, credential: Credential) -> Callable[[], Awaitable[bool]] | None:
        place, password = Place("127.0.0.1", self.port), credential.secret.reveal("password")
        line = await self.sessions.enter_async_context(logged_in(place, credential.account, password))

        async def is_working() -> bool:
            try:
                await line.ask(do="read", note="case-7/summary")
            except (SaysNo, *FAILURES):
                return False
            return True

        return is_working

    async def stop(self) -> bool:
        await self.service.stop()
        return True

    async def start(self) -> None:
        await self.service.start(self.port)

    async def passed(self, credential: Credential) -> None:
        await anyio.sleep((credential.expires_at - self.now()) / 1000 + 0.05)

    async def hang(self) -> bool:
        return self.misbehaves("hang")

    async def lie(self) -> bool:
        return self.misbehaves("lie")

    async def echo(self) -> bool:
        return self.misbehaves("echo")

    async def mend(self) -> None:
        self.service.mood = ""

    def misbehaves(self, mood: str) -> bool:
        self.service.mood = mood
        return True


class TestNotes(TargetContract):
    @pytest.fixture
    async def bench(self) -> AsyncIterator[NotesBench]:
        made = NotesBench()
        await made.begin()
        async with made.sessions:
            yield made
        await made.service.stop()
