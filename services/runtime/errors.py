"""One small tree of errors, named by what the loop must do next.

ServiceError
├── Rejected    bad input: to the dead letters with its reason, never retried
├── Transient   try again later, after a back-off
│   └── Throttled   the other side said how long to wait
├── Permanent   give up on this one thing, record it, wake nobody
└── Fault       ours: stop and wake somebody
"""


class ServiceError(Exception):
    """The root: every error a service raises on purpose is one of its four kinds."""


class Rejected(ServiceError):
    """Bad input. `reason` is a stable code, `detail` says what to do and never quotes the input, which may be personal.

    `pointer` is an RFC 6901 JSON pointer to the fault. With `drop_value` the dead letter keeps no value: the input is
    of a kind that may not be stored, such as a confidential case.
    """

    def __init__(self, reason: str, detail: str, pointer: str = "", *, drop_value: bool = False) -> None:
        super().__init__(f"{reason} at {pointer or '/'}: {detail}")
        self.reason = reason
        self.detail = detail
        self.pointer = pointer
        self.drop_value = drop_value


class Transient(ServiceError):
    """A dependency failed in a way that passes: retry with back-off."""


class Throttled(Transient):
    """The other side asked us to slow down; `wait` is in seconds."""

    def __init__(self, message: str, wait: float) -> None:
        super().__init__(message)
        self.wait = wait


class Permanent(ServiceError):
    """This one thing can never succeed: record it and go on."""


class Fault(ServiceError):
    """Our own fault, or a setting's: stop and wake somebody. The message says what to do."""
