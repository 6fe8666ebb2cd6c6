//! Scenarios with every key that there is.

/// On the embedded runtime.
pub(super) const REFERENCE: &str = r#"
version = 1
name = "complete"
description = "Every key."
seed = 3
gates = []
must_apply = ["reconnect"]

[target]
kind = "reference"
defects = ["drop_nth,0.1"]
lane = "ws"
socket_path = "/sync/socket/websocket"
client_build_id = "20260301T000000Z"
connect_timeout = "5s"
request_timeout = "10s"
exclusive = true
apply = "frame"
snapshot = "http"
close_codes = [1001, 1005]
message_max = "16MiB"
dense_states = true
findings_are_rules = ["holes"]
allows = ["reads", "abuses"]
build_header = "x-build"

[target.slow_consumer]
queue_limit = 8
max_strikes = 3
send_buffer = "8KiB"

[target.stability]
absence = "5s"
limit = 2
socket_ends = "0.1%/h"
channel_ends = 0
heartbeat_timeouts = "3/min"
rejoins = 3
connect_errors = "1%"
auth_errors = 0
mint_errors = 0
join_errors = 0
subscribe_errors = 0
snapshot_errors = 0
publish_errors = "1%"

[target.topics."runtime.codex_worker_events"]
retain_events = 1_000
replay_budget_events = 500

[auth]
mint = "hs256"
kid = "sync-auth-v1"
secret = { env = "KEY" }
issuer = "i"
audience = "a"
ttl = "15m"

[fleet]
clients = 1000
ramp = "2s"
name_prefix = "khala"
users = 10
orgs = 2
user_ids = "numeric"
first_subscribe = "from-now"
first_user_id = 7
only_clients = [1, 2]

[[fleet.stage]]
duration = "40s"
target = 1020
churn = "30/min"

[[fleet.surface]]
name = "desktop"
cohort = "far"
share = 0.5
topics = ["runtime.codex_worker_events", "runtime.codex_worker_summaries"]
backoff = { fixed = "2s" }
heartbeat = "20s"
replay_batch_size = 200

[[fleet.surface]]
name = "ios"
share = 0.5
backoff = { base = "250ms", cap = "8s", exponent_offset = 1, exponent_max = 10, jitter = 0.5 }

[[load]]
command = "codex-worker-events"
rate = "20/s"
arrival = "constant"
payload_bytes = 256
workers = 4
during = ["steady", "storm"]

[[load]]
command = "codex-worker-events"
arrival = "bursts"
burst_size = 20
burst_gap = "10s"

[[phase]]
name = "steady"
duration = "60s"
measure = true

[[phase.fault]]
type = "slow_reader"
at = "1s"
duration = "5s"
mode = "fixed-percent"
value = 12.5
attributes = { rate = "2KiB/s", rcvbuf = "4KiB" }

[[phase.fault]]
type = "slow_reader"
at = "10s"
duration = "5s"
mode = "fixed"
value = 5
attributes = { pause = true }

[[phase]]
name = "storm"
duration = "60s"

[[phase.fault]]
type = "disconnect"
at = "5s"
mode = "random-max-percent"
value = 50
cohort = "far"
attributes = { style = "close", close_code = 1001 }

[[phase.fault]]
type = "offline"
at = "20s"
spread = "2s"
by_hand = true
attributes = { offline_for = "3s", resume = "kept" }

[[phase.fault]]
type = "unsubscribe"
at = "30s"
mode = "one"
attributes = { topics = ["runtime.codex_worker_events"], unsubscribed_for = "1s" }

[[phase.fault]]
type = "cursor"
at = "35s"
cohort = "far"
attributes = { stale_by = 100 }

[[phase.fault]]
type = "cursor"
at = "36s"
attributes = { future_by = 5 }

[[phase.fault]]
type = "cursor"
at = "38s"
attributes = { garbage = "text" }

[[phase.fault]]
type = "restart"
at = "39s"
attributes = { signal = "kill" }

[[phase.fault]]
type = "retention_trim"
at = "40s"
attributes = { topic = "runtime.codex_worker_events", keep = 10 }

[[phase.fault]]
type = "token"
at = "41s"
attributes = { kind = "expired" }

[[phase.fault]]
type = "revoke_sessions"
at = "42s"
mode = "one"
attributes = { revoked_for = "1s" }

[[phase.fault]]
type = "publish_burst"
at = "43s"
attributes = { events = 10, over = "1s" }

[[phase.fault]]
type = "handshake_flood"
at = "44s"
duration = "1s"
attributes = { sockets = 10 }

[[phase.fault]]
type = "hook"
at = "46s"
duration = "1s"

[phase.fault.attributes]
command = ["true"]
undo = ["true"]
check = ["true"]
timeout = "1s"
causes = ["absence"]
effects_for = "1s"

[[gate]]
name = "reconnect"
advisory = false

[[gate.objective]]
metric = "time_to_recovered"
where = { surface = "*" }
during = ["storm"]
require = "p(90) < 20s"
warn = "p(90) < 15s"
min_samples = 30

[[gate.objective]]
metric = "delivery"
during = ["storm"]
require = "p(99) < 1s"
reach = "1 %"

[[gate.objective]]
metric = "bystander_ratio"
during = ["storm"]
against = ["steady"]
require = "ratio < 1.5"

[[gate.objective]]
metric = "violations"
where = { rule = "gap" }
require = "count == 0"

[[gate]]
name = "stability"
advisory = true

[stability]
absence = "2s"
limit = 4
socket_ends = 0
channel_ends = 0
heartbeat_timeouts = "2/min"
rejoins = 3
connect_errors = " 1 %"
auth_errors = 0
mint_errors = 0
join_errors = 0
subscribe_errors = 0
snapshot_errors = 0
publish_errors = "0.5 % / h"

[oracle]
converge_within = "30s"
settle_within = "2s"
drain_within = "10s"
storm_min_deliveries = 3
violations_kept = 100

[generator]
worker_threads = 2
source_addresses = ["127.0.0.1", "127.0.0.2"]
lag_share_max = 0.1

[profile.smoke]
seed = 4
judge = ["reconnect"]

[profile.smoke.fleet]
clients = 500

[profile.smoke.fleet.surface.far]
heartbeat = "10s"

[profile.smoke.load.0]
rate = "10/s"

[profile.smoke.phase.storm.fault.offline]
attributes = { offline_for = "1s" }

[profile.smoke.gate.reconnect.objective.time_to_recovered]
require = "p(80) < 20s"
warn = "p(80) < 15s"
"#;

/// On something that is there already.
pub(super) const URL: &str = r#"
version = 1
name = "complete-url"

[target]
kind = "url"
url = "${URL:-http://127.0.0.1:4000/}"
admin_token = { env = "ADMIN" }
commands = "none"
clients_max = 200
connect_rate_max = "20/s"
command_secret = { command = ["pass", "command"] }
build_command = ["cat", "BUILD"]
headers = { x-route = "a" }
query = { region = "eu" }
control_url = "https://control.example.com"
proxy = "http://127.0.0.1:3128"
clear_text = true

[target.tls]
ca = "ca.pem"
client_certificate = "client.pem"
client_key = "client.key"
server_name = "sync.example.com"
insecure = true

[target.slow_consumer]
kernel_buffer = "256KiB"

[target.retains."runtime.codex_worker_events"]
retain_events = 1_000
replay_budget_events = 500

[auth]
mint = "static"
token = { file = "token" }

[fleet]
clients = 100
surface = [{ name = "web-shell", share = 1 }]

[[phase]]
name = "steady"
duration = "1m"
"#;

/// Where the control service makes the tokens, for a session that others began.
pub(super) const CONTROL: &str = r#"
version = 1
name = "complete-control"

[target]
commands = "command"
command = ["./publish"]
kind = "url"
url = "http://127.0.0.1:4000"

[auth]
mint = "control"
session_token = { command = ["pass", "session"] }
ttl = "5m"

[fleet]
clients = 100
surface = [{ name = "web-shell", share = 1 }]

[[phase]]
name = "steady"
duration = "1m"
"#;
