"""The configuration as the rules read it: `policy_of(config)`. Minutes become seconds, channel names places."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from adapters.port import Place, PlatformName
from bot.config import (
    CategoryConfig,
    ChannelConfig,
    Config,
    DiscordChannelConfig,
    FieldConfig,
    HoursConfig,
    RouteConfig,
)
from bot.texts import Texts, load_texts
from handoff.hours import Hours
from handoff.policy import (
    CategoryRule,
    ChannelRule,
    FieldRule,
    FieldWords,
    Policy,
    RouteRule,
    Target,
    TierRule,
    Timers,
)

LOCAL: tuple[PlatformName, ...] = ("playground", "console")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HOLIDAY_YEARS = range(2024, 2051)


def texts_of(config: Config) -> Texts:
    """The catalogues with the team's own wording, in the desk's time zone."""
    return load_texts(
        config.wording, language=config.bot.language, timezone=config.hours.timezone, bot=config.bot.name
    )


def policy_of(config: Config) -> Policy:
    """The rules that this configuration asks for. Raises `bot.texts.WordingError` when its wording does not fit."""
    minute, hour = 60.0, 3600.0
    times = config.timers
    return Policy(
        name=config.bot.name,
        launch_mode=config.bot.launch_mode,
        language=config.bot.language,
        max_bot_turns=config.bot.max_bot_turns,
        channels=_channels(config),
        categories={c.name: _category(c, config.bot.language) for c in config.category},
        fields={f.id: _field(f) for f in config.field},
        routes={r.name: RouteRule(r.name, dict(_desks(config, r)), r.role, r.on_call) for r in config.route},
        tiers=tuple(TierRule(t.name, frozenset(t.roles), frozenset(t.users), t.floor) for t in config.tier),
        targets={p: _target(config, p) for p in ("P0", "P1", "P2", "P3")},
        warn_share=config.sla.warn_share,
        timers=Timers(
            pick_up=times.pick_up_minutes * minute,
            claim_reply=times.claim_reply_minutes * minute,
            claim_release=times.claim_release_minutes * minute,
            acknowledge=times.acknowledge_hours * hour,
            pending_warn=times.pending_warn_hours * hour,
            pending_close=times.pending_close_hours * hour,
            solved_close=times.solved_close_hours * hour,
            follow_up=times.follow_up_hours * hour,
            on_call_repeat=times.on_call_repeat_minutes * minute,
        ),
        hours=hours_of(config.hours),
        anonymous=config.staff.anonymous,
        undo_seconds=config.staff.undo_seconds,
        public_name=config.staff.public_name,
        canned=dict(config.canned),
        agents=_agents(config),
        phrases=texts_of(config).catalogues,
    )


def hours_of(hours: HoursConfig) -> Hours:
    """Business time, with the public holidays of a country where one is named."""
    closed: list[str | date] = list(hours.holidays)
    if hours.holidays_of:
        import holidays

        country, _, region = hours.holidays_of.partition("-")
        closed.extend(holidays.country_holidays(country, subdiv=region or None, years=HOLIDAY_YEARS))
    return Hours.of(hours.timezone, {day: getattr(hours, day) for day in DAYS}, closed)


def _channels(config: Config) -> dict[tuple[str, str], ChannelRule]:
    def rule(channel: ChannelConfig) -> ChannelRule:
        private = isinstance(channel, DiscordChannelConfig) and channel.private
        return ChannelRule(channel.mode, channel.category, channel.language, channel.greeting, private)

    rows: dict[tuple[str, str], ChannelRule] = {}
    for platform, section in (("slack", config.slack), ("discord", config.discord)):
        rows |= {(platform, c.id): rule(c) for c in section.channels}
    for local in LOCAL:
        rows |= {(local, c.id): rule(c) for c in config.playground.channels}
    return rows


def _category(category: CategoryConfig, desk: str) -> CategoryRule:
    """`desk`: the language of the desk, which alone reads titles."""
    return CategoryRule(
        category.name,
        category.title_in.get(desk) or category.title or category.name.capitalize(),
        category.level,
        category.launch_mode,
        category.route,
        category.fields,
        category.leaves,
        category.keywords,
        category.priority,
        category.compose,
        category.private,
    )


def _field(field: FieldConfig) -> FieldRule:
    pattern = re.compile(field.pattern) if field.pattern else None
    words = {
        spoken: FieldWords(
            field.label_in.get(spoken, field.label),
            field.hint_in.get(spoken, field.hint),
            field.choices_in.get(spoken, field.choices),
        )
        for spoken in (*field.label_in, *field.hint_in, *field.choices_in)
    }
    return FieldRule(
        field.id,
        field.label,
        field.kind,
        field.required,
        field.private,
        pattern,
        field.hint,
        field.choices,
        words,
    )


def _target(config: Config, priority: str) -> Target:
    target = getattr(config.sla, priority)
    return Target(target.first_response_minutes * 60, target.resolution_minutes * 60, target.around_the_clock)


def _desks(config: Config, route: RouteConfig) -> Iterator[tuple[str, Place]]:
    """Where this route's cards go, by the customer's platform."""
    slack = Place("slack", "", route.slack_channel or config.slack.staff_channel, kind="private")
    discord = Place(
        "discord", config.discord.guild, route.discord_channel or config.discord.staff_channel, kind="private"
    )
    one = {"slack": slack, "discord": discord}.get(config.staff.desk)
    for desk in (slack, discord):
        chosen = one or desk
        if chosen.channel:
            yield desk.platform, chosen
    channel = (route.playground_channel or config.playground.staff_channel).removeprefix("#")
    for local in LOCAL:
        yield local, Place(local, local, channel, kind="private")


def _agents(config: Config) -> dict[str, dict[str, str]]:
    """Whom a ticket can be given to, by the platform that they work on: id and name. Names are known where the people
    are ours; elsewhere they are learned (`bot.agents`). Slack's ids of groups, "S…", are nobody's."""
    people = {"slack": config.staff.slack, "discord": config.staff.discord}
    people |= dict.fromkeys(LOCAL, config.staff.playground)
    return {
        platform: {
            one: one.title() if platform in LOCAL else ""
            for one in (*who.agents, *who.admins)
            if not (platform == "slack" and one.startswith("S"))
        }
        for platform, who in people.items()
    }
