"""Error codes of the servers, the command line, and their settings."""

from __future__ import annotations

from answerable.errors.code import BrokenCode, MalformedCode, RefusedCode, UnavailableCode, UnverifiedCode

CLI_AGAINST = MalformedCode("cli.against", "name the manifest: --against FILE, or --agent NAME")
CLI_ATTESTATION = MalformedCode("cli.attestation", "give only one way to enrol")
CLI_CONFIRMATION = MalformedCode(
    "cli.confirmation", "this command needs a confirmation, and standard input is not a terminal: add --yes"
)
CLI_CSV = MalformedCode("cli.csv", "give either --json or --csv")
CLI_DIGEST = UnverifiedCode(
    "cli.digest",
    "the server groups approvals that are not alike: sign nothing, and notify its operator",
    step="digest",
)
CLI_DIRECTORY = MalformedCode("cli.directory", "there is no directory …")
CLI_DRAFT = UnverifiedCode(
    "cli.draft", "the server's draft is for another principal or audience: nothing was signed", step="draft"
)
CLI_FILE = MalformedCode("cli.file", "cannot read …: …")
CLI_FILE_UNAVAILABLE = UnavailableCode(CLI_FILE.id, "cannot read …: …", port="file")
CLI_FILE_SIZE = MalformedCode("cli.file_size", "… has more than … bytes")
CLI_FILES = MalformedCode("cli.files", "there is no Capability in these files")
CLI_NAME = MalformedCode("cli.name", "expected a name or an id of 1 to … characters, got …")
CLI_MISSING = MalformedCode("cli.missing", "standard input is not a terminal: …")
CLI_NARROWER = MalformedCode(
    "cli.narrower", "give a smaller value: `--set NAME=NUMBER`, or `--keep NAME=ITEM` for a list"
)
CLI_NOT_CONFIRMED = RefusedCode("cli.not_confirmed", "not confirmed: nothing was signed")
CLI_NOT_UTF8 = MalformedCode("cli.not_utf8", "argument … is not valid UTF-8: …")
CLI_OUT = UnavailableCode("cli.out", "cannot create …: …", port="file")
CLI_OUTPUT = UnavailableCode(
    "cli.output", "standard output cannot be written (…): changes already made stay in force", port="terminal"
)
CLI_PROJECT = MalformedCode("cli.project", "--project and --agent are given together")
CLI_PUBLIC_EXISTS = MalformedCode("cli.public_exists", "… already exists and is not overwritten")
CLI_REPLAY = MalformedCode("cli.replay", "give exactly one of ID, --bundle and --all")
CLI_REVOKE = MalformedCode("cli.revoke", "give KIND and NAME of what to revoke, or --list")
CLI_SEARCH = MalformedCode("cli.search", "--keys and --index are given with --ledger")
CLI_SET = MalformedCode("cli.set", "…, got …")
CLI_SETS = MalformedCode(
    "cli.sets",
    "… has no PolicySet: name a directory with a `set.yaml`, a YAML file of PolicySet documents, or --remove NAME",
)
CLI_SINCE = MalformedCode("cli.since", "… is not a duration such as `90m`, `24h` or `7d`")
CLI_STOP = MalformedCode("cli.stop", "give one NAME, or its KIND and NAME; nothing was stopped")
CLI_TIER = MalformedCode("cli.tier", "… is not of the form `capability=2`")
CLI_TIME = MalformedCode("cli.time", "… is not a time with a UTC offset such as 2026-12-27T08:00+01:00")
CLI_TIMELINE = MalformedCode("cli.timeline", "give either names, or --manifest, --prompt or --model")
CLI_TOOLS = MalformedCode("cli.tools", "… must hold {SERVER: [TOOL, ...]}")
CLI_UNWRITABLE = UnavailableCode("cli.unwritable", "cannot write …: …", port="file")

CLIENT_CONFIG_BACKUP_EXISTS = UnavailableCode(
    "client_config.backup_exists",
    "backup … has another entry of server … than the file and is not overwritten: move it away",
    port="client_config",
)
CLIENT_CONFIG_DOCUMENTS_EXIST = MalformedCode(
    "client_config.documents_exist",
    "… already exists with other content and is not overwritten: name another file with --documents",
)
CLIENT_CONFIG_MALFORMED = MalformedCode("client_config.malformed", "a client configuration is a JSON object")
CLIENT_CONFIG_NOT_WRAPPED = RefusedCode(
    "client_config.not_wrapped", "no server in this file is reached through the gateway"
)
CLIENT_CONFIG_NOTHING_TO_WRAP = RefusedCode(
    "client_config.nothing_to_wrap", "the file holds no server that can be wrapped"
)
CLIENT_CONFIG_UNREADABLE = UnavailableCode(
    "client_config.unreadable", "… cannot be read: …", port="client_config"
)
CLIENT_CONFIG_UNWRITABLE = UnavailableCode(
    "client_config.unwritable", "… cannot be written: …", port="client_config"
)

CONSOLE_BROWSER = UnverifiedCode(
    "console.browser",
    "this session was opened in another browser and was ended: sign in again",
    step="session",
)
CONSOLE_CSRF = RefusedCode("console.csrf", "this form is not from your session: reload the page")
CONSOLE_FAILED = BrokenCode("console.failed", "internal error: see the server's log")
CONSOLE_GONE = RefusedCode("console.gone", "agent … is not registered")
CONSOLE_HOST = MalformedCode("console.host", "this console is at …; no other host name is served")
CONSOLE_METHOD = MalformedCode("console.method", "… is not a method of this page")
CONSOLE_NOT_FRESH = UnverifiedCode(
    "console.not_fresh",
    "sign in again: your last authentication was more than … seconds ago or from another address",
    step="session",
)
CONSOLE_ORIGIN = RefusedCode(
    "console.origin", "the request did not come from a page of this console: repeat it there"
)
CONSOLE_ROOTS = MalformedCode("console.roots", "`console.attestation_roots` refers to no PEM certificate")
CONSOLE_SESSIONS = UnavailableCode(
    "console.sessions", "the limit of sessions is reached: try again later", port="console"
)
CONSOLE_SIGNED_OUT = UnverifiedCode(
    "console.signed_out", "your session has ended: sign in again", step="session"
)
CONSOLE_STREAMS = UnavailableCode(
    "console.streams", "this session has reached its limit of open live pages", port="console"
)
CONSOLE_TOO_MANY = RefusedCode("console.too_many", "too many attempts from your address: wait a minute")

CONTROL_ANSWER = BrokenCode("control.answer", "the server answered with something else than problem details")
CONTROL_FAILED = BrokenCode("control.failed", "internal error: see the server's log")
CONTROL_FORBIDDEN = UnavailableCode(
    "control.forbidden", "the control socket … belongs to another user: run this as that user", port="control"
)
CONTROL_NO_ANSWER = UnavailableCode("control.no_answer", "…: …; …", port="control")
CONTROL_NO_SOCKET = UnavailableCode(
    "control.no_socket",
    "…, and no server answers at the control socket …: end that process, or start it again if it is a server whose "
    "socket was removed; `answerable panic` holds everything at once and needs no answer of a server",
    port="control",
)
CONTROL_NO_DATA = UnavailableCode(
    "control.no_data",
    "there is no data directory …: begin with `answerable apply` or `answerable up`, or name another "
    "with --data",
    port="control",
)
CONTROL_NOT_ENDED = UnavailableCode(
    "control.not_ended",
    "nothing was ended: no server runs, and … cannot be worked on (…). …; `answerable panic` lets "
    "each start hold everything, where its file can be written",
    port="control",
)
CONTROL_PEER = UnverifiedCode(
    "control.peer", "the connection does not identify the calling process", step="peer"
)

EXTRA_MISSING = UnavailableCode("extra.missing", '… here: pip install "answerable[replay]"', port="extra")

FRONT_ADDRESS = UnavailableCode("front.address", "cannot listen on the socket …: …", port="front")
FRONT_LIFESPAN = UnavailableCode("front.lifespan", "the application failed to start", port="front")
FRONT_NOT_A_SOCKET = UnavailableCode(
    "front.not_a_socket", "… already exists and is not a socket", port="front"
)
FRONT_NOT_BOUND = BrokenCode("front.not_bound", "the requested Unix socket was not bound")
FRONT_SOCKET_GROUP = UnavailableCode(
    "front.socket_group",
    "group … cannot reach the gateway's socket: its members may not enter the socket's directory: chmod o+x …, "
    "or set `gateway.socket` to another path",
    port="front",
)
FRONT_SOCKET_IN_USE = UnavailableCode(
    "front.socket_in_use", "another server answers on the socket …", port="front"
)
FRONT_TLS = UnavailableCode("front.tls", "the certificate or key has more than … bytes", port="front")

GATEWAY_NOTHING_GRANTED = RefusedCode(
    "gateway.nothing_granted", "none of the requested subscriptions is available"
)
GATEWAY_OTHER_MESSAGE = BrokenCode(
    "gateway.other_message", "a message reached the gate without its proof being checked"
)
GATEWAY_STOPPED = UnavailableCode("gateway.stopped", "the gateway is not running", port="gateway")
GATEWAY_STREAMS = RefusedCode("gateway.streams", "an agent has at most … event streams")

HTTP_BODIES_FULL = UnavailableCode(
    "http.bodies_full", "too many request bodies are being received at a time", port="gateway"
)
HTTP_CONTENT_ENCODING = MalformedCode("http.content_encoding", "a compressed body is not accepted")
HTTP_HEADER_TWICE = MalformedCode("http.header_twice", "header … is given twice")
HTTP_HOST = RefusedCode("http.host", "this gateway does not serve the host name in the Host header")
HTTP_LEFT = MalformedCode("http.left", "the client disconnected before the end of the body")
HTTP_ORIGIN = RefusedCode(
    "http.origin", "requests from web pages are refused: the Origin is not in `gateway.allowed_origins`"
)
HTTP_SLOW_BODY = MalformedCode("http.slow_body", "the body was not received within … s")
HTTP_TARGET = MalformedCode("http.target", "the path is missing in its raw form")

PARAMS_INVALID = MalformedCode("params.invalid", "params must be an object")

REQUEST_BODY = MalformedCode("request.body", "… cannot be stopped on this page: use `answerable stop`")
REQUEST_MEDIA_TYPE = MalformedCode("request.media_type", "expected a body of type `…`, got …")
REQUEST_METHOD = MalformedCode("request.method", "… is not a method of …")
REQUEST_PATH = MalformedCode("request.path", "… is not the index of an entry")
REQUEST_PATH_UNKNOWN = MalformedCode("request.path_unknown", "there is no … here")
REQUEST_QUERY = MalformedCode("request.query", "state … is none of …")
REQUEST_SIZE = MalformedCode("request.size", "the body has more than … bytes")
REQUEST_SLOW = MalformedCode("request.slow", "the body took longer than … seconds")

SETTINGS_CHANNELS = MalformedCode(
    "settings.channels", "… is not an address such as `https://receiver.example/events`"
)
SETTINGS_FAULTS = MalformedCode("settings.faults", "settings: ……")
SETTINGS_LEDGER = MalformedCode("settings.ledger", "segment_bytes is …, expected … to …")
SETTINGS_OIDC_SECRETS = MalformedCode(
    "settings.oidc_secrets",
    "`oidc_secret` is for one provider only: give each provider a secret of its own in `oidc_secrets`",
)
SETTINGS_PERSON_ISSUERS = MalformedCode(
    "settings.person_issuers",
    "each is `URL CLIENT-ID [SECONDS]`, such as `https://login.example answerable 900`, with another "
    "URL each, and 1 to 86400 seconds",
)
SETTINGS_RECEIVERS = MalformedCode(
    "settings.receivers", "… is not an address such as `https://receiver.example/events`"
)
SETTINGS_VALUE = MalformedCode("settings.value", "more than … bytes")
SETTINGS_WEBHOOKS = MalformedCode(
    "settings.webhooks", "… is not an address such as `https://receiver.example/events`"
)
SETTINGS_WITNESS = MalformedCode(
    "settings.witness",
    "expected https://PREFIX, http:// on loopback or unix:/PATH after the key, without user or query",
)

SHIM_DELEGATION = UnavailableCode("shim.delegation", "… …", port="file")
SHIM_GATEWAY = MalformedCode("shim.gateway", "gateway … is neither http(s)://HOST:PORT nor unix:PATH")

SIDECAR_CERTIFICATE = MalformedCode("sidecar.certificate", "the certificate's key is of an unsupported type")
SIDECAR_COMMAND = UnavailableCode("sidecar.command", "cannot start …: …", port="sidecar")
SIDECAR_DELEGATION = RefusedCode(
    "sidecar.delegation", "the delegation is for agent … and another key than this instance's"
)
SIDECAR_FIELD = MalformedCode("sidecar.field", "field `…` is given twice")
SIDECAR_MEMBERS = MalformedCode("sidecar.members", "the body must be a JSON object")
SIDECAR_MESSAGE = MalformedCode("sidecar.message", "a message is one JSON-RPC 2.0 request or notification")
SIDECAR_OTHER_AGENT = RefusedCode("sidecar.other_agent", "the measured process is agent … now, expected …")
SIDECAR_OTHER_DOMAIN = RefusedCode(
    "sidecar.other_domain", "the server is of trust domain … now: restart this command"
)
SIDECAR_PATH = MalformedCode(
    "sidecar.path",
    "… … is not what a handle serves: MCP at /mcp/SERVER, /instance, /sub-agents, /tasks and /delegations",
)
SIDECAR_REFERENCE = MalformedCode("sidecar.reference", "expected `file:PATH`, got ……")
SIDECAR_SOCKET = UnavailableCode("sidecar.socket", "the handle's socket cannot be created: …", port="sidecar")
SIDECAR_SSH = UnavailableCode("sidecar.ssh", "`ssh-keygen -Y sign` did not sign with …: …", port="ssh-keygen")
SIDECAR_TASK = RefusedCode("sidecar.task", "there is no task …: create it with POST /tasks")
SIDECAR_TASK_NAME = MalformedCode(
    "sidecar.task_name", "… is not a task name: use lower-case letters, digits, `.`, `_` and `-`"
)
SIDECAR_TASKS = RefusedCode("sidecar.tasks", "a handle has at most … tasks: delete one")
SIDECAR_UNREADABLE = UnavailableCode("sidecar.unreadable", "… cannot be read: …", port="file")

START_DIRECTORY = UnavailableCode(
    "start.directory",
    "the data directory … cannot be made: …; name another with --data or `ANSWERABLE_DATA`",
    port="files",
)
START_NO_ROOM = UnavailableCode("start.no_room", "… cannot be made: …", port="files")

TELEMETRY_ANSWER = UnavailableCode(
    "telemetry.answer",
    "the collector of `telemetry.otlp_endpoint` answered with …: check its log and `telemetry.otlp_header`",
    port="telemetry",
)
TELEMETRY_HEADER = MalformedCode(
    "telemetry.header", "what `telemetry.otlp_header` refers to is not `NAME: VALUE` on one line"
)
TELEMETRY_UNREACHABLE = UnavailableCode(
    "telemetry.unreachable", "the collector of `telemetry.otlp_endpoint` was not reached: …", port="telemetry"
)
