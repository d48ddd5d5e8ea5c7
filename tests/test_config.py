"""The configuration: defaults work, every kind of mistake is told in words, secrets stay secret."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from bot.complaints import NEVER_DUE
from bot.config import ENVIRONMENT, Config, ConfigError, load
from bot.policies import policy_of
from handoff.policy import FieldWords

ROOT = Path(__file__).resolve().parent.parent
SECRET = "xoxb-17-never-to-be-seen"
SHUT = "[hours]\nmon = []\ntue = []\nwed = []\nthu = []\nfri = []\n"
GENERAL = '[[category]]\nname = "general"\nroute = "desk"\n'
NOT_HOURS = "is not a stretch of a day; write one like 09:00-17:00, the end after the start"
NO_PATTERN = "is not a regular expression: missing ), unterminated subpattern at position 0"
SLOW_PATTERN = "repeats a group that itself repeats; such a pattern can take for ever on a long text"


def complaints_about(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "config.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as refused:
        load(file, {})
    assert all(line.startswith(f"{file}: ") for line in str(refused.value).splitlines())
    return refused.value.complaints


def test_without_a_file_every_default_holds() -> None:
    config = load(None, {})

    assert config == Config()
    assert config.ollama.model == ""
    assert {c.name for c in config.category} >= {"general", "billing"}


def test_whatever_is_asked_can_be_asked_in_german() -> None:
    assert all(field.label_in.get("de") for field in Config().field)
    assert all(category.title_in.get("de") for category in Config().category)
    assert all(field.hint_in.get("de") for field in Config().field if field.hint)


def test_a_field_that_is_translated_in_part_keeps_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    system = 'id = "system"\nlabel = "System"\nkind = "choice"\nchoices = ["old", "new"]\nhint = "see About"'
    file.write_text(f'{GENERAL}[[field]]\n{system}\nchoices_in = {{ de = ["alt", "neu"] }}\n', "utf-8")

    rule = policy_of(load(file, {})).fields["system"]

    assert rule.words == {"de": FieldWords("System", "see About", ("alt", "neu"))}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[bot]\nnmae = "x"', "bot.nmae: there is no such key; did you mean 'name'?"),
        ("[webb]\nport = 1", "webb: there is no such table; did you mean 'web'?"),
        ("[zzz]\nport = 1", "zzz: there is no such table"),
        ("[web]\nport = 99999", "web.port: input should be less than or equal to 65535 (it says 99999)"),
        (
            '[bot]\nlaunch_mode = "on"',
            "bot.launch_mode: input should be 'off', 'shadow', 'draft' or 'answer' (it says 'on')",
        ),
        ("[bot]\nname = 5", "bot.name: input should be a valid string (it says 5)"),
        (
            "slack = 5",
            "slack: must be a table: its name in brackets, and its keys in the lines below (it says 5)",
        ),
        ("canned = 5", "canned: must be a table of names and what they stand for (it says 5)"),
        (
            '[hours]\nmon = "09:00-17:00"',
            'hours.mon: must be a list, in brackets: ["…", "…"] (it says \'09:00-17:00\')',
        ),
        ("[knowledge]\ngolden = 5", "knowledge.golden: must be a path, in quotes (it says 5)"),
        (
            "[knowledge]\npaths = []",
            "knowledge.paths: names nothing; write the folders where the answers are",
        ),
        (
            '[category]\nname = "general"',
            "category: there can be several of these; write [[category]] instead of [category]",
        ),
        (
            '[bot]\nlanguage = "fr"',
            "bot.language: is a language that is not spoken here; there are en, de (it says 'fr')",
        ),
        (
            '[hours]\nholidays_of = "XX"',
            "hours.holidays_of: is no country whose holidays are known; write one like DE or US (it says 'XX')",
        ),
        (
            '[hours]\nholidays_of = "DE-XX"',
            "hours.holidays_of: is no country whose holidays are known; write one like DE or US (it says 'DE-XX')",
        ),
        (
            '[[slack.channels]]\nid = "C1"\nmode = "mentions"',
            "slack.channels[1].mode: input should be 'mention', 'questions', 'all' or 'off' (it says 'mentions')",
        ),
        (
            '[[slack.channels]]\nmode = "all"',
            "slack.channels[1].id: missing; every table of this kind needs one",
        ),
        (
            '[hours]\nmon = ["9-17"]',
            f"hours.mon[1]: {NOT_HOURS} (it says '9-17')",
        ),
        (
            '[hours]\nmon = ["17:00-09:00"]',
            f"hours.mon[1]: {NOT_HOURS} (it says '17:00-09:00')",
        ),
        (
            '[hours]\ntimezone = "Berlin"',
            "hours.timezone: is no time zone; write one like Europe/Berlin (it says 'Berlin')",
        ),
        (
            '[hours]\nholidays = ["24.12."]',
            "hours.holidays[1]: is not a day; write one like 2026-12-24 (it says '24.12.')",
        ),
        (
            GENERAL + '[[field]]\nid = "a"\nlabel = "A"\npattern = "("',
            f"field[1].pattern: {NO_PATTERN} (it says '(')",
        ),
        (
            GENERAL + '[[field]]\nid = "a"\nlabel = "A"\npattern = "(a+)+"',
            f"field[1].pattern: {SLOW_PATTERN} (it says '(a+)+')",
        ),
        (
            GENERAL + '[[field]]\nid = "a"\nlabel = "A"\nkind = "choice"',
            'field[1]: has kind \'choice\' and nothing to choose from; add choices = ["…", "…"]',
        ),
        (
            GENERAL + '[[field]]\nid = "a"\nlabel = "A"\nlabel_in = { fr = "A" }',
            "field[1].label_in: names a language that is not spoken here: fr; there are en, de",
        ),
        (
            GENERAL + 'title_in = { fr = "A" }',
            "category[1].title_in: names a language that is not spoken here: fr; there are en, de",
        ),
        (
            GENERAL
            + '[[field]]\nid = "a"\nlabel = "A"\nkind = "choice"\nchoices = ["x", "y"]\nchoices_in = { de = ["x"] }',
            "field[1]: has 2 choices, and choices_in has 1 in 'de'; each needs its own",
        ),
        (
            '[[category]]\nname = "general"\nroute = "dsk"',
            "category 'general'.route: there is no route 'dsk'; did you mean 'desk'?",
        ),
        (
            '[[category]]\nname = "general"',
            "category 'general'.route: missing; every category needs a route, one of: desk",
        ),
        (
            GENERAL + 'fields = ["emial"]',
            "category 'general'.fields: there is no field 'emial'; did you mean 'email'?",
        ),
        (
            '[[category]]\nname = "billing"\nroute = "desk"',
            "category: one must be named 'general'; it takes what fits nowhere else",
        ),
        ('[[route]]\nname = "desk"\n[[route]]\nname = "desk"', "route: 'desk' stands twice"),
        (
            '[[discord.channels]]\nid = "1"\ncategory = "biling"',
            "discord.channels '1'.category: there is no category 'biling'; did you mean 'billing'?",
        ),
        (
            "[slack]\nenabled = true",
            "slack.staff_channel: missing; tickets need a private channel to arrive in",
        ),
        (
            SHUT,
            "hours: no hours at all: nobody would ever answer; give at least one day its hours",
        ),
        (
            SHUT + 'sun = ["09:00-09:10", "09:05-09:15"]',
            f"hours: open 15 min a week, so what sla.P3.resolution_minutes = 4320 asks for takes 6 years; {NEVER_DUE}",
        ),
        (
            "[timers]\nacknowledge_hours = 20000",
            f"hours: open 2400 min a week, so what timers.acknowledge_hours = 20000 asks for takes 10 years; {NEVER_DUE}",
        ),
        ("[bot]\nname = ", "cannot be read: Invalid value (at end of document)"),
    ],
)
def test_each_kind_of_mistake_is_one_complaint(tmp_path: Path, text: str, complaint: str) -> None:
    assert complaints_about(tmp_path, text) == [complaint]


def test_all_mistakes_are_told_at_once_also_those_between_tables(tmp_path: Path) -> None:
    told = complaints_about(
        tmp_path,
        """
        [web]
        prt = 1
        host = 5
        [discord]
        enabled = true
        [[route]]
        nme = "sales"
        [[category]]
        name = "Bad Name"
        [[category]]
        name = "general"
        route = "sales"
        fields = ["sumary"]
        [[category]]
        name = "billing"
        """,
    )

    assert told == [
        "web.host: input should be a valid string (it says 5)",
        "web.prt: there is no such key; did you mean 'port'?",
        "category[1].name: string should match pattern '^[a-z][a-z0-9_-]{0,40}$' (it says 'Bad Name')",
        "route[1].name: missing; every table of this kind needs one",
        "route[1].nme: there is no such key; did you mean 'name'?",
        "category 'general'.fields: there is no field 'sumary'; did you mean 'summary'?",
        "category 'billing'.route: missing; every category needs a route, one of: sales",
        "discord.staff_channel: missing; tickets need a private channel to arrive in",
    ]


def test_an_entry_with_a_mistake_still_counts_as_there(tmp_path: Path) -> None:
    told = complaints_about(
        tmp_path,
        '[[field]]\nid = "size"\nlabel = "Size"\nkind = "choice"\n'
        + GENERAL
        + 'fields = ["size"]\nlevel = "never"',
    )

    assert [line.split(":")[0] for line in told] == ["field[1]", "category[1].level"]


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file; `firstline init` writes one"):
        load(tmp_path / "nothing.toml", {})


def test_a_file_that_is_not_text_is_a_complaint(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(file, {})


# --- secrets ---------------------------------------------------------------------------------------------


def test_secrets_come_from_the_environment_and_never_print() -> None:
    config = load(None, dict.fromkeys(ENVIRONMENT.values(), f" {SECRET}\n"))

    assert config.secrets.discord_token.get_secret_value() == SECRET
    for shown in (
        repr(config),
        str(config),
        repr(config.secrets),
        config.model_dump_json(),
        str(config.model_dump()),
    ):
        assert SECRET not in shown


@pytest.mark.parametrize(
    "text",
    [
        f'[slack]\nbot_token = "{SECRET}"',
        f'[slack]\nstaff_channel = ["{SECRET}"]',
        f'[web]\nport = "{SECRET}"',
        f'[bot]\nlaunch_mode = "{SECRET}"',
        f'[secrets]\nslack_bot_token = "{SECRET}"',
        f'[secrets]\nslack_bot_tokn = "{SECRET}"\n[web]\nport = "x"',
        f'slack = {{ token = "{SECRET}" }}',
        f'bot = "{SECRET}"',
        f'[bot]\nname = "{SECRET}',
    ],
)
def test_a_secret_in_the_file_is_refused_without_repeating_it(tmp_path: Path, text: str) -> None:
    assert SECRET not in "\n".join(complaints_about(tmp_path, text))


def test_a_key_for_a_secret_is_sent_to_its_variable(tmp_path: Path) -> None:
    assert complaints_about(tmp_path, '[discord]\ntoken = "abc"') == [
        "discord.token: secrets belong into the environment (here: FIRSTLINE_DISCORD_TOKEN), never into this file"
    ]


def test_a_secret_in_the_environment_is_in_no_complaint(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[web]\nport = -1")
    with pytest.raises(ConfigError) as refused:
        load(file, {"FIRSTLINE_DISCORD_TOKEN": SECRET})
    chain = [refused.value, refused.value.__cause__, refused.value.__context__]
    assert SECRET not in "".join(map(repr, chain)) + str(refused.value)


# --- the file and the page -------------------------------------------------------------------------------


def test_paths_mean_beside_the_file(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "config.toml"
    file.parent.mkdir()
    file.write_text('[knowledge]\npaths = ["kb", "/abs"]\ngolden = "golden.csv"\n[bot]\ndata_dir = "../data"')

    config = load(file, {})

    assert config.knowledge.paths == (file.parent / "kb", Path("/abs"))
    assert config.knowledge.golden == file.parent / "golden.csv"
    assert config.bot.data_dir == file.parent / "../data"


def test_a_model_is_beside_the_file_where_it_begins_with_a_dot(tmp_path: Path) -> None:
    """Anything else may be a name."""
    file = tmp_path / "config.toml"
    for given, meant in (
        ("./models/e5", str(tmp_path / "models/e5")),
        ("intfloat/multilingual-e5-small", "intfloat/multilingual-e5-small"),
        ("/srv/e5", "/srv/e5"),
        ("", ""),
    ):
        file.write_text(f'[knowledge]\nmodel = "{given}"')

        assert load(file, {}).knowledge.model == meant


def test_the_delivered_file_changes_nothing() -> None:
    data = tomllib.loads((ROOT / "config.toml").read_text("utf-8"))

    assert Config.model_validate(data) == Config()
    assert [p.is_dir() for p in load(ROOT / "config.toml", {}).knowledge.paths] == [True]


def keys_of(model: type[BaseModel], where: str = "") -> set[str]:
    found: set[str] = set()
    for name, info in model.model_fields.items():
        if name == "secrets":
            continue
        found.add(f"{where}{name}")
        for part in (info.annotation, *getattr(info.annotation, "__args__", ())):
            if isinstance(part, type) and issubclass(part, BaseModel):
                found |= keys_of(part, f"{where}{name}.")
    return found


def written(data: object, where: str = "") -> set[str]:
    match data:
        case dict():
            return {f"{where}{key}" for key in data}.union(
                *(written(v, f"{where}{k}.") for k, v in data.items())
            )
        case list():
            return set().union(*(written(one, where) for one in data))
    return set()


def test_the_delivered_file_has_every_key_and_its_examples_work(tmp_path: Path) -> None:
    text = re.sub(r"^#(?=[^\s#])", "", (ROOT / "config.toml").read_text("utf-8"), flags=re.MULTILINE)
    file = tmp_path / "config.toml"
    file.write_text(text, "utf-8")

    config = load(file, {})

    assert config.slack.channels
    assert config.tier
    present = {
        key.removesuffix(".de")
        for key in written(tomllib.loads(text))
        if not key.startswith(("canned.", "wording."))
    }
    assert present == keys_of(Config)


def test_the_page_is_what_the_schema_and_the_file_say() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "generate.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, "run: python docs/generate.py\n" + done.stderr


def test_the_file_that_init_writes_is_the_delivered_one() -> None:
    assert (ROOT / "bot" / "config.example.toml").read_bytes() == (ROOT / "config.toml").read_bytes()
