"""The local Discord keeps to what Discord documents: asked here without the library, shape by shape."""

from __future__ import annotations

import json
import zlib
from typing import Any

import aiohttp
import pytest

from tests.discord.raw import Api
from tests.discord_server import DiscordServer
from tests.discord_server.world import EVERYONE, SEND, VIEW, Refused


class Peer:
    """A gateway client of a few lines."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse, *, inflate: bool = False) -> None:
        self.ws, self._inflate = ws, zlib.decompressobj() if inflate else None

    async def frame(self) -> Any:
        message = await self.ws.receive(timeout=5)
        if message.type is aiohttp.WSMsgType.BINARY:
            assert self._inflate is not None
            assert message.data.endswith(b"\x00\x00\xff\xff")
            return json.loads(self._inflate.decompress(message.data))
        if message.type is aiohttp.WSMsgType.TEXT:
            return json.loads(message.data)
        return self.ws.close_code

    async def send(self, op: int, data: Any) -> None:
        await self.ws.send_json({"op": op, "d": data})

    async def identify(self, server: DiscordServer, intents: int = 1 | 1 << 9 | 1 << 15, **more: Any) -> Any:
        await self.send(2, {"token": server.token, "intents": intents, "properties": {}} | more)
        return await self.frame()


async def dial(server: DiscordServer, web: aiohttp.ClientSession, query: str = "?v=10&encoding=json") -> Peer:
    peer = Peer(await web.ws_connect(server.gateway.url + query), inflate="zlib" in query)
    hello = await peer.frame()
    assert (hello["op"], hello["d"]["heartbeat_interval"]) == (10, 41_250)
    return peer


# --- gateway ---


async def test_hello_identify_ready_guild_heartbeat(server, web):
    peer = await dial(server, web)
    ready = await peer.identify(server)
    assert (ready["op"], ready["t"], ready["s"]) == (0, "READY", 1)
    assert set(ready["d"]) >= {"v", "user", "guilds", "session_id", "resume_gateway_url", "application"}
    guild = await peer.frame()
    assert (guild["t"], guild["s"], guild["d"]["id"]) == ("GUILD_CREATE", 2, server.guild)
    await peer.send(1, 2)
    assert (await peer.frame())["op"] == 11
    await peer.ws.close()


async def test_resume_replays_what_was_missed_in_order(server, web):
    peer = await dial(server, web)
    session = (await peer.identify(server))["d"]["session_id"]
    await peer.frame()
    await peer.ws.close()
    ann = server.add_user("ann")
    for text in ("one", "two"):
        await server.user_says("help", ann, text)
    again = await dial(server, web)
    await again.send(6, {"token": server.token, "session_id": session, "seq": 2})
    frames = [await again.frame() for _ in range(3)]
    assert [(f["t"], f["s"]) for f in frames] == [
        ("MESSAGE_CREATE", 3),
        ("MESSAGE_CREATE", 4),
        ("RESUMED", 5),
    ]
    assert frames[0]["d"]["content"] == "one"
    await again.ws.close()


async def test_an_unknown_session_is_invalid(server, web):
    peer = await dial(server, web)
    await peer.send(6, {"token": server.token, "session_id": "x", "seq": 2})
    assert (await peer.frame()) == {"op": 9, "d": False, "s": None, "t": None}
    await peer.ws.close()


@pytest.mark.parametrize(
    ("identify", "code"),
    [({"token": "no"}, 4004), ({"intents": 1 << 30}, 4013), ({"intents": 1 << 8 | 1 << 15}, None)],
)
async def test_identify_is_judged(server, web, identify, code):
    peer = await dial(server, web)
    answer = await peer.identify(server, **identify)
    assert answer == code if code else answer["t"] == "READY"
    await peer.ws.close()


async def test_privileged_intents_need_the_portal(server, web):
    server.world.app["flags"] = 0
    peer = await dial(server, web)
    assert await peer.identify(server) == 4014


async def test_zlib_stream_and_op_7(server, web):
    server.gateway.compress = True
    peer = await dial(server, web, "?v=10&encoding=json&compress=zlib-stream")
    assert (await peer.identify(server))["t"] == "READY"
    await peer.frame()
    await server.gateway.reconnect()
    assert (await peer.frame())["op"] == 7
    await peer.ws.close()


async def test_without_message_content_only_mentions_can_be_read(server, web):
    peer = await dial(server, web)
    await peer.identify(server, intents=1 | 1 << 9)
    await peer.frame()
    ann = server.add_user("ann")
    for text in ("secret", f"<@{server.bot}> hello"):
        await server.user_says("help", ann, text)
    assert [(await peer.frame())["d"]["content"] for _ in range(2)] == ["", f"<@{server.bot}> hello"]
    await peer.ws.close()


# --- REST ---


async def test_answers_are_exactly_json_with_rate_limit_headers(server, api):
    status, me = await api("GET", "/users/@me")
    assert (status, me["id"]) == (200, server.bot)
    assert api.headers["Content-Type"] == "application/json"
    assert {
        "X-RateLimit-Limit",
        "X-RateLimit-Remaining",
        "X-RateLimit-Reset-After",
        "X-RateLimit-Bucket",
    } <= set(api.headers)
    assert (await api("GET", "/users/@me", token="bad"))[0] == 401


async def test_a_full_bucket_answers_429_with_via(server, api):
    server.limit("POST", "/messages$", 1, 60)
    path = f"/channels/{server.id_of('help')}/messages"
    assert (await api("POST", path, {"content": "one"}))[0] == 200
    status, body = await api("POST", path, {"content": "two"})
    assert (status, body["global"]) == (429, False)
    assert 59 < body["retry_after"] <= 60
    assert "Via" in api.headers
    assert (await api("POST", f"/channels/{server.id_of('general')}/messages", {"content": "elsewhere"}))[
        0
    ] == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"content": ""}, 50006),
        ({"content": "x" * 2001}, 50035),
        ({"content": "👍" * 1001}, 50035),
        ({"content": "x", "nonce": "n" * 26}, 50035),
        ({"embeds": [{"description": "x" * 4097}]}, 50035),
        ({"embeds": [{"title": "x" * 257}]}, 50035),
        ({"embeds": [{"description": "x" * 3001}, {"description": "x" * 3000}]}, 50035),
        ({"embeds": [{"fields": [{"name": "n", "value": "v"}] * 26}]}, 50035),
        ({"embeds": [{"fields": [{"name": "", "value": "v"}]}]}, 50035),
        ({"embeds": [{"fields": [{"name": "n", "value": "v" * 1025}]}]}, 50035),
        ({"content": "x", "components": [{"type": 2, "style": 1, "label": "L", "custom_id": "c"}]}, 50035),
        ({"content": "x", "components": [{"type": 1, "components": []}]}, 50035),
        ({"content": "x", "allowed_mentions": {"parse": ["roles"], "roles": ["1"]}}, 50035),
    ],
)
async def test_messages_beyond_the_limits_are_refused(server, api, body, code):
    status, answer = await api("POST", f"/channels/{server.id_of('help')}/messages", body)
    assert (status, answer["code"]) == (400, code)


@pytest.mark.parametrize(
    "button",
    [
        {"label": "x" * 81},
        {"custom_id": "x" * 101},
        {"custom_id": ""},
        {"type": 99},
        {"style": 9},
        {"label": ""},
    ],
)
async def test_buttons_beyond_the_limits_are_refused(server, api, button):
    whole = {"type": 2, "style": 1, "label": "L", "custom_id": "c"} | button
    body = {"content": "x", "components": [{"type": 1, "components": [whole]}]}
    assert (await api("POST", f"/channels/{server.id_of('help')}/messages", body))[1]["code"] == 50035


async def test_the_same_nonce_is_the_same_message_within_its_window(web):
    now = 1_800_000_000.0
    async with DiscordServer.running(clock=lambda: now) as server:
        api = Api(server, web)
        path = f"/channels/{server.id_of('help')}/messages"
        body = {"content": "hello", "nonce": "n", "enforce_nonce": True}
        first = (await api("POST", path, body))[1]["id"]
        assert (await api("POST", path, body))[1]["id"] == first
        now += 181
        assert (await api("POST", path, body))[1]["id"] != first


async def test_a_deleted_message_is_not_made_again_by_its_nonce(server, api):
    path = f"/channels/{server.id_of('help')}/messages"
    body = {"content": "hello", "nonce": "n", "enforce_nonce": True}
    first = (await api("POST", path, body))[1]["id"]
    assert (await api("DELETE", f"{path}/{first}"))[0] == 204
    assert (await api("POST", path, body))[1]["code"] == 10008


async def test_history_windows(server, api):
    ann = server.add_user("ann")
    ids = [await server.user_says("help", ann, str(n)) for n in range(10)]
    path = f"/channels/{server.id_of('help')}/messages"

    async def page(query: str) -> list[int]:
        return [ids.index(m["id"]) for m in (await api("GET", path + query))[1]]

    assert await page("?limit=3") == [9, 8, 7]
    assert await page(f"?limit=3&after={ids[2]}") == [5, 4, 3]
    assert await page(f"?limit=3&before={ids[5]}") == [4, 3, 2]
    assert await page(f"?limit=4&around={ids[5]}") == [6, 5, 4, 3]
    assert (await api("GET", path + "?limit=101"))[1]["code"] == 50035


async def test_permissions(server, api):
    world = server.world
    help_, path = server.id_of("help"), f"/channels/{server.id_of('help')}/messages"
    world.channels[help_]["permission_overwrites"] = [world.overwrite(server.bot, 1, deny=SEND)]
    assert (await api("POST", path, {"content": "x"}))[1]["code"] == 50013
    world.channels[help_]["permission_overwrites"] = [world.overwrite(server.bot, 1, deny=VIEW)]
    status, answer = await api("GET", path)
    assert (status, answer["code"]) == (403, 50001)
    assert (await api("GET", "/channels/1"))[1]["code"] == 10003
    ann, dana = server.add_user("ann"), server.add_user("dana", roles=[server.agents])
    with pytest.raises(Refused):
        await server.user_says("staff", ann, "let me in")
    assert await server.user_says("staff", dana, "in")


async def test_threads(server, api):
    ann = server.add_user("ann")
    ident = await server.user_says("help", ann, "question")
    path = f"/channels/{server.id_of('help')}/messages/{ident}/threads"
    status, thread = await api("POST", path, {"name": "answer"})
    assert (status, thread["id"], thread["parent_id"]) == (201, ident, server.id_of("help"))
    assert (await api("POST", path, {"name": "answer"}))[1]["code"] == 160004
    sent = (await api("POST", f"/channels/{ident}/messages", {"content": "hi"}))[1]["id"]
    await server.archive(ident)
    assert (await api("PATCH", f"/channels/{ident}/messages/{sent}", {"content": "x"}))[1]["code"] == 50083
    assert (await api("PATCH", f"/channels/{ident}", {"name": "x"}))[1]["code"] == 50083
    assert (await api("POST", f"/channels/{ident}/messages", {"content": "opens it"}))[0] == 200
    await server.archive(ident, locked=True)
    assert (await api("POST", f"/channels/{ident}/messages", {"content": "no"}))[1]["code"] == 160005
    forum = server.id_of("forum")
    assert (await api("POST", f"/channels/{forum}/messages", {"content": "no"}))[1]["code"] == 40058


async def test_private_threads(server, api):
    ann, bob = server.add_user("ann"), server.add_user("bob")
    path, body = (
        f"/channels/{server.id_of('help')}/threads",
        {"name": "a matter", "type": 12, "invitable": False},
    )
    status, thread = await api("POST", path, body)
    assert (status, thread["type"], thread["parent_id"]) == (201, 12, server.id_of("help"))
    assert (await api("POST", path, body | {"name": ""}))[1]["code"] == 50035
    with pytest.raises(Refused):
        await server.user_says(thread["id"], ann, "not mine yet")
    assert (await api("PUT", f"/channels/{thread['id']}/thread-members/{ann}"))[0] == 204
    assert await server.user_says(thread["id"], ann, "mine")
    with pytest.raises(Refused):
        await server.user_says(thread["id"], bob, "never mine")
    assert (await api("PUT", f"/channels/{thread['id']}/thread-members/1"))[1]["code"] == 10007
    await server.archive(thread["id"])
    assert (await api("PUT", f"/channels/{thread['id']}/thread-members/{bob}"))[1]["code"] == 50083
    assert (await api("POST", f"/channels/{server.id_of('forum')}/threads", body))[1]["code"] == 50024
    role = server.world.members[server.bot]["roles"][0]
    server.world.roles[role]["permissions"] = str(EVERYONE)
    assert (await api("POST", path, body))[1]["code"] == 50013


async def test_a_closed_dm(server, api):
    ann = server.add_user("ann")
    channel = (await api("POST", "/users/@me/channels", {"recipient_id": ann}))[1]["id"]
    assert (await api("POST", f"/channels/{channel}/messages", {"content": "hi"}))[0] == 200
    server.close_dms("ann")
    assert (await api("POST", f"/channels/{channel}/messages", {"content": "hi"}))[1]["code"] == 50007


async def test_attachment_links_expire(server, api, web):
    ann = server.add_user("ann")
    ident = await server.user_says("help", ann, "x", attachments=[("a.txt", b"text", "text/plain")])
    path = f"/channels/{server.id_of('help')}/messages/{ident}"
    old = (await api("GET", path))[1]["attachments"][0]["url"]
    async with web.get(old) as response:
        assert await response.read() == b"text"
    server.expire_links()
    new = (await api("GET", path))[1]["attachments"][0]["url"]
    for url, status in ((old, 404), (new, 200)):
        async with web.get(url) as response:
            assert response.status == status
