"""Every metric of ours, listed once, with its meaning. Labels are few and never personal."""

from prometheus_client import Counter, Gauge, Histogram

RECORDS = Counter("nardialog_records_total", "Records handled, by how they ended.", ["service", "topic", "outcome"])
DEAD_LETTERS = Counter("nardialog_dead_letters_total", "Records put aside, by reason.", ["service", "topic", "reason"])
ROUNDS = Counter("nardialog_rounds_total", "Rounds published, by state.", ["state"])
INVITATIONS = Counter("nardialog_invitations_total", "Invitations published.", ["state"])
MATCH_SECONDS = Histogram("nardialog_match_seconds", "Seconds to derive one case's round and invitations.")
DELIVERIES = Counter("nardialog_deliveries_total", "What became of messages.", ["channel", "state"])
RESENT_UNKNOWN = Counter(
    "nardialog_resent_unknown_total",
    "Messages sent again because nobody knows whether the first attempt was taken: at most so many came twice.",
    ["channel"],
)
CHANNEL_PAUSED = Gauge("nardialog_channel_paused", "1 while a channel in trouble is left alone.", ["channel"])
SENDING_PAUSED = Gauge("nardialog_sending_paused", "1 while an operator has paused a channel, or all.", ["channel"])
RETURNED_MAIL = Counter(
    "nardialog_returned_mail_total",
    "Mails that came back: what they are, what followed, and where they are then: handled, aside or waits.",
    ["sort", "code", "then"],
)
MAILBOX_UNREAD = Gauge("nardialog_mailbox_unread", "1 while the mailbox that mail comes back to cannot be read.")
ALARMS = Counter("nardialog_alarms_total", "Things that operations must look at.", ["channel", "code"])
PROVIDER_CALLS = Counter(
    "nardialog_provider_calls_total", "Calls by SMS providers, by what came of them.", ["provider", "kind", "outcome"]
)
SMS_SPENT = Gauge("nardialog_sms_spent", "What this month's SMS cost so far, in the currency of the cap.")
READER = ["topic", "group"]
LAG_RECORDS = Gauge("nardialog_lag_records", "Records that a group has not handled.", READER)
LAG_SECONDS = Gauge("nardialog_lag_seconds", "Age of the oldest record that a group has not handled.", READER)
LAG_VERDICT = Gauge("nardialog_lag_verdict", "From 0, keeps up, to 6, lost, as `nardialog lag` says it.", READER)
OPEN_LETTERS = Gauge("nardialog_open_dead_letters", "Dead letters with which nothing was done yet.", ["topic"])
