"""Connecting, staying connected, catching up, stopping."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import aiohttp
import pytest
from aiohttp import web

from adapters.port import (
    ActionInvoked,
    AdapterFatal,
    Button,
    Delete,
    Form,
    FormErrors,
    FormInput,
    Mark,
    MessageReceived,
    MsgRef,
    Place,
    Post,
    Unavailable,
)
from adapters.slack import SlackAdapter, SlackSettings
from tests.slack.delivery import HttpTarget
from tests.slack.running import Running, start, stop
from tests.slack.scene import Connect, say
from tests.slack.server import SlackServer
from tests.slack.sink import RecordingSink

FORM = Form("contact", "Contact", (FormInput("email", "E-mail"),))
REFUSED = FormErrors({"email": "That is no address."})
ASKING = say("Your address?", Button("fill", "c-1", "Fill in"))


@pytest.fixture
async def two(server: SlackServer, sink: RecordingSink, settings: SlackSettings) -> AsyncIterator[Running]:
    """Connected with two sockets, as it is by default."""
    running = await start(server, sink, settings)
    await server.wait_for(lambda: len(server.sockets.open) == 2)
    yield running
    await stop(running)


@pytest.mark.parametrize("code", ["invalid_auth", "account_inactive", "not_allowed_token_type"])
async def test_a_bad_bot_token_is_fatal(
    server: SlackServer, sink: RecordingSink, settings: SlackSettings, code: str
) -> None:
    """8 for Slack: said once, with what to click, and no hammering."""
    server.fail("auth.test", code)
    adapter = SlackAdapter(settings)
    with pytest.raises(AdapterFatal, match=r"token|Install"):
        await adapter.run(sink)
    assert server.count("auth.test") == 1
    await adapter.close(1)


async def test_a_bad_app_token_is_fatal(
    server: SlackServer, sink: RecordingSink, settings: SlackSettings
) -> None:
    """1: the stock client would ask for ever."""
    adapter = SlackAdapter(replace(settings, app_token="xapp-wrong"))
    async with asyncio.timeout(5):
        with pytest.raises(AdapterFatal, match="not valid"):
            await adapter.run(sink)
    assert server.count("apps.connections.open") == 1
    await adapter.close(1)


async def test_a_missing_app_scope_is_fatal(
    server: SlackServer, sink: RecordingSink, settings: SlackSettings
) -> None:
    server.app_scopes.clear()
    adapter = SlackAdapter(settings)
    with pytest.raises(AdapterFatal, match="connections:write"):
        await adapter.run(sink)
    await adapter.close(1)


async def test_no_app_token_is_fatal(sink: RecordingSink, settings: SlackSettings) -> None:
    adapter = SlackAdapter(replace(settings, app_token=""))
    with pytest.raises(AdapterFatal, match="app-level token is missing"):
        await adapter.run(sink)
    await adapter.close(1)


async def test_no_network_is_not_fatal(sink: RecordingSink, settings: SlackSettings) -> None:
    """The supervisor tries again; only a refused token is final."""
    adapter = SlackAdapter(replace(settings, api_base="http://127.0.0.1:9/api/"))
    with pytest.raises(Unavailable):
        await adapter.run(sink)
    await adapter.close(1)


async def test_a_token_revoked_later_is_fatal(two: Running) -> None:
    """Whichever call notices first."""
    two.server.token_error = "token_revoked"
    with pytest.raises(Unavailable, match="revoked"):
        await two.adapter.deliver(Delete(MsgRef(two.place(), "1.2")), 0, "k")
    await two.until(two.task.done)
    assert isinstance(two.task.exception(), AdapterFatal)


async def test_a_dead_ticket_is_not_tried_twice(
    server: SlackServer, sink: RecordingSink, connect: Connect
) -> None:
    """2: the stock client re-uses it and goes deaf."""
    await connect()
    server.sockets.dead_tickets = 2
    await server.sockets.disconnect("refresh_requested")
    await server.wait_for(lambda: server.sockets.connections == 2 and server.sockets.open)
    assert server.sockets.refused_tickets == 2
    await server.user_says("help", "ana", "still there?")
    assert sink.texts == ["still there?"]


@pytest.mark.parametrize("reason", ["warning", "refresh_requested", "too_many_websockets"])
async def test_a_refresh_loses_nothing(two: Running, reason: str) -> None:
    """3: while one socket changes, the other listens."""
    await two.server.sockets.disconnect(reason)
    for n in range(10):
        await two.server.user_says("help", "ana", f"{n}")
    await two.until(lambda: two.server.sockets.connections == 3)
    await two.server.redeliver()
    assert sorted(two.sink.texts) == [str(n) for n in range(10)]


async def test_a_planned_refresh_needs_no_catching_up(two: Running) -> None:
    """Reading the channels back costs rate limit; with another socket alive nothing was missed."""
    await two.until(lambda: two.sink.caught_up >= 1)
    before = two.sink.caught_up
    await two.server.sockets.disconnect("refresh_requested")
    await two.until(lambda: two.server.sockets.connections == 3 and len(two.server.sockets.open) == 2)
    await two.server.user_says("help", "ana", "after")
    assert two.sink.caught_up == before


async def test_socket_mode_switched_off_is_fatal(two: Running) -> None:
    """link_disabled: somebody switched Socket Mode off; reconnecting cannot help."""
    await two.server.sockets.disconnect("link_disabled", cut=False)
    await two.until(two.task.done)
    assert "Socket Mode" in str(two.task.exception())


async def test_a_peer_that_never_says_goodbye_does_not_hold_up_the_stop(two: Running) -> None:
    """4: the stock close waits ten seconds."""
    two.server.sockets.never_close = True
    async with asyncio.timeout(8):
        await two.adapter.close(5)
        await two.task


async def test_sockets_that_were_cut_are_reopened_and_what_was_missed_is_read_back(two: Running) -> None:
    """5, T-DEL-11: both cut at once; the channel is read back from the last known message."""
    first = await two.server.user_says("help", "ana", "before")
    two.sink.watched = [Mark(two.place(), first)]
    two.server.sockets.drop()
    await two.server.user_says("help", "bob", "while away", silent=True)
    await two.until(lambda: "while away" in two.sink.texts)
    [_, missed] = two.sink.of(MessageReceived)
    assert missed.catchup
    await two.until(lambda: len(two.server.sockets.open) == 2)
    await two.until(lambda: two.sink.states[-1] == ("connected", ""))
    assert ("reconnecting", "") in two.sink.states


async def test_a_socket_that_gets_no_pong_is_replaced(server: SlackServer, connect: Connect) -> None:
    """5: open but silent."""
    server.sockets.mute_pongs = True
    await connect(ping_seconds=0.05)
    await server.wait_for(lambda: server.sockets.connections >= 2)


async def test_the_platforms_patience_is_respected_when_connecting(
    server: SlackServer, connect: Connect
) -> None:
    """6: 429 on apps.connections.open: the next call comes after Retry-After, not before."""
    server.fail("apps.connections.open", "ratelimited", seconds=0)
    await connect()
    assert server.count("apps.connections.open") == 2


async def test_a_process_that_stays_deaf_begins_anew(two: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """The watchdog: when no socket can be opened for a minute, everything is torn down and the supervisor builds it
    again; nothing waits for ever in a state of which nobody knows."""
    monkeypatch.setattr("adapters.slack.DEAF_SECONDS", 0.1)
    two.server.fail("apps.connections.open", "500", times=1000)
    two.server.sockets.drop()
    await two.until(two.task.done)
    assert isinstance(two.task.exception(), Unavailable)

    two.server.faults.clear()
    again = asyncio.create_task(two.adapter.run(two.sink))
    await two.until(lambda: len(two.server.sockets.open) == 2)
    await two.server.user_says("help", "ana", "can you hear me?")
    assert two.sink.texts == ["can you hear me?"]
    await two.adapter.close(2)
    await again


async def test_a_new_run_after_a_failed_one(
    server: SlackServer, sink: RecordingSink, settings: SlackSettings
) -> None:
    """The supervisor calls run again on the same adapter."""
    server.fail("auth.test", "500")
    adapter = SlackAdapter(settings)
    with pytest.raises(Unavailable):
        await adapter.run(sink)
    task = asyncio.create_task(adapter.run(sink))
    await server.wait_for(lambda: ("connected", "") in sink.states)
    await stop(Running(adapter, sink, server, task))
    assert not task.cancelled()
    assert task.exception() is None
    assert sink.states[-1] == ("stopped", "")


async def test_stopping_ingress_records_what_was_received_and_keeps_sending(two: Running) -> None:
    """3.1: Slack delivers elsewhere from now on; the outbox still drains."""
    two.sink.gate.clear()
    await two.server.user_says("help", "ana", "last words", wait=False)
    await two.until(lambda: two.sink.asked == 1)
    stopping = asyncio.create_task(two.adapter.stop_ingress())
    two.sink.gate.set()
    await stopping
    assert two.sink.texts == ["last words"]
    assert two.server.outstanding[-1].acked
    await two.until(lambda: not two.server.sockets.open)
    assert (await two.adapter.actor("T", two.server.space.user("ana"))).name == "ana"
    assert not two.task.done()


async def test_nothing_is_left_after_the_stop(server: SlackServer, connect: Connect) -> None:
    """82: no task and no open session; ResourceWarnings are errors in this suite."""
    before = asyncio.all_tasks()
    slack = await connect(sockets=2)
    await server.user_says("help", "ana", "hello")
    await server.sockets.disconnect("refresh_requested")
    await server.wait_for(lambda: server.sockets.connections == 3)
    await stop(slack)
    await server.wait_for(lambda: not server.sockets.open)
    ours = {task for task in asyncio.all_tasks() - before if "aiohttp/web_protocol" not in repr(task)}
    assert {
        task for task in ours if "_handle_request" not in repr(task) and "start()" not in repr(task)
    } == set()
    del slack
    gc.collect()


async def test_what_leaves_after_the_stop_is_certainly_not_sent(two: Running) -> None:
    """A row that was just leaving waits for the next start; a session opened for it would never be closed."""
    await stop(two)
    asked = two.server.count("auth.test")
    with pytest.raises(Unavailable, match="next start"):
        await two.adapter.deliver(Post(two.place(), ASKING), 0, "k1#0")
    assert two.server.count("auth.test") == asked
    assert two.server.count("chat.postMessage") == 0


async def test_the_environment_cannot_switch_the_app_to_oauth(
    server: SlackServer, sink: RecordingSink, monkeypatch: pytest.MonkeyPatch, connect: Connect
) -> None:
    """§0.16: with these two set, stock Bolt discards the bot token."""
    monkeypatch.setenv("SLACK_CLIENT_ID", "1.2")
    monkeypatch.setenv("SLACK_CLIENT_SECRET", "secret")
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-other")
    await connect()
    await server.user_says("help", "ana", "hello")
    assert sink.texts == ["hello"]


@pytest.fixture
def everything_logged() -> Iterator[list[str]]:
    """Every record of every logger at DEBUG, formatted."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.getMessage()} {record.__dict__}")

    handler, root = Keep(level=logging.DEBUG), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield lines
    root.removeHandler(handler)
    root.setLevel(level)


async def test_no_words_and_no_secrets_in_the_log(
    server: SlackServer, sink: RecordingSink, everything_logged: list[str], connect: Connect
) -> None:
    """T-SEC-18: at DEBUG the SDK writes whole payloads; ours must not."""
    slack = await connect()
    await server.user_says("help", "ana", "canary-words")
    server.ack_seconds = 0.05
    sink.broken = 1
    await server.user_says("help", "ana", "canary-broken")
    await stop(slack)
    # The local server lives in this process; only what the adapter and its SDK say counts.
    said = "\n".join(line for line in everything_logged if "tests/slack" not in line)
    assert "canary" not in said
    for secret in (server.bot_token, server.app_token, server.signing_secret):
        assert secret not in said


# --- HTTP mode -------------------------------------------------------------------------------------------------


def test_socket_mode_needs_no_routes(settings: SlackSettings) -> None:
    """Also without a signing secret."""
    assert SlackAdapter(replace(settings, signing_secret="")).routes(RecordingSink()) == []


async def test_http_mode_takes_the_same_way(
    server: SlackServer, sink: RecordingSink, settings: SlackSettings
) -> None:
    """§1.12: the same payloads through signed requests: events, gestures, forms; no socket is opened."""
    adapter = SlackAdapter(replace(settings, http=True, app_token=""))
    app = web.Application()
    app.router.add_routes(adapter.routes(sink))
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    server.http = HttpTarget(f"http://{host}:{port}", server.signing_secret)

    early = await server.user_command("too early", "ana", "help")
    assert not early.acked  # 503 until the adapter runs

    task = asyncio.create_task(adapter.run(sink))
    await server.wait_for(lambda: ("connected", "") in sink.states)
    await server.user_says("help", "ana", "@firstline hello")
    await server.user_command("reload payload docs", "ana", "help")
    assert [type(event).__name__ for event in sink.events] == ["MessageReceived", "CommandInvoked"]
    assert all(delivery.acked for delivery in server.outstanding)

    question = server.messages("help")[0]["ts"]
    done = await adapter.deliver(Post(Place("slack", server.team, "C0HELP", question), ASKING), 0, "k")
    assert done.ref is not None
    sink.answer = lambda event: FORM if isinstance(event, ActionInvoked) else REFUSED
    pressed = await server.user_presses(done.ref.id, "Fill in", "ana")
    [view] = await server.wait_for(lambda: server.views("ana"))
    await server.user_submits(view, {"E-mail": "nonsense"}, "ana")
    assert pressed.acked
    assert view["errors"] == {"email": "That is no address."}
    sink.answer = lambda _: None

    sink.broken = 1
    await server.user_says("help", "ana", "again")
    [failed] = [delivery for delivery in server.outstanding if not delivery.acked]
    await server.redeliver()
    assert failed.acked
    assert sink.events[-1].attempt == 1
    assert server.count("apps.connections.open") == 0

    await stop(Running(adapter, sink, server, task))
    async with aiohttp.ClientSession() as session:
        late = await server.http.send(session, server.outstanding[-1])
    assert not late
    await runner.cleanup()
