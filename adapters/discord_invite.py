"""What the bot asks for when it is invited: exactly the permissions that it uses, and the intents to switch on."""

from __future__ import annotations

from urllib.parse import urlencode

# What each is for is said to whoever invites the bot.
PERMISSIONS: dict[str, tuple[int, str]] = {
    "View Channel": (1 << 10, "read the channels that you list"),
    "Send Messages": (1 << 11, "ticket cards in the staff channel"),
    "Send Messages in Threads": (1 << 38, "answers"),
    "Create Public Threads": (1 << 35, "one thread for each question"),
    "Create Private Threads": (1 << 36, "private matters, in channels with private = true"),
    "Manage Threads": (1 << 34, "reopen an archived thread before a card in it changes"),
    "Embed Links": (1 << 14, "ticket cards"),
    "Attach Files": (1 << 15, "files between customer and agent"),
    "Read Message History": (1 << 16, "catch up after a restart"),
    "Add Reactions": (1 << 6, "mark what was seen"),
}
SCOPES = ("bot", "applications.commands")


def invite(app_id: str) -> str:
    """The link with which somebody who may manage the server adds the bot."""
    bits = sum(bit for bit, _ in PERMISSIONS.values())
    query = {
        "client_id": app_id or "YOUR_APPLICATION_ID",
        "permissions": str(bits),
        "scope": " ".join(SCOPES),
    }
    return f"https://discord.com/oauth2/authorize?{urlencode(query)}"


def setup_text(app_id: str) -> str:
    """What `firstline init` prints for Discord."""
    asked = "\n".join(f"     {name}: {why}" for name, (_, why) in PERMISSIONS.items())
    return f"""\
1. Developer Portal (https://discord.com/developers/applications) → your application → Bot:
     switch on Message Content Intent (to read questions without a mention);
     switch on Server Members Intent (optional: a ticket is freed when its agent leaves).
   General Information: leave Interactions Endpoint URL empty.
2. Invite the bot:
     {invite(app_id)}
   It asks for:
{asked}
3. Make a staff channel that @everyone cannot see, and let the bot's role and your agents in.
4. Put the ids (User Settings → Advanced → Developer Mode, then right click → Copy ID) into [discord]:
     guild, staff_channel, and one [[discord.channels]] for each channel.
5. `firstline check`
"""
