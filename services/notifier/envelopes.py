"""A message's bytes in their envelope: to whom, and how what comes back names it."""

from services.notifier.channels.port import Outgoing
from services.notifier.ledger.messages import Message
from services.notifier.outcomes.return_path import ReturnPaths
from services.runtime.clock import Clock
from services.runtime.link_tokens import Purpose, mint
from services.runtime.sealing import Vault


class Envelopes:
    """Opens what the ledger keeps closed, at the moment of the call."""

    def __init__(
        self, vault: Vault, clock: Clock, return_paths: ReturnPaths | None = None, receipt_key: bytes | None = None
    ) -> None:
        self._vault = vault
        self._clock = clock
        self._return_paths = return_paths
        self._receipt_key = receipt_key

    def outgoing(self, message: Message, words: bytes | None = None) -> Outgoing:
        """What is handed to the provider; without `words`, with the bytes that stand in the ledger."""
        address = self._vault.decrypt(message.address_encrypted).decode()
        body = words or self._vault.decrypt(message.body_encrypted or b"")
        at = message.intent_at or self._clock.now()
        path = self._return_paths.of(message.number) if self._return_paths and message.channel == "email" else ""
        return Outgoing(message.message_id, address, body, self._reference(message), at, path)

    def _reference(self, message: Message) -> str:
        """What a receipt of ours names the message by; else its id."""
        if self._receipt_key is None or message.channel != "sms":
            return message.message_id
        return mint(message.number, self._receipt_key, Purpose.RECEIPT)
