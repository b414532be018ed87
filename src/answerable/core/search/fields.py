"""The fields of the search language: name, meaning, and how each is indexed.

Every endpoint uses this table; the parser, the index and the reference page are made from it.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Indexed = Literal["name", "person", "sealed", "both", "words", "session", "amount", "time"]
INDEXED: Final[dict[Indexed, str]] = {
    "name": "in clear, as it is in the entry's leaf",
    "person": "the pseudonym in clear, as it is in leaves; the name as a keyed digest",
    "sealed": "as a keyed digest of the sealed value",
    "both": "in clear from leaves, as a keyed digest from sealed fields",
    "words": "as keyed digests of whole words, without regard to case",
    "session": "in clear, from the action's outcome",
    "amount": "as a number",
    "time": "by the time of the entry",
}
"""How a field is indexed, in words."""


class Field(NamedTuple):
    """One field. says: what a value names. example: a value."""

    name: str
    says: str
    indexed: Indexed
    example: str


FIELDS: Final = (
    Field("agent", "Agent that acted, or that the entry is about", "name", "support-agent"),
    Field(
        "instance", "Running instance of an agent, or its parent", "name", "spiffe://example.org/agent/a/1"
    ),
    Field(
        "person",
        "Person whose task it is, also where it was refused, or who did or is concerned: name, or pseudonym",
        "person",
        "ada",
    ),
    Field("mandate", "Mandate that the action ran under", "name", "m-1"),
    Field("use-case", "Use case of the mandate", "name", "support"),
    Field("capability", "Capability that was used or asked for", "name", "crm.read-case"),
    Field("server", "Server of the capability", "name", "crm"),
    Field("target", "Target where a lease of the action may be live", "name", "pg-main"),
    Field("resource", "Id of the resource that the action was about", "sealed", "4711"),
    Field("destination", "Where the action sent to, in canonical spelling", "sealed", "ada@example.org"),
    Field("subject", "Data subject whose key seals the entry: name, or id of the key", "name", "Customer:12"),
    Field(
        "amount",
        "Money that the action moves, as its capability declares it, in minor units of whatever currency: "
        "`amount:5`, `amount>5` or `amount<5`; where nothing is declared, a number called `amount`",
        "amount",
        "500",
    ),
    Field("decision", "Decision: `allow`, `deny` or `defer`", "name", "deny"),
    Field("rule", "Policy or rule that determined the decision, or that fired", "name", "stopnotes"),
    Field("code", "Error code of a refusal", "name", "mandate.closed"),
    Field(
        "outcome",
        "How it ended: `succeeded`, `failed`, `not_started`, `indeterminate`, `open`, `refused` or `asked`",
        "name",
        "succeeded",
    ),
    Field("approval", "Approval that was asked for, answered, used, or denied", "name", "01J9ZK4T7Q"),
    Field(
        "approver",
        "Person who answered the approval that was used, or that was denied: name, or pseudonym",
        "person",
        "bob",
    ),
    Field("lease", "Lease, or its account as the target's log writes it", "name", "ans_mfzwizltoq"),
    Field("account", "Account at a target, also one that several leases share", "both", "app_rw"),
    Field(
        "session", "The target's own name of a session: VALUE, or KIND:VALUE", "session", "pg_session:6a2f.1b"
    ),
    Field(
        "key",
        "Thumbprint of the key that proved the caller, or that the entry is about",
        "name",
        "NzbLsXh8uD",
    ),
    Field("manifest", "Manifest of the running agent, by digest", "name", "9f86d081"),
    Field("token", "Delegation hop, by its id", "name", "01J9ZK4T7R"),
    Field("hold", "Hold that was placed, lifted, or that refused the action", "both", "01J9ZK4T7S"),
    Field("action", "Action, by its id", "name", "0193f0c1a2b3"),
    Field(
        "kind",
        "Type of the entry, such as `intent`, `refusal` or `hold_placed`; `preview` is what the gateway itself looked "
        "up for a question to people",
        "name",
        "refusal",
    ),
    Field("text", "Whole words of reasons, comments and purposes", "words", "refund"),
    Field("named", "Agent or mandate that a message named which a door refused: a claim", "sealed", "scout"),
    Field("stopped", "What was revoked, held or released, of any kind, by name", "name", "vendor-x"),
    Field(
        "digest", "Digest of an action that people were asked about, or its pseudonym", "both", "806bc64149"
    ),
    Field("since", "At or after: a time, or as long ago as `90m`, `24h`, `7d`", "time", "24h"),
    Field("until", "Before: a time, or as long ago as `90m`, `24h`, `7d`", "time", "2026-12-01T08:00Z"),
    Field(
        "incident", "Incident that people opened, noted on or closed", "name", "inc_mfzwizltoqqgk3tuonxxez"
    ),
)
BY_NAME: Final = {one.name: one for one in FIELDS}
