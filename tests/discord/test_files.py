"""Whose words and files the bot carries: named, fetched anew, judged by content."""

from __future__ import annotations

import dataclasses

import pytest

from adapters.discord_files import safe_name
from adapters.port import (
    Content,
    FileRef,
    Gone,
    MsgRef,
    Place,
    Post,
    Rejected,
)
from tests.discord_sink import at, say, send

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + b"\x00" * 50


async def test_a_person_speaks_through_the_bot_with_a_name(adapter, server):
    await send(adapter, Post(at(server), say("Hello!"), speaking_as="Dana *@everyone*"))
    (message,) = server.messages("help")
    assert message["content"].startswith("**Dana \\*@\u200beveryone\\*** (support): Hello!")
    assert "webhook_id" not in message


async def test_67_files_are_fetched_anew_after_their_link_expired(adapter, server, sink, ann):
    """§7.67"""
    await server.user_says("help", ann, "see", attachments=[("my shot.png", PNG, "image/png")])
    file = (await sink.event("message")).files[0]
    server.expire_links()
    await send(adapter, Post(at(server, "staff"), say("from ann"), files=(file,)))
    (message,) = server.messages("staff")
    assert message["content"] == "from ann"
    (copy,) = message["attachments"]
    assert server.world.files[copy["id"]] == PNG


async def test_a_file_alone_is_a_message(adapter, server, sink, ann):
    await server.user_says("help", ann, "", attachments=[("a.txt", b"text", "text/plain")] * 12)
    files = (await sink.event("message")).files
    op = Post(at(server, "staff"), Content(), files=files, speaking_as="Dana")
    assert adapter.parts(op) == 2
    await send(adapter, op)
    assert [len(m["attachments"]) for m in server.messages("staff")] == [10, 2]
    assert server.texts("staff")[0] == "**Dana** (support):"


@pytest.mark.parametrize(
    ("name", "data", "mime", "why"),
    [
        ("photo.png", b"MZ\x90\x00" + b"\x00" * 60, "image/png", "program"),
        ("pic.svg", b"<svg><script>alert(1)</script></svg>", "image/svg+xml", "SVG"),
        ("photo.jpg", b"<html><script>", "image/jpeg", "not the image"),
        ("photo.gif", b"PK\x03\x04" + b"\x00" * 60, "image/gif", "not the image"),
        ("doc.pdf", b"no pdf at all", "application/pdf", "not the PDF"),
    ],
)
async def test_a_file_that_is_not_what_it_says_becomes_a_line_with_a_link(
    adapter, server, sink, ann, name, data, mime, why
):
    await server.user_says("help", ann, "see", attachments=[(name, data, mime)])
    event = await sink.event("message")
    await send(adapter, Post(at(server, "staff"), say("from ann"), files=event.files))
    (text,) = server.texts("staff")
    assert why in text
    assert f"https://discord.com/channels/{server.guild}/{server.id_of('help')}/{event.ref.id}" in text
    assert server.messages("staff")[0]["attachments"] == []


async def test_files_beyond_the_limit_or_elsewhere_are_refused(adapter, server, sink, ann):
    await server.user_says("help", ann, "see", attachments=[("big.txt", b"x" * 5000, "text/plain")])
    file = (await sink.event("message")).files[0]

    async def fetched(ref: FileRef, limit: int) -> bytes:
        return b"".join([chunk async for chunk in adapter.fetch(ref, limit)])

    assert len(await fetched(file, 5000)) == 5000
    for ref in (file, dataclasses.replace(file, size=1)):  # the second one lies about its size
        with pytest.raises(Rejected, match="larger"):
            await fetched(ref, 4999)
    elsewhere = (
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:1/x",
        "https://cdn.discordapp.com.evil.org/x",
        "http://cdn.discordapp.com/x",
        "https://cdn.discordapp.com@evil.org/x",
        "file:///etc/passwd",
    )
    for url in elsewhere:
        server.world.link_override[file.id] = url
        with pytest.raises(Rejected, match="not Discord's"):
            await fetched(file, 5000)
    server.world.link_override.clear()
    await server.user_deletes(file.source.id)
    with pytest.raises(Gone):
        await fetched(file, 5000)
    with pytest.raises(Gone):
        await fetched(FileRef("1", "upload.txt"), 5000)


async def test_permalinks(adapter, server):
    link = await adapter.permalink(MsgRef(at(server, thread="5"), "5"))
    assert link == f"https://discord.com/channels/{server.guild}/{server.id_of('help')}/5"
    link = await adapter.permalink(MsgRef(at(server, thread="5"), "6"))
    assert link == f"https://discord.com/channels/{server.guild}/5/6"
    assert await adapter.permalink(MsgRef(Place("discord", "dm", "7", None, "dm"), "8")) == (
        "https://discord.com/channels/@me/7/8"
    )


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Windows\\system32\\cmd.exe", "cmd.exe"),
        ("annual\u202efdp.exe", "annualfdp.exe"),
        ("@everyone.png", "everyone.png"),
        ("a\x00b\n.txt", "ab.txt"),
        ("/", "file"),
        ("x" * 300, "x" * 100),
    ],
)
def test_file_names_lead_nowhere(name, safe):
    assert safe_name(name) == safe
