"""The house rules as data. Change a rule here, with a reason; lists of exceptions only shrink."""

from __future__ import annotations

# --- names ----------------------------------------------------------------------------------------

BANNED_WORDS = frozenset(
    """
    util utils helper helpers common misc base manager service handler processor wrapper data info do
    """.split()
)

# Names that others chose, which we must take to fit in: `file: name`.
NAMES_OF_OTHERS = frozenset(
    {
        "src/answerable/core/identity/proof/http_signature.py: signature_base",  # RFC 9421, section 2.5
        "src/answerable/adapters/uvicorn_front/protocol.py: data_received",  # asyncio.Protocol
        "src/answerable/apps/workload_api/connection.py: data_received",  # asyncio.Protocol
        "src/answerable/adapters/mcp_upstream/stdio_pipes.py: pipe_data_received",  # asyncio.SubprocessProtocol
        "src/answerable/adapters/bundle_http/svid_handshake.py: do_handshake",  # ssl.SSLObject
        "benchmarks/peers/load_client.py: data_received",  # asyncio.Protocol
    }
)

# --- the world ------------------------------------------------------------------------------------

# Where clock, chance and environment may be touched. All other rooms get them passed in.
WORLDLY_ROOMS = frozenset({"adapters", "apps", "main", "testing", "wiring"})
# An agent's own process has no wiring, so this one module of the SDK stands in for it.
WORLDLY_MODULES = frozenset({"src/answerable/sdk/system_access.py"})

# What a pure room must not even name. A final `*` stands for anything after it.
WORLD = (
    "datetime.date.today",
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "time.*",
    "uuid.uuid1",
    "uuid.uuid4",
    "uuid.getnode",
    "random.*",
    "secrets.*",
    "os.environ*",
    "os.getenv*",
    "os.putenv",
    "os.urandom",
    "os.getrandom",
    "nacl.utils.random*",
    "nacl.signing.SigningKey.generate",
    "cryptography.*.generate",
    "cryptography.*.generate_private_key",
    "joserfc.*.generate_key",
)

# External packages that `core` may import, beside the standard library less its doors to the world.
CORE_PACKAGES = frozenset(
    {"cryptography", "joserfc", "jsonschema_rs", "msgspec", "nacl", "rfc8785", "webauthn"}
)
CORE_STDLIB_BANNED = frozenset(
    """
    asyncio builtins concurrent ctypes fcntl getpass glob http importlib io locale logging mmap multiprocessing
    os pathlib platform queue random sched secrets select selectors shutil signal site smtplib socket
    socketserver sqlite3 ssl subprocess sys syslog tempfile threading time urllib webbrowser xmlrpc
    """.split()
)

# Rooms beside the layers of pyproject.toml: `room` may not import any of these.
FORBIDDEN_ROOMS = {"ports": frozenset({"sdk", "verify"})}

# --- the walk -------------------------------------------------------------------------------------

# The only places that make these values, as Python cannot hide a constructor. A final `/` stands for all files
# below.
ONLY_MAKERS = {
    "Warrant": (
        "src/answerable/core/ledger/warrant.py",
        "src/answerable/flows/walk/commit_intent.py",
    ),
    "Committed": (
        "src/answerable/core/ledger/commit.py",
        "src/answerable/flows/recording/intent_log.py",
    ),
    "VerifiedRequest": (
        "src/answerable/core/action/",
        "src/answerable/core/mandate/",
        "src/answerable/flows/walk/verify_request.py",
    ),
    "Plan": ("src/answerable/flows/walk/plan.py",),
    "VerifiedCaller": (
        "src/answerable/core/identity/",
        "src/answerable/flows/tokens/verify_caller.py",
        "src/answerable/flows/tokens/verify_dpop.py",
        # Of policy tests: nobody, for an action that is only decided.
        "src/answerable/core/action/trial.py",
        # Takes over who was proved in another process of the same account.
        "src/answerable/adapters/shard_socket/messages.py",
        "src/answerable/testing/",
    ),
}

# What only a commit may call, by port and method, and where that is.
TAKES = frozenset(
    {
        ("approvals", "give_back"),
        ("approvals", "use"),
        ("mandates", "give_back"),
        ("mandates", "reserve"),
        ("mandates", "take_more"),
        ("prepared", "give_back"),
        ("prepared", "use"),
    }
)
ONLY_TAKER = "src/answerable/flows/recording/intent_log.py"

# --- sizes ----------------------------------------------------------------------------------------

FUNCTION_LINES_MAX = 70  # without its docstring
MODULE_LINES_MAX = 400

# Named exceptions with their present length, as `file` and `file: function`. Whatever differs from its figure
# fails, so that the figure follows it down.
LONG_MODULES: dict[str, int] = {}
LONG_FUNCTIONS: dict[str, int] = {}

# --- texts ----------------------------------------------------------------------------------------

# Written in pieces, so that this file does not find itself.
LEFTOVER_WORDS = ("TO" + "DO", "FIX" + "ME", "XX" + "X")
MACHINE_PATHS = tuple("/" + start for start in ("work/", "root/", "farm/", "home/", "Users/", "tmp/"))
REGISTRY_HOSTS = (
    "pypi" + ".org",
    "python" + "hosted.org",
    "npmjs" + ".org",
    "deb." + "debian.org",
    "crates" + ".io",
    "proxy.golang" + ".org",
)

# Files whose text others wrote, or that only list hashes.
TEXTS_OF_OTHERS = ("tests/vectors/",)
LOCK_SUFFIX = ".lock"

# `file: text` pairs that may stay.
PATHS_THAT_MAY_STAY: frozenset[str] = frozenset()

# --- reachability ---------------------------------------------------------------------------------

ENTRY_MODULES = ("answerable", "answerable.__main__", "answerable.main", "answerable.main.__main__")
# Rooms that people outside import: each package's own face counts as used.
PUBLIC_ROOMS = ("sdk", "targets", "testing", "verify")
# Packages whose every module is an entry point: the test bench is for whoever builds on this, and the SDK for whoever
# writes an agent, to import piece by piece.
PUBLIC_PACKAGES = ("answerable.testing", "answerable.sdk")

# --- helpers of tests ---------------------------------------------------------------------------------

# Those directly under tests/ that no test file imports: what starts each is told here.
STARTED_BY_PATH = {
    "tests/conftest.py": "pytest reads it",
    "tests/stand_ins/moto_with_session_policies.py": "tests/stand_ins/moto_server.py starts it",
    "tests/probes/warm_demo.py": "tests/probes/demo_run.py starts it",
    "tests/stand_ins/warm_stub.py": "tests/probes/warm_starts.py puts it in place of Python",
}

# --- time in tests --------------------------------------------------------------------------------

CLOCKS = frozenset(
    {
        *(f"time.{name}" for name in ("time", "monotonic", "perf_counter", "process_time", "thread_time")),
        *(f"time.{name}_ns" for name in ("time", "monotonic", "perf_counter", "process_time", "thread_time")),
        "anyio.current_time",
        "datetime.datetime.now",
        "datetime.datetime.utcnow",
    }
)
SLEEPS = frozenset({"anyio.sleep", "asyncio.sleep", "time.sleep"})
NAP_SECONDS_MAX = 0.05
"""For others to come to their turn."""
LOOK_SECONDS_MAX = 0.1
"""Between two looks at what is waited for."""

_NEVER = "what must not come has no event"
_CHANCE = "at a moment of chance, or after a pause of a workload"
_SLOW = "plays somebody slow"
_LONGER = "longer than a time that the product keeps to"
_BEGUN = "what waits at a server of its own does not say so"
SLEEPS_FOR_A_REASON: dict[str, tuple[int, str]] = {
    "tests/attack/test_bundle_servers.py": (1, _SLOW),
    "tests/attack/test_sql_leases.py": (1, _CHANCE),
    "tests/attack/test_workload_api_floods.py": (1, _LONGER),
    "tests/contracts/test_bundle_endpoints.py": (2, _BEGUN),
    "tests/contracts/test_killed_rotations.py": (1, _CHANCE),
    "tests/contracts/test_ledger_files.py": (1, _SLOW),
    "tests/system/stop_load.py": (3, _CHANCE),
    "tests/system/hostile_upstream.py": (2, _SLOW),
    "tests/system/ledger_writer.py": (1, _CHANCE),
    "tests/system/test_gateway_events.py": (2, _NEVER),
    "tests/system/test_gateway_holds.py": (1, _NEVER),
    "tests/system/test_gateway_holds_http.py": (1, _NEVER),
    "tests/system/test_gateway_shim.py": (1, _NEVER),
    "tests/system/test_older_registers.py": (1, _CHANCE),
    "tests/system/test_redis_leases.py": (1, _NEVER),
    "tests/system/test_standing_secrets_at_work.py": (1, _LONGER),
    "tests/system/test_starting_beside_commands.py": (1, _LONGER),
    "tests/system/test_stops_under_load.py": (4, _CHANCE),
}
"""How many sleeps of a file look for nothing, and why."""
