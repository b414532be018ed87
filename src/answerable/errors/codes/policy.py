"""Error codes of policy sets, of their decisions, and of evaluating recorded questions."""

from __future__ import annotations

from answerable.errors.code import (
    BrokenCode,
    DecisionCode,
    FindingCode,
    MalformedCode,
    RefusedCode,
    UnavailableCode,
    UnverifiedCode,
)

ANSWERS_REGISTRY_UNKNOWN = MalformedCode(
    "answers.registry_unknown",
    "the ledger does not contain the whole registry of that time, so the question cannot be answered",
)
ANSWERS_UNKNOWN_NAME = MalformedCode("answers.unknown_name", "no agent … was registered at that time")

CASE_CHAIN = FindingCode("case.chain", "the last agent of a chain acts: expected …, got …")
CASE_TIER = MalformedCode(
    "case.tier",
    "capability … has tier …: leave `tier` out, or give a higher one, as the hints of its "
    "tool can only raise it",
)
CASE_UNKNOWN = MalformedCode("case.unknown", "there is no active agent … or capability …")
CASE_WINDOWS = MalformedCode("case.windows", "the named time windows do not hold …: …")

DECISION_NONE = MalformedCode("decision.none", "there is no decision …")

FACTS_UNKNOWN = RefusedCode("facts.unknown", "tracker `…` has no value: …")
FACTS_UNKNOWN_DECISION = DecisionCode(
    FACTS_UNKNOWN.id, "what happened before is not known, and the policy set counts it"
)

OBLIGATION_CONFLICT = MalformedCode("obligation.conflict", "… obligations at once, expected at most …")
OBLIGATION_CONFLICT_REFUSED = RefusedCode(
    OBLIGATION_CONFLICT.id, "policies narrow argument … in ways that contradict each other"
)
OBLIGATION_SECOND_NARROWING = RefusedCode(
    "obligation.second_narrowing", "policy narrowed the action, and would narrow the result again"
)
OBLIGATION_UNFULFILLABLE = RefusedCode(
    "obligation.unfulfillable", "policy narrows argument …, which …: send a value that can be narrowed"
)
OBLIGATION_UNKNOWN = MalformedCode("obligation.unknown", "obligation … is not known: there are …")

POLICY_COMPILED = BrokenCode("policy.compiled", "the compiled document would be read as another")
POLICY_CONTROL = MalformedCode("policy.control", "control character in policy: at byte …")
POLICY_DEFAULT_DENY = DecisionCode("policy.default_deny", "no policy allows this action", beyond="policy")
POLICY_ERROR = DecisionCode("policy.error", "the decision failed: …")
POLICY_INVALID = MalformedCode("policy.invalid", "schema of the registered capabilities: …")
POLICY_KEY_TWICE = MalformedCode("policy.key_twice", "a witness has the key of the log …")
POLICY_KEY_TYPE = MalformedCode("policy.key_type", "key of … is of type …, expected one of …")
POLICY_LINE = MalformedCode("policy.line", "not a line of a policy: …")
POLICY_MEMBER_TWICE = MalformedCode("policy.member_twice", "… is a member for the second time")
POLICY_NAME_TWICE = MalformedCode("policy.name_twice", "… is defined already")
POLICY_NAME_UNKNOWN = MalformedCode("policy.name_unknown", "… is not defined before it is used")
POLICY_NEWLINE = MalformedCode("policy.newline", "policy does not end in a newline")
POLICY_PARTS = MalformedCode("policy.parts", "these are not the parts of a policy set: …")
POLICY_PROTECTS_NOTHING = MalformedCode(
    "policy.protects_nothing",
    "…: a forbid that protects nothing does not come into force; `answerable policy check` lists all",
)
POLICY_QUORUM = MalformedCode("policy.quorum", "policy without a quorum line")
POLICY_REGISTRY_DIFFERS = DecisionCode(
    "policy.registry_differs", "the policy set was published for another registry"
)
POLICY_SIZE = MalformedCode("policy.size", "policy of … bytes, expected at most …")
POLICY_STATEMENT = MalformedCode("policy.statement", "this is not a policy set as logs write it down")
POLICY_SYNTAX = MalformedCode("policy.syntax", "a policy's expression is nested too deeply")
POLICY_THRESHOLD = MalformedCode("policy.threshold", "group … asks for … of … members")
POLICY_TOO_LARGE = MalformedCode("policy.too_large", "the sets have … policies, expected at most …")
POLICY_UNEXPLAINED = DecisionCode("policy.unexplained", "policy gave no reason")
POLICY_UNREADABLE = MalformedCode("policy.unreadable", "Cedar cannot evaluate what is possible: …")
POLICY_WORD = MalformedCode("policy.word", "not a name or address: …")

PUBLICATION_ALGORITHM = UnverifiedCode(
    "publication.algorithm", "algorithm … is not accepted", step="publication"
)
PUBLICATION_AMBIGUOUS = RefusedCode(
    "publication.ambiguous", "… is too short for a digest: expected … characters or more"
)
PUBLICATION_AUDIENCE = UnverifiedCode(
    "publication.audience", "the step has audience …, expected …", step="publication"
)
PUBLICATION_CHANGED = RefusedCode(
    "publication.changed",
    "the policy sets in force are no longer those that this proposal changes: propose it again",
)
PUBLICATION_GROUP = RefusedCode("publication.group", "… is not in group …, whose members publish policy sets")
PUBLICATION_KEY = UnverifiedCode("publication.key", "key … is not registered for …", step="publication")
PUBLICATION_MALFORMED = MalformedCode("publication.malformed", "claim … is missing or unknown")
PUBLICATION_NO_ASKING = UnavailableCode(
    "publication.no_asking", "this process cannot evaluate policy sets: ask the server", port="policies"
)
PUBLICATION_NO_REGISTER = UnavailableCode(
    "publication.no_register", "this process keeps no proposals and no earlier policy sets", port="policies"
)
PUBLICATION_NOTHING = RefusedCode(
    "publication.nothing", "nothing to propose: these policy sets are already in force"
)
PUBLICATION_OTHER = UnverifiedCode(
    "publication.other",
    "the signature is for another change than this one: read the change again and sign it anew",
    step="publication",
)
PUBLICATION_OWN = RefusedCode(
    "publication.own", "… proposed this: another person must publish it, with their own key"
)
PUBLICATION_SIGNATURE = UnverifiedCode(
    "publication.signature", "the signature is invalid", step="publication"
)
PUBLICATION_STALE = UnverifiedCode(
    "publication.stale",
    "the step was signed … s ago, expected less than 300 s: sign it anew",
    step="publication",
)
PUBLICATION_SUPERSEDED = RefusedCode(
    "publication.superseded", "other policy sets came into force after this proposal: propose it again"
)
PUBLICATION_TOO_MANY = RefusedCode(
    "publication.too_many", "… proposals are pending, which is the limit: publish or withdraw one first"
)
PUBLICATION_TWO_PEOPLE = RefusedCode(
    "publication.two_people",
    "…: a policy set needs two people, the second a member of group …: use `answerable policy propose`",
)
PUBLICATION_TYPE = UnverifiedCode("publication.type", "expected a token of type …, got …", step="publication")
PUBLICATION_UNKNOWN = RefusedCode(
    "publication.unknown", "no proposal … is pending: see `answerable policy proposals`"
)

QUESTION_FACT_MISSING = FindingCode("question.fact_missing", "the question has no … as policies see it now")
QUESTION_MALFORMED = MalformedCode(
    "question.malformed", "the question lacks the time or the destination of the action"
)
QUESTION_TRACKER_CHANGED = FindingCode("question.tracker_changed", "tracker … counted something else then")
QUESTION_TRACKER_NEW = FindingCode("question.tracker_new", "tracker … did not count yet")
QUESTION_TRACKER_UNKNOWN = FindingCode(
    "question.tracker_unknown", "how tracker … counted then is not on record"
)
QUESTION_VERSION = MalformedCode(
    "question.version", "the question has version …, expected at most …: use a later release"
)

SHADOW_NONE = RefusedCode("shadow.none", "no policy set is in shadow mode")

SIMULATION_TIER = MalformedCode("simulation.tier", "there is no active capability `…`")

TEST_UNTRIED = FindingCode(
    "test.untried", "policy `…` decides nothing in any test: write a case in which it does"
)
