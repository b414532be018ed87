"""A bench whose people can bring passkeys in and sign in with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from answerable.adapters.sqlite import SqlitePasskeyRegister
from answerable.flows.people.enrol_passkey import begin_enrolment, finish_enrolment
from answerable.flows.people.invite_person import invite_person
from answerable.flows.people.sign_in import SignedIn, begin_sign_in, finish_sign_in
from answerable.flows.state.passkey_desk import PasskeyState
from answerable.testing.builders import Bench
from answerable.testing.registers import fresh
from answerable.testing.soft_passkey import ORIGIN, RP_ID, SoftPasskey

if TYPE_CHECKING:
    from answerable.core.identity.people.passkey import Passkey

ADMIN = "uid:1000"


async def passkey_bench(**desk: Any) -> Bench:
    """The registered bench, with a desk for passkeys."""
    bench = await Bench(ledger=desk.pop("ledger", None)).registered()
    bench.asking.passkeys = PasskeyState(
        register=desk.pop("register", None) or fresh(SqlitePasskeyRegister),
        rp_id=RP_ID,
        origins=(ORIGIN,),
        **desk,
    )
    return bench


async def enrolled(bench: Bench, person: str = "alice", device: SoftPasskey | None = None) -> Passkey:
    """A person who was invited has brought a device in."""
    device = device or SoftPasskey(seed=person)
    invited = await invite_person(bench.recorder, bench.authority, bench.asking.passkeys, person, by=ADMIN)
    begun = begin_enrolment(
        bench.authority, bench.asking.passkeys, bench.walk.entropy, invited.code, browser="b"
    )
    made = device.registration(begun.challenge)
    return await finish_enrolment(
        bench.recorder,
        bench.authority,
        bench.asking.passkeys,
        begun.id,
        made,
        label=f"{person}'s phone",
        browser="b",
    )


def signed_in(bench: Bench, device: SoftPasskey) -> SignedIn:
    """The person has answered a challenge with the device."""
    begun = begin_sign_in(bench.asking.passkeys, bench.clock, bench.walk.entropy, browser="b")
    return finish_sign_in(
        bench.authority, bench.asking.passkeys, begun.id, device.assertion(begun.challenge), browser="b"
    )
