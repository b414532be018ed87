"""Contract suite of the CredentialIssuer port, run against the real target. Subclass it and provide a fixture `bench`.

Whether an action is allowed is determined by using the credential directly at the target, never by asking the issuer.
"""

from __future__ import annotations

import copy
import pickle
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import anyio

from answerable.core.canonical import freeze
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import LeaseOrder
from answerable.core.lease.name import LeaseName, account_of, lease_name, lease_of
from answerable.errors import Refused, Unavailable
from answerable.testing.contracts.claims import claim, lacks, raises

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from answerable.core.lease.credential import Credential
    from answerable.core.lease.scope import Scope
    from answerable.ports.credential_issuer import CredentialIssuer

CONCURRENT: Final = 64
TTL_MS: Final = 60_000
NEVER_ISSUED: Final = lease_name(bytes(15) + b"\xfe")


class IssuerBench(ABC):
    """A real target, its issuer, and direct use of the issued credentials.

    scope: one that can be granted. hostile: scopes that must be refused or, if their texts are only names, must be
    granted under exactly those names; none may have any other effect.
    """

    issuer: CredentialIssuer
    scope: Scope
    hostile: tuple[Scope, ...] = ()

    @abstractmethod
    def now(self) -> UnixMillis:
        """Return the time by which orders are dated."""

    @abstractmethod
    async def use(self, credential: Credential) -> bool:
        """Do what the scope allows, directly on a new connection; whether the target allowed it."""

    @abstractmethod
    def neighbours(self) -> Mapping[str, Callable[[Credential], Awaitable[bool]]]:
        """Return actions next to the scope (another table, verb, queue, host …); each is tried directly and returns
        whether the target allowed it."""

    async def hold_open(self, credential: Credential) -> Callable[[], Awaitable[bool]] | None:
        """Open a session directly and keep it open; return a function that tells whether the session still works. None
        if the target has no sessions."""
        return None

    async def stop(self) -> bool:
        """Make the target unreachable; False if issuing and revoking contact no target."""
        return False

    async def start(self) -> None:
        """Make the target reachable again, with its stored state."""
        return

    async def passed(self, credential: Credential) -> None:
        """Wait, or advance clocks, until the target considers the credential expired."""
        raise NotImplementedError("say how, where `ends_by` is `target`")

    def order(self, number: int = 1, *, of: Scope | None = None, ttl_ms: int = TTL_MS) -> LeaseOrder:
        """Return an order that is distinct for each number. of: a scope other than the bench's."""
        name = lease_name(number.to_bytes(16, "big"))
        return LeaseOrder(
            name=name, scope=self.scope if of is None else of, expires_at=UnixMillis(self.now() + ttl_ms)
        )


async def made_at_once(bench: IssuerBench) -> dict[int, Credential]:
    """Issue many leases concurrently, by their numbers."""
    made: dict[int, Credential] = {}

    async def one(number: int) -> None:
        made[number] = await bench.issuer.issue(bench.order(number))

    async with anyio.create_task_group() as tasks:
        for number in range(1, CONCURRENT + 1):
            tasks.start_soon(one, number)
    return made


async def revoked_at_once(bench: IssuerBench, made: Mapping[int, Credential]) -> None:
    async with anyio.create_task_group() as tasks:
        for credential in made.values():
            tasks.start_soon(bench.issuer.revoke, credential.lease)


def odd_scopes(bench: IssuerBench) -> tuple[Scope, ...]:
    """Return scopes that no issuer fully understands."""
    own = bench.scope.thaw()
    assert isinstance(own, dict)  # noqa: S101 - every grammar of scopes is an object
    return freeze({**own, "unheardOf": True}), freeze({}), freeze([]), freeze(None)


class CredentialIssuerContract:
    """Contract cases for any issuer. The target behind `bench` belongs to the test, and has no lease when a test
    begins."""

    async def test_a_credential_does_what_its_scope_says(self, bench: IssuerBench) -> None:
        credential = await bench.issuer.issue(bench.order())
        claim(await bench.use(credential), "the target lets it")
        claim(credential.lease == bench.order().name, "it says whose it is")
        shortest = bench.now() + bench.issuer.traits.ttl_seconds_min * 1000
        longest = max(bench.order().expires_at, shortest)
        claim(credential.expires_at <= longest + 1000, "it lives no longer than was ordered, or than it must")

    async def test_a_credential_does_nothing_beside_its_scope(self, bench: IssuerBench) -> None:
        claim(bool(bench.neighbours()), "there is something beside it")
        if bench.issuer.traits.boundary != "target":
            lacks("bounded by its target")
        credential = await bench.issuer.issue(bench.order())
        let = [what for what, tried in bench.neighbours().items() if await tried(credential)]
        claim(not let, f"the target refuses what was not granted; it let {let}")
        claim(await bench.use(credential), "and still lets what was")

    async def test_whatever_was_tried_beside_a_scope_it_does_what_it_says(self, bench: IssuerBench) -> None:
        credential = await bench.issuer.issue(bench.order())
        claim(bool(bench.neighbours()), "there is something beside it")
        for tried in bench.neighbours().values():
            await tried(credential)
        claim(await bench.use(credential), "the target still lets what was granted")

    async def test_what_was_revoked_is_refused_by_the_target(self, bench: IssuerBench) -> None:
        if not bench.issuer.traits.revocable:
            lacks("revocable")
        credential = await bench.issuer.issue(bench.order())
        other = await bench.issuer.issue(bench.order(2))
        claim(await bench.use(credential), "it works at first")
        revoked = await bench.issuer.revoke(credential.lease)
        claim(revoked.is_gone and not revoked.left, "all is gone")
        claim(not await bench.use(credential), "the target refuses it")
        claim(await bench.use(other), "and no other lease felt it")

    async def test_what_cannot_be_revoked_says_what_is_left(self, bench: IssuerBench) -> None:
        if bench.issuer.traits.revocable:
            lacks("without revocation")
        credential = await bench.issuer.issue(bench.order())
        claim(await bench.use(credential), "it works at first")
        revoked = await bench.issuer.revoke(credential.lease)
        claim(not revoked.is_gone and bool(revoked.left), "it says what is left, and until when")
        # Without revocation the issuer cannot tell either whether a lease was revoked before or was issued by another
        # process.
        await bench.issuer.revoke(credential.lease)
        await bench.issuer.revoke(NEVER_ISSUED)

    async def test_an_open_session_ends_with_its_lease(self, bench: IssuerBench) -> None:
        if not bench.issuer.traits.cuts_sessions:
            lacks("cuts sessions")
        credential = await bench.issuer.issue(bench.order())
        is_working = await bench.hold_open(credential)
        if is_working is None:
            raise AssertionError("whoever says that sessions are cut shows one")
        claim(await is_working(), "the session works")
        revoked = await bench.issuer.revoke(credential.lease)
        claim(not await is_working(), "when revoking has returned, it does not")
        claim(revoked.sessions_cut >= 1, "and it was counted")

    async def test_an_open_session_does_what_its_scope_says(self, bench: IssuerBench) -> None:
        credential = await bench.issuer.issue(bench.order())
        is_working = await bench.hold_open(credential)
        if is_working is None:
            lacks("sessions that stay open")
        claim(await is_working(), "the session works")
        await bench.issuer.revoke(credential.lease)

    async def test_revoking_again_or_what_nobody_issued_says_that_all_is_gone(
        self, bench: IssuerBench
    ) -> None:
        if not bench.issuer.traits.revocable:
            lacks("revocable")
        claim((await bench.issuer.revoke(NEVER_ISSUED)).is_gone, "nobody issued it")
        credential = await bench.issuer.issue(bench.order())
        await bench.issuer.revoke(credential.lease)
        again = await bench.issuer.revoke(credential.lease)
        claim(again.is_gone, "it is gone already")

    async def test_a_name_is_used_once(self, bench: IssuerBench) -> None:
        if not bench.issuer.traits.revocable:
            lacks("revocable")
        first = await bench.issuer.issue(bench.order())
        with raises(Refused, "lease.taken", "a second credential of one name"):
            await bench.issuer.issue(bench.order())
        claim(await bench.use(first), "its holder keeps what it has")

    async def test_live_names_ours_and_no_others(self, bench: IssuerBench) -> None:
        if not bench.issuer.traits.revocable:
            lacks("revocable")
        before = set(await bench.issuer.live())
        claim(not before, f"nothing is live at first, got {before}")
        names = {(await bench.issuer.issue(bench.order(number))).lease for number in (1, 2, 3)}
        claim(set(await bench.issuer.live()) == names, "each is named")
        await bench.issuer.revoke(bench.order(2).name)
        claim(set(await bench.issuer.live()) == names - {bench.order(2).name}, "until it is revoked")

    async def test_leases_made_at_once_never_meet(self, bench: IssuerBench) -> None:
        made = await made_at_once(bench)
        claim(len({credential.lease for credential in made.values()}) == CONCURRENT, "each has its own")
        for number in (1, CONCURRENT // 2, CONCURRENT):
            claim(await bench.use(made[number]), "and each works")
        await revoked_at_once(bench, made)

    async def test_leases_revoked_at_once_are_all_gone(self, bench: IssuerBench) -> None:
        if not bench.issuer.traits.revocable:
            lacks("revocable")
        made = await made_at_once(bench)
        await revoked_at_once(bench, made)
        claim(not await bench.issuer.live(), "revoked at once, none is left")
        claim(not await bench.use(made[CONCURRENT]), "nor works")

    async def test_while_the_target_is_away_it_says_so_and_ends_the_lease_afterwards(
        self, bench: IssuerBench
    ) -> None:
        credential = await bench.issuer.issue(bench.order())
        if not await bench.stop():
            lacks("a target that is asked")
        try:
            for attempt in (bench.issuer.issue(bench.order(2)), bench.issuer.revoke(credential.lease)):
                with raises(Unavailable, "lease.target", "nobody is there"):
                    await attempt
        finally:
            await bench.start()
        for name in (credential.lease, bench.order(2).name):
            claim((await bench.issuer.revoke(name)).is_gone, "gone once it is back")
        claim(not await bench.use(credential), "and refused by it")

    async def test_what_was_cut_off_in_the_middle_goes_by_its_name(self, bench: IssuerBench) -> None:
        if not bench.issuer.traits.revocable:
            lacks("revocable")
        for turns in range(1, 24):
            order = bench.order(1000 + turns)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(bench.issuer.issue, order)
                for _ in range(turns):
                    await anyio.sleep(0.0005)
                tasks.cancel_scope.cancel()
            claim((await bench.issuer.revoke(order.name)).is_gone, f"cut off after {turns} turns")
        claim(not await bench.issuer.live(), "nothing is left at the target")

    async def test_it_lets_go_of_its_connections_and_of_no_lease(self, bench: IssuerBench) -> None:
        credential = await bench.issuer.issue(bench.order())
        await bench.issuer.close()
        claim(credential.lease in await bench.issuer.live(), "its lease is there")
        await bench.issuer.close()
        await bench.issuer.close()
        await bench.issuer.revoke(credential.lease)

    async def test_what_was_issued_before_it_let_go_is_ended_as_before(self, bench: IssuerBench) -> None:
        if not bench.issuer.traits.revocable:
            lacks("revocable")
        credential = await bench.issuer.issue(bench.order())
        await bench.issuer.close()
        await bench.issuer.revoke(credential.lease)
        claim(not await bench.use(credential), "the target refuses it")

    async def test_it_lets_go_of_a_target_that_is_away(self, bench: IssuerBench) -> None:
        credential = await bench.issuer.issue(bench.order())
        if not await bench.stop():
            lacks("a target that is asked")
        try:
            # Must not raise.
            await bench.issuer.close()
        finally:
            await bench.start()
        await bench.issuer.close()
        await bench.issuer.revoke(credential.lease)
        claim(not await bench.use(credential), "its lease is ended as before")

    async def test_the_target_ends_what_nobody_revoked(self, bench: IssuerBench) -> None:
        if bench.issuer.traits.ends_by != "target":
            lacks("ended by its target")
        ttl_ms = max(1, bench.issuer.traits.ttl_seconds_min) * 1000
        credential = await bench.issuer.issue(bench.order(ttl_ms=ttl_ms))
        await bench.passed(credential)
        claim(not await bench.use(credential), "its time is up")

    async def test_a_secret_is_in_no_representation(self, bench: IssuerBench) -> None:
        credential = await bench.issuer.issue(bench.order())
        shown = (
            f"{credential!r} {credential} {credential.secret!r} {credential.secret} {credential.secret:>9}"
        )
        for name in credential.secret.names():
            claim(credential.secret.reveal(name) not in shown, f"`{name}` is not shown")
        for copied in (copy.deepcopy, pickle.dumps):
            try:
                copied(credential.secret)
            except TypeError:
                continue
            raise AssertionError("a secret was copied")

    async def test_a_scope_that_is_not_understood_whole_grants_nothing(self, bench: IssuerBench) -> None:
        claim(not bench.issuer.faults(bench.scope), "the one of the bench is understood")
        for odd in odd_scopes(bench):
            claim(bool(bench.issuer.faults(odd)), f"{odd.thaw()!r} has faults")
            with raises(Refused, "lease.scope", "nothing is minted"):
                await bench.issuer.issue(bench.order(of=odd))

    async def test_a_scope_that_is_not_understood_whole_leaves_nothing_behind(
        self, bench: IssuerBench
    ) -> None:
        if not bench.issuer.traits.revocable:
            lacks("revocable")
        for odd in odd_scopes(bench):
            with raises(Refused, "lease.scope", "nothing is minted"):
                await bench.issuer.issue(bench.order(of=odd))
        claim(not await bench.issuer.live(), "and nothing lives")

    async def test_hostile_scopes_leave_other_leases_as_they_are(self, bench: IssuerBench) -> None:
        if not bench.hostile:
            lacks("scopes with texts")
        good = await bench.issuer.issue(bench.order())
        for number, odd in enumerate(bench.hostile, start=2):
            with suppress(Refused, Unavailable):
                await bench.issuer.issue(bench.order(number, of=odd))
            claim(await bench.use(good), f"what was there is as it was, after {odd.thaw()!r}")
            await bench.issuer.revoke(bench.order(number).name)

    async def test_hostile_scopes_grant_nothing_but_what_they_say(self, bench: IssuerBench) -> None:
        if bench.issuer.traits.boundary != "target":
            lacks("bounded by its target")
        if not bench.hostile:
            lacks("scopes with texts")
        good = await bench.issuer.issue(bench.order())
        for number, odd in enumerate(bench.hostile, start=2):
            try:
                credential = await bench.issuer.issue(bench.order(number, of=odd))
            except (Refused, Unavailable):
                continue
            for what, tried in bench.neighbours().items():
                claim(not await tried(credential), f"{what} is not let for {odd.thaw()!r}")
            await bench.issuer.revoke(credential.lease)
        claim(await bench.use(good), "the target still lets what was granted")

    async def test_what_the_target_says_is_granted_goes_with_the_lease(self, bench: IssuerBench) -> None:
        credential = await bench.issuer.issue(bench.order())
        try:
            granted = await bench.issuer.granted(credential.lease)
        except Refused as untold:
            claim(untold.code == "lease.untold", "a target that cannot tell says so")
            lacks("tells what is granted")
        claim(bool(granted) and list(granted) == sorted(granted), "rights are told, in order")
        await bench.issuer.revoke(credential.lease)
        claim(not await bench.issuer.granted(credential.lease), "none is left")

    async def test_what_is_renewed_lives_longer_and_what_is_gone_is_not_renewed(
        self, bench: IssuerBench
    ) -> None:
        credential = await bench.issuer.issue(bench.order())
        later = UnixMillis(credential.expires_at + TTL_MS)
        try:
            await bench.issuer.renew(credential.lease, later)
        except Refused as refused:
            claim(refused.code == "lease.renewal", "what cannot be renewed says so")
            lacks("renewable")
        claim(await bench.use(credential), "it still works")
        await bench.issuer.revoke(credential.lease)
        with raises(Refused, "lease.gone", "renewing what is gone"):
            await bench.issuer.renew(credential.lease, later)


def is_account_of(account: str, name: LeaseName) -> bool:
    """Whether a target's own log names a lease by this account."""
    return lease_of(account) == name and account == account_of(name)
