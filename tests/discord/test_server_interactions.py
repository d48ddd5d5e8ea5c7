"""The local Discord's interactions, modals and commands keep to what Discord documents."""

from __future__ import annotations

import pytest

from tests.discord.raw import Api
from tests.discord_server import DiscordServer
from tests.discord_server.limits import check_commands
from tests.discord_server.world import Refused


class Pressed:
    """A press that waits for its answer, and the paths to give it."""

    def __init__(self, server: DiscordServer, kind: int = 3) -> None:
        ann = server.add_user("ann")
        room = server.world.channel("help")
        row = {"type": 1, "components": [{"type": 2, "style": 1, "label": "L", "custom_id": "c"}]}
        message = server.world.new_message(room, server.bot, "x", components=[row])
        data = {"custom_id": "c", "component_type": 2}
        source = message if kind == 3 else None
        self.it = server.interactions.create(kind, ann, room, data, source)
        self.callback = f"/interactions/{self.it.id}/{self.it.token}/callback"
        self.hook = f"/webhooks/{server.world.app['id']}/{self.it.token}"


MODAL = {
    "title": "Title",
    "custom_id": "m",
    "components": [{"type": 18, "label": "L", "component": {"type": 4, "custom_id": "i", "style": 1}}],
}


async def test_one_first_response_then_follow_ups(server, api):
    press = Pressed(server)
    assert press.it.payload["member"]["user"]["id"] == press.it.user
    assert (await api("POST", press.hook, {"content": "early"}))[1]["code"] == 10015
    assert (await api("POST", press.callback, {"type": 6}))[0] == 204
    assert (await api("POST", press.callback, {"type": 6}))[1]["code"] == 40060
    assert (await api("POST", press.hook, {"content": "psst", "flags": 64}))[0] == 200
    assert [m["content"] for m in server.ephemerals("ann")] == ["psst"]
    assert server.texts("help") == ["x"]
    assert (await api("PATCH", press.hook + "/messages/@original", {"content": "y"}))[0] == 200
    assert server.texts("help") == ["y"]


async def test_thinking_is_replaced(server, api):
    press = Pressed(server, kind=2)
    await api("POST", press.callback, {"type": 5, "data": {"flags": 64}})
    assert press.it.thinking
    assert server.ephemerals("ann") == []
    await api("PATCH", press.hook + "/messages/@original", {"content": "done"})
    assert [m["content"] for m in server.ephemerals("ann")] == ["done"]


async def test_tokens_and_deadlines(web):
    now = 1_800_000_000.0
    async with DiscordServer.running(clock=lambda: now) as server:
        api = Api(server, web)
        late, living = Pressed(server), Pressed(server)
        assert (await api("POST", living.callback, {"type": 6}))[0] == 204
        now += 3.1
        assert (await api("POST", late.callback, {"type": 6}))[1]["code"] == 10062
        now += 15 * 60
        assert (await api("POST", living.hook, {"content": "x"}))[1]["code"] == 50027
        assert (await api("POST", living.callback.replace(living.it.token, "x"), {"type": 6}))[1][
            "code"
        ] == 10062


@pytest.mark.parametrize(("kind", "response"), [(2, 6), (2, 8), (3, 8), (4, 4), (4, 5), (5, 9)])
async def test_not_every_answer_fits_every_interaction(server, api, kind, response):
    press = Pressed(server, kind)
    assert (await api("POST", press.callback, {"type": response, "data": MODAL}))[1]["code"] == 50035


@pytest.mark.parametrize(
    "change",
    [
        {"title": "x" * 46},
        {"custom_id": "x" * 101},
        {"components": []},
        {"components": MODAL["components"] * 6},
        {"components": [{"type": 18, "label": "x" * 46, "component": MODAL["components"][0]["component"]}]},
        {"components": [{"type": 18, "label": "L", "component": {"type": 2, "custom_id": "i"}}]},
        {
            "components": [
                {"type": 18, "label": "L", "component": {"type": 19, "custom_id": "i", "max_values": 11}}
            ]
        },
        {
            "components": [
                {"type": 18, "label": "L", "component": {"type": 3, "custom_id": "i", "options": []}}
            ]
        },
        {"components": [{"type": 99}]},
    ],
)
async def test_modals_beyond_the_limits_are_refused(server, api, change):
    press = Pressed(server)
    assert (await api("POST", press.callback, {"type": 9, "data": MODAL | change}))[1]["code"] == 50035
    assert (await api("POST", press.callback, {"type": 9, "data": MODAL}))[0] == 204
    (modal,) = server.modals("ann")
    assert modal.inputs()["i"]["label"] == "L"


async def test_only_the_one_who_sees_a_message_can_press_it(server, api):
    press = Pressed(server)
    row = {"type": 1, "components": [{"type": 2, "style": 1, "label": "L", "custom_id": "d"}]}
    answer = {"content": "only you", "components": [row], "flags": 64}
    await api("POST", press.callback, {"type": 4, "data": answer})
    (shown,) = server.ephemerals("ann")
    with pytest.raises(Refused):
        await server.user_presses(shown["id"], "L", server.add_user("bob"))


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Upper"},
        {"name": "x" * 33},
        {"description": ""},
        {"description": "x" * 101},
        {"options": [{"type": 3, "name": f"o{i}", "description": "d"} for i in range(26)]},
        {
            "options": [
                {"type": 3, "name": "a", "description": "d"},
                {"type": 3, "name": "b", "description": "d", "required": True},
            ]
        },
    ],
)
def test_commands_beyond_the_limits_are_refused(change):
    check_commands([{"type": 1, "name": "ok", "description": "fine"}])
    with pytest.raises(Refused):
        check_commands([{"type": 1, "name": "ok", "description": "fine"} | change])
