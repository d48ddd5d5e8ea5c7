"""What the Discord adapter is told: where, with which token, who counts as staff, and its own few sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

API = "https://discord.com/api/v10"


@dataclass(frozen=True, slots=True)
class Timing:
    """Waits in seconds. The defaults suit Discord; a local server needs none of them."""

    guilds: float = 2.0  # silence after the last guild before the connection counts as ready
    identify: float = 5.0  # between two IDENTIFYs, as Discord asks
    watchdog: float = 2.0  # an interaction must be answered within 3 s; then we acknowledge ourselves
    thinking: float = 20.0  # how long "thinking…" may stand when nothing private follows
    heartbeat: float = 60.0  # a gateway that says nothing for so long is given up and resumed
    gap: float = 5.0  # a resume after a longer silence is followed by catch-up
    patience: float = (
        120.0  # a lost connection is given up for a new client; the library would wait ever longer
    )
    call: float = 75.0  # one API call, waits for its rate limit included
    interaction: float = 14 * 60.0  # Discord forgets the token after 15 minutes


@dataclass(frozen=True, slots=True)
class Words:
    """The sentences that only this adapter says. `{label}` and `{reason}` are filled in."""

    again: str = "Edit again"
    refused: str = "That could not be accepted yet:"
    lost_draft: str = "That form is no longer here. Please start again from the button."
    slow: str = "That took a moment. Please open the form with the button below."
    open_form: str = "Open the form"
    confirm: str = "“{label}”: are you sure?"
    not_now: str = "Something went wrong on our side; nothing was changed. Please try again in a minute."
    not_here: str = "I do not help in this channel. Please ask in another one, or write me a direct message."
    file_lost: str = "(the file {name} could not be copied: {reason})"
    support: str = "support"


@dataclass(frozen=True, slots=True)
class DiscordSettings:
    """`channels` maps channel ids to modes; `agents` and `admins` hold user or role ids. `private`: the channels whose
    private matters go on in private threads.

    `gateway` empty: ask the API. `guild` empty: every guild that the bot is in.
    """

    token: str = field(repr=False)
    guild: str = ""
    staff_channel: str = ""
    channels: Mapping[str, str] = field(default_factory=dict)
    private: frozenset[str] = frozenset()
    api_base: str = API
    gateway: str = ""
    agents: frozenset[str] = frozenset()
    admins: frozenset[str] = frozenset()
    sharded: bool = False
    message_content: bool = True
    solved_tag: str = ""
    file_bytes_max: int = 10 * 1024 * 1024  # what a bot may upload to an unboosted server
    timing: Timing = Timing()
    words: Words = Words()

    @property
    def tenant(self) -> str:
        """The tenant of a direct message: the one guild that we serve, else "dm"."""
        return self.guild or "dm"
