"""What every CredentialIssuer promises, shown on the real target. Subclass in a test module, with a fixture `bench`.

Whether something is let through is asked of the target itself, with the credential used directly: never of the issuer.
"""

from __future__ import annotations

import copy
import pickle
from abc import ABC, abstractmethod
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


class IssuerBench(ABC):
    """A real target, an issuer on it, and a way to use its credentials without it.

    scope: one that can be granted. hostile: scopes that must be refused or, where their texts are only names, must come
    out as those very names; none of them may do anything else.
    """

    issuer: CredentialIssuer
    scope: Scope
    hostile: tuple[Scope, ...] = ()

    @abstractmethod
    def now(self) -> UnixMillis:
        """The time by which orders are dated."""

    @abstractmethod
    async def use(self, credential: Credential) -> bool:
        """Do what the scope allows, directly and by a new connection: whether the target let it."""

    @abstractmethod
    def neighbours(self) -> Mapping[str, Callable[[Credential], Awaitable[bool]]]:
        """What lies next to the scope (another table, verb, queue, host …), each tried directly: whether it was let."""

    async def hold_open(self, credential: Credential) -> Callable[[], Awaitable[bool]] | None:
        """Open a session directly and keep it: whether it still does what the scope allows. None where none is."""
        return None

    async def stop(self) -> bool:
        """Make the target unreachable; False where issuing and revoking ask no target."""
        return False

    async def start(self) -> None:
        """Have it back, with what it kept."""
        return

    async def passed(self, credential: Credential) -> None:
        """Wait or turn clocks until the credential's time is up, for the target."""
        raise NotImplementedError("say how, where `ends_by` is `target`")

    def order(self, number: int = 1, *, ttl_ms: int = TTL_MS) -> LeaseOrder:
        """An order of its own for each number."""
        name = lease_name(number.to_bytes(16, "big"))
        return LeaseOrder(name=name, scope=self.scope, expires_at=UnixMillis(self.now() + ttl_ms))


class CredentialIssuerContract:
    """For any issuer. The target behind `bench` is the test's own, and has no lease on it when a test begins."""

    async def test_a_credential_does_what_its_scope_says(self, bench: IssuerBench) -> None:
        credential = await bench.issuer.issue(bench.order())
        claim(await bench.use(credential), "the target lets it")
        claim(credential.lease == bench.order().name, "it says whose it is")
        shortest = bench.now() + bench.issuer.traits.ttl_seconds_min * 1000
        longest = max(bench.order().expires_at, shortest)
        claim(credential.expires_at <= longest + 1000, "it lives no longer than was ordered, or than it must")

    async def test_a_credential_does_nothing_beside_its_scope(self, bench: IssuerBench) -> None:
        claim(bool(bench.neighbours()), "there is something beside it")
        credential = await bench.issuer.issue(bench.order())
        let = [what for what, tried in bench.neighbours().items() if await tried(credential)]
        if bench.issuer.traits.boundary == "target":
            claim(not let, f"the target refuses what was not granted; it let {let}")
        claim(await bench.use(credential), "and still lets what was")

    async def test_what_was_revoked_is_refused_by_the_target(self, bench: IssuerBench) -> None:
        credential = await bench.issuer.issue(bench.order())
        other = await bench.issuer.issue(bench.order(2))
        claim(await bench.use(credential), "it works at first")
        revoked = await bench.issuer.revoke(credential.lease)
        if not bench.issuer.traits.revocable:
            claim(not revoked.is_gone and bool(revoked.left), "it says what is left, and until when")
            return
        claim(revoked.is_gone and not revoked.left, "all is gone")
        claim(not await bench.use(credential), "the target refuses it")
        claim(await bench.use(other), "and no other lease felt it")

    async def test_an_open_session_ends_with_its_lease(self, bench: IssuerBench) -> None:
        credential = await bench.issuer.issue(bench.order())
        is_working = await bench.hold_open(credential)
        if is_working is None:
            claim(not bench.issuer.traits.cuts_sessions, "whoever says that sessions are cut shows one")
            lacks("sessions that stay open")
        claim(await is_working(), "the session works")
        revoked = await bench.issuer.revoke(credential.lease)
        if bench.issuer.traits.cuts_sessions:
            claim(not await is_working(), "when revoking has returned, it does not")
            claim(revoked.sessions_cut >= 1, "and it was counted")

    async def test_revoking_again_or_what_nobody_issued_says_that_all_is_gone(
        self, bench: IssuerBench
    ) -> None:
        never = lease_name(bytes(15) + b"\xfe")
        # Who cannot revoke cannot tell either whether another process issued it.
        claim(
            (await bench.issuer.revoke(never)).is_gone or not bench.issuer.traits.revocable,
            "nobody issued it",
        )
        credential = await bench.issuer.issue(bench.order())
        await bench.issuer.revoke(credential.lease)
        again = await bench.issuer.revoke(credential.lease)
        claim(again.is_gone or not bench.issuer.traits.revocable, "it is gone already")

    async def test_a_name_is_used_once(self, bench: IssuerBench) -> None:
        first = await bench.issuer.issue(bench.order())
        if bench.issuer.traits.revocable:
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
        made: dict[int, Credential] = {}

        async def one(number: int) -> None:
            made[number] = await bench.issuer.issue(bench.order(number))

        async with anyio.create_task_group() as tasks:
            for number in range(1, CONCURRENT + 1):
                tasks.start_soon(one, number)
        claim(len({credential.lease for credential in made.values()}) == CONCURRENT, "each has its own")
        for number in (1, CONCURRENT // 2, CONCURRENT):
            claim(await bench.use(made[number]), "and each works")
        async with anyio.create_task_group() as tasks:
            for credential in made.values():
                tasks.start_soon(bench.issuer.revoke, credential.lease)
        if bench.issuer.traits.revocable:
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
        if await bench.stop():
            # Also of a target that is away: nothing is raised.
            await bench.issuer.close()
            await bench.start()
        await bench.issuer.close()
        await bench.issuer.close()
        await bench.issuer.revoke(credential.lease)
        claim(not await bench.use(credential) or not bench.issuer.traits.revocable, "and is ended as before")

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
        own = bench.scope.thaw()
        assert isinstance(own, dict)  # noqa: S101 - every grammar of scopes is an object
        for odd in (freeze({**own, "unheardOf": True}), freeze({}), freeze([]), freeze(None)):
            claim(bool(bench.issuer.faults(odd)), f"{odd.thaw()!r} has faults")
            order = LeaseOrder(name=bench.order().name, scope=odd, expires_at=bench.order().expires_at)
            with raises(Refused, "lease.scope", "nothing is minted"):
                await bench.issuer.issue(order)
        if bench.issuer.traits.revocable:
            claim(not await bench.issuer.live(), "and nothing was")

    async def test_hostile_scopes_grant_nothing_but_what_they_say(self, bench: IssuerBench) -> None:
        good = await bench.issuer.issue(bench.order())
        for number, odd in enumerate(bench.hostile, start=2):
            order = LeaseOrder(name=bench.order(number).name, scope=odd, expires_at=bench.order().expires_at)
            try:
                credential = await bench.issuer.issue(order)
            except (Refused, Unavailable):
                continue
            finally:
                claim(await bench.use(good), "what was there is as it was")
            for what, tried in bench.neighbours().items():
                if bench.issuer.traits.boundary == "target":
                    claim(not await tried(credential), f"{what} is not let for {odd.thaw()!r}")
            await bench.issuer.revoke(order.name)

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
