"""`firstline check`: content with a good setup, and words for each bad one."""

from __future__ import annotations

from adapters.discord import DiscordAdapter
from tests.discord_server.world import SEND_IN_THREADS
from tests.discord_sink import settings_for


async def test_check_is_content_with_a_good_setup(adapter, server):
    results = await DiscordAdapter(settings_for(server)).check()
    assert [r for r in results if not r.ok] == []
    assert {r.name for r in results} >= {
        "discord: token",
        "discord: staff channel is private",
        "discord: commands",
    }


async def test_check_names_what_is_wrong_and_what_to_click(server):
    world = server.world
    world.app |= {"flags": 0, "interactions_endpoint_url": "https://example.com"}
    help_ = server.id_of("help")
    world.channels[help_]["permission_overwrites"] = [world.overwrite(server.bot, 1, deny=SEND_IN_THREADS)]
    settings = settings_for(
        server, staff_channel=server.id_of("general"), channels={help_: "all", "999": "all"}
    )
    results = {r.name: r for r in await DiscordAdapter(settings).check()}
    wrong = {name for name, r in results.items() if not r.ok}
    assert wrong == {
        "discord: message content intent",
        "discord: buttons and commands arrive",
        "discord: staff channel is private",
        f"discord: channel {help_}",
        "discord: channel 999",
    }
    assert "Send Messages in Threads" in results[f"discord: channel {help_}"].fix
    assert "@everyone" in results["discord: staff channel is private"].fix
    assert all(results[name].fix for name in wrong)


async def test_check_with_a_bad_token_or_no_server(server):
    (only,) = await DiscordAdapter(settings_for(server, token="no")).check()
    assert (only.ok, "Reset Token" in only.fix) == (False, True)
    results = await DiscordAdapter(settings_for(server, guild="123")).check()
    assert "Invite the bot" in results[-1].fix
    await server.stop()
    (only,) = await DiscordAdapter(settings_for(server)).check()
    assert not only.ok
