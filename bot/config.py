"""THE configuration: its keys, defaults, meaning, and complaints.

`load(path)` reads TOML and returns a `Config` or raises `ConfigError` with every complaint at once: file, key,
reason, and "did you mean" for unknown keys. Secrets come from the environment only and never print.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from datetime import date, time
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from bot.complaints import complaint, contradictions, mended
from bot.patterns import runaway
from bot.texts import LANGUAGES

Level = Literal["answer", "draft", "collect", "escalate"]
LaunchMode = Literal["off", "shadow", "draft", "answer"]
ChannelMode = Literal["mention", "questions", "all", "off"]


def _hours(value: str) -> str:
    """Opening hours of one stretch of a day; until midnight is written 24:00."""
    match = re.fullmatch(r"(\d\d:\d\d)-(\d\d:\d\d)", value)
    try:
        start, end = match.groups() if match else ("", "")
        if time.fromisoformat(start) < (time.max if end == "24:00" else time.fromisoformat(end)):
            return value
    except ValueError:
        pass
    raise ValueError("is not a stretch of a day; write one like 09:00-17:00, the end after the start")


def _day(value: str) -> str:
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError as error:
        raise ValueError("is not a day; write one like 2026-12-24") from error


def _spoken(value: dict[str, Any]) -> dict[str, Any]:
    """Words by language."""
    if strange := [name for name in value if name not in LANGUAGES]:
        raise ValueError(
            f"names a language that is not spoken here: {', '.join(strange)}; there are {', '.join(LANGUAGES)}"
        )
    return value


Span = Annotated[str, AfterValidator(_hours)]
Day = Annotated[str, AfterValidator(_day)]

ENVIRONMENT = {
    "slack_bot_token": "FIRSTLINE_SLACK_BOT_TOKEN",
    "slack_app_token": "FIRSTLINE_SLACK_APP_TOKEN",
    "slack_signing_secret": "FIRSTLINE_SLACK_SIGNING_SECRET",
    "discord_token": "FIRSTLINE_DISCORD_TOKEN",
}
LOOKS = 5  # at a broken file: each mends a copy and finds what the mistakes before it hid


class ConfigError(Exception):
    """The configuration cannot be used; `complaints` says everything that is wrong with it."""

    def __init__(self, path: Path | str, complaints: list[str]) -> None:
        self.path = str(path)
        self.complaints = complaints
        super().__init__("\n".join(f"{path}: {c}" for c in complaints))


class Section(BaseModel):
    """A table of the file; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BotConfig(Section):
    name: str = "Firstline"
    data_dir: Path = Path(".firstline")
    launch_mode: LaunchMode = "answer"
    language: str = "en"
    debounce_seconds: float = Field(1.2, ge=0, le=30)
    concurrency: int = Field(16, ge=1, le=256)
    max_bot_turns: int = Field(3, ge=1, le=20)
    drain_seconds: float = Field(20, ge=0, le=300)
    log_format: Literal["auto", "json", "text"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("language")
    @classmethod
    def _is_spoken(cls, value: str) -> str:
        if value not in LANGUAGES:
            raise ValueError(f"is a language that is not spoken here; there are {', '.join(LANGUAGES)}")
        return value


class KnowledgeConfig(Section):
    paths: tuple[Path, ...] = (Path("examples/knowledge"),)
    model: str = ""
    max_wrong: float = Field(0.05, gt=0, lt=1)
    threads: int = Field(1, ge=1, le=64)
    max_file_mb: int = Field(20, ge=1, le=1000)
    approximate_from: int = Field(0, ge=0)
    golden: Path | None = None
    replay_questions: int = Field(200, ge=0)
    review_days: int = Field(180, ge=1)

    @field_validator("paths")
    @classmethod
    def _somewhere(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        if not value:
            raise ValueError("names nothing; write the folders where the answers are")
        return value


class ChannelConfig(Section):
    id: str
    mode: ChannelMode = "mention"
    category: str = ""
    language: str = ""
    greeting: str = ""


class DiscordChannelConfig(ChannelConfig):
    private: bool = False


class SlackConfig(Section):
    enabled: bool = False
    api_base: str = "https://slack.com/api/"
    staff_channel: str = ""
    http: bool = False
    sockets: int = Field(2, ge=1, le=10)
    channels: tuple[ChannelConfig, ...] = ()


class DiscordConfig(Section):
    enabled: bool = False
    api_base: str = "https://discord.com/api/v10"
    gateway: str = ""
    guild: str = ""
    staff_channel: str = ""
    sharded: bool = False
    message_content: bool = True
    solved_tag: str = "Solved"
    channels: tuple[DiscordChannelConfig, ...] = ()


class PlaygroundConfig(Section):
    staff_channel: str = "desk"
    channels: tuple[ChannelConfig, ...] = (ChannelConfig(id="help", mode="all"), ChannelConfig(id="general"))


class WebConfig(Section):
    host: str = "127.0.0.1"
    port: int = Field(8710, ge=0, le=65535)


class OllamaConfig(Section):
    host: str = "http://127.0.0.1:11434"
    model: str = ""
    timeout_seconds: float = Field(20, gt=0)
    keep_alive: str = "10m"


class People(Section):
    agents: tuple[str, ...] = ()
    admins: tuple[str, ...] = ()


class StaffConfig(Section):
    slack: People = People()
    discord: People = People()
    playground: People = People(agents=("dana", "kim"), admins=("dana",))
    desk: Literal["same", "slack", "discord"] = "same"
    anonymous: bool = False
    undo_seconds: float = Field(5, ge=0, le=60)
    public_name: str = "Support"


class FieldConfig(Section):
    id: str = Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")
    label: str = Field(max_length=45)
    label_in: dict[str, Annotated[str, Field(max_length=45)]] = Field(default_factory=dict)
    kind: Literal["line", "text", "choice", "email", "date", "file", "number"] = "line"
    required: bool = False
    private: bool = False
    pattern: str = ""
    hint: str = ""
    hint_in: dict[str, str] = Field(default_factory=dict)
    choices: tuple[str, ...] = ()
    choices_in: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    @field_validator("label_in", "hint_in", "choices_in")
    @classmethod
    def _is_spoken(cls, value: dict[str, Any]) -> dict[str, Any]:
        return _spoken(value)

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            endless = runaway(value)
        except re.error as error:
            raise ValueError(f"is not a regular expression: {error}") from error
        if endless:
            raise ValueError(
                "repeats a group that itself repeats; such a pattern can take for ever on a long text"
            )
        return value

    @model_validator(mode="after")
    def _can_be_chosen(self) -> Self:
        if self.kind == "choice" and not self.choices:
            raise ValueError('has kind \'choice\' and nothing to choose from; add choices = ["…", "…"]')
        for language, words in self.choices_in.items():
            if len(words) != len(self.choices):
                raise ValueError(
                    f"has {len(self.choices)} choices, and choices_in has {len(words)} in {language!r}; each needs its own"
                )
        return self


class CategoryConfig(Section):
    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,40}$")
    title: str = ""
    title_in: dict[str, str] = Field(default_factory=dict)
    level: Level = "answer"
    launch_mode: LaunchMode = "answer"
    max_wrong: float = Field(0.0, ge=0, lt=1)
    route: str = ""
    fields: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    priority: Literal["", "P0", "P1", "P2", "P3"] = ""
    compose: bool = False
    private: bool = False

    @field_validator("title_in")
    @classmethod
    def _is_spoken(cls, value: dict[str, str]) -> dict[str, str]:
        return _spoken(value)


class RouteConfig(Section):
    name: str
    slack_channel: str = ""
    discord_channel: str = ""
    playground_channel: str = ""
    role: str = ""
    on_call: str = ""


class TierConfig(Section):
    name: str
    roles: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    floor: Literal["P0", "P1", "P2", "P3"] = "P2"


class HoursConfig(Section):
    timezone: str = "UTC"
    mon: tuple[Span, ...] = ("09:00-17:00",)
    tue: tuple[Span, ...] = ("09:00-17:00",)
    wed: tuple[Span, ...] = ("09:00-17:00",)
    thu: tuple[Span, ...] = ("09:00-17:00",)
    fri: tuple[Span, ...] = ("09:00-17:00",)
    sat: tuple[Span, ...] = ()
    sun: tuple[Span, ...] = ()
    holidays: tuple[Day, ...] = ()
    holidays_of: str = ""  # a country code, e.g. "DE" or "US"

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("is no time zone; write one like Europe/Berlin") from error
        return value

    @field_validator("holidays_of")
    @classmethod
    def _country(cls, value: str) -> str:
        if value:
            import holidays  # only who names a country waits for it

            country, _, region = value.partition("-")
            try:
                holidays.country_holidays(country, subdiv=region or None)
            except RuntimeError as error:  # its way to say that it does not know it
                raise ValueError("is no country whose holidays are known; write one like DE or US") from error
        return value


class Target(Section):
    first_response_minutes: float = Field(gt=0)
    resolution_minutes: float = Field(gt=0)
    around_the_clock: bool = False


class SlaConfig(Section):
    P0: Target = Target(first_response_minutes=15, resolution_minutes=240, around_the_clock=True)
    P1: Target = Target(first_response_minutes=60, resolution_minutes=480)
    P2: Target = Target(first_response_minutes=240, resolution_minutes=1440)
    P3: Target = Target(first_response_minutes=1440, resolution_minutes=4320)
    warn_share: float = Field(0.8, gt=0, lt=1)


class TimersConfig(Section):
    pick_up_minutes: float = Field(15, gt=0)
    claim_reply_minutes: float = Field(30, gt=0)
    claim_release_minutes: float = Field(120, gt=0)
    acknowledge_hours: float = Field(4, gt=0)
    pending_warn_hours: float = Field(72, gt=0)
    pending_close_hours: float = Field(24, gt=0)
    solved_close_hours: float = Field(48, gt=0)
    follow_up_hours: float = Field(24, gt=0)
    on_call_repeat_minutes: float = Field(5, gt=0)


class LimitsConfig(Section):
    messages_per_minute: int = Field(20, ge=1)
    file_mb: int = Field(10, ge=1)
    retention_days: int = Field(400, ge=1)


class IncidentConfig(Section):
    similar: int = Field(5, ge=2)
    minutes: float = Field(15, gt=0)


class Secrets(Section):
    """From the environment only; printing them shows stars."""

    slack_bot_token: SecretStr = SecretStr("")
    slack_app_token: SecretStr = SecretStr("")
    slack_signing_secret: SecretStr = SecretStr("")
    discord_token: SecretStr = SecretStr("")


def default_fields() -> tuple[FieldConfig, ...]:
    return (
        FieldConfig(
            id="summary",
            label="What is it about?",
            label_in={"de": "Worum geht es?"},
            kind="text",
            required=True,
        ),
        FieldConfig(id="name", label="Your name", label_in={"de": "Ihr Name"}),
        FieldConfig(
            id="email",
            label="E-mail",
            label_in={"de": "E-Mail-Adresse"},
            kind="email",
            private=True,
            hint="only the team sees it",
            hint_in={"de": "nur das Team sieht sie"},
        ),
        FieldConfig(
            id="order",
            label="Order or invoice number",
            label_in={"de": "Bestell- oder Rechnungsnummer"},
            private=True,
            pattern=r"^[A-Za-z]{0,4}-?\d{3,12}$",
        ),
        FieldConfig(
            id="steps",
            label="What did you do, and what happened?",
            label_in={"de": "Was haben Sie getan, und was ist passiert?"},
            kind="text",
        ),
        FieldConfig(id="version", label="App and version", label_in={"de": "App und Version"}),
        FieldConfig(
            id="need",
            label="What do you need, and for how many people?",
            label_in={"de": "Was brauchen Sie, für wie viele Personen?"},
            kind="text",
        ),
    )


def default_categories() -> tuple[CategoryConfig, ...]:
    leaf = {
        "account": ("login", "password", "two-factor", "profile", "deletion"),
        "billing": ("invoice", "payment", "refund", "plan", "tax"),
        "sales": ("quote", "upgrade", "trial"),
        "product": ("how-to", "limits", "feature", "integration", "mobile"),
        "onboarding": ("first-steps", "import", "invite", "training"),
        "technical": ("bug", "outage", "performance", "api", "sync"),
        "feedback": ("idea", "praise", "complaint"),
    }
    fields = {
        "account": ("email",),
        "billing": ("order", "email"),
        "sales": ("need", "email"),
        "technical": ("steps", "version"),
    }
    german = ("Konto", "Abrechnung", "Vertrieb", "Produkt", "Einstieg", "Technik", "Rückmeldung")
    made = [
        CategoryConfig(
            name=name,
            title=name.capitalize(),
            title_in={"de": translated},
            route="desk",
            leaves=leaves,
            fields=fields.get(name, ()),
            private=name in ("account", "billing"),
        )
        for (name, leaves), translated in zip(leaf.items(), german, strict=True)
    ]
    general = CategoryConfig(
        name="general", title="Anything else", title_in={"de": "Sonstiges"}, route="desk"
    )
    return (*made, general)


class Config(Section):
    bot: BotConfig = BotConfig()
    knowledge: KnowledgeConfig = KnowledgeConfig()
    slack: SlackConfig = SlackConfig()
    discord: DiscordConfig = DiscordConfig()
    playground: PlaygroundConfig = PlaygroundConfig()
    web: WebConfig = WebConfig()
    ollama: OllamaConfig = OllamaConfig()
    staff: StaffConfig = StaffConfig()
    hours: HoursConfig = HoursConfig()
    sla: SlaConfig = SlaConfig()
    timers: TimersConfig = TimersConfig()
    limits: LimitsConfig = LimitsConfig()
    incident: IncidentConfig = IncidentConfig()
    wording: Mapping[str, str] = Field(default_factory=dict)
    canned: Mapping[str, str] = Field(default_factory=dict)
    field: tuple[FieldConfig, ...] = Field(default_factory=default_fields)
    category: tuple[CategoryConfig, ...] = Field(default_factory=default_categories)
    route: tuple[RouteConfig, ...] = (RouteConfig(name="desk"),)
    tier: tuple[TierConfig, ...] = ()
    secrets: Secrets = Field(default=Secrets(), exclude=True, repr=False)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        found = contradictions(self)
        if found:
            raise ValueError("\n".join(found))
        return self


def load(path: Path | None, environ: Mapping[str, str] | None = None) -> Config:
    """Read and check a configuration file; without a path, every default.

    Relative paths in it are relative to the file. Raises `ConfigError` with all complaints at once.
    """
    environ = os.environ if environ is None else environ
    data: dict[str, Any] = {}
    if path is not None:
        try:
            data = tomllib.loads(path.read_text("utf-8"))
        except FileNotFoundError as error:
            raise ConfigError(path, ["there is no such file; `firstline init` writes one"]) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            raise ConfigError(path, [f"cannot be read: {error}"]) from error
    in_file = data.pop("secrets", None) is not None
    try:
        config = Config.model_validate({**data, "secrets": secrets(environ)})
    except ValidationError:
        config = None
    if config is None or in_file:
        misplaced = ["secrets: belong into the environment, never into this file"] if in_file else []
        raise ConfigError(path or "(defaults)", misplaced + complaints(data))
    return config if path is None else anchored(config, path.resolve().parent)


def secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """What the environment holds of ours."""
    return {key: environ.get(name, "").strip() for key, name in ENVIRONMENT.items()}


def complaints(data: Mapping[str, Any]) -> list[str]:
    """Everything that is wrong with a file's content, each once, in the order of discovery."""
    found: dict[str, None] = {}
    for look in range(LOOKS):
        try:
            Config.model_validate(data)
        except ValidationError as error:
            errors = error.errors(include_url=False)
            # Places named by a later look would be those of the mended copy, not of the file: only what is said
            # about the whole still holds.
            told = errors if look == 0 else [e for e in errors if not e["loc"]]
            found.update((line, None) for e in told for line in complaint(e, Config, ENVIRONMENT))
            data = mended(data, errors, Config)
        else:
            break
    return list(found)


def anchored(config: Config, home: Path) -> Config:
    """Paths in the file mean "beside the file"; a model is a path where it begins with a dot, else it may be a name."""
    model = config.knowledge.model
    knowledge = config.knowledge.model_copy(
        update={
            "model": str(home / model) if model.startswith(".") else model,
            "paths": tuple(home / p for p in config.knowledge.paths),
            "golden": config.knowledge.golden and home / config.knowledge.golden,
        }
    )
    bot = config.bot.model_copy(update={"data_dir": home / config.bot.data_dir})
    return config.model_copy(update={"knowledge": knowledge, "bot": bot})
