"""Discord: the real adapter (discord.py) on the local Discord. An answer there is a new thread and a message in it."""

from __future__ import annotations

import aiohttp

from benchmarks import chat_load
from benchmarks.chat_load import Json
from benchmarks.measure import Outcome
from bot.config import ChannelConfig, Config, DiscordChannelConfig


class Discord:
    name = "discord"

    def configured(self, config: Config, place: Json, channels: tuple[ChannelConfig, ...]) -> Config:
        watched = tuple(DiscordChannelConfig(id=c.id, mode=c.mode) for c in channels)
        discord = config.discord.model_copy(
            update={
                "enabled": True, "api_base": place["api_base"], "guild": place["guild"],
                "staff_channel": place["staff"], "channels": watched,
            }
        )  # fmt: skip
        token = {"discord_token": chat_load.secret(place["bot_token"])}
        return config.model_copy(
            update={"discord": discord, "secrets": config.secrets.model_copy(update=token)}
        )

    async def prepare(self, session: aiohttp.ClientSession, place: Json) -> str:
        """A message for the next thread to hang on; not timed."""
        return await self._call(
            session, place, f"channels/{place['bare']}/messages", {"content": "a question"}
        )

    async def post(self, session: aiohttp.ClientSession, place: Json, body: Json, prepared: str) -> None:
        """The thread, then the message in it."""
        path = f"channels/{place['bare']}/messages/{prepared}/threads"
        await self._call(session, place, path, {"name": "A question"})
        await self._call(session, place, f"channels/{prepared}/messages", body)

    @staticmethod
    async def _call(session: aiohttp.ClientSession, place: Json, path: str, body: Json) -> str:
        headers = {"Authorization": f"Bot {place['bot_token']}"}
        async with session.post(f"{place['api_base']}/{path}", json=body, headers=headers) as response:
            found = await response.json()
            assert response.status < 300, found
            return str(found["id"])


async def run(*, quick: bool) -> Outcome:
    chat_load.quiet_environment()
    size = chat_load.sizes(quick=quick)
    bot = await chat_load.ours(Discord(), size)
    return {
        "measures": chat_load.figures(bot), "details": {"firstline": chat_load.details(bot, size)},
    }  # fmt: skip
