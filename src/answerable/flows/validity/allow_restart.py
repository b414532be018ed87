"""Whether a workload whose instance a server does not know any more may be enrolled anew: it says which key it had.

Laws: naming a former key only ever takes something away, so that it needs no proof; what somebody ended stays ended,
also where an older copy of the registers has forgotten that it was ever there.
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
    """Let pass whose former key, by its thumbprint, is nobody's here or of an instance that ran out.

    Raises Refused: `instance.still_known` where it is a live instance's, which renews by it; `instance.ended` where
    somebody ended that instance; `revoked.*`, `held.*`. Raises Unavailable.
    """
    found = workloads.instances.by_key(former)
    if found is not None and found.is_live(workloads.walk.clock.now()):
        raise INSTANCE_STILL_KNOWN(f"instance {shown(found.id)} is known by the former key: renew it")
    because = await anyio.to_thread.run_sync(partial(workloads.instances.key_ended, former))
    if because and because not in MAY_RETURN:
        message = f"the instance of the former key was ended ({shown(because, 40)}): start the process anew"
        raise INSTANCE_ENDED(message)
    refuse_names(workloads.walk, (RevocationTarget("key", former),))


def unknown_key(workloads: Workloads, message: SignedRequest, error: Unverified) -> Unverified | None:
    """What tells a workload that its instance is not known here at all, which is another thing than an end; None where
    the message was refused for another reason. error: with which it was."""
    if error.step != "key" or not message.signature_input:
        return None
    if workloads.instances.by_key(parse_signature(message).keyid) is not None:
        return None
    text = "no instance is known by the key that signed this: enrol anew, with a new key"
    return INSTANCE_KEY_UNKNOWN(text, key=error.key)
