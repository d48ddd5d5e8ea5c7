"""The bot that is killed, on Discord. `python -m tests.discord.victim API_BASE GUILD HELP STAFF DATABASE`."""

from __future__ import annotations

import sys
from pathlib import Path

from adapters.discord import DiscordAdapter, DiscordSettings
from adapters.port import Place
from handoff.policy import ChannelRule, RouteRule
from tests import stand_ins
from tests.chaos.served import run_quietly, serve
from tests.discord_sink import QUICK

TOKEN = "test-token"


async def main(api_base: str, guild: str, channel: str, staff: str, database: str) -> None:
    """Serve until killed."""
    desk = RouteRule("desk", {"discord": Place("discord", guild, staff, None, "private")})
    policy = stand_ins.policy(channels={("discord", channel): ChannelRule("all")}, routes={"desk": desk})
    settings = DiscordSettings(
        token=TOKEN, guild=guild, staff_channel=staff, channels={channel: "all"}, api_base=api_base, timing=QUICK,
    )  # fmt: skip
    await serve(DiscordAdapter(settings), Path(database), policy, search_seconds=0.001)


if __name__ == "__main__":
    run_quietly(main(*sys.argv[1:]))
