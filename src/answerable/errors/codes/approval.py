"""Error codes of approvals: answers, on-call duty, push messages, chat, reviews."""

from __future__ import annotations

from answerable.errors.code import (
    BrokenCode,
    FindingCode,
    MalformedCode,
    RefusedCode,
    UnavailableCode,
    UnverifiedCode,
)

APPROVAL_ALGORITHM = UnverifiedCode("approval.algorithm", "algorithm … is not accepted", step="approval")
APPROVAL_ANSWERED_ALREADY = RefusedCode(
    "approval.answered_already",
    "workflow …, its owners and their deputies count as one, and one of them has already answered",
)
APPROVAL_AUDIENCE = UnverifiedCode(
    "approval.audience", "the answer has audience …, expected …", step="approval"
)
APPROVAL_BATCH = MalformedCode("approval.batch", "an approval is listed twice")
APPROVAL_BATCH_OFF = RefusedCode(
    "approval.batch_off", "approvals must be answered one by one: `walk.batch_items_max` is 0"
)
APPROVAL_BUSY = UnavailableCode(
    "approval.busy",
    "approval … changed while it was being denied: try again",
    port="approval_register",
)
APPROVAL_CANARY = MalformedCode("approval.canary", "a canary has a nonce of … bytes")
APPROVAL_CHALLENGE = MalformedCode("approval.challenge", "nonce and root of a challenge have 32 bytes each")
APPROVAL_CHANGED_MEANWHILE = RefusedCode(
    "approval.changed_meanwhile", "approval … is being answered at this moment: reload it and try again"
)
APPROVAL_DENIED = RefusedCode(
    "approval.denied",
    "approval … was denied: the action was not run, and the same action is not sent for approval again",
)
APPROVAL_DIGEST = UnverifiedCode(
    "approval.digest", "the answer is about another action than the waiting one", step="approval"
)
APPROVAL_DUPLICATE = MalformedCode("approval.duplicate", "an approval … is registered already")
APPROVAL_KEY = UnverifiedCode("approval.key", "key … is not registered for …", step="approval")
APPROVAL_MALFORMED = MalformedCode("approval.malformed", "claim … is missing or unknown")
APPROVAL_NONCE = UnverifiedCode(
    "approval.nonce",
    "the nonce of the answer is not valid: it was issued for another approval or person, has "
    "expired or was used before; open the approval again",
    step="approval",
)
APPROVAL_NONE_ALIKE = RefusedCode(
    "approval.none_alike", "no two approvals of this group are alike: answer each by itself"
)
APPROVAL_NOT_ASKED = RefusedCode(
    "approval.not_asked", "this approval needs a member of …, and you are in none of these groups"
)
APPROVAL_NOT_NARROWER = RefusedCode("approval.not_narrower", "the proposal is not narrower: …")
APPROVAL_NOT_PENDING = RefusedCode("approval.not_pending", "approval … is …, so it can no longer be answered")
APPROVAL_NOT_TOGETHER = RefusedCode("approval.not_together", "these approvals must be answered one by one: …")
APPROVAL_OBJECT = MalformedCode("approval.object", "not an action object")
APPROVAL_OTHER = UnverifiedCode("approval.other", "it says something else than its entry", step="approval")
APPROVAL_OTHER_SHARD = RefusedCode(
    "approval.other_shard", "approval … waits in shard …, this is shard …: answer it there"
)
APPROVAL_OWN_AGENT = RefusedCode(
    "approval.own_agent", "you answer for an agent that this action comes from: somebody else must approve it"
)
APPROVAL_OWN_MANDATE = RefusedCode(
    "approval.own_mandate",
    "you issued the mandate of this action, or are a deputy of its issuer: another person must approve it",
)
APPROVAL_REASON = MalformedCode("approval.reason", "unknown reason …: use one of …")
APPROVAL_RENDERING = UnverifiedCode(
    "approval.rendering", "the card has changed since you opened it: reload the page", step="approval"
)
APPROVAL_ROW = MalformedCode("approval.row", "its state is unknown")
APPROVAL_SIGNATURE = UnverifiedCode("approval.signature", "the signature is invalid", step="approval")
APPROVAL_STALE = UnverifiedCode(
    "approval.stale", "the answer is … s old, expected less than 300 s: sign it anew", step="approval"
)
APPROVAL_TOO_FAST = RefusedCode(
    "approval.too_fast",
    "you approved … actions within an hour, which is the limit: let another person answer, or deny it",
)
APPROVAL_TOO_MANY = RefusedCode(
    "approval.too_many",
    "…, which is the limit: no approval was requested; a task that covers such actions needs no "
    "approval for each",
)
APPROVAL_TOO_SOON = RefusedCode(
    "approval.too_soon",
    "you had the approval open for … s, and this tier requires … s before an approval: read it first",
)
APPROVAL_TYPE = UnverifiedCode("approval.type", "expected a token of type …, got …", step="approval")
APPROVAL_TYPED_NAME = RefusedCode("approval.typed_name", "this action is critical: type … to approve it; …")
APPROVAL_TYPED_OFTEN = RefusedCode(
    "approval.typed_often",
    "the typed name was wrong … times within a minute: wait a minute, then read the card again",
)
APPROVAL_UNKNOWN = RefusedCode("approval.unknown", "there is no approval …")
APPROVAL_USED = RefusedCode("approval.used", "the approval for this action has been used already")
APPROVAL_WEAK_SIGNATURE = RefusedCode("approval.weak_signature", "an action of this tier requires ……")

APPROVAL_GROUP_UNKNOWN = RefusedCode(
    "approval_group.unknown",
    "there is no group … any more: its approvals were answered, or too few of them remain",
)

BREAK_GLASS_NO_REASON = RefusedCode(
    "break_glass.no_reason", "give a reason of at least … characters, which another person will review"
)
BREAK_GLASS_NOT_ALLOWED = RefusedCode(
    "break_glass.not_allowed", "by the policies of this approval, … may use break-glass"
)
BREAK_GLASS_TOO_MANY = RefusedCode(
    "break_glass.too_many",
    "you used break-glass for … actions within a day, which is the limit "
    "(`walk.glasses_per_day_max`): another person of … can use it for this one, or … approve it",
)

CHANNEL_RECEIVER = RefusedCode("channel.receiver", "channel … sends to single people: name a person")
CHANNEL_UNKNOWN = RefusedCode("channel.unknown", "there is no channel …: …")

CHAT_FAILED = BrokenCode("chat.failed", "internal error: see the server's log")
CHAT_PACE = RefusedCode("chat.pace", "too many clicks of this account")
CHAT_PAYLOAD = MalformedCode("chat.payload", "the click is not accepted: …")
CHAT_REPLAYED = RefusedCode("chat.replayed", "this request came before")
CHAT_SIGNATURE = UnverifiedCode(
    "chat.signature", "this is not signed by the chat, or is too old", step="chat"
)
CHAT_STALE = UnverifiedCode("chat.stale", "this is not signed by the chat, or is too old", step="chat")
CHAT_TOO_MANY = RefusedCode("chat.too_many", "too many requests within a few minutes")
CHAT_UNREACHABLE = UnavailableCode(
    "chat.unreachable", "Slack does not report whose account this is: …", port="chat"
)
CHAT_UNSIGNED = UnverifiedCode("chat.unsigned", "this is not signed by the chat, or is too old", step="chat")

CLICK_ACCOUNT = RefusedCode("click.account", "the chat does not accept your account: …")
CLICK_CHANGED = RefusedCode(
    "click.changed", "the approval is no longer the one that the message showed: open it again"
)
CLICK_NOT_HERE = RefusedCode("click.not_here", "this approval cannot be answered by a click: …")
CLICK_PERSON = RefusedCode("click.person", "… is not active, or has another account in the chat now")

DENIAL_MALFORMED = MalformedCode(
    "denial.malformed", "the answer has a denial by people that is incomplete or malformed"
)

DUTY_ALGORITHM = UnverifiedCode("duty.algorithm", "algorithm … is not accepted", step="duty")
DUTY_AUDIENCE = UnverifiedCode(
    "duty.audience", "the delegation of duty has audience …, expected …", step="duty"
)
DUTY_DUPLICATE = MalformedCode(
    "duty.duplicate", "a delegation of duty with this id is or was registered: sign a new one with another id"
)
DUTY_ENDED = RefusedCode("duty.ended", "delegation of duty … has already ended")
DUTY_FULL = MalformedCode("duty.full", "there are … delegations of duty, which is the limit: end some")
DUTY_KEY = UnverifiedCode("duty.key", "key … is not registered for …", step="duty")
DUTY_MALFORMED = MalformedCode("duty.malformed", "claim … is missing or unknown")
DUTY_NONCE = UnverifiedCode(
    "duty.nonce",
    "the nonce of this delegation of duty has expired or was used before: start again",
    step="duty",
)
DUTY_NONE = RefusedCode("duty.none", "group … has no Duty document")
DUTY_NOT_DEPUTY = RefusedCode(
    "duty.not_deputy", "… may not be a deputy for group …: its Duty allows members of …"
)
DUTY_NOT_MEMBER = RefusedCode(
    "duty.not_member", "… is not in group …: only a member can delegate its duty, a deputy cannot"
)
DUTY_OFF = RefusedCode("duty.off", "this process keeps no duties")
DUTY_ONESELF = MalformedCode("duty.oneself", "nobody stands in for themselves")
DUTY_OVER = MalformedCode("duty.over", "it is over already: say an `until` that is to come")
DUTY_SIGNATURE = UnverifiedCode("duty.signature", "the signature is invalid", step="duty")
DUTY_STALE = UnverifiedCode(
    "duty.stale",
    "the delegation of duty was signed … s ago, expected less than 300 s: sign it anew",
    step="duty",
)
DUTY_STEP = FindingCode("duty.step", "steps stand in the order of their times")
DUTY_TOO_LONG = MalformedCode("duty.too_long", "the delegation of duty begins more than … days from now")
DUTY_TOO_MANY = RefusedCode("duty.too_many", "… has … delegations of duty, which is the limit: end one first")
DUTY_TYPE = UnverifiedCode("duty.type", "expected a token of type …, got …", step="duty")
DUTY_UNKNOWN = RefusedCode("duty.unknown", "there is no delegation of duty …")
DUTY_ZONE = MalformedCode(
    "duty.zone",
    "time zone … is not in this machine's time zone database: write an IANA name like "
    "`Europe/Berlin`, and see that the system's `tzdata` is there",
)

MESSAGE_FORM = MalformedCode("message.form", "this is not a message that was kept")

PUSH_DEVICE = MalformedCode("push.device", "the name of a device must have 1 to … characters")
PUSH_FULL = RefusedCode("push.full", "you have … registered devices, which is the limit: remove one first")
PUSH_GONE = RefusedCode("push.gone", "this device is not registered for you")
PUSH_HOST = RefusedCode("push.host", "push service … is not listed in `channels.push_hosts`")
PUSH_KEY = MalformedCode("push.key", "the key of web push is not on P-256")
PUSH_OFF = RefusedCode(
    "push.off", "push messages to devices are off: set `channels.push` and a route to `push`"
)

REVIEW_ALGORITHM = UnverifiedCode("review.algorithm", "algorithm … is not accepted", step="review")
REVIEW_AUDIENCE = UnverifiedCode("review.audience", "the review has audience …, expected …", step="review")
REVIEW_DONE = RefusedCode("review.done", "… has already reviewed this")
REVIEW_KEY = UnverifiedCode("review.key", "key … is not registered for …", step="review")
REVIEW_MALFORMED = MalformedCode("review.malformed", "claim … is missing or unknown")
REVIEW_NO_COMMENT = RefusedCode("review.no_comment", "say what you found")
REVIEW_NOT_ASKED = RefusedCode(
    "review.not_asked", "only a member of … who could have answered this approval may review it"
)
REVIEW_NOT_OWED = RefusedCode(
    "review.not_owed", "there is nothing to review: break-glass was not used for this approval"
)
REVIEW_OTHER = UnverifiedCode(
    "review.other", "the review is of another action or another answer", step="review"
)
REVIEW_OWN = RefusedCode(
    "review.own",
    "you used this break-glass access, or issued the mandate of its action: another person must review it",
)
REVIEW_SIGNATURE = UnverifiedCode("review.signature", "the signature is invalid", step="review")
REVIEW_STALE = UnverifiedCode("review.stale", "the review is … s old: sign it anew", step="review")
REVIEW_TYPE = UnverifiedCode("review.type", "expected a token of type …, got …", step="review")

STANDING_RULE_DAYS = MalformedCode(
    "standing_rule.days",
    "a standing rule must end after 1 to … days and be based on 2 or more approved requests, got "
    "… days and …",
)
STANDING_RULE_RULE = MalformedCode("standing_rule.rule", "… `forbid` policies have the id …, expected one")
STANDING_RULE_UNBOUNDED = MalformedCode("standing_rule.unbounded", "no narrower rule can be suggested: …")

STATS_BASELINE = MalformedCode(
    "stats.baseline", "… is not a baseline that `answerable stats --save` of this version wrote"
)
STATS_EXISTS = MalformedCode("stats.exists", "… already exists and is not overwritten: name another file")
STATS_FILE = MalformedCode("stats.file", "… cannot be written: …")
STATS_SINCE = RefusedCode(
    "stats.since", "hourly figures are kept from … on: ask for a later start, or for all"
)
