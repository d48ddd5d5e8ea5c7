"""A local Discord: REST v10 and gateway, strict about what Discord documents. See `DiscordServer`."""

from tests.discord_server.interactions import Interaction, Modal
from tests.discord_server.server import DiscordServer
from tests.discord_server.world import Refused

__all__ = ["DiscordServer", "Interaction", "Modal", "Refused"]
