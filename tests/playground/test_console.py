"""The console plays a script the same way every time, and nothing that it prints can steer a terminal."""

from __future__ import annotations

import asyncio
import io
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from adapters.console import ConsoleAdapter
from adapters.console_format import clean, content_lines, why_lines
from adapters.console_wrap import CODE, wrapped
from adapters.port import (
    Block,
    Button,
    Content,
    Edit,
    Form,
    FormErrors,
    FormSubmitted,
    Inbound,
    MessageReceived,
    Place,
    Post,
    Span,
)
from bot.texts import bullets
from tests.playground.world import SmallDesk, para, settle


async def played(*lines: str, chat: ConsoleAdapter | None = None) -> tuple[list[str], SmallDesk]:
    """What the console prints for a script, line by line."""
    out = io.StringIO()
    chat = ConsoleAdapter(
        stdin=io.StringIO("".join(f"{line}\n" for line in lines)), stdout=out, settled=settle
    )
    desk = SmallDesk(chat)
    running = asyncio.create_task(chat.run(desk))
    await chat.finished()
    await chat.close(1)
    await running
    assert desk.states == ["connected", "stopped"]
    return out.getvalue().splitlines(), desk


async def test_a_question_is_answered_and_its_buttons_are_numbered() -> None:
    printed, _ = await played("How do I get my money back?")

    assert printed == [
        "You are ana, in #help. /help lists what you can do.",
        "ana> How do I get my money back?",
        "Firstline:",
        "    You can ask for your money back within 14 days if the service has not started.",
        "    From Refund policy (https://example.org/refunds)",
        "    [1] Helpful  [2] Talk to a person",
    ]


async def test_from_question_to_claimed_ticket() -> None:
    """A form is asked field by field, a wrong field once more; two agents claim, one gets it."""
    printed, desk = await played(
        "refund please", "2", "nonsense", "", "team", "ana@example.org",
        "/as kim", "/staff", "3", "/as lee", "3", "/open T-1042", "I know this customer", "/why", "/quit", "not read",
    )  # fmt: skip

    assert "That is not an e-mail address." in printed
    assert "(The desk has a new card: /as an agent, then /staff.)" in printed
    assert "    T-1042 · Refund for last month | P2 · new" in printed
    assert "    T-1042 · Refund for last month | P2 · open · Kim" in printed
    assert "    Kim already has T-1042." in printed
    assert "escalate: The customer asked for a person." in printed
    assert "lee> /quit" in printed
    assert not any("not read" in line for line in printed)
    note = desk.events[-1]
    assert isinstance(note, MessageReceived)
    assert (note.place.channel, note.place.thread) == ("desk", desk.card.id if desk.card else "")


class TidyingDesk(SmallDesk):
    """Takes the buttons off its answer, and then changes a word of it."""

    async def receive(self, event: Inbound) -> None:
        where = event.place
        if not isinstance(event, MessageReceived):
            return
        words = (para("What happened?"), para("And when?"))
        buttons = (Button("skip", "c-1", "Skip"), Button("pick", "c-1.0", "Refund policy"))
        asked = await self.chat.deliver(Post(where, Content(words, buttons)), 0, "k1")
        assert asked.ref is not None
        left = (*words, bullets(["Refund policy"])) if "which" in event.text else words
        await self.chat.deliver(Edit(asked.ref, Content(left)), 0, "k2")
        if "again" in event.text:
            await self.chat.deliver(Edit(asked.ref, Content((*words, para("Exactly?")))), 0, "k3")


async def test_that_buttons_went_is_not_told_as_if_it_were_news() -> None:
    for said, edits in (("it fails", 0), ("which one fails", 0), ("it fails again", 1)):
        out = io.StringIO()
        chat = ConsoleAdapter(stdin=io.StringIO(f"{said}\n"), stdout=out, settled=settle)
        running = asyncio.create_task(chat.run(TidyingDesk(chat)))
        await chat.finished()
        await chat.close(1)
        await running
        printed = out.getvalue().splitlines()
        assert printed.count("    [1] Skip  [2] Refund policy") == 1
        assert printed.count("Firstline (edited):") == edits


async def test_coming_back_to_somebody_shows_what_they_got_meanwhile() -> None:
    """Ana asks for a person and reads Kim's reply when the one at the keyboard is Ana again; nothing of it twice, and
    nothing that was meant for others."""
    out = io.StringIO()
    chat = ConsoleAdapter(
        stdin=io.StringIO("one\n/as ben\ntwo\n/as kim\nhello\n/as ana\n/as kim\n/as ana\n"),
        stdout=out,
        settled=settle,
    )
    desk = ReplyingDesk(chat)
    running = asyncio.create_task(chat.run(desk))
    await chat.finished()
    await chat.close(1)
    await running

    printed = out.getvalue().splitlines()
    back = printed[printed.index("kim> /as ana") + 1 :]
    assert back[:3] == ["You are ana, in #help.", "Meanwhile:", "Kim:"]
    assert back[3] == "    Hello Ana, Kim here."
    assert back.count("    Hello Ana, Kim here.") == 1
    assert back[-2:] == ["kim> /as ana", "You are ana, in #help."]
    assert "Hello Ben" not in "".join(back)


class ReplyingDesk(SmallDesk):
    """A desk where what an agent writes reaches the customer who wrote first."""

    first: Place | None = None

    async def receive(self, event: Inbound) -> Form | FormErrors | None:
        if isinstance(event, MessageReceived) and event.actor and not event.actor.roles:
            self.first = self.first or event.place
            return None
        if isinstance(event, MessageReceived) and self.first is not None:
            await self.post(self.first, Content((para("Hello Ana, Kim here."),)), speaking_as="Kim")
        return None


async def test_an_agent_who_comes_back_reads_what_the_desk_got_meanwhile() -> None:
    printed, _ = await played(
        "/as kim", "/as ana", "refund please", "2", "ana@example.org", "", "team", "/as kim", "/as lee"
    )

    assert (
        printed.count("    T-1042 · Refund for last month | P2 · new") == 1
    )  # kim knows the desk; lee looks by /staff


async def test_everybody_stays_where_they_were() -> None:
    printed, _ = await played("/dm", "psst", "/as ben", "/as ana")

    assert printed[-1] == "You are ana, in #dm-ana."


async def test_what_a_customer_writes_next_stays_in_the_conversation_until_a_new_one_begins() -> None:
    _, desk = await played("one", "two", "/new", "three")

    threads = [e.place.thread for e in desk.events]
    assert threads[0] == threads[1] != threads[2]


async def test_the_other_verbs() -> None:
    printed, desk = await played(
        "first", "/edit first, mended", "/delete", "/dm", "psst", "/channel general", "hello all", "/firstline status",
        "/as dana", "/join", "taking over", "/staff", "/why", "/help", "/nope", "/as nobody", "/open 99", "/channel attic", "",
    )  # fmt: skip

    assert [e.type for e in desk.events] == [
        "message",
        "edited",
        "deleted",
        "message",
        "message",
        "command",
        "message",
    ]
    assert desk.events[-1].place == desk.events[4].place
    assert "The staff channel is empty." in printed
    assert "There is no /nope. /help lists what there is." in printed
    assert "nobody here is called 'nobody'" in printed
    assert "There is no card '99'." in printed
    assert "there is no channel 'attic'" in printed


async def test_what_cannot_be_chosen_is_asked_again() -> None:
    printed, desk = await played("refund please", "2", "ana@example.org", "", "tem", "team", "/quit")

    assert "'tem' is none of these." in printed
    (form,) = [e for e in desk.events if isinstance(e, FormSubmitted)]
    assert form.values["plan"] == "t"


async def test_the_input_may_end_in_the_middle_of_a_form() -> None:
    printed, desk = await played("refund please", "2", "nonsense")

    assert printed[-1] == "Left; nothing was sent."
    assert [e.type for e in desk.events] == ["message"]


async def test_hostile_text_is_printed_as_what_it_is() -> None:
    printed, _ = await played("[bold red]hi[/] \x1b[31mred\x07 \u202ekcab \u009b2J")

    assert printed[1] == "ana> [bold red]hi[/] \\u001b[31mred\\u0007 \\u202ekcab \\u009b2J"


async def test_without_a_hook_it_waits_until_the_bot_has_fallen_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("adapters.console.QUIET_SECONDS", 0.01)
    chat = ConsoleAdapter(stdin=io.StringIO(""), stdout=io.StringIO())

    waiting = asyncio.create_task(chat._fall_silent())
    await settle()
    assert not waiting.done()
    await chat.deliver(Post(Place("console", "console", "help"), Content(body=())), 0, "k")
    chat.observe({"kind": "answer"})

    await waiting


@given(st.text())
def test_nothing_printed_can_steer_a_terminal(text: str) -> None:
    printed = clean(text)

    assert all(c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs") for c in printed)
    printed.encode()


def test_every_block_has_a_plain_form() -> None:
    line = ((Span("one"),), (Span("two", url="https://example.org"),))
    made = Content(
        title="Title", status="new", footer="foot",
        body=(*tuple(Block(kind, line) for kind in ("para", "heading", "bullets", "numbers", "code", "quote", "fields", "note")), Block("divider"), Block("para", ((Span("on-call", mention="g1"), Span(" x", url="javascript:1")),))),
    )  # fmt: skip

    lines = list(content_lines(made))

    assert lines[0] == "Title | new"
    assert "- one" in lines
    assert "2. two (https://example.org)" in lines
    assert "one: two (https://example.org)" in lines
    assert lines[-2:] == ["@on-call x", "foot"]


def test_a_decision_without_details_is_still_told() -> None:
    assert why_lines({}) == ["ignore: no reason given"]


# --- a terminal's width ---------------------------------------------------------------------------------------------

WORDS = st.text(alphabet="abc déß中🎉-•.[]123/ ", min_size=0, max_size=120)


@given(WORDS, st.integers(8, 60))
def test_wrapping_loses_no_word_breaks_none_and_stays_within_the_width(text: str, width: int) -> None:
    lines = wrapped(text, width)

    assert " ".join(lines).split() == text.split()
    wide = [line for line in lines if cell_len(line.rstrip()) > width and not line.startswith(CODE)]
    assert [line for line in wide if len(line.split()) > 2] == []  # one word alone, perhaps behind its mark


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("    Open Settings and then Billing.", ["    Open Settings and then", "    Billing."]),
        ("    - Press Download at its right", ["    - Press Download at its", "      right"]),
        ("    12. Press Download beside it", ["    12. Press Download", "        beside it"]),
        ("    From Refunds (https://example.org/a/long/address)",
         ["    From Refunds", "    (https://example.org/a/long/address)"]),
        ("    [1] Helpful  [2] Not helpful  [3] Talk to a person",
         ["    [1] Helpful", "    [2] Not helpful", "    [3] Talk to a person"]),
        ("  /dm         talk to the bot directly", ["  /dm         talk to the", "              bot directly"]),
        ("      curl --data a=1 https://example.org", ["      curl --data a=1 https://example.org"]),
        ("short", ["short"]),
        ("one\n\ntwo", ["one", "", "two"]),
    ],
)  # fmt: skip
def test_a_continued_line_begins_where_its_words_began(text: str, shown: list[str]) -> None:
    assert wrapped(text, 28) == shown


class Terminal(io.StringIO):
    """A screen of which the program knows that a person sits before it."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("columns", [30, 60])
async def test_a_terminal_is_not_written_over_its_edge(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    keyboard, screen = Terminal("How do I get my money back?\n/help\n/why\n/quit\n"), Terminal()
    chat = ConsoleAdapter(stdin=keyboard, stdout=screen, settled=settle)
    desk = SmallDesk(chat)
    running = asyncio.create_task(chat.run(desk))
    await chat.finished()
    await chat.close(1)
    await running

    shown = screen.getvalue().replace("ana> ", "ana>\n")  # the keyboard's own echo ends that line
    lines = re.sub(r"\x1b\[[\d;]*m", "", shown).split("\n")
    assert [line for line in lines if cell_len(line) > columns and len(line.split()) > 1] == []
    assert "for your money back" in " ".join(screen.getvalue().split())
