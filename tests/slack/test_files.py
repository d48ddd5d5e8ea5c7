"""Attachments: with the token, within limits, only what they say they are."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from adapters.port import (
    Ambiguous,
    Content,
    Delete,
    Delivered,
    FileRef,
    Gone,
    MsgRef,
    Place,
    Post,
    RateLimited,
    Rejected,
    Unavailable,
)
from adapters.slack import SlackAdapter
from adapters.slack_files import objection, safe_name, share_of, trusted
from tests.slack.scene import say
from tests.slack.server import SlackServer

PNG = b"\x89PNG\r\n\x1a\n" + bytes(200)
DESK = Place("slack", "T0LOCAL", "C0DESK")


async def shared(
    server: SlackServer, name: str, data: bytes, mime: str, channel: str = "help", **more: object
) -> FileRef:
    ts = await server.user_uploads(channel, "ana", name, data, mime, **more)  # type: ignore[arg-type]
    file = server.space.channel(channel).messages[ts]["files"][0]
    source = MsgRef(Place("slack", "T0LOCAL", server.space.channel(channel).id, ts), ts)
    return FileRef(file["id"], name, mime, len(data), source)


async def read(adapter: SlackAdapter, file: FileRef, limit: int = 1_000_000) -> bytes:
    return b"".join([chunk async for chunk in adapter.fetch(file, limit)])


async def test_a_file_is_fetched_with_the_token(adapter: SlackAdapter, server: SlackServer) -> None:
    data = b"line\n" * 50_000
    assert await read(adapter, await shared(server, "log.txt", data, "text/plain")) == data
    assert await read(adapter, await shared(server, "a.png", PNG, "image/png")) == PNG


async def test_the_login_page_is_not_the_file(adapter: SlackAdapter, server: SlackServer) -> None:
    """67: without the scope Slack answers 200 with a page."""
    file = await shared(server, "a.png", PNG, "image/png", served="text/html")
    with pytest.raises(Rejected, match="files:read"):
        await read(adapter, file)


@pytest.mark.parametrize(
    ("name", "data", "mime", "why"),
    [
        ("invoice.png", b"MZ\x90\x00" + bytes(300), "image/png", "programs"),
        ("run", b"\x7fELF" + bytes(300), "application/octet-stream", "programs"),
        ("drawing.svg", b"<svg onload='alert(1)'></svg>", "image/svg+xml", "script"),
        ("page.html", b"<!DOCTYPE html><script>x</script>", "text/html", "script"),
        ("notes.txt", b"  <html><body onload=x>", "text/plain", "script"),
        ("photo.jpg", b"not a photo at all", "image/jpeg", "not what its type says"),
        ("song.mp3", PNG, "audio/mpeg", "not what its type says"),
        ("bill.pdf", b"PK\x03\x04" + bytes(300), "application/pdf", "not what its type says"),
    ],
)
async def test_what_is_not_what_it_says_is_refused(
    adapter: SlackAdapter, server: SlackServer, name: str, data: bytes, mime: str, why: str
) -> None:
    """T-SEC-12."""
    with pytest.raises(Rejected, match=why):
        await read(adapter, await shared(server, name, data, mime))


async def test_too_large_by_claim_or_by_fact(adapter: SlackAdapter, server: SlackServer) -> None:
    """T-SEC-12: the claimed size is not believed; reading stops at the limit."""
    big = b"x" * 200_000
    with pytest.raises(Rejected, match="larger"):
        await read(adapter, await shared(server, "a.txt", b"x", "text/plain", size=2_000_000_000))
    with pytest.raises(Rejected, match="larger"):
        await read(adapter, await shared(server, "a.txt", big, "text/plain", size=10), 100_000)
    with pytest.raises(Rejected, match="not as long"):
        await read(adapter, await shared(server, "a.txt", big, "text/plain", size=10))


@pytest.mark.parametrize(
    "target", ["http://127.0.0.1:1/x", "http://169.254.169.254/latest", "https://evil.example/x"]
)
async def test_the_token_goes_to_slack_only(adapter: SlackAdapter, server: SlackServer, target: str) -> None:
    """T-SEC-12: neither a redirect nor a hostile address carries it away."""
    file = await shared(server, "a.txt", b"x", "text/plain", redirect=target)
    with pytest.raises(Rejected, match="away from Slack"):
        await read(adapter, file)
    server.space.files[file.id].update(url_private=target, url_private_download=target)
    with pytest.raises(Rejected, match="not kept by Slack"):
        await read(adapter, file)


async def test_endless_redirects_end(adapter: SlackAdapter, server: SlackServer) -> None:
    file = await shared(server, "a.txt", b"x", "text/plain")
    server.space.files[file.id]["redirect"] = f"{server.url}/files-pri/{file.id}"
    with pytest.raises(Rejected, match="circles"):
        await read(adapter, file)


async def test_a_file_that_is_gone(adapter: SlackAdapter) -> None:
    with pytest.raises(Gone):
        await read(adapter, FileRef("F0NONE", "x"))


@pytest.mark.parametrize(
    ("url", "ok"),
    [
        ("https://files.slack.com/files-pri/T1-F1/a.png", True),
        ("https://slack.com/x", True),
        ("https://files.slack-gov.com/x", True),
        ("http://files.slack.com/x", False),
        ("https://slack.com.evil.example/x", False),
        ("https://evilslack.com/x", False),
        ("https://files.slack.com:8443/x", False),
        ("https://files.slack.com@evil.example/x", False),
        ("https://user@files.slack.com/x", False),
        ("http://127.0.0.1:9999/x", True),
        ("http://127.0.0.1:9998/x", False),
        ("file:///etc/passwd", False),
        ("", False),
    ],
)
def test_where_the_token_may_go(url: str, ok: bool) -> None:
    assert trusted(url, "http://127.0.0.1:9999/api/") is ok


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "_.._etc_passwd"),
        ("a\u202egnp.exe", "a_gnp.exe"),
        ("C:\\x\\y.txt", "C__x_y.txt"),
        ("<!channel>.txt", "_!channel_.txt"),
        ("", "file"),
        ("...", "file"),
        ("é.png", "é.png"),
    ],
)
def test_names_are_only_names(name: str, safe: str) -> None:
    """T-SEC-7, T-SEC-12."""
    assert safe_name(name) == safe


def test_an_empty_file_is_no_objection() -> None:
    assert objection(b"", "text/plain", "text/plain") is None


async def test_a_file_is_relayed_with_the_words(adapter: SlackAdapter, server: SlackServer) -> None:
    """67: fetched and uploaded again, into the thread of the card."""
    card = await server.user_says("desk", "dana", "card", silent=True)
    file = await shared(server, "a.png", PNG, "image/png")
    op = Post(Place("slack", "T0LOCAL", "C0DESK", card), say("see"), files=(file,))
    assert adapter.parts(op) == 2
    for part in range(2):
        await adapter.deliver(op, part, "k")
    [_, words, upload] = server.messages("desk", card)
    assert server.plain(words) == "see"
    assert [f["title"] for f in upload["files"]] == ["a.png"]
    assert server.space.contents[upload["files"][0]["id"]] == PNG


async def test_files_alone_need_no_words(adapter: SlackAdapter, server: SlackServer) -> None:
    file = await shared(server, "a.png", PNG, "image/png")
    op = Post(DESK, Content(), files=(file,))
    assert adapter.parts(op) == 1
    await adapter.deliver(op, 0, "k")
    assert [len(m["files"]) for m in server.messages("desk")] == [1]


async def test_what_cannot_be_relayed_is_named_with_a_link_for_staff(
    adapter: SlackAdapter, server: SlackServer
) -> None:
    file = await shared(server, "virus<!here>.png", b"MZ" + bytes(300), "image/png")
    await adapter.deliver(Post(DESK, Content(), files=(file,)), 0, "k")
    [line] = server.messages("desk")
    assert "programs are not passed on" in line["text"]
    assert "https://local.slack.com/archives/C0HELP/" in line["text"]
    assert "<!" not in line["text"]


async def test_no_link_into_the_staff_channel_for_customers(
    adapter: SlackAdapter, server: SlackServer
) -> None:
    """T-REL-5: a link would show who works there."""
    file = await shared(server, "virus.png", b"MZ" + bytes(300), "image/png", channel="desk")
    ts = await server.user_says("help", "ana", "q", silent=True)
    await adapter.deliver(Post(Place("slack", "T0LOCAL", "C0HELP", ts), Content(), files=(file,)), 0, "k")
    assert "archives" not in server.messages("help", ts)[-1]["text"]


@pytest.mark.parametrize("name", ["a.png", "../Bild: 1?.png", "README", ".env", "x" * 300 + ".png"])
async def test_an_upload_that_broke_off_is_found_by_its_name(
    adapter: SlackAdapter, server: SlackServer, name: str
) -> None:
    """34 for files: sharing is the step that may have happened."""
    file = replace(await shared(server, "a.png", PNG, "image/png"), name=name)
    op = Post(DESK, Content(), files=(file,))
    began = time.time()
    server.fail("files.completeUploadExternal", "drop_after")
    with pytest.raises(Ambiguous):
        await adapter.deliver(op, 0, "k")
    found = await adapter.reconcile(op, 0, "k", began)
    [upload] = server.messages("desk")
    assert isinstance(found, Delivered)
    assert found.ref is not None
    assert found.ref.id == upload["ts"]
    assert upload["files"][0]["title"] == safe_name(name)
    assert await adapter.reconcile(op, 0, "another", began) == "absent"


async def test_two_pictures_of_the_same_name_are_two(adapter: SlackAdapter, server: SlackServer) -> None:
    """Slack calls every pasted picture image.png: that one of them arrived says nothing of the other."""
    one, two = [await shared(server, "image.png", PNG + n, "image/png") for n in (b"1", b"2")]
    op = Post(DESK, Content(), files=(one, two))
    began = time.time()
    await adapter.deliver(op, 0, "k")
    server.fail("files.completeUploadExternal", "drop_before")
    with pytest.raises(Ambiguous):
        await adapter.deliver(op, 1, "k")
    assert await adapter.reconcile(op, 1, "k", began) == "absent"
    assert isinstance(await adapter.reconcile(op, 0, "k", began), Delivered)


@pytest.mark.parametrize("late", [0, 3])
async def test_a_relayed_file_can_be_taken_back(
    adapter: SlackAdapter, server: SlackServer, late: int
) -> None:
    """65: Slack shares a file some time after the upload; its message is found, so that a deletion can follow."""
    server.share_after = late
    card = await server.user_says("desk", "dana", "card", silent=True)
    file = await shared(server, "a.png", PNG, "image/png")
    for place in (Place("slack", "T0LOCAL", "C0DESK", card), Place("slack", "", server.space.user("bob"))):
        done = await adapter.deliver(Post(place, Content(), files=(file,)), 0, f"k{place.channel}")
        assert done.ref is not None
        [where] = [c for c in server.space.channels.values() if done.ref.id in c.messages]
        assert (done.ref.place.channel, done.ref.place.tenant) == (where.id, "T0LOCAL")
        assert [f["title"] for f in where.messages[done.ref.id]["files"]] == ["a.png"]

        await adapter.deliver(Delete(done.ref), 0, "gone")
        assert done.ref.id not in where.messages


async def test_a_relayed_file_that_is_not_found_stays_relayed(
    adapter: SlackAdapter, server: SlackServer
) -> None:
    """Sent is sent: that Slack does not tell the message is no reason to send it again, or to say that it failed."""
    server.share_after = 100
    file = await shared(server, "a.png", PNG, "image/png")
    assert await adapter.deliver(Post(DESK, Content(), files=(file,)), 0, "k") == Delivered()
    server.share_after = 0
    server.fail("files.info", "500")
    with pytest.raises(Unavailable):  # while reading: nothing was sent
        await adapter.deliver(Post(DESK, Content(), files=(file,)), 0, "k")


@pytest.mark.parametrize(
    ("shares", "thread", "ts"),
    [
        ({}, None, None),
        ({"public": {"C1": [{"ts": "1.1"}]}}, None, "1.1"),
        ({"private": {"C1": [{"ts": "1.1"}]}}, None, "1.1"),
        ({"public": {"C2": [{"ts": "1.1"}]}}, None, None),
        ({"public": {"C1": [{"ts": "1.1"}, {"ts": "1.2", "thread_ts": "1.0"}]}}, "1.0", "1.2"),
        ({"public": {"C1": [{"ts": "1.1"}]}}, "1.0", None),
        ({"public": None}, None, None),
    ],
)
def test_what_a_file_says_of_itself(shares: dict[str, Any], thread: str | None, ts: str | None) -> None:
    assert share_of({"shares": shares}, "C1", thread) == ts
    assert share_of({}, "C1", thread) is None


async def test_an_upload_that_must_wait_says_so(adapter: SlackAdapter, server: SlackServer) -> None:
    file = await shared(server, "a.png", PNG, "image/png")
    server.fail("files.getUploadURLExternal", "ratelimited", seconds=3)
    with pytest.raises(RateLimited):
        await adapter.deliver(Post(DESK, Content(), files=(file,)), 0, "k")
