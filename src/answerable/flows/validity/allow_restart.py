"""Check whether a workload whose instance this server does not know may be enrolled again under its former key.

Laws: naming a former key only restricts the caller, so it needs no proof. An instance that was ended stays ended, even
if an older copy of the registers has lost it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import anyio.to_thread

from answerable.core.identity.proof.http_signature import parse_signature
from answerable.core.mandate.revocation import RevocationTarget
from answerable.errors import Unverified, shown
from answerable.errors.codes.workloads import INSTANCE_ENDED, INSTANCE_KEY_UNKNOWN, INSTANCE_STILL_KNOWN
from answerable.flows.validity.refuse_revoked import refuse_names
from answerable.ports.instance_register import MAY_RETURN

if TYPE_CHECKING:
    from answerable.core.identity.proof.http_signature import SignedRequest
    from answerable.flows.trust_domain.workloads import Workloads


async def require_may_return(workloads: Workloads, former: str) -> None:
    """Pass if the former key (a thumbprint) is unknown in this process or belongs to an expired instance.

    Raises Refused: `instance.still_known` if a live instance has the key and can renew with it; `instance.ended` if the
    instance was ended; `revoked.*`, `held.*`. Raises Unavailable.
    """
    found = workloads.instances.by_key(former)
    if found is not None and found.is_live(workloads.recorder.clock.now()):
        raise INSTANCE_STILL_KNOWN(
            f"instance {shown(found.id)} still has the former key: renew it with that key"
        )
    because = await anyio.to_thread.run_sync(partial(workloads.instances.key_ended, former))
    if because and because not in MAY_RETURN:
        message = f"the instance of the former key was ended ({shown(because, 40)}): start the process again"
        raise INSTANCE_ENDED(message)
    refuse_names(workloads.authority, (RevocationTarget("key", former),))


def unknown_key(workloads: Workloads, message: SignedRequest, error: Unverified) -> Unverified | None:
    """Return the error that tells a workload that its instance is unknown, as opposed to ended; None if the message was
    refused for another reason. `error`: the refusal of the message."""
    if error.step != "key" or not message.signature_input:
        return None
    if workloads.instances.by_key(parse_signature(message).keyid) is not None:
        return None
    text = "no instance has the key that signed this request: enrol again with a new key"
    return INSTANCE_KEY_UNKNOWN(text, key=error.key)
