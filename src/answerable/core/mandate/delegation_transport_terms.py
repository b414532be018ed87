"""Where a chain of hops stands in what agents send one another: every name of it, for every protocol.

No standard has a place for a chain. The member of `_meta` is named as MCP names members (a prefix, a slash, a name); in
A2A 1.0.1 an extension has a URI, which stands in `extensions` of the message that carries its metadata. A broker's
headers are named as in HTTP, so that one name goes through bridges between the two.
"""

from __future__ import annotations

from typing import Final

from answerable.core.identity.proof.http_signature import DELEGATION_BYTES_MAX, DELEGATION_HEADER
from answerable.core.mandate.delegation_chain import CHAIN_CHARS_MAX

FIELD: Final = DELEGATION_HEADER
"""In HTTP, and in the headers of a broker's message (NATS, AMQP, Kafka); in any letter case, as in HTTP."""
FIELD_CHARS_MAX: Final = DELEGATION_BYTES_MAX

MEMBER: Final = "answerable/delegation"
"""In `_meta` of MCP, and in the metadata of an A2A message; letter by letter."""
MEMBER_CHARS_MAX: Final = CHAIN_CHARS_MAX

A2A_EXTENSION: Final = "urn:answerable:a2a:extension:delegation:1"
"""In `extensions` of the message, in the agent card, and in the field `A2A-Extensions` of HTTP."""
