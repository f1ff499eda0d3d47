"""The HTTP door for case systems: JSON in and out, problem documents (RFC 9457) for what cannot be."""
