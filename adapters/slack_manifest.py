"""The app as Slack should know it: what `firstline init` writes, and the clicks that follow."""

from __future__ import annotations

from typing import Any

import yaml

# Why each scope is needed; `firstline check` compares with what the token really has.
BOT_SCOPES: dict[str, str] = {
    "app_mentions:read": "hear mentions",
    "channels:history": "read questions and threads in public channels",
    "groups:history": "read the private staff channel and its threads",
    "im:history": "read direct messages to the bot",
    "channels:read": "see whether the bot is in a channel",
    "groups:read": "see who is in the staff channel: they are the agents",
    "im:write": "open a direct message with a customer",
    "chat:write": "answer",
    "commands": "/firstline and the message shortcuts",
    "files:read": "pass attachments on",
    "files:write": "pass attachments on",
    "metadata.message:read": "find its own messages again after a lost connection, instead of sending twice",
    "reactions:read": "hear thumbs up and down",
    "reactions:write": "show that a message was seen",
    "usergroups:read": "agents and admins given as a user group, and who is taken out of it",
    "users:read": "names, who is a workspace admin, and whose account was deactivated",
    "users:read.email": "know a customer's address without asking",
}
OPTIONAL_SCOPES = ("usergroups:read", "users:read.email", "files:write", "reactions:write")
BOT_EVENTS = (
    "app_home_opened", "app_mention", "app_uninstalled", "channel_archive", "channel_deleted", "channel_shared",
    "channel_unarchive", "group_archive", "group_deleted", "group_unarchive", "member_joined_channel",
    "member_left_channel", "message.channels", "message.groups", "message.im", "reaction_added",
    "reaction_removed", "subteam_members_changed", "team_join", "tokens_revoked", "user_change",
)  # fmt: skip

CLICKS = """\
Slack, in six steps:

1. Open https://api.slack.com/apps, press Create New App, From a manifest, choose your workspace,
   paste slack-manifest.yaml and press Create.
2. Basic Information, App-Level Tokens, Generate Token and Scopes: name it "socket", add connections:write.
   The token begins with xapp-; it goes into the environment as FIRSTLINE_SLACK_APP_TOKEN.
3. Install App, Install to Workspace, Allow. The Bot User OAuth Token begins with xoxb-;
   it goes into the environment as FIRSTLINE_SLACK_BOT_TOKEN.
4. In Slack, create a private channel for your team, for example #support-desk, and write
   /invite @firstline in it. Its id (channel name, About, at the bottom) goes to [slack] staff_channel.
   Who is a member of this channel is an agent.
5. Write /invite @firstline in each channel where customers ask, and put its id under [[slack.channels]].
6. Set [slack] enabled = true, then: firstline check
"""

HTTP_CLICKS = """\
2. Basic Information, App Credentials: the Signing Secret goes into the environment as
   FIRSTLINE_SLACK_SIGNING_SECRET; set [slack] http = true. No app-level token is needed.
   Start Firstline before you save the addresses: Slack asks them at once.
"""


def manifest(request_url: str = "", name: str = "Firstline") -> str:
    """The manifest as YAML, for Socket Mode; for HTTP when `request_url` (https://…/slack) is given."""
    command: dict[str, Any] = {
        "command": "/firstline",
        "description": "Ask a question; for the team: search, tickets, reload, status",
        "usage_hint": "help | ask <question> | search <text> | tickets | status",
        "should_escape": True,
    }
    events: dict[str, Any] = {"bot_events": list(BOT_EVENTS)}
    interactivity: dict[str, Any] = {"is_enabled": True}
    if request_url:
        base = request_url.rstrip("/")
        command["url"] = f"{base}/commands"
        events["request_url"] = f"{base}/events"
        interactivity["request_url"] = f"{base}/interactive"
    shown = {
        "_metadata": {"major_version": 1},
        "display_information": {
            "name": name,
            "description": "Answers what your team approved, and hands over to a person",
            "background_color": "#1f3a5f",
        },
        "features": {
            "app_home": {
                "home_tab_enabled": True,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": False,
            },
            "bot_user": {"display_name": "firstline", "always_online": True},
            "shortcuts": [
                _shortcut("Get help with this", "help", "Ask support about this message"),
                _shortcut("Escalate this message", "escalate", "Open a ticket for this message (team only)"),
            ],
            "slash_commands": [command],
        },
        "oauth_config": {"scopes": {"bot": sorted(BOT_SCOPES), "bot_optional": sorted(OPTIONAL_SCOPES)}},
        "settings": {
            "event_subscriptions": events,
            "interactivity": interactivity,
            "org_deploy_enabled": False,
            "socket_mode_enabled": not request_url,
            "token_rotation_enabled": False,
        },
    }
    return yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=110)


def _shortcut(name: str, verb: str, description: str) -> dict[str, str]:
    return {"name": name, "type": "message", "callback_id": f"fl1:{verb}", "description": description}


def clicks(*, http: bool = False) -> str:
    """What to do with the manifest, step by step."""
    if not http:
        return CLICKS
    first, rest = CLICKS.split("2. ", 1)
    return first + HTTP_CLICKS + "3. " + rest.split("3. ", 1)[1]
