"""The bot that is killed: the real adapter, line and disk. `python -m tests.slack.victim API_BASE DATABASE`."""

from __future__ import annotations

import sys
from pathlib import Path

from adapters.port import Place
from adapters.slack import SlackAdapter, SlackSettings
from handoff.policy import ChannelRule, RouteRule
from tests import stand_ins
from tests.chaos.served import run_quietly, serve
from tests.slack.workspace import APP_TOKEN, BOT_TOKEN, TEAM


async def main(api_base: str, database: Path) -> None:
    """Serve until killed."""
    desk = RouteRule("desk", {"slack": Place("slack", TEAM, "C0DESK", None, "private")})
    policy = stand_ins.policy(channels={("slack", "C0HELP"): ChannelRule("all")}, routes={"desk": desk})
    channels = {"C0HELP": "all"}
    settings = SlackSettings(
        BOT_TOKEN, APP_TOKEN, api_base=api_base, staff_channel="C0DESK", channels=channels
    )
    await serve(SlackAdapter(settings), database, policy, search_seconds=0.001)


if __name__ == "__main__":
    run_quietly(main(sys.argv[1], Path(sys.argv[2])))
