"""Every operation on people's way into the console, used once over a real product."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from answerable.adapters.sqlite import SqlitePasskeyRegister
from answerable.flows.people.enrol_passkey import begin_enrolment, finish_enrolment
from answerable.flows.state.passkey_desk import PasskeyState
from answerable.testing.registers import fresh
from answerable.testing.soft_passkey import ORIGIN, RP_ID, SoftPasskey

if TYPE_CHECKING:
    from tests.worlds.control import Product


async def use_people(client: Any, product: Product) -> None:
    """Invite one, look at the passkey that came in, and remove it."""
    walk = product.walk
    walk.asking.passkeys = PasskeyState(register=fresh(SqlitePasskeyRegister), rp_id=RP_ID, origins=(ORIGIN,))
    invited = await client("invite_person", {}, name="bela")
    begun = begin_enrolment(walk.authority, walk.asking.passkeys, walk.entropy, invited["code"], browser="b")
    made = SoftPasskey(seed="bela").registration(begun.challenge)
    passkey = await finish_enrolment(
        walk.recorder, walk.authority, walk.asking.passkeys, begun.id, made, label="phone", browser="b"
    )
    [listed] = (await client("list_passkeys", person="bela"))["items"]
    assert listed["id"] == passkey.name
    assert await client("remove_passkey", {}, id=passkey.name) == listed
