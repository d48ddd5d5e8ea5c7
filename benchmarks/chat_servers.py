"""The local Slack or Discord of tests/ in a process of its own, with people who ask; times are taken where they sit.

    python -m benchmarks.chat_servers slack|discord CHANNELS USERS

One JSON object a line. The first line out says where the server is. Orders in: `{"do": "connected"}`,
`{"do": "ask", "text": …}` (one question, waits for its answer), `{"do": "sample"}` (the request that posted the last
answer), `{"do": "load", "texts": […], "rate": …, "drain": …}` (an open loop: questions come whether or not answers
do), `{"do": "stop"}`. Only loopback; every load is bounded by its texts, its rate and its drain.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Mapping
from typing import Any

from tests.discord_server import DiscordServer
from tests.slack.delivery import Delivery
from tests.slack.server import SlackServer

Json = dict[str, Any]
ANSWER_SECONDS = 30.0
QUIET_SECONDS = 60.0  # after so long without an answer nothing more is expected
SLACK_RETRIES = (3.0, 60.0)  # Slack sends again what nobody acknowledged: after its 3 s, then after a minute
THREAD_STARTER = 21


class Town:
    """Who asked what when, and when the first answer came."""

    def __init__(self, channels: int, users: int) -> None:
        self.sent: dict[str, float] = {}
        self.answered: dict[str, float] = {}
        self.twice = 0
        self.news = asyncio.Event()
        self.channels = [f"bench{number}" for number in range(channels)]
        self.people = [f"person{number}" for number in range(users)]
        self._numbers = itertools.count()

    def heard(self, thread: str) -> None:
        """A message of the bot arrived in this thread."""
        if thread in self.answered:
            self.twice += 1
        else:
            self.answered[thread] = time.perf_counter()
        self.news.set()

    def next_place(self) -> tuple[str, str]:
        """Channels and people take turns, so that no channel gets more than its share."""
        number = next(self._numbers)
        return self.channels[number % len(self.channels)], self.people[number % len(self.people)]

    async def until_answered(self, thread: str) -> float:
        async with asyncio.timeout(ANSWER_SECONDS):
            while thread not in self.answered:
                self.news.clear()
                await self.news.wait()
        return self.answered[thread] - self.sent[thread]

    # what differs between platforms
    async def start(self) -> Json:
        raise AssertionError(self)

    async def connected(self) -> None:
        raise AssertionError(self)

    async def say(self, channel: str, user: str, text: str) -> str:
        raise AssertionError(self, channel, user, text)

    def acknowledgements(self) -> list[float]:
        """Seconds until each question so far was acknowledged, where the platform waits for that."""
        return []

    def sample(self) -> Json:
        raise AssertionError(self)


class TimedSlack(SlackServer):
    """The local Slack, noting when questions leave and answers arrive; unacknowledged ones come again as in Slack."""

    def __init__(self, town: SlackTown) -> None:
        super().__init__()
        self.town = town
        self.retry_seconds = SLACK_RETRIES

    def posted(self, channel: Any, message: Json) -> None:
        super().posted(channel, message)
        if message.get("thread_ts") in self.town.sent:
            self.town.heard(str(message["thread_ts"]))

    async def deliver(self, delivery: Delivery, *, wait: bool = True) -> Delivery:
        event: Mapping[str, Any] = delivery.payload.get("event") or {}
        human = delivery.kind == "events_api" and not event.get("bot_id")
        if human:
            self.town.sent[str(event["ts"])] = time.perf_counter()
            self.town.deliveries.append(delivery)
        await self._send(delivery)
        if human:
            self._later(self._retry(delivery))
        if wait:
            await asyncio.wait_for(delivery.answered.wait(), self.ack_seconds)
        return delivery


class SlackTown(Town):
    def __init__(self, channels: int, users: int) -> None:
        super().__init__(channels, users)
        self.deliveries: list[Delivery] = []
        self.server = TimedSlack(self)

    async def start(self) -> Json:
        await self.server.start()
        self.people = [self.server.add_user(name) for name in self.people]
        self.channels = [self.server.add_channel(name, members=self.people) for name in self.channels]
        bare = self.server.add_channel("bare")
        staff = self.server.add_channel("desk", private=True)
        return {
            "api_base": self.server.api_base, "bot_token": self.server.bot_token, "app_token": self.server.app_token,
            "channels": self.channels, "staff": staff, "bare": bare,
        }  # fmt: skip

    async def connected(self) -> None:
        await self.server.wait_for(lambda: self.server.sockets.open, 60)

    async def say(self, channel: str, user: str, text: str) -> str:
        return await self.server.user_says(channel, user, text, raw=True, wait=False)

    def acknowledgements(self) -> list[float]:
        now = time.perf_counter()
        return [
            (d.acked_at if d.acked else now) - self.sent[d.payload["event"]["ts"]] for d in self.deliveries
        ]

    def sample(self) -> Json:
        calls = [args for method, args in self.server.calls if method == "chat.postMessage"]
        return {k: v for k, v in calls[-1].items() if k in ("text", "blocks", "unfurl_links", "unfurl_media")}


class DiscordTown(Town):
    def __init__(self, channels: int, users: int) -> None:
        super().__init__(channels, users)
        self.server = DiscordServer()
        self._announce = self.server.rest.announce
        self.server.rest.announce = self.announce  # type: ignore[method-assign]

    async def announce(self, message: Json) -> None:
        bot = message["author"]["id"] == self.server.bot and message["type"] != THREAD_STARTER
        if bot and message["channel_id"] in self.sent:
            self.heard(message["channel_id"])
        await self._announce(message)

    async def start(self) -> Json:
        await self.server.start()
        self.people = [self.server.add_user(name) for name in self.people]
        self.channels = [self.server.add_channel(name) for name in self.channels]
        bare = self.server.add_channel("bare")
        return {
            "api_base": self.server.api_base, "bot_token": self.server.token, "guild": self.server.guild,
            "channels": self.channels, "staff": self.server.staff, "bare": bare,
        }  # fmt: skip

    async def connected(self) -> None:
        async with asyncio.timeout(60):
            await self.server.connected()

    async def say(self, channel: str, user: str, text: str) -> str:
        started = time.perf_counter()
        message = await self.server.user_says(channel, user, text)
        self.sent[message] = started
        return message

    def sample(self) -> Json:
        calls = [c.body for c in self.server.calls if c.method == "POST" and c.path.endswith("/messages")]
        return {
            k: v
            for k, v in calls[-1].items()
            if k in ("content", "embeds", "components", "allowed_mentions", "flags")
        }


# --- orders -------------------------------------------------------------------------------------------------------


def tell(found: Json) -> None:
    print(json.dumps(found), flush=True)


async def load(town: Town, texts: list[str], rate: float, drain: float) -> Json:
    """Offer all texts at `rate` a second, then wait for answers, at most `drain` seconds."""
    before, twice, acks = len(town.answered), town.twice, len(town.acknowledgements())
    started, saying = time.perf_counter(), []
    for number, text in enumerate(texts):
        ahead = started + number / rate - time.perf_counter()
        if ahead > 0 or number % 50 == 0:
            await asyncio.sleep(max(0.0, ahead))
        saying.append(asyncio.create_task(town.say(*town.next_place(), text)))
        if number % int(rate) == 0:
            tell({"progress": [len(town.answered) - before, len(texts)]})
    offered = time.perf_counter() - started
    asked = await said(saying, drain)
    await drained(town, asked, drain, before)
    ours = [thread for thread in asked if thread in town.answered]
    last = max((town.answered[thread] for thread in ours), default=started)
    waits = [town.answered[thread] - town.sent[thread] for thread in ours]
    return {
        "offered": len(saying), "offered_seconds": offered, "answered": len(ours), "until_last": last - started,
        "in_time": sum(town.answered[thread] - started <= offered for thread in ours),
        "twice": town.twice - twice, "seconds": waits, "acks": town.acknowledgements()[acks:],
    }  # fmt: skip


async def said(saying: list[asyncio.Task[str]], seconds: float) -> list[str]:
    """The questions that left: whoever does not read his socket does not get them, as on the real platform."""
    left, stuck = await asyncio.wait(saying, timeout=seconds)
    for task in stuck:
        task.cancel()
    return [task.result() for task in saying if task in left]


async def drained(town: Town, asked: list[str], seconds: float, before: int) -> None:
    deadline, count, changed = time.perf_counter() + seconds, -1, time.perf_counter()
    while len(town.answered) - before < len(asked) and time.perf_counter() < deadline:
        if len(town.answered) != count:
            count, changed = len(town.answered), time.perf_counter()
            tell({"progress": [count - before, len(asked)]})
        if time.perf_counter() - changed > QUIET_SECONDS:
            return
        await asyncio.sleep(0.5)


async def obey(town: Town, order: Json) -> Json:
    match order["do"]:
        case "connected":
            await town.connected()
            return {}
        case "ask":
            thread = await town.say(*town.next_place(), order["text"])
            return {"seconds": await town.until_answered(thread)}
        case "sample":
            return {"sample": town.sample()}
        case _:
            return await load(town, order["texts"], order["rate"], order["drain"])


async def main(platform: str, channels: int, users: int) -> None:
    town = SlackTown(channels, users) if platform == "slack" else DiscordTown(channels, users)
    tell(await town.start())
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        order = json.loads(line)
        if order["do"] == "stop":
            break
        tell({"result": await obey(town, order)})
    await town.server.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
