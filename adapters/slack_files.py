"""Files from and to Slack: by reference, within limits, and only when they are what they say."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import filetype
from yarl import URL

from adapters.port import AdapterError, FileRef, Gone, Rejected, Unavailable
from adapters.slack_api import SlackApi

log = logging.getLogger("firstline.slack")

CHUNK = 64 * 1024
SHARE_TURNS = 5  # at 0.3 s: about five seconds in all
SNIFFED = 8192
REDIRECTS = frozenset({301, 302, 303, 307, 308})
REDIRECTS_MAX = 3
HTML = ("text/html", "application/xhtml+xml")
ACTIVE = ("image/svg+xml", *HTML)  # can run script where they are opened
PROGRAMS = frozenset({
    "application/x-msdownload", "application/x-executable", "application/x-dosexec", "application/x-elf",
    "application/vnd.microsoft.portable-executable", "application/x-mach-binary",
})  # fmt: skip
SAME_BY_CONTENT = ("image", "video", "audio")  # majors whose content must agree with what is declared
UNSAFE_IN_NAMES = re.compile(r"[\x00-\x1f\x7f/\\:*?\"<>|\u200b-\u200f\u202a-\u202e\u2066-\u2069]")


def safe_name(name: str) -> str:
    """A file name that is only a name: no path, no control or direction characters."""
    return UNSAFE_IN_NAMES.sub("_", name).strip(" .")[:120] or "file"


def marked_name(name: str, mark: str) -> str:
    """The name under which a file is uploaded: people see its title, we find it again by what is added here. The
    same mark gives the same name, and two pictures that are both called image.png get two."""
    stem, dot, ending = safe_name(name).rpartition(".")
    added = hashlib.sha256(mark.encode()).hexdigest()[:8]
    return f"{stem}-{added}.{ending}" if dot and stem else f"{ending}-{added}"


def trusted(url: str, api_base: str) -> bool:
    """Whether the bot's token may be sent there: Slack's own hosts, or the configured API host itself."""
    target, base = urlsplit(url), urlsplit(api_base)
    if (target.scheme, target.netloc) == (base.scheme, base.netloc):
        return True
    host = target.hostname or ""
    ours = host in {"slack.com", "slack-gov.com"} or host.endswith((".slack.com", ".slack-gov.com"))
    return target.scheme == "https" and target.port in {None, 443} and "@" not in target.netloc and ours


def objection(head: bytes, declared: str | None, served: str) -> str | None:
    """Why a file that begins with `head` must not be passed on; None: nothing speaks against it."""
    mime = (declared or served or "application/octet-stream").split(";")[0].strip().lower()
    kind = filetype.guess(head)
    found = kind.mime if kind is not None else None
    start = head.lstrip()[:200].lower()
    if served in HTML and mime not in HTML:
        return "Slack sent a page instead of the file; the scope files:read may be missing"
    if mime in ACTIVE or start.startswith((b"<!doctype html", b"<html", b"<svg", b"<script")):
        return "pages and drawings that can run script are not passed on"
    if head[:2] == b"MZ" or head[:4] == b"\x7fELF" or found in PROGRAMS:
        return "programs are not passed on"
    if mime.split("/")[0] in SAME_BY_CONTENT and (found or "/").split("/")[0] != mime.split("/")[0]:
        return "its content is not what its type says"
    if mime == "application/pdf" and not head[:1024].lstrip().startswith(b"%PDF"):
        return "its content is not what its type says"
    return None


def share_of(info: Mapping[str, Any], channel: str, thread: str | None) -> str | None:
    """The message in this channel or thread that carries a file, by what the file says of itself."""
    shares: Mapping[str, Any] = info.get("shares") or {}
    for kind in ("public", "private"):
        for share in (shares.get(kind) or {}).get(channel) or ():
            if thread is None or share.get("thread_ts") == thread:
                return str(share["ts"])
    return None


class Files:
    """Down- and upload with the bot's token."""

    def __init__(
        self, api: SlackApi, session: aiohttp.ClientSession, token: str, api_base: str, share_seconds: float
    ) -> None:
        self._api, self._session = api, session
        self._token, self._api_base, self._share_seconds = token, api_base, share_seconds

    async def fetch(self, file: FileRef, max_bytes: int) -> AsyncIterator[bytes]:
        """The file's bytes, or Rejected with the reason in words; nothing is yielded before the content is sniffed."""
        info = (await self._api.call("files.info", form=True, file=file.id))["file"]
        size = int(info.get("size") or 0)
        if size > max_bytes:
            raise Rejected(f"the file is larger than {max_bytes // 1_000_000} MB")
        url = str(info.get("url_private_download") or info.get("url_private") or "")
        if info.get("is_external") or not trusted(url, self._api_base):
            raise Rejected("the file is not kept by Slack")
        response = await self._open(url)
        async with response:
            async for chunk in _checked(response, info, max_bytes, size):
                yield chunk

    async def _open(self, url: str) -> aiohttp.ClientResponse:
        """GET with the token, following a redirect only to a host that may see it."""
        for _ in range(REDIRECTS_MAX):
            try:
                response = await self._session.get(
                    url, headers={"Authorization": f"Bearer {self._token}"}, allow_redirects=False
                )
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                raise Unavailable("the file could not be fetched") from error
            if response.status not in REDIRECTS:
                return await _usable(response)
            url = str(response.url.join(URL(response.headers.get("Location", ""))))
            response.release()
            if not trusted(url, self._api_base):
                raise Rejected("the file's address leads away from Slack")
        raise Rejected("the file's address leads in circles")

    async def upload(self, name: str, data: bytes, channel: str, thread: str | None, mark: str) -> str | None:
        """Upload and share; the id of the message that carries the file, None if Slack does not tell it. Ambiguous
        only once sharing may have happened."""
        ticket = await self._api.call(
            "files.getUploadURLExternal", form=True, filename=marked_name(name, mark), length=len(data)
        )
        url = str(ticket["upload_url"])
        if not trusted(url, self._api_base):
            raise Rejected("Slack named an upload address that is not Slack's")
        try:
            async with self._session.post(url, data=data) as response:
                if response.status != HTTPStatus.OK:
                    raise Unavailable(f"the upload was answered with {response.status}")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unavailable("the upload broke off") from error
        await self._api.call(
            "files.completeUploadExternal",
            write=True,
            form=True,
            files=json.dumps([{"id": ticket["file_id"], "title": safe_name(name)}]),
            channel_id=channel,
            thread_ts=thread,
        )
        return await self._shared_as(str(ticket["file_id"]), channel, thread)

    async def _shared_as(self, file: str, channel: str, thread: str | None) -> str | None:
        """Slack shares a moment after it has said that the upload is complete; the file knows in which message."""
        for turn in range(SHARE_TURNS):
            if turn:
                await asyncio.sleep(self._share_seconds * 2 ** (turn - 1))
            try:
                info = (await self._api.call("files.info", form=True, file=file))["file"]
            except AdapterError as error:  # it is uploaded all the same
                log.warning("relayed file not looked up", extra={"file": file, "why": str(error)})
                continue
            found = share_of(info, channel, thread)
            if found is not None:
                return found
        log.warning("relayed file not found", extra={"file": file, "channel": channel})
        return None

    async def read(self, file: FileRef, max_bytes: int) -> bytes:
        """All bytes at once; for relaying, where the whole is needed anyway."""
        return b"".join([chunk async for chunk in self.fetch(file, max_bytes)])


async def _usable(response: aiohttp.ClientResponse) -> aiohttp.ClientResponse:
    if response.status == HTTPStatus.OK:
        return response
    response.release()
    if response.status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        raise Gone("the file no longer exists")
    if response.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        raise Rejected("Slack does not let the bot read the file; the scope files:read may be missing")
    raise Unavailable(f"the file's address answered {response.status}")


async def _checked(
    response: aiohttp.ClientResponse, info: Mapping[str, Any], max_bytes: int, size: int
) -> AsyncIterator[bytes]:
    head = b""
    count = 0
    sniffed = False
    stream = response.content.iter_chunked(CHUNK)
    while True:
        try:
            chunk = await anext(stream, b"")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unavailable("the file broke off while it was fetched") from error
        count += len(chunk)
        if count > max_bytes:
            raise Rejected(f"the file is larger than {max_bytes // 1_000_000} MB")
        if not sniffed:
            head += chunk
            if chunk and len(head) < SNIFFED:
                continue
            sniffed = True
            why = objection(head, info.get("mimetype"), response.content_type)
            if why is not None:
                raise Rejected(why)
            if head:
                yield head
        elif chunk:
            yield chunk
        if not chunk:
            break
    if size and count != size:
        raise Rejected("the file is not as long as Slack says")
