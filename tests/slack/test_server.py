"""The local Slack against Slack's documentation: it must not accept what Slack refuses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from tests.slack.blocks import Invalid, check_blocks, check_view
from tests.slack.delivery import Delivery
from tests.slack.server import SlackServer


@pytest.fixture
async def client(server: SlackServer) -> AsyncIterator[AsyncWebClient]:
    async with aiohttp.ClientSession() as session:
        yield AsyncWebClient(server.bot_token, server.api_base, session=session, retry_handlers=[])


async def refused(call: Any) -> str:
    with pytest.raises(SlackApiError) as error:
        await call
    return str(error.value.response["error"])


# --- tokens --------------------------------------------------------------------------------------------------


async def test_tokens(server: SlackServer, client: AsyncWebClient) -> None:
    answer = await client.auth_test()
    assert {"url", "team", "user", "team_id", "user_id", "bot_id"} <= set(answer.data)  # type: ignore[arg-type]
    assert "chat:write" in answer.headers["X-OAuth-Scopes"]
    wrong = AsyncWebClient("xoxb-wrong", server.api_base, session=client.session)
    assert await refused(wrong.auth_test()) == "invalid_auth"
    none = AsyncWebClient(None, server.api_base, session=client.session)
    assert await refused(none.auth_test()) == "not_authed"
    assert await refused(client.apps_connections_open(app_token=server.bot_token)) == "not_allowed_token_type"
    server.scopes.discard("chat:write")
    assert await refused(client.chat_postMessage(channel="C0HELP", text="x")) == "missing_scope"
    assert await refused(client.api_call("chat.command")) == "unknown_method"


# --- messages ------------------------------------------------------------------------------------------------


async def test_posting(server: SlackServer, client: AsyncWebClient) -> None:
    metadata = {"event_type": "m", "event_payload": {"k": "1"}}
    answer = await client.chat_postMessage(channel="C0HELP", text="hi", metadata=metadata)
    assert answer["ok"]
    assert answer["channel"] == "C0HELP"
    assert answer["ts"] == answer["message"]["ts"]
    assert {"type", "user", "bot_id", "text"} <= set(answer["message"])
    reply = await client.chat_postMessage(channel="C0HELP", text="re", thread_ts=answer["ts"])
    assert reply["message"]["thread_ts"] == answer["ts"]

    assert await refused(client.api_call("chat.postMessage", json={"channel": "C0HELP"})) == "no_text"
    assert await refused(client.chat_postMessage(channel="C0NONE", text="x")) == "channel_not_found"
    nested = client.chat_postMessage(channel="C0HELP", text="x", thread_ts=reply["ts"])
    assert await refused(nested) == "cannot_reply_to_message"
    lost = await client.chat_postMessage(channel="C0HELP", text="x", thread_ts="1700000000.000100")
    assert "thread_ts" not in lost["message"]
    odd = client.chat_postMessage(channel="C0HELP", text="x", metadata={"event": 1})
    assert await refused(odd) == "invalid_metadata_format"

    server.add_channel("out", ident="C0OUT", bot=False)
    assert await refused(client.chat_postMessage(channel="C0OUT", text="x")) == "not_in_channel"
    server.add_channel("secret", ident="C0SECRET", bot=False, private=True)
    assert await refused(client.conversations_info(channel="C0SECRET")) == "channel_not_found"
    server.space.channel("help").archived = True
    assert await refused(client.chat_postMessage(channel="C0HELP", text="x")) == "is_archived"


async def test_updating_and_deleting(server: SlackServer, client: AsyncWebClient) -> None:
    section = {"type": "section", "text": {"type": "mrkdwn", "text": "x"}}
    ts = (await client.chat_postMessage(channel="C0HELP", text="a", blocks=[section]))["ts"]
    await client.chat_update(channel="C0HELP", ts=ts, text="b")
    assert "blocks" not in server.messages("help")[0]  # text without blocks removes them
    assert await refused(client.chat_update(channel="C0HELP", ts=ts, text="x" * 4001)) == "msg_too_long"
    assert await refused(client.chat_update(channel="C0HELP", ts="1.2", text="x")) == "message_not_found"
    theirs = await server.user_says("help", "ana", "mine", silent=True)
    assert await refused(client.chat_update(channel="C0HELP", ts=theirs, text="x")) == "cant_update_message"
    assert await refused(client.chat_delete(channel="C0HELP", ts=theirs)) == "cant_delete_message"
    await client.chat_delete(channel="C0HELP", ts=ts)
    assert await refused(client.chat_delete(channel="C0HELP", ts=ts)) == "message_not_found"


async def test_history_and_replies(server: SlackServer, client: AsyncWebClient) -> None:
    """Newest first and roots only; replies oldest first with the root; metadata only when asked for."""
    roots = [(await client.chat_postMessage(channel="C0HELP", text=f"{n}", metadata={"event_type": "m", "event_payload": {}}))["ts"]
             for n in range(5)]  # fmt: skip
    for n in range(3):
        await client.chat_postMessage(channel="C0HELP", text=f"r{n}", thread_ts=roots[0])
    page = await client.conversations_history(channel="C0HELP", limit=3)
    assert [m["text"] for m in page["messages"]] == ["4", "3", "2"]
    assert page["has_more"]
    rest = await client.conversations_history(
        channel="C0HELP", cursor=page["response_metadata"]["next_cursor"]
    )
    assert [m["text"] for m in rest["messages"]] == ["1", "0"]
    assert rest["messages"][-1]["reply_count"] == 3
    assert "metadata" not in rest["messages"][0]
    after = await client.conversations_history(channel="C0HELP", oldest=roots[3], include_all_metadata=True)
    assert [m["text"] for m in after["messages"]] == ["4"]
    assert after["messages"][0]["metadata"]["event_type"] == "m"
    thread = await client.conversations_replies(channel="C0HELP", ts=roots[0])
    assert [m["text"] for m in thread["messages"]] == ["0", "r0", "r1", "r2"]
    assert await refused(client.conversations_replies(channel="C0HELP", ts="1.2")) == "thread_not_found"


async def test_the_rest_of_the_methods(server: SlackServer, client: AsyncWebClient) -> None:
    ana = server.space.user("ana")
    assert (await client.users_info(user=ana))["user"]["profile"]["email"] == "ana@example.com"
    assert await refused(client.users_info(user="U0NONE")) == "user_not_found"
    members = await client.conversations_members(channel="C0DESK", limit=1)
    assert len(members["members"]) == 1
    assert members["response_metadata"]["next_cursor"]
    assert (await client.conversations_open(users=ana))["channel"]["id"] == server.dm_of("ana")
    assert await refused(client.conversations_open(users=server.bot_user)) == "cannot_dm_bot"
    stranger = client.chat_postEphemeral(channel="C0HELP", user=server.space.user("root"), text="x")
    assert await refused(stranger) == "user_not_in_channel"
    await client.chat_postEphemeral(channel="C0HELP", user=ana, text="psst")
    assert [m["text"] for m in server.ephemerals("ana")] == ["psst"]
    ts = await server.user_says("help", "ana", "x", silent=True)
    await client.reactions_add(channel="C0HELP", timestamp=ts, name="eyes")
    assert (
        await refused(client.reactions_add(channel="C0HELP", timestamp=ts, name="eyes")) == "already_reacted"
    )
    await client.reactions_remove(channel="C0HELP", timestamp=ts, name="eyes")
    assert (
        await refused(client.reactions_remove(channel="C0HELP", timestamp=ts, name="eyes")) == "no_reaction"
    )
    assert await refused(client.usergroups_users_list(usergroup="S0NONE")) == "no_such_subteam"
    assert await refused(client.files_info(file="F0NONE")) == "file_not_found"


async def test_the_sdks_own_upload_works(server: SlackServer, client: AsyncWebClient) -> None:
    """files_upload_v2 of slack_sdk, unchanged."""
    await client.files_upload_v2(channel="C0HELP", filename="a.txt", content="hello")
    [message] = server.messages("help")
    assert server.space.contents[message["files"][0]["id"]] == b"hello"
    assert await refused(client.files_getUploadURLExternal(filename="a", length=0)) == "invalid_arguments"


async def test_a_file_is_shared_a_moment_after_its_upload(
    server: SlackServer, client: AsyncWebClient
) -> None:
    """The answer to the upload names no message; the file's own page does, as soon as there is one."""
    server.share_after = 1
    answer = await client.files_upload_v2(channel="C0HELP", filename="a.txt", content="hello")
    file = answer["files"][0]["id"]
    assert server.messages("help") == []
    first, second = [(await client.files_info(file=file))["file"]["shares"] for _ in range(2)]
    [message] = server.messages("help")
    assert (first, second) == ({}, {"public": {"C0HELP": [{"ts": message["ts"]}]}})


async def test_people_come_in_pages(server: SlackServer, client: AsyncWebClient) -> None:
    server.page_max = 3
    names, cursor = [], ""
    while not names or cursor:
        page = await client.users_list(limit=200, cursor=cursor)
        names += [user["name"] for user in page["members"]]
        cursor = page["response_metadata"]["next_cursor"]
    assert names == ["firstline", "ana", "bob", "dana", "root"]


# --- shapes ---------------------------------------------------------------------------------------------------


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def button(**more: Any) -> dict[str, Any]:
    return {"type": "button", "action_id": "a", "text": {"type": "plain_text", "text": "x"}, **more}


@pytest.mark.parametrize(
    ("block", "why"),
    [
        ({"type": "table"}, "unsupported block"),
        ({"type": "section"}, "text or fields"),
        (section(""), "more than 0"),
        (section("x" * 3001), "less than 3001"),
        ({**section("x"), "colour": "red"}, "additional property"),
        ({"type": "section", "text": {"type": "mrkdwn", "text": "x", "emoji": True}}, "additional property"),
        ({"type": "section", "fields": [{"type": "mrkdwn", "text": "x"}] * 11}, "at most 10"),
        ({"type": "section", "fields": [{"type": "mrkdwn", "text": "x" * 2001}]}, "2001"),
        ({"type": "header", "text": {"type": "mrkdwn", "text": "x"}}, "not allowed here"),
        ({"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}, "151"),
        ({"type": "context", "elements": []}, "1 to 10"),
        ({"type": "actions", "elements": [button()] * 2}, "action_id already exists"),
        ({"type": "actions", "elements": [button(action_id=f"{n}") for n in range(26)]}, "1 to 25"),
        ({"type": "actions", "elements": [button(value="x" * 2001)]}, "too long"),
        ({"type": "actions", "elements": [button(style="green")]}, "style"),
        ({"type": "actions", "elements": [button(text={"type": "plain_text", "text": "x" * 76})]}, "76"),
        ({"type": "actions", "elements": [button(text={"type": "mrkdwn", "text": "x"})]}, "not allowed here"),
        ({"type": "actions", "elements": [{"type": "slider", "action_id": "a"}]}, "unsupported element"),
        ({"type": "actions", "elements": [button(action_id="x" * 256)]}, "255"),
        ({**section("x"), "block_id": "x" * 256}, "255"),
        ({"type": "file_input"}, "unsupported block"),
    ],
)
def test_blocks_that_slack_refuses(block: dict[str, Any], why: str) -> None:
    with pytest.raises(Invalid, match=why):
        check_blocks([block])


def test_too_many_blocks() -> None:
    check_blocks([section("x")] * 50)
    with pytest.raises(Invalid, match="50 items"):
        check_blocks([section("x")] * 51)
    with pytest.raises(Invalid, match="block_id already exists"):
        check_blocks([{**section("x"), "block_id": "b"}] * 2)


async def test_refused_blocks_are_not_posted(server: SlackServer, client: AsyncWebClient) -> None:
    assert (
        await refused(client.chat_postMessage(channel="C0HELP", text="x", blocks=[{"type": "table"}]))
        == "invalid_blocks"
    )
    long = [section("x" * 2900) for _ in range(5)]
    assert (
        await refused(client.chat_postMessage(channel="C0HELP", text="x", blocks=long))
        == "msg_blocks_too_long"
    )
    assert server.messages("help") == []


INPUT = {"type": "input", "block_id": "b", "label": {"type": "plain_text", "text": "L"},
         "element": {"type": "plain_text_input", "action_id": "a"}}  # fmt: skip
MODAL = {"type": "modal", "title": {"type": "plain_text", "text": "T"}, "blocks": [INPUT],
         "submit": {"type": "plain_text", "text": "Send"}}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"title": {"type": "plain_text", "text": "x" * 25}}, "25"),
        ({"title": {"type": "mrkdwn", "text": "x"}}, "not allowed here"),
        ({"submit": None}, "submit|text object"),
        ({"private_metadata": "x" * 3001}, "too long"),
        ({"callback_id": "x" * 256}, "too long"),
        ({"type": "dialog"}, "unknown"),
        ({"colour": 1}, "additional property"),
        ({"blocks": [{**INPUT, "element": {"type": "plain_text_input", "max_length": 3001}}]}, "3000"),
        ({"blocks": [{**INPUT, "element": {"type": "static_select", "options": []}}]}, "1 to 100"),
        ({"blocks": [INPUT, INPUT]}, "block_id already exists"),
    ],
)
def test_views_that_slack_refuses(change: dict[str, Any], why: str) -> None:
    check_view(MODAL)
    with pytest.raises(Invalid, match=why):
        check_view({**MODAL, **change})


async def test_triggers_are_needed_expire_and_are_used_once(client: AsyncWebClient) -> None:
    now = [1700000000.0]
    async with SlackServer(lambda: now[0]) as server:
        ana = server.add_user("ana")
        client = AsyncWebClient(server.bot_token, server.api_base, session=client.session, retry_handlers=[])
        assert await refused(client.views_open(trigger_id="", view=MODAL)) == "invalid_arguments"
        assert await refused(client.views_open(trigger_id="1.2", view=MODAL)) == "invalid_trigger_id"
        trigger = server.space.trigger(ana)
        assert (
            await refused(client.views_open(trigger_id=trigger, view={**MODAL, "x": 1}))
            == "invalid_arguments"
        )
        opened = await client.views_open(trigger_id=trigger, view=MODAL)
        assert opened["view"]["hash"]
        assert await refused(client.views_open(trigger_id=trigger, view=MODAL)) == "exchanged_trigger_id"
        late = server.space.trigger(ana)
        now[0] += 3.1
        assert await refused(client.views_open(trigger_id=late, view=MODAL)) == "expired_trigger_id"
        stale = client.views_update(view_id=opened["view"]["id"], hash="old", view=MODAL)
        assert await refused(stale) == "hash_conflict"


async def test_forms_are_checked_as_slacks_client_does(server: SlackServer) -> None:
    view = server.show(server.space.user("ana"), dict(MODAL))
    with pytest.raises(ValueError, match="required"):
        await server.user_submits(view, {}, "ana")
    with pytest.raises(KeyError, match="not open for bob"):
        await server.user_submits(view, {"L": "x"}, "bob")


# --- response urls -------------------------------------------------------------------------------------------


async def test_response_urls_are_used_five_times(server: SlackServer, client: AsyncWebClient) -> None:
    delivery = await server.user_command("x", "ana", "help", wait=False)
    url = delivery.payload["response_url"]
    assert client.session is not None
    statuses = []
    for _ in range(6):
        async with client.session.post(url, json={"text": "x"}) as response:
            statuses.append(response.status)
    assert statuses == [200] * 5 + [404]


# --- socket mode ---------------------------------------------------------------------------------------------


async def test_a_ticket_opens_one_socket_once(server: SlackServer, client: AsyncWebClient) -> None:
    """Hello, an envelope, its acknowledgement; the same ticket a second time is refused."""
    url = (await client.apps_connections_open(app_token=server.app_token))["url"]
    assert client.session is not None
    async with client.session.ws_connect(url) as ws:
        hello = await ws.receive_json()
        assert hello["type"] == "hello"
        assert hello["num_connections"] == 1
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await client.session.ws_connect(url)
        emitted = asyncio.create_task(server.emit({"type": "message", "text": "x"}, wait=True))
        envelope = await ws.receive_json()
        assert set(envelope) == {
            "envelope_id", "type", "payload", "accepts_response_payload", "retry_attempt", "retry_reason",
        }  # fmt: skip
        assert envelope["payload"]["type"] == "event_callback"
        await ws.send_str(json.dumps({"envelope_id": envelope["envelope_id"]}))
        assert (await emitted).acked


async def test_each_event_goes_to_one_socket_and_comes_again_unless_acknowledged(
    server: SlackServer, client: AsyncWebClient
) -> None:
    """Also when no socket was open at the first try."""
    lost = await server.emit({"type": "message", "text": "x"}, wait=True)
    assert not lost.acked
    server.ack_seconds = 0.01
    assert client.session is not None
    url = (await client.apps_connections_open(app_token=server.app_token))["url"]
    async with client.session.ws_connect(url) as ws:
        await ws.receive_json()
        attempts = []
        for _ in range(3):
            await server.redeliver()
            attempts.append((await ws.receive_json())["retry_attempt"])
        assert attempts == [1, 2, 3]
        assert await server.redeliver() == []  # three times at most
        await server.sockets.disconnect("warning", cut=False)
        assert (await ws.receive_json())["reason"] == "warning"


async def test_events_come_again_by_themselves_when_told_so(
    server: SlackServer, client: AsyncWebClient
) -> None:
    server.ack_seconds, server.retry_seconds = 0.01, (0.01, 0.01, 0.01)
    assert client.session is not None
    url = (await client.apps_connections_open(app_token=server.app_token))["url"]
    async with client.session.ws_connect(url) as ws:
        await ws.receive_json()
        delivery = await server.emit({"type": "message", "text": "x"}, wait=True)
        first, second = await ws.receive_json(), await ws.receive_json()
        assert (first["retry_attempt"], second["retry_attempt"]) == (0, 1)
        await ws.send_str(json.dumps({"envelope_id": second["envelope_id"]}))
        await server.wait_for(lambda: delivery.acked)


async def test_gestures_are_not_retried(server: SlackServer) -> None:
    delivery = await server.deliver(Delivery("interactive", {"type": "block_actions"}))
    assert not delivery.acked
    assert await server.redeliver() == []


# --- faults ----------------------------------------------------------------------------------------------------


async def test_faults_happen_on_order(server: SlackServer, client: AsyncWebClient) -> None:
    server.fail("chat.postMessage", "drop_before")
    with pytest.raises(aiohttp.ClientError):
        await client.chat_postMessage(channel="C0HELP", text="before")
    server.fail("chat.postMessage", "drop_after")
    with pytest.raises(aiohttp.ClientError):
        await client.chat_postMessage(channel="C0HELP", text="after")
    server.fail("chat.postMessage", "fatal_error", done=True)
    assert await refused(client.chat_postMessage(channel="C0HELP", text="perhaps")) == "fatal_error"
    server.fail("chat.postMessage", "500", channel="help")
    await client.chat_postMessage(channel="C0DESK", text="elsewhere")
    with pytest.raises(SlackApiError):
        await client.chat_postMessage(channel="C0HELP", text="broken")
    assert [m["text"] for m in server.messages("help")] == ["after", "perhaps"]


async def test_rate_limits(server: SlackServer, client: AsyncWebClient) -> None:
    """429 with Retry-After, per channel; or one message a second."""
    server.rate_limit("help", 5)
    with pytest.raises(SlackApiError) as error:
        await client.chat_postMessage(channel="C0HELP", text="x")
    assert (error.value.response.status_code, error.value.response.headers["Retry-After"]) == (429, "5")
    await client.chat_postMessage(channel="C0DESK", text="x")
    server.rate_limit("help", 0)
    server.posts_per_second = 0.001
    await client.chat_postMessage(channel="C0HELP", text="x")
    assert await refused(client.chat_postMessage(channel="C0HELP", text="y")) == "ratelimited"


async def test_waiting_ends(server: SlackServer) -> None:
    assert await server.wait_for(lambda: "found") == "found"
    with pytest.raises(TimeoutError):
        await server.wait_for(lambda: False, seconds=0.01)
    await server.settled()
