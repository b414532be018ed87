"""Error codes of the search over the ledger and of its index."""

from __future__ import annotations

from answerable.errors.code import BrokenCode, MalformedCode, UnavailableCode, UnverifiedCode

SCOPE_FIELD = MalformedCode(
    "scope.field",
    "attempts are not counted by `…`, which what was refused does not have: give …, since or until",
)
SEARCH_BEHIND = UnavailableCode(
    "search.behind",
    "the index does not have … later entries of the ledger yet: ask again soon",
    port="search_process",
)
SEARCH_BUSY = UnavailableCode(
    "search.busy", "too many searches wait already: try again soon", port="search_process"
)
SEARCH_CURSOR = MalformedCode(
    "search.cursor", "… is not a cursor: give `next` of the answer before, unchanged"
)
SEARCH_DAMAGED = UnavailableCode(
    "search.damaged", "the search index is damaged: …; delete it, and it is made anew", port="search_index"
)
SEARCH_DOWN = UnavailableCode(
    "search.down",
    "no process answers searches: the log of `answerable up` says why; it is started again by itself",
    port="search_process",
)
SEARCH_FAILED = UnavailableCode(
    "search.failed",
    "the process that answers searches failed: the log of `answerable up` says why",
    port="search_process",
)
SEARCH_FIELD = MalformedCode("search.field", "there is no field …: did you mean `…`?")
SEARCH_KEYS = MalformedCode(
    "search.keys", "there are no subject keys in …: expected `subject-keys.db` and `keys/subjects.key`"
)
SEARCH_LARGE = UnavailableCode(
    "search.large", "more than … actions: an answer about them would take too long", port="search_process"
)
SEARCH_LATE = UnavailableCode(
    "search.late",
    "the process that answers searches gave no answer within … s: it is stopped, hangs or has too much to do; end it, "
    "and another one is started, or read the files beside it with --ledger DATA/ledger (of a shard "
    "DATA/ledger/shards/NAME) --keys DATA",
    port="search_process",
)
SEARCH_LIMIT = MalformedCode("search.limit", "a page has 1 to … hits, got …: use the cursor for more")
SEARCH_LOCKED = UnavailableCode(
    "search.locked",
    "another process is writing this search index: try again when it has ended",
    port="search_index",
)
SEARCH_LOG = MalformedCode("search.log", "there is no shard … beside this one")
SEARCH_LONG = MalformedCode("search.long", "a search has at most … words, got …")
SEARCH_OFF = UnavailableCode(
    "search.off",
    "this server keeps no index of its ledger: set `search.enabled`, or read its files with `answerable search`, "
    "`timeline`, `show` or `scope`",
    port="search_process",
)
SEARCH_ENDED = UnavailableCode(
    "search.ended", "the process that answers searches ended before it answered", port="search_process"
)
SEARCH_OTHER_KEYS = MalformedCode(
    "search.other_keys", "the subject keys in … open nothing of this log: they are of another one"
)
SEARCH_OTHER_LOG = BrokenCode(
    "search.other_log", "the search index in … is of another log: name another directory, or delete it"
)
SEARCH_PEER = UnverifiedCode("search.peer", "user … may not search here", step="peer")
SEARCH_TIME = MalformedCode(
    "search.time", "… is not a time: write how long ago, such as `90m`, `24h` or `7d`, a day or a time"
)
SEARCH_UNAVAILABLE = UnavailableCode(
    "search.unavailable",
    "cannot read the search index: …; delete it, and it is made again",
    port="search_index",
)
SEARCH_UNREACHABLE = UnavailableCode(
    "search.unreachable", "the process that answers searches cannot be reached", port="search_process"
)
SEARCH_VALUE = MalformedCode("search.value", "`…` has no value: write for example `…:…`")
SEARCH_WORD = MalformedCode("search.word", "… is not `field:value`: write for example `agent:NAME`")
SHOW_AMBIGUOUS = MalformedCode("show.ambiguous", "… may be … things: name one of them as KIND:NAME")
SHOW_UNKNOWN = MalformedCode("show.unknown", "nothing is called … (complete up to entry …, …)")
