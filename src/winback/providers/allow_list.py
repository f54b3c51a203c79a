"""Mode ``test``: real providers, every recipient rewritten to the allow list (SEC-25)."""

from dataclasses import replace

from winback.providers.outgoing import Outgoing, OutgoingEmail, Refused, Result, Sender
from winback.states import Channel


class AllowListed:
    """A sender that reaches nobody but those on the allow list."""

    def __init__(self, sender: Sender, allow_list: tuple[str, ...]) -> None:
        self._sender = sender
        self._allowed = tuple(
            entry for entry in allow_list if ("@" in entry) == (sender.channel is Channel.EMAIL)
        )

    @property
    def name(self) -> str:
        """Name the provider."""
        return self._sender.name

    @property
    def channel(self) -> Channel:
        """Name the channel that it serves."""
        return self._sender.channel

    async def send(self, message: Outgoing) -> Result:
        """Send to the recipient if listed, else to the first of the list that fits the channel."""
        if not self._allowed:
            return Refused(
                "allow_list", f"mode test: allow_list names nobody for {self.channel}", "channel"
            )
        return await self._sender.send(self._rewritten(message))

    async def close(self) -> None:
        """Close the connections."""
        await self._sender.close()

    def _rewritten(self, message: Outgoing) -> Outgoing:
        if isinstance(message, OutgoingEmail):
            if message.to_address.casefold() in map(str.casefold, self._allowed):
                return message
            return replace(message, to_address=self._allowed[0], to_name=None)
        if message.to_number in self._allowed:
            return message
        return replace(message, to_number=self._allowed[0])
