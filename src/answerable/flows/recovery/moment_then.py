"""Rebuild what was in force at an earlier moment from the ledger: documents, policies, mandates, budgets, ends, holds.

Laws: what the ledger does not state is reported as unknown. Entries are read by the same code as at a start.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from answerable.core.containment.hold import HoldId
from answerable.core.identity.names.spiffe_id import SCHEME
from answerable.core.ledger.budget_counts import amounts_in, reserved_by
from answerable.core.ledger.opened import leaf_of, payload_of
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.budget import Spending
from answerable.core.mandate.token import mandate_in
from answerable.core.registry.parsing.active import snapshot_of
from answerable.core.registry.policy_sets.policy_statement import PolicyStatement
from answerable.errors import AnswerableError
from answerable.errors.codes.policy import ANSWERS_REGISTRY_UNKNOWN
from answerable.flows.recovery.recall_revocations import revocation_in
from answerable.flows.recovery.restore_holds import hold_in
from answerable.flows.registry.apply_registry import policy_text
from answerable.flows.walk.moment import Moment, Snapshot, named_capability, unoffered

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.containment.hold import Hold, HoldTarget
    from answerable.core.identity.names.principal import AgentId, UnixMillis
    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.ledger.opened import FindKey
    from answerable.core.mandate.budget import Reserved
    from answerable.core.mandate.mandate import Mandate, MandateId, MandateState
    from answerable.core.mandate.revocation import Revocation, RevocationTarget
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.manifests.manifest_token import SignedManifest
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot

_UNREACHED: Final = frozenset({"token", "hop", "manifest", "instance", "trust_domain", "credential"})
"""Kinds of targets that depend on the acting instance or its hops, which this flow does not reconstruct."""


SPENDING: Final = frozenset({Tag.INTENT, Tag.OUTCOME})
"""Entries that say what of budgets was spent."""
TAKEN: Final = SPENDING | {
    Tag.MANDATE_CLOSED,
    Tag.TOOL_PINNED,
    Tag.HOLD_LIFTED,
    Tag.HOLD_PLACED,
    Tag.REVOKED,
    Tag.REGISTRY_CHANGE,
    Tag.MANDATE_ISSUED,
    Tag.CITED,
}
"""Entries that say what is in force."""


@dataclass(slots=True)
class Then:
    """What was in force at a moment. Takes entries in order, until the first later one. Implements
    flows.refuse_revoked.Revoked, Held and CurrentManifests.

    `tools`: definitions in force, by server and name, if the ledger lets them be read. `held`: holds not lifted, by id.
    `withheld`: number of statements that could not be opened. `unfollowed`: number of revocations and holds of kinds
    that are not evaluated.
    """

    at: UnixMillis
    documents: dict[str, JSONValue] = field(default_factory=dict)
    registry: str = ""
    mandates: dict[MandateId, Mandate] = field(default_factory=dict)
    spending: Spending = field(default_factory=Spending)
    tools: dict[tuple[str, str], JSONValue] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    revoked: dict[RevocationTarget, Revocation] = field(default_factory=dict)
    held: dict[HoldId, Hold] = field(default_factory=dict)
    withheld: int = 0
    unfollowed: int = 0
    _began: dict[int, Reserved] = field(default_factory=dict)

    def take(self, stored: StoredEntry, find: FindKey) -> bool:
        """Take the next entry. Return False if it is later than the moment."""
        leaf = leaf_of(stored)
        at = leaf.get("at")
        if type(at) is int and at > self.at and stored.tag != Tag.GENESIS:
            return False
        match stored.tag:
            case Tag.INTENT:
                reserved = self._began[stored.index] = reserved_by(leaf)
                self.spending.take(reserved.accounts, reserved.amounts)
            case Tag.OUTCOME:
                self._end(leaf)
            case Tag.MANDATE_CLOSED:
                self.closed.add(str(leaf.get("mandate")))
            case Tag.TOOL_PINNED:
                text = (payload_of(stored, leaf, find) or {}).get("text")
                self.tools[str(leaf.get("server")), str(leaf.get("tool"))] = text
            case Tag.HOLD_LIFTED if leaf.get("lifted_at"):
                self.held.pop(HoldId(str(leaf.get("hold"))), None)
            case Tag.HOLD_PLACED:
                self._hold(leaf, payload_of(stored, leaf, find) or {})
            case Tag.REVOKED:
                self._revoke(revocation_in(find, stored))
            case Tag.REGISTRY_CHANGE:
                self._change(leaf, payload_of(stored, leaf, find) or {})
            case Tag.MANDATE_ISSUED:
                self._give(payload_of(stored, leaf, find) or {})
            case Tag.CITED if leaf.get("kind") == "mandate":
                self._give(payload_of(stored, leaf, find) or {})
        return True

    def find(self, names: Collection[RevocationTarget]) -> Revocation | None:
        """Return the first revocation of any of these names, in the order of the names."""
        return next((self.revoked[one] for one in names if one in self.revoked), None)

    def standing(self, names: Collection[HoldTarget]) -> tuple[Hold, ...]:
        """Return the holds on these names that were not lifted, expired or not, in the order of the names."""
        return tuple(hold for one in names for hold in self.held.values() if hold.what == one)

    def current(self, agent: AgentId) -> SignedManifest | None:
        """Return None: the manifests of agents are not reconstructed."""
        del agent
        return None

    def state(self, mandate: MandateId) -> MandateState:
        """Return whether a mandate was open then; an unknown mandate counts as closed."""
        return "open" if mandate in self.mandates and mandate not in self.closed else "closed"

    def stands(self, mandate: Mandate) -> bool:
        """Whether a mandate was neither closed nor out of its time."""
        return self.state(mandate.id) == "open" and mandate.not_before <= self.at < mandate.expires_at

    def moment(self, action: str, *, origin: str) -> Moment:
        """Return the moment as the checks of the walk use it.

        Raises Malformed: `answers.registry_unknown` if the ledger does not state the whole registry,
        `answers.unknown_name`.
        """
        current = self.snapshot()
        capability = named_capability(current, action)
        given: dict[AgentId, list[Mandate]] = {}
        for mandate in reversed(self.mandates.values()):
            given.setdefault(mandate.agent, []).append(mandate)
        return Moment(
            at=self.at,
            origin=origin,
            registry=Snapshot(current=current),
            manifests=self,
            revocations=self,
            holds=self,
            mandates=given,
            state=self.state,
            used=self.spending.used,
            lack=self.spending.lack,
            statement=PolicyStatement(policies=policy_text(current), parts=current.parts, schema_digest=""),
            capability=capability,
            tool=self._tool(capability),
            agents={},
        )

    def snapshot(self) -> RegistrySnapshot:
        """Return the registry. Raises Malformed (`answers.registry_unknown`) if the ledger does not state all of it."""
        found = snapshot_of([*self.documents.values()])
        if not self.registry or found.digest != self.registry:
            raise ANSWERS_REGISTRY_UNKNOWN()
        return found

    def _end(self, leaf: dict[str, JSONValue]) -> None:
        intent = leaf.get("intent")
        reserved = self._began.pop(intent, None) if isinstance(intent, int) else None
        if reserved is not None:
            self.spending.give_back(reserved.accounts, amounts_in(leaf, "returned"))
            self.spending.take(reserved.accounts, amounts_in(leaf, "overrun"))

    def _hold(self, leaf: dict[str, JSONValue], fields: dict[str, JSONValue]) -> None:
        hold = hold_in(HoldId(str(leaf.get("hold"))), leaf, fields)
        if hold is None:
            self.withheld += 1
            return
        self.held[hold.id] = hold
        self.unfollowed += hold.what.kind in _UNREACHED

    def _revoke(self, revocation: Revocation | None) -> None:
        if revocation is None:
            self.withheld += 1
            return
        kind, name = revocation.what
        self.revoked.setdefault(revocation.what, revocation)
        self.unfollowed += kind in _UNREACHED or (kind == "agent" and name.startswith(SCHEME))

    def _change(self, leaf: dict[str, JSONValue], fields: dict[str, JSONValue]) -> None:
        self.registry = str(leaf.get("after"))
        changes = fields.get("changes")
        if not isinstance(changes, dict):
            self.withheld += 1
            return
        for key, document in changes.items():
            if document is None:
                self.documents.pop(key, None)
            else:
                self.documents[key] = document

    def _give(self, fields: dict[str, JSONValue]) -> None:
        token = fields.get("token")
        try:
            mandate = mandate_in(token) if isinstance(token, str) else None
        except AnswerableError:
            mandate = None
        if mandate is None:
            self.withheld += 1
        else:
            self.mandates.setdefault(mandate.id, mandate)

    def _tool(self, capability: Capability) -> Mapping[str, Any]:
        """Return the tool at the tier that its hints required then; unknown if the ledger does not state it.

        The ledger does not state whether the tool was offered and let through.
        """
        return unoffered(capability, self.tools.get((capability.server, capability.target)))
