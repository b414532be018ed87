"""Contract suite of a kind of target: its declaration, its issuer and its tools. A package that adds a kind subclasses
`TargetContract`, provides a fixture `bench`, and marks its tests `anyio`.

A case about something that the target does not have is skipped under the name of what is missing; it never passes.
"""

from __future__ import annotations

from abc import abstractmethod
from contextlib import asynccontextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Final

import anyio

from answerable.errors import Refused, Unavailable
from answerable.targets import API
from answerable.testing.contracts.claims import claim, lacks, raises
from answerable.testing.contracts.credential_issuer import CredentialIssuerContract, IssuerBench

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.targets import BuiltTarget, Credential, CredentialIssuer, Performed, TargetKind

CALL_SECONDS_MAX: Final = 10.0
SHORT_SECONDS: Final = 0.5
WAIT_SECONDS_MAX: Final = 30.0
HINTS: Final = ("destructiveHint", "idempotentHint", "openWorldHint", "readOnlyHint")
Call = tuple[str, "Mapping[str, JSONValue]"]
"""A tool and its arguments."""


class TargetBench(IssuerBench):
    """A real target of one kind. kind: its declaration. built: by `kind.build`; `issuer` is its issuer.

    call: one that `scope` allows. calls_beside: calls that the tools accept and `scope` does not allow, by what they
    are.
    """

    kind: TargetKind
    built: BuiltTarget
    call: Call
    calls_beside: Mapping[str, Call]

    @abstractmethod
    def rebuilt(self) -> CredentialIssuer:
        """Build the issuer anew, as a broker does that was killed and started again."""

    async def hang(self) -> bool:
        """Make the target take calls and answer none of them until `mend`; False if that cannot be done here."""
        return False

    async def lie(self) -> bool:
        """Make the target answer calls with what is no answer until `mend`; False if that cannot be done here."""
        return False

    async def echo(self) -> bool:
        """Make the target put the secret of the session into its answers until `mend`; False if that cannot be done
        here."""
        return False

    async def mend(self) -> None:
        """Make the target answer as usual."""
        return

    async def perform(
        self, credential: Credential, call: Call, *, seconds_max: float = CALL_SECONDS_MAX
    ) -> Performed:
        """Perform a call by the target's tools, on a session of its own."""
        async with self.built.target.connected(credential) as session:
            return await session.perform(*call, tag="", seconds_max=seconds_max)


async def was_let(bench: TargetBench, credential: Credential, call: Call) -> bool:
    """Whether the target carried a call out."""
    try:
        done = await bench.perform(credential, call)
    except (Refused, Unavailable):
        return False
    return not done.result.get("isError")


@asynccontextmanager
async def mended(bench: TargetBench) -> AsyncIterator[None]:
    """Let the target answer as usual afterwards."""
    try:
        yield
    finally:
        await bench.mend()


class TargetContract(CredentialIssuerContract):
    """Contract cases for any kind of target, those of its issuer included. The target behind `bench` belongs to the
    test, and has no lease when a test begins."""

    async def test_its_declaration_is_whole(self, bench: TargetBench) -> None:
        kind = bench.kind
        claim(kind.api == API, f"it is written for API {API}, got {kind.api}")
        claim(bool(kind.name), "it has a name")
        for one in fields(kind.settings):
            claim(bool(one.metadata.get("says")), f"`{one.name}` says what it is for")
            claim(bool(one.metadata.get("unit")), f"`{one.name}` has a unit")
        # Every setting has a default, and an empty file has faults in words at most.
        told = kind.faults(kind.settings())
        claim(all(isinstance(one, str) and bool(one) for one in told), "faults are texts")

    async def test_its_tools_are_described_whole(self, bench: TargetBench) -> None:
        tools = bench.built.target.tools()
        claim(bool(tools), "there is a tool")
        claim(tools == bench.built.target.tools(), "they stay the same")
        for tool in tools:
            for name in ("name", "title", "description"):
                claim(isinstance(tool.get(name), str) and bool(tool[name]), f"a tool has a {name}")
            schema, hints = tool.get("inputSchema"), tool.get("annotations")
            claim(isinstance(schema, dict) and schema.get("type") == "object", "arguments are an object")
            claim(isinstance(schema, dict) and schema.get("additionalProperties") is False, "and no others")
            claim(isinstance(hints, dict) and sorted(hints) == [*HINTS], "it gives all four hints")

    async def test_a_tool_does_what_the_scope_says(self, bench: TargetBench) -> None:
        credential = await bench.issuer.issue(bench.order())
        done = await bench.perform(credential, bench.call)
        claim(not done.result.get("isError"), f"the target lets it, got {done.result}")
        claim(isinstance(done.result.get("content"), list), "the result has content")

    async def test_a_tool_does_nothing_beside_the_scope(self, bench: TargetBench) -> None:
        claim(bool(bench.calls_beside), "there is something beside it")
        if bench.issuer.traits.boundary == "nobody":
            lacks("bounded by its target or the broker")
        credential = await bench.issuer.issue(bench.order())
        let = [what for what, call in bench.calls_beside.items() if await was_let(bench, credential, call)]
        claim(not let, f"what was not granted is refused; it let {let}")
        claim(await was_let(bench, credential, bench.call), "and what was is let still")

    async def test_what_is_no_call_of_a_tool_is_refused(self, bench: TargetBench) -> None:
        credential = await bench.issuer.issue(bench.order())
        tool, arguments = bench.call
        for call in (("no such tool", arguments), (tool, {**arguments, "noSuchArgument": 1})):
            with raises(Refused, "target.arguments", "nothing is sent"):
                await bench.perform(credential, call)

    async def test_a_tool_does_nothing_with_what_was_revoked(self, bench: TargetBench) -> None:
        if not bench.issuer.traits.revocable:
            lacks("revocable")
        credential = await bench.issuer.issue(bench.order())
        claim(await was_let(bench, credential, bench.call), "it works at first")
        await bench.issuer.revoke(credential.lease)
        claim(not await was_let(bench, credential, bench.call), "and no more")

    async def test_a_session_of_a_tool_ends_with_its_lease(self, bench: TargetBench) -> None:
        if not bench.issuer.traits.cuts_sessions:
            lacks("cuts sessions")
        credential = await bench.issuer.issue(bench.order())
        async with bench.built.target.connected(credential) as session:
            await session.perform(*bench.call, tag="", seconds_max=CALL_SECONDS_MAX)
            await bench.issuer.revoke(credential.lease)
            try:
                done = await session.perform(*bench.call, tag="", seconds_max=CALL_SECONDS_MAX)
            except (Refused, Unavailable):
                return
        claim(bool(done.result.get("isError")), "an open session does nothing more")

    async def test_a_lease_is_ended_while_a_call_runs(self, bench: TargetBench) -> None:
        if not bench.issuer.traits.revocable:
            lacks("revocable")
        credential = await bench.issuer.issue(bench.order())
        async with mended(bench):
            if not await bench.hang():
                lacks("a target that can be made to hang")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(was_let, bench, credential, bench.call)
                await anyio.sleep(SHORT_SECONDS)
                with anyio.fail_after(WAIT_SECONDS_MAX):
                    revoked = await bench.issuer.revoke(credential.lease)
                tasks.cancel_scope.cancel()
        claim(revoked.is_gone, "a call does not keep its lease")
        claim(not await was_let(bench, credential, bench.call), "the target refuses it")

    async def test_a_call_without_an_answer_ends_by_its_limit(self, bench: TargetBench) -> None:
        credential = await bench.issuer.issue(bench.order())
        async with mended(bench):
            if not await bench.hang():
                lacks("a target that can be made to hang")
            with anyio.fail_after(WAIT_SECONDS_MAX):
                try:
                    await bench.perform(credential, bench.call, seconds_max=SHORT_SECONDS)
                except Unavailable as late:
                    claim(late.effect == "unknown", f"nobody knows whether it was done, got {late.effect}")
                else:
                    raise AssertionError("a call that nobody answered is no success")

    async def test_what_is_no_answer_is_no_success(self, bench: TargetBench) -> None:
        credential = await bench.issuer.issue(bench.order())
        async with mended(bench):
            if not await bench.lie():
                lacks("a target that can be made to lie")
            claim(not await was_let(bench, credential, bench.call), "it is an error")

    async def test_no_secret_is_in_a_result(self, bench: TargetBench) -> None:
        credential = await bench.issuer.issue(bench.order())
        async with mended(bench):
            if not await bench.echo():
                lacks("a target that can be made to echo")
            try:
                said = str((await bench.perform(credential, bench.call)).result)
            except (Refused, Unavailable) as error:
                said = f"{error} {error.message}"
        for name in credential.secret.names():
            claim(credential.secret.reveal(name) not in said, f"`{name}` is left out")

    async def test_what_a_killed_broker_left_is_listed_and_ended(self, bench: TargetBench) -> None:
        if not bench.issuer.traits.revocable:
            lacks("revocable")
        credential = await bench.issuer.issue(bench.order())
        after = bench.rebuilt()
        claim(credential.lease in await after.live(), "the next process finds it")
        claim((await after.revoke(credential.lease)).is_gone, "and ends it by its name")
        await after.close()
        claim(not await bench.use(credential), "the target refuses it")
