"""The playground's site serves its own page and nobody else's."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientResponse

from adapters import playground, playground_site
from adapters.playground import PlaygroundAdapter
from adapters.port import Form, FormInput
from tests.playground.conftest import Client
from tests.playground.world import HOSTILE, SmallDesk

Send = Callable[..., Any]


class Stream:
    """The page's end of the stream of updates."""

    def __init__(self, response: ClientResponse) -> None:
        self.response = response
        self.last_id = ""

    async def next(self, kind: str = "") -> dict[str, Any]:
        """The next update, or the next of that kind."""
        while True:
            update: dict[str, str] = {}
            while line := (await self.response.content.readline()).decode().rstrip("\n"):
                name, _, value = line.partition(": ")
                update[name] = value
            if "data" in update:
                self.last_id = update["id"]
                if kind in ("", update["event"]):
                    return {"event": update["event"], **json.loads(update["data"])}


@asynccontextmanager
async def watching(client: Client, last_id: str = "") -> AsyncIterator[Stream]:
    headers = {"Last-Event-ID": last_id} if last_id else {}
    async with client.get("/playground/events", headers=headers) as response:
        assert response.status == 200
        yield Stream(response)


# --- what is served ----------------------------------------------------------------------------------------


async def test_the_page_runs_only_its_own_script_and_style(client: Client) -> None:
    async with client.get("/") as response:
        page = await response.text()

    policy = response.headers["Content-Security-Policy"]
    assert policy == (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    )
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=|style=|javascript:|https?://", page)


async def test_no_file_of_the_page_reaches_outside_or_parses_markup(client: Client) -> None:
    for file in sorted(playground_site.PAGE.iterdir()):
        text = file.read_text("utf-8")
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", text
        )
        assert not re.search(r"@import|url\(|https?://[a-z]", text), file.name


async def test_every_answer_carries_the_headers(client: Client) -> None:
    for path in ("/", "/playground/page/app.js", "/playground/page/style.css", "/playground/file/none"):
        async with client.get(path) as response:
            assert "default-src 'none'" in response.headers["Content-Security-Policy"]
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Referrer-Policy"] == "no-referrer"
            assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize(
    "path", ["/playground/page/../playground.py", "/playground/page/%2e%2e/port.py", "/playground/page/x.js"]
)
async def test_nothing_but_the_page_s_files_is_served(client: Client, path: str) -> None:
    async with client.get(path) as response:
        assert response.status == 404


# --- who may ask -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:80",
        "192.0.2.7",
        "",
        "[::1",
        "2130706433",
    ],
)
@pytest.mark.parametrize("path", ["/", "/playground/events"])
async def test_a_name_that_was_pointed_here_is_refused(client: Client, host: str, path: str) -> None:
    async with client.get(path, headers={"Host": host}) as response:
        assert response.status in (400, 421)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:9", "[::1]:8710"])
async def test_this_machine_s_own_names_are_answered(client: Client, host: str) -> None:
    async with client.get("/", headers={"Host": host}) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Firstline": "other"},
        {"X-Firstline": "playground", "Origin": "http://evil.example"},
        {"X-Firstline": "playground", "Origin": "null"},
        {"X-Firstline": "playground", "Sec-Fetch-Site": "cross-site"},
        {"X-Firstline": "playground", "Sec-Fetch-Site": "same-site"},
    ],
)
async def test_a_request_of_another_site_does_nothing(
    client: Client, desk: SmallDesk, headers: dict[str, str]
) -> None:
    body = {"user": "ana", "text": "forged", "channel": "help"}

    async with client.post("/playground/say", json=body, headers=headers) as response:
        assert response.status == 403

    assert desk.events == []


async def test_a_link_from_elsewhere_opens_the_page_but_nothing_else(client: Client) -> None:
    cross = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"}

    for path, status in (("/", 200), ("/playground/events", 403), ("/playground/page/app.js", 403)):
        async with client.get(path, headers=cross) as response:
            assert response.status == status
    async with client.get("/", headers=cross | {"Sec-Fetch-Dest": "iframe"}) as response:
        assert response.status == 403


@pytest.mark.parametrize(
    ("content", "mime", "status"),
    [
        (b"{}", "text/plain", 415),
        (b"user=ana", "application/x-www-form-urlencoded", 415),
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"[" * 50_000, "application/json", 400),
        (b"{}", "application/json", 400),
        (b'{"user": 1, "text": "x", "channel": "help"}', "application/json", 422),
        (b" " * 70_000, "application/json", 413),
        (b"\xff\xfe", "application/json", 400),
    ],
)
async def test_a_body_that_is_not_what_it_should_be_is_refused(
    client: Client, desk: SmallDesk, content: bytes, mime: str, status: int
) -> None:
    headers = {"X-Firstline": "playground", "Content-Type": mime}

    async with client.post("/playground/say", data=content, headers=headers) as response:
        assert response.status == status
        assert (await response.json())["error"]

    assert desk.events == []


# --- what people do ----------------------------------------------------------------------------------------


async def test_a_question_travels_from_the_page_to_its_answer(client: Client, post: Send) -> None:
    async with watching(client) as stream:
        await stream.next("snapshot")

        status, said = await post("say", user="ana", text="refund?", channel="help")
        asked = await stream.next("message")
        busy = await stream.next("working")
        answer = await stream.next("message")
        trace = await stream.next("trace")

    assert status == 200
    assert (asked["id"], asked["author"]["name"]) == (said["id"], "Ana")
    assert busy["on"] is True
    assert (answer["author"]["kind"], answer["thread"]) == ("bot", said["id"])
    assert [b["label"] for b in answer["buttons"]] == ["Helpful", "Talk to a person"]
    assert "14 days" in answer["blocks"][0]["items"][0][0]["text"]
    assert trace["verdict"].startswith("Of 100 answers like this one, about 93 are right")


async def test_a_form_s_errors_come_back_beside_their_fields(chat: PlaygroundAdapter, post: Send) -> None:
    _, said = await post("say", user="ana", text="refund?", channel="help")
    answer = chat.messages("help", said["id"])[-1]

    _, opened = await post("press", user="ana", message=answer.id, button=1)
    view = opened["form"]["view"]
    _, refused = await post("submit", user="ana", view=view, values={"email": "x"})
    status, accepted = await post("submit", user="ana", view=view, values={"email": "ana@example.org"})

    assert refused == {"errors": {"email": "That is not an e-mail address."}}
    assert (status, accepted) == (200, {"form": None})


async def test_what_is_refused_is_refused_in_words(post: Send, desk: SmallDesk) -> None:
    assert await post("say", user="ana", text="hi", channel="desk") == (
        403,
        {"error": "that channel is for the support desk"},
    )
    assert (await post("say", user="nobody", text="hi", channel="help"))[0] == 422
    assert (await post("press", user="ana", message="1", button=0))[0] == 410
    assert (await post("press", user="ana", message="1", button=None))[0] == 422
    assert (await post("react", user="ana", message="1", emoji="x" * 99))[0] == 422
    assert (await post("submit", user="ana", view="v1", values={"a": 1}))[0] == 422
    assert (await post("say", user="ana", text="hi", channel="help", files="f1"))[0] == 422
    desk.refusing = True
    status, answer = await post("say", user="ana", text="hi", channel="help")
    assert (status, "could not be stored" in str(answer["error"])) == (503, True)
    assert "disk full" not in str(answer)


async def test_edits_deletions_reactions_and_menus_work_from_the_page(
    chat: PlaygroundAdapter, desk: SmallDesk, post: Send
) -> None:
    _, said = await post("say", user="ana", text="refund?", channel="help")
    message = said["id"]

    statuses = [
        (await post("edit", user="ana", message=message, text="refund, please?"))[0],
        (await post("react", user="ben", message=message, emoji="+1"))[0],
        (await post("react", user="ben", message=message, emoji="+1", on=False))[0],
        (await post("menu", user="kim", message=message, verb="escalate"))[0],
        (await post("command", user="dana", text="status", pane=True))[0],
        (await post("delete", user="ana", message=message))[0],
    ]

    assert statuses == [200] * 6
    assert [e.type for e in desk.events] == [
        "message",
        "edited",
        "reaction",
        "reaction",
        "message_action",
        "command",
        "deleted",
    ]


async def test_a_command_s_form_can_be_closed_again(
    chat: PlaygroundAdapter, desk: SmallDesk, post: Send
) -> None:
    view = chat.room.show(
        "dana", Form("mode", "Launch mode", (FormInput("mode", "Mode"),)), chat.room.place("desk")
    )

    assert await post("dismiss", user="dana", view=view.id) == (200, {})
    assert chat.forms("dana") == []


async def test_a_file_is_sent_by_reference_and_downloads_as_an_attachment(
    client: Client, chat: PlaygroundAdapter, post: Send
) -> None:
    content = base64.b64encode(b"<script>1</script>").decode()
    _, kept = await post("upload", name="page.html", mime="text/html", content=content)
    _, said = await post("say", user="ana", text="see this", channel="help", files=[kept["id"]])

    async with client.get(f"/playground/file/{kept['id']}") as response:
        assert await response.read() == b"<script>1</script>"
        assert response.headers["Content-Disposition"] == "attachment"
        assert response.content_type == "application/octet-stream"
    assert [f.name for f in chat.room.message(said["id"]).files] == ["page.html"]


@pytest.mark.parametrize(
    ("content", "status"),
    [("no base64!", 422), (base64.b64encode(b"x" * 2_050_000).decode(), 422), ("A" * 2_900_000, 413)],
)
async def test_a_file_that_cannot_be_kept_is_refused(post: Send, content: str, status: int) -> None:
    assert (await post("upload", name="x", content=content))[0] == status


# --- the stream --------------------------------------------------------------------------------------------


async def test_a_page_that_comes_back_gets_what_it_missed_and_nothing_twice(
    client: Client, chat: PlaygroundAdapter, post: Send
) -> None:
    async with watching(client) as stream:
        await stream.next("snapshot")
        await post("say", user="kim", text="one", channel="desk")
        await stream.next("message")
        seen = stream.last_id
    await post("say", user="kim", text="two", channel="desk")
    await post("say", user="kim", text="three", channel="desk")

    async with watching(client, seen) as stream:
        missed = [await stream.next(), await stream.next()]

    assert [m["text"] for m in missed] == ["two", "three"]


@pytest.mark.parametrize(
    "last_id", ["", "other-3", "x", "{run}-99", "{run}--1", "{run}-²", "{run}-" + "9" * 5000]
)
async def test_a_page_of_another_run_begins_anew(
    client: Client, chat: PlaygroundAdapter, post: Send, last_id: str
) -> None:
    await post("say", user="ana", text="refund?", channel="help")

    async with watching(client, last_id.replace("{run}", chat._run_id)) as stream:
        first = await stream.next()

    assert first["event"] == "snapshot"
    assert [m["author"]["kind"] for m in first["messages"]] == ["customer", "bot"]
    assert [t["kind"] for t in first["traces"]] == ["answer"]


async def test_a_page_that_was_away_for_too_long_begins_anew(
    client: Client, chat: PlaygroundAdapter, monkeypatch: pytest.MonkeyPatch, post: Send
) -> None:
    async with watching(client) as stream:
        await stream.next("snapshot")
        seen = stream.last_id
    for _ in range(playground.EVENTS_KEPT + 1):
        chat._tell("thread", {"id": "1"})

    async with watching(client, seen) as stream:
        assert (await stream.next())["event"] == "snapshot"


async def test_a_page_that_does_not_keep_up_is_let_go(
    chat: PlaygroundAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(playground, "BEHIND_MAX", 3)
    with chat.watching() as slow:
        for n in range(5):
            chat._tell("thread", {"id": str(n)})

        received = [slow.updates.get_nowait() for _ in range(slow.updates.qsize())]

    assert [u and u[2]["id"] for u in received] == ["0", "1", "2", None]
    assert chat._watchers == set()


async def test_closing_ends_every_stream(client: Client, chat: PlaygroundAdapter) -> None:
    async with watching(client) as stream:
        await stream.next("snapshot")

        await chat.close(1)

        assert await stream.response.content.read() == b""


async def test_a_quiet_stream_says_that_it_is_still_there(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(playground_site, "HEARTBEAT_SECONDS", 0.01)
    async with watching(client) as stream:
        await stream.next("snapshot")

        assert await stream.response.content.readline() == b": still here\n"


async def test_working_ends_when_the_decision_is_known(chat: PlaygroundAdapter) -> None:
    """A message that gets no answer must not look as if one were coming."""
    chat.expect_work("playground:playground:help:1", "Ana")
    chat.expect_work("playground:playground:help:2", "Ben")
    chat.expect_work("playground:playground:help:3", "Chloe")

    chat.observe({"conversation": "playground:playground:help:1", "kind": "ignore"})
    chat.observe({"conversation": "c-5", "customer": "Ben", "kind": "ignore"})

    assert list(chat._working) == ["playground:playground:help:3"]


async def test_a_message_that_could_not_be_stored_leaves_no_trace(
    chat: PlaygroundAdapter, desk: SmallDesk, post: Send
) -> None:
    desk.refusing = True

    await post("say", user="ana", text="hi", channel="help")

    _, _, whole = chat.snapshot()
    assert (whole["messages"], whole["working"]) == ([], [])


async def test_hostile_names_are_data_all_the_way(
    chat: PlaygroundAdapter, desk: SmallDesk, post: Send
) -> None:
    await post("say", user="mal", text=HOSTILE, channel="help")

    _, _, whole = chat.snapshot()
    assert whole["messages"][0]["author"]["name"] == HOSTILE
    assert whole["messages"][0]["text"] == HOSTILE


async def test_two_pages_see_the_same(client: Client, post: Send) -> None:
    async with watching(client) as one, watching(client) as two:
        await asyncio.gather(one.next("snapshot"), two.next("snapshot"))
        await post("say", user="kim", text="hello", channel="desk")

        first, second = await asyncio.gather(one.next("message"), two.next("message"))

    assert first == second
