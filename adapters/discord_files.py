"""Files on Discord: fetched by reference through a fresh signed address, within limits, judged by content."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import PurePosixPath

import aiohttp
import filetype
from yarl import URL

from adapters.discord_http import RoutedHTTP, errors_translated
from adapters.discord_settings import DiscordSettings
from adapters.port import FileRef, Gone, MsgRef, Rejected, Unavailable

CDN = frozenset({"cdn.discordapp.com", "media.discordapp.net"})
UPLOAD = 10 * 1024 * 1024  # what a bot may upload to an unboosted server
_HEAD = 4096
_REFUSED = frozenset({"application/x-msdownload", "application/x-executable", "application/x-mach-binary"})
_EXECUTABLE = (b"MZ", b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf")
_MARKUP = (b"<!doctype html", b"<html", b"<script", b"<svg")
_TEXTUAL = frozenset({"text", "application", ""})


def channel_of(ref: MsgRef) -> str:
    """The channel in which the message itself stands: a thread's root is in the parent, except in forums."""
    place = ref.place
    if place.thread is None or (place.thread == ref.id and place.kind != "forum"):
        return place.channel
    return place.thread


def safe_name(name: str) -> str:
    """A name without path, control characters or right-to-left tricks."""
    last = PurePosixPath(name.replace("\\", "/")).name
    return "".join(c for c in last if c.isprintable() and c not in "\u202e\u202d@")[:100] or "file"


def judge(name: str, mime: str | None, head: bytes) -> None:
    """Raise `Rejected` when the first bytes contradict what the file calls itself."""
    kind = filetype.guess(head)
    found = kind.mime if kind else ""
    if found in _REFUSED or head.startswith(_EXECUTABLE):
        raise Rejected(f"{safe_name(name)} is a program")
    claimed = (mime or "").split(";")[0].strip().lower()
    family = claimed.partition("/")[0]
    start = head.lstrip()[:64].lower()
    if family in {"image", "audio", "video"}:
        if claimed == "image/svg+xml":
            raise Rejected(f"{safe_name(name)}: SVG pictures can hold scripts and are not passed on")
        if start.startswith(_MARKUP) or (found and found.partition("/")[0] != family):
            raise Rejected(f"{safe_name(name)} is not the {family} file that it says it is")
    elif claimed == "application/pdf" and found != "application/pdf":
        raise Rejected(f"{safe_name(name)} is not the PDF that it says it is")


class Files:
    """Downloads. Keeps nothing."""

    def __init__(self, settings: DiscordSettings) -> None:
        self._hosts = CDN
        base = URL(settings.api_base)
        self._own = (base.scheme, base.host, base.port)
        self._limit = settings.timing.call

    def allowed(self, url: str) -> bool:
        """Only Discord's own hosts, only encrypted; a chat can name any address."""
        try:
            parsed = URL(url)
        except ValueError:
            return False
        if (parsed.scheme, parsed.host, parsed.port) == self._own:
            return True
        return parsed.scheme == "https" and parsed.host in self._hosts and parsed.port == 443  # noqa: PLR2004

    async def address(self, http: RoutedHTTP, file: FileRef) -> str:
        """A fresh signed address: the message is asked for again. A form's upload has the one that came with it."""
        if file.source is None:
            if file.url:
                return file.url
            raise Gone(f"{safe_name(file.name)} is no longer at hand")
        ids = {"channel_id": channel_of(file.source), "message_id": file.source.id}
        async with errors_translated(self._limit):
            message = await http.call("GET", "/channels/{channel_id}/messages/{message_id}", ids=ids)
        carried = [s.get("message", {}) for s in message.get("message_snapshots", [])]
        for holder in (message, *carried):
            for attachment in holder.get("attachments", []):
                if str(attachment["id"]) == file.id:
                    return str(attachment["url"])
        raise Gone(f"{safe_name(file.name)} was removed from its message")

    async def fetch(self, http: RoutedHTTP, file: FileRef, max_bytes: int) -> AsyncIterator[bytes]:
        """The file in chunks. Redirects are not followed; size and type are believed only when seen."""
        if file.size is not None and file.size > max_bytes:
            raise Rejected(f"{safe_name(file.name)} is larger than {max_bytes} bytes")
        url = await self.address(http, file)
        if not self.allowed(url):
            raise Rejected(f"{safe_name(file.name)} is stored at a host that is not Discord's")
        timeout = aiohttp.ClientTimeout(total=self._limit)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, trust_env=False) as web,
                web.get(URL(url, encoded=True), allow_redirects=False) as response,
            ):
                if response.status != 200:  # noqa: PLR2004
                    raise Gone(f"{safe_name(file.name)} could not be fetched ({response.status})")
                async for chunk in _checked(file, response, max_bytes):
                    yield chunk
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"{safe_name(file.name)} could not be fetched now") from error


async def _checked(file: FileRef, response: aiohttp.ClientResponse, max_bytes: int) -> AsyncIterator[bytes]:
    """The body, held back until its beginning is judged."""
    head, size, judged = b"", 0, False
    async for chunk in response.content.iter_chunked(64 * 1024):
        size += len(chunk)
        if size > max_bytes:
            raise Rejected(f"{safe_name(file.name)} is larger than {max_bytes} bytes")
        if judged:
            yield chunk
            continue
        head += chunk
        if len(head) >= _HEAD:
            judge(file.name, file.mime or response.content_type, head)
            judged = True
            yield head
    if not judged:
        judge(file.name, file.mime or response.content_type, head)
        yield head
