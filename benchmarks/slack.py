"""Slack: the real adapter (slack-bolt, Socket Mode) on the local Slack, beside a hand-written bolt app."""

from __future__ import annotations

import aiohttp

from benchmarks import chat_load
from benchmarks.chat_load import Json, Played
from benchmarks.measure import SAMPLE, Outcome, measure, spread
from bot.config import ChannelConfig, Config


class Slack:
    name = "slack"

    def configured(self, config: Config, place: Json, channels: tuple[ChannelConfig, ...]) -> Config:
        slack = config.slack.model_copy(
            update={
                "enabled": True,
                "api_base": place["api_base"],
                "staff_channel": place["staff"],
                "channels": channels,
            }
        )
        tokens = {
            "slack_bot_token": chat_load.secret(place["bot_token"]),
            "slack_app_token": chat_load.secret(place["app_token"]),
        }
        return config.model_copy(update={"slack": slack, "secrets": config.secrets.model_copy(update=tokens)})

    async def prepare(self, session: aiohttp.ClientSession, place: Json) -> str:
        del session
        return str(place["bare"])

    async def post(self, session: aiohttp.ClientSession, place: Json, body: Json, prepared: str) -> None:
        """One chat.postMessage."""
        headers = {"Authorization": f"Bearer {place['bot_token']}"}
        message = {**body, "channel": prepared}
        async with session.post(
            f"{place['api_base']}chat.postMessage", json=message, headers=headers
        ) as response:
            found = await response.json()
            assert found["ok"], found


async def run(*, quick: bool) -> Outcome:
    chat_load.quiet_environment()
    size = chat_load.sizes(quick=quick)
    bot = await chat_load.ours(Slack(), size)
    plain = await chat_load.naive(size, str(SAMPLE))
    acks = spread(bot.load["acks"])
    measures = [
        *chat_load.figures(bot),
        measure("ack_p50", "acknowledgement under load, p50", acks["p50_ms"], "ms"),
        measure(
            "ack_p99",
            "acknowledgement under load, p99 (a tenth of Slack's 3 s)",
            acks["p99_ms"],
            "ms",
            "<= 300",
        ),
        *beside(bot, plain),
    ]
    both = {"firstline": chat_load.details(bot, size), "hand_written": chat_load.details(plain, size)}
    return {"measures": measures, "details": both}


def beside(bot: Played, plain: Played) -> list[Json]:
    """The hand-written app, and how we compare."""
    own, other = spread(bot.single)["p50_ms"], spread(plain.single)["p50_ms"]
    ours, theirs = (p.load["answered"] / max(p.load["until_last"], 1e-9) for p in (bot, plain))
    return [
        measure("naive_p50", "hand-written app: question to posted answer, p50, one at a time", other, "ms"),
        measure("vs_naive_single", "ours over the hand-written app, one at a time", own / other, "×", "<= 1"),
        measure("naive_throughput", "hand-written app: answers a second under load", theirs, "answers/s"),
        measure("vs_naive_load", "our throughput over the hand-written app's", ours / theirs, "×", ">= 3"),
        measure("naive_lost", "hand-written app: questions never answered",
                plain.load["offered"] - plain.load["answered"], "questions"),
        measure("naive_twice", "hand-written app: messages beyond the first answer to a question",
                plain.load["twice"], "messages"),
        measure("naive_ack_p99", "hand-written app: acknowledgement under load, p99",
                spread(plain.load["acks"])["p99_ms"], "ms"),
        measure("naive_memory", "hand-written app: memory after the load", plain.memory, "MB"),
    ]  # fmt: skip
