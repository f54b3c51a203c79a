"""Mode ``test``: real providers, every recipient rewritten to the allow list (SEC-25)."""

from dataclasses import replace

from winback.providers.outgoing import Outgoing, OutgoingEmail, Refused, Result, Sender
from winback.states import Channel


def rewritten_address(address: str, channel: Channel, allow_list: tuple[str, ...]) -> str | None:
    """Give the address if it is listed, else the first that fits the channel; None: there is none.

    Mail addresses are compared in any case.
    """
    allowed = [entry for entry in allow_list if ("@" in entry) == (channel is Channel.EMAIL)]
    if any(entry.casefold() == address.casefold() for entry in allowed):
        return address
    return allowed[0] if allowed else None


class AllowListed:
    """A sender that reaches nobody but those on the allow list."""

    def __init__(self, sender: Sender, allow_list: tuple[str, ...]) -> None:
        self._sender = sender
        self._allow_list = allow_list

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
        given = message.to_address if isinstance(message, OutgoingEmail) else message.to_number
        address = rewritten_address(given, self.channel, self._allow_list)
        if address is None:
            return Refused(
                "allow_list", f"mode test: allow_list names nobody for {self.channel}", "channel"
            )
        return await self._sender.send(_led_to(message, address))

    async def close(self) -> None:
        """Close the connections."""
        await self._sender.close()


def _led_to(message: Outgoing, address: str) -> Outgoing:
    if not isinstance(message, OutgoingEmail):
        return replace(message, to_number=address)
    if address == message.to_address:
        return message
    return replace(message, to_address=address, to_name=None)
