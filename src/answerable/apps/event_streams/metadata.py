"""Build the transmitter's metadata document (SSF 1.0, section 7.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.incident.event_stream import POLL_URN, PUSH_URN
from answerable.flows.events.manage_streams import POLL, PREFIX

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue

METADATA: Final = "/.well-known/ssf-configuration"
KEYS: Final = PREFIX + "jwks"
STREAMS: Final = PREFIX + "streams"
STATUS: Final = PREFIX + "status"
ADD_SUBJECT: Final = PREFIX + "subjects/add"
REMOVE_SUBJECT: Final = PREFIX + "subjects/remove"
VERIFY: Final = PREFIX + "verify"
POLLED: Final = POLL + "{stream}"
SCHEMES: Final = ("urn:ietf:rfc:7523", "urn:ietf:rfc:8705", "urn:ietf:rfc:9421")
"""Client authentication: a statement under the receiver's own key as bearer credential, a client certificate, or a
signed request."""


def transmitter_metadata(issuer: str) -> dict[str, JSONValue]:
    """Return the document at `METADATA`. No member of a subject is critical: a receiver that does not know a member
    ends too much rather than too little."""
    return {
        "spec_version": "1_0",
        "issuer": issuer,
        "jwks_uri": issuer + KEYS,
        "delivery_methods_supported": [PUSH_URN, POLL_URN],
        "configuration_endpoint": issuer + STREAMS,
        "status_endpoint": issuer + STATUS,
        "add_subject_endpoint": issuer + ADD_SUBJECT,
        "remove_subject_endpoint": issuer + REMOVE_SUBJECT,
        "verification_endpoint": issuer + VERIFY,
        "authorization_schemes": [{"spec_urn": one} for one in SCHEMES],
        "default_subjects": "ALL",
    }
