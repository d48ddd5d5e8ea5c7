"""`firstline init` and `firstline check` for Slack: what is wrong, and what to click."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from adapters.port import CheckResult
from adapters.slack import SlackAdapter, SlackSettings
from adapters.slack_manifest import BOT_SCOPES, OPTIONAL_SCOPES, clicks, manifest
from bot.app import platform_adapters
from bot.config import Config
from tests.slack.methods import NEEDS
from tests.slack.server import SlackServer


async def run_check(settings: SlackSettings) -> list[CheckResult]:
    """Without closing the adapter: a check leaves nothing open."""
    return list(await SlackAdapter(settings).check())


def failures(found: list[CheckResult]) -> dict[str, str]:
    assert all(result.fix for result in found if not result.ok)
    return {result.name: result.detail for result in found if not result.ok}


async def test_a_good_setup_is_good(settings: SlackSettings) -> None:
    found = await run_check(settings)
    assert failures(found) == {}
    assert [result.name for result in found] == [
        "bot token", "scopes", "app-level token", "staff channel", "channel C0HELP",
    ]  # fmt: skip


async def test_bad_tokens(server: SlackServer, settings: SlackSettings) -> None:
    found = await run_check(replace(settings, bot_token="xoxb-wrong", app_token="xapp-wrong"))
    assert set(failures(found)) == {"bot token", "app-level token"}
    assert "OAuth & Permissions" in found[0].fix
    found = await run_check(replace(settings, app_token=""))
    assert failures(found) == {"app-level token": "FIRSTLINE_SLACK_APP_TOKEN is empty"}
    assert server.count("chat.postMessage") == 0


async def test_a_missing_scope_says_why_it_is_needed(server: SlackServer, settings: SlackSettings) -> None:
    server.scopes -= {"metadata.message:read", "users:read.email"}
    found = await run_check(settings)
    assert failures(found) == {
        "scopes": "metadata.message:read is missing: find its own messages again after a lost connection, "
        "instead of sending twice"
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "channel"}, "#desk is public"),
        ({"ext_shared": True}, "#desk is shared externally"),
        ({"archived": True}, "archived"),
        ({"members": set()}, "not found, or private and without the bot"),
    ],
)
async def test_the_staff_channel_must_be_private_and_ours(
    server: SlackServer, settings: SlackSettings, change: dict[str, object], said: str
) -> None:
    """Cards show what customers wrote in confidence."""
    for name, value in change.items():
        setattr(server.space.channel("desk"), name, value)
    assert failures(await run_check(settings)) == {"staff channel": said}


async def test_channels_where_the_bot_is_not(server: SlackServer, settings: SlackSettings) -> None:
    server.add_channel("quiet", ident="C0QUIET", bot=False)
    found = await run_check(replace(settings, channels={"C0QUIET": "all", "C0GONE": "all"}, staff_channel=""))
    assert failures(found) == {
        "staff channel": "staff_channel is empty",
        "channel C0QUIET": "the bot is not a member",
        "channel C0GONE": "not found, or private and without the bot",
    }
    assert "/invite @firstline in #quiet" in next(r.fix for r in found if r.name == "channel C0QUIET")


async def test_http_mode_needs_the_secret_instead_of_the_app_token(settings: SlackSettings) -> None:
    found = await run_check(replace(settings, http=True, app_token="", signing_secret=""))
    assert failures(found) == {"signing secret": "FIRSTLINE_SLACK_SIGNING_SECRET is empty"}
    assert failures(await run_check(replace(settings, http=True, app_token=""))) == {}


async def test_slack_out_of_reach(settings: SlackSettings) -> None:
    found = await run_check(replace(settings, api_base="http://127.0.0.1:9/api/"))
    assert "bot token" in failures(found)


def test_the_manifest_keeps_slacks_limits() -> None:
    """§1.8: name 35, description 140, 10 shortcuts with 24 characters; every optional scope is also a scope."""
    shown = yaml.safe_load(manifest())
    assert len(shown["display_information"]["name"]) <= 35
    assert len(shown["display_information"]["description"]) <= 140
    features = shown["features"]
    assert all(len(shortcut["name"]) <= 24 for shortcut in features["shortcuts"])
    assert [shortcut["callback_id"] for shortcut in features["shortcuts"]] == ["fl1:help", "fl1:escalate"]
    assert features["slash_commands"][0]["should_escape"] is True
    scopes = shown["oauth_config"]["scopes"]
    assert set(scopes["bot_optional"]) <= set(scopes["bot"])
    assert "chat:write.public" not in scopes["bot"]
    assert shown["settings"]["socket_mode_enabled"] is True
    assert shown["settings"]["token_rotation_enabled"] is False


def test_the_manifest_asks_for_what_is_called() -> None:
    """Every method that the local Slack guards with a scope is covered, and nothing more than is explained."""
    asked = set(yaml.safe_load(manifest())["oauth_config"]["scopes"]["bot"])
    assert set(NEEDS.values()) - {"connections:write"} <= asked
    assert asked == set(BOT_SCOPES)
    assert set(OPTIONAL_SCOPES) <= set(BOT_SCOPES)


def test_the_documentation_shows_the_manifest() -> None:
    """docs/slack.md is what people paste from; it must not fall behind."""
    docs = Path("docs/slack.md").read_text("utf-8")
    assert f"```yaml\n{manifest()}```" in docs
    for scope in BOT_SCOPES:
        assert f"`{scope}`" in docs


def test_the_manifest_for_http() -> None:
    shown = yaml.safe_load(manifest("https://bot.example.com/slack/"))
    assert shown["features"]["slash_commands"][0]["url"] == "https://bot.example.com/slack/commands"
    assert shown["settings"]["event_subscriptions"]["request_url"] == "https://bot.example.com/slack/events"
    assert shown["settings"]["interactivity"]["request_url"] == "https://bot.example.com/slack/interactive"
    assert shown["settings"]["socket_mode_enabled"] is False


def test_the_clicks_are_numbered_through() -> None:
    for http in (False, True):
        numbers = [line.split(".")[0] for line in clicks(http=http).splitlines() if line[:1].isdigit()]
        assert numbers == ["1", "2", "3", "4", "5", "6"]
    assert "xapp-" in clicks()
    assert "Signing Secret" in clicks(http=True)


def test_user_groups_of_routes_and_tiers_are_known_to_the_adapter() -> None:
    """Without them nobody on Slack would belong to a route's team or to a tier."""
    config = Config.model_validate({
        "slack": {"enabled": True, "staff_channel": "C0DESK"},
        "category": [{"name": "general", "route": "billing"}],
        "route": [{"name": "billing", "role": "S0BILLING"}],
        "tier": [{"name": "Enterprise", "roles": ["S0GOLD"]}],
        "secrets": {"slack_bot_token": "xoxb-1", "slack_app_token": "xapp-1"},
    })  # fmt: skip
    (adapter,) = platform_adapters(config)
    assert isinstance(adapter, SlackAdapter)
    assert {"S0BILLING", "S0GOLD"} <= adapter.settings.groups
