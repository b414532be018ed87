"""The reference page of the search language, from its table of fields."""

from __future__ import annotations

from answerable.core.search.fields import FIELDS, INDEXED, Field
from answerable.ports.search_process import QUESTION_SECONDS_MAX
from answerable.wiring.joined_index import OTHERS_SECONDS_MAX
from wire_tables import markdown_table

SEARCHES = (
    "capability:pg.delete outcome:refused --since 24h",
    "person:ada resource:4711",
    "'amount>5000' approver:bob --since 7d --csv",
    "lease:ans_mfzwizltoqqgk3tuonxxezdbna",
    "session:pg_session:6a2f.1b",
    "account:app_rw --since 2026-12-01T08:00Z --until 2026-12-01T08:05Z",
    "text:refund agent:support-agent --ledger copy --keys data-copy",
)


_PLACES = (
    "Beside the index the directory `offsets` has 8 bytes an entry, by which one is opened without reading what",
    "stands before it. It may be deleted, too; a check of each entry's number and hash, under a key made of that of",
    "the subject keys, finds damage and what others wrote (SEARCH-13). Like the index it is no evidence: [`ledger",
    "verify`](../how-to/verify-a-ledger.md) reads the log without it.",
)


def search_page(made: str) -> str:
    """Return the page. made: the line that says that it is made."""
    lines = ["# Search", "", made, ""]
    lines += [
        "What [`answerable search`](cli.md#answerable-search) and `GET /v1/actions?q=` of the",
        "[control API](api.md) are asked with: words `FIELD:VALUE`. All fields must hold; several words of one field",
        "mean any of them, several of `text` all of them. One hit is one action with its outcome, one refusal, or one",
        "other entry of the ledger; newest first.",
        "[`answerable timeline`](cli.md#answerable-timeline) takes the same words, and bare names: a word",
        "without a field is tried as each kind of name.",
        "",
        "The index is a projection of the ledger: it may be deleted at any time and is made again. It contains names",
        "from leaves in clear, and values of sealed fields only as digests (HMAC-SHA-256, 8 bytes) under a key derived",
        "from the root key of the subject keys. Each hit is confirmed by opening its entry. When a subject's key is",
        "destroyed, what it sealed is erased from the index with the next search, and found by none from then on.",
        "",
        "Without `--keys`, only what leaves have in clear is compared. A search for anything else names the fields in",
        "`sealed`, and where it finds nothing its exit code is 6: that is no answer. Keys that open nothing of the log",
        "are an error.",
        "",
        "A refusal does not name a person: it is found by the person whose mandate the action was under, as the log",
        "says before it. One that came before the policies were asked is found by the resource and amount that its",
        "arguments have by the declaration of its capability; one without a mandate or a capability, by neither. One",
        "because of a person's no is found by the approval that was denied, and by the person.",
        "",
        "`amount` is what the action reserved of a budget, or what its capability declared when the entry was written:",
        "minor units of the `currency` that each hit says. Currencies are not told apart by a search.",
        "",
        "Beside `answerable up` a process of its own reads the ledger for searches, keeps the index and answers, with",
        "a lower priority than actions. It starts with the first search, when the ledger has",
        "[`search.start_entries`](settings.md) entries, or with the server where [logs are",
        "followed](../how-to/follow-a-log.md); it is started again when it ends, and `answerable status` and",
        "`answerable doctor` say how it is. It reads entries only once they are durable, and the subject keys without",
        "writing them. A search waits up to 5 s until the index has every entry from before the search; `missing` says",
        "how many it does not have yet. No question at any endpoint waits longer than",
        f"{QUESTION_SECONDS_MAX:.0f} s: where the process is stopped or hangs, the error says how to end it, or how to",
        "read the files without it. A search that opens 20,000 entries without filling its page is answered with what",
        "it has found, and `next` continues. Without a server, or with `search.enabled = false`, `answerable search`",
        "reads the files itself, one command at a time.",
        "",
        *_shards(),
        "`answerable timeline`, `show`, `scope` and `account list`, and `GET /v1/timeline/{name}`, `/v1/names/{name}`,",
        "`/v1/scope` and `/v1/accounts`, are answered by the same process in the same way (STORY-04, ACCOUNT-03). So",
        "are `GET /v1/actions/under` (`timeline --model`) and `GET /v1/mandates/{id}/tree` (`mandate tree`),",
        "of all entries, or with an error (`search.behind`) where the index does not have all of them (STORY-05). So",
        "is what `could --at` tells, and which entries the evidence of an action or a mandate has (STORY-06).",
        "Where no index is kept, the control API answers `search.off`.",
        "",
        *_PLACES,
        "",
        "In `q=`, spaces separate the words. A value with a space stands between double quotation marks, within which",
        '`\\"` is a quotation mark and `\\\\` a backslash: `agent:scout text:"two words"`. At the command line the',
        "shell's own quoting is enough: `'text:two words'`.",
        "",
        "`open` is an action of which no end is recorded: it is under way, or its process was killed. The latter ends",
        "as `indeterminate`: at a start of the server past the action's deadline, or else",
        "[`walk.upstream_ms_max`](settings.md) after it, which are two minutes where nothing else is set.",
        "",
        "```sh",
        *(f"answerable search {words}" for words in SEARCHES),
        "```",
        "",
    ]
    lines += markdown_table(
        ("Field", "Finds entries by", "Example", "Indexed"),
        [
            (f"`{one.name}`", one.says, f"`{one.name}{_sign(one)}{one.example}`", INDEXED[one.indexed])
            for one in FIELDS
        ],
    )
    return "\n".join(lines) + "\n"


def _shards() -> list[str]:
    return [
        "Of [several shards](../how-to/run-several-processes.md) every one is asked, wherever the question arrives:",
        "its process, or the files of its log where that does not run, for at most",
        f"{OTHERS_SECONDS_MAX:.0f} s. Hits, lines and counts are joined (SEARCH-14). `shard` says whose log has an",
        "entry, which is called `SHARD/ENTRY` (`answerable show b/12`); `shards` says of each up to where it is",
        "searched, at most a second behind its log while it runs, and `elsewhere` which could not be, and why.",
        "Where nothing is found and one is left out, the exit code is 6. An incident, a tree of a mandate and actions",
        "under a manifest are told from the log of the shard that is asked; one that has not issued a mandate refuses.",
        "",
    ]


def _sign(one: Field) -> str:
    return ">" if one.indexed == "amount" else ":"
