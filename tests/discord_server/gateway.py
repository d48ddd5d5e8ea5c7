"""The gateway: HELLO, IDENTIFY, RESUME, READY, heartbeats, and trouble on order."""

from __future__ import annotations

import asyncio
import json
import zlib
from typing import Any

from aiohttp import WSMsgType, web

from tests.discord_server.world import VIEW, Raw, World

DISPATCH, HEARTBEAT, IDENTIFY, RESUME, RECONNECT, INVALID, HELLO, ACK = 0, 1, 2, 6, 7, 9, 10, 11
GUILDS, MEMBERS, MESSAGES, REACTIONS, DMS, DM_REACTIONS, CONTENT = (
    1 << 0,
    1 << 1,
    1 << 9,
    1 << 10,
    1 << 12,
    1 << 13,
    1 << 15,
)
PRIVILEGED = {MEMBERS: (1 << 14) | (1 << 15), CONTENT: (1 << 18) | (1 << 19)}


class Session:
    """A gateway session; it outlives its sockets, so that it can be resumed."""

    def __init__(self, ident: str, intents: int, shard: list[int]) -> None:
        self.id, self.intents, self.shard = ident, intents, shard
        self.seq = 0
        self.sent: list[Raw] = []
        self.socket: Socket | None = None
        self.resumes = 0


class Socket:
    """One connection, plain or compressed."""

    def __init__(self, ws: web.WebSocketResponse, *, compressed: bool) -> None:
        self.ws = ws
        self._deflate = zlib.compressobj() if compressed else None
        self._lock = asyncio.Lock()

    async def send(self, frame: Raw) -> None:
        text = json.dumps(frame, separators=(",", ":"))
        async with self._lock:
            if self.ws.closed:
                return
            try:
                if self._deflate is None:
                    await self.ws.send_str(text)
                    return
                data = self._deflate.compress(text.encode()) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
                await self.ws.send_bytes(data)
            except (ConnectionError, RuntimeError):
                return  # the peer is gone; the session keeps the event


class Gateway:
    def __init__(self, world: World, changed: Any) -> None:
        self.world, self._changed = world, changed
        self.url = ""
        self.sessions: dict[str, Session] = {}
        self.compress = False
        self.mute = False  # never answer a Close
        self.deaf = False  # never answer a heartbeat
        self.silenced = asyncio.Event()
        self.heartbeat_ms = 41_250
        self.refuse = 0  # upgrades to refuse with 503
        self.close_next: int | None = None  # close code instead of READY
        self.budget = {"total": 1000, "remaining": 1000, "reset_after": 3_600_000, "max_concurrency": 1}
        self.identifies: list[Raw] = []
        self.resumes: list[Raw] = []
        self.heartbeats = 0
        self.sockets: set[web.WebSocketResponse] = set()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        if self.refuse > 0:
            self.refuse -= 1
            self._changed()
            return web.Response(status=503)
        ws = web.WebSocketResponse(autoping=True, timeout=0.5, autoclose=not self.mute)
        await ws.prepare(request)
        self.sockets.add(ws)
        wants = request.query.get("compress") == "zlib-stream"
        socket = Socket(ws, compressed=self.compress and wants)
        await socket.send({"op": HELLO, "d": {"heartbeat_interval": self.heartbeat_ms}, "s": None, "t": None})
        session: Session | None = None
        try:
            async for message in ws:
                if message.type is not WSMsgType.TEXT:
                    break
                try:
                    frame = json.loads(message.data)
                except ValueError:
                    await ws.close(code=4002)
                    break
                session = await self._frame(socket, session, frame)
            if self.mute:
                await self.silenced.wait()
        finally:
            self.sockets.discard(ws)
            if session is not None and session.socket is socket:
                session.socket = None
            self._changed()
        return ws

    async def _frame(self, socket: Socket, session: Session | None, frame: Raw) -> Session | None:
        match frame.get("op"):
            case 1:
                self.heartbeats += 1
                if not self.deaf:
                    await socket.send({"op": ACK, "d": None, "s": None, "t": None})
                self._changed()
            case 2 if session is not None:
                await socket.ws.close(code=4005)
            case 2:
                return await self._identify(socket, frame["d"])
            case 6:
                return await self._resume(socket, frame["d"])
            case 3 | 4 | 8:
                pass
            case _:
                await socket.ws.close(code=4003 if session is None else 4001)
        return session

    async def _identify(self, socket: Socket, data: Raw) -> Session | None:
        self.identifies.append(data)
        self.budget["remaining"] -= 1
        code = self._refusal(data)
        if code is not None:
            await socket.ws.close(code=code)
            return None
        shard = data.get("shard") or [0, 1]
        session = Session(f"session-{len(self.sessions) + 1}", int(data["intents"]), shard)
        self.sessions[session.id] = session
        session.socket = socket
        app = {"id": self.world.app["id"], "flags": self.world.app["flags"]}
        guilds = [{"id": self.world.guild_id, "unavailable": True}] if self._has_guild(session) else []
        ready = {
            "v": 10,
            "user": self.world.users[self.world.bot]
            | {"verified": True, "mfa_enabled": False, "email": None},
            "guilds": guilds,
            "session_id": session.id,
            "resume_gateway_url": self.url,
            "application": app,
            "shard": shard,
            "private_channels": [],
            "_trace": [],
        }
        await self._emit(session, "READY", ready)
        if guilds:
            await self._emit(session, "GUILD_CREATE", self.world.guild_create())
        self._changed()
        return session

    def _has_guild(self, session: Session) -> bool:
        return (int(self.world.guild_id) >> 22) % session.shard[1] == session.shard[0]

    def _refusal(self, data: Raw) -> int | None:
        if self.close_next is not None:
            code, self.close_next = self.close_next, None
            return code
        if str(data.get("token", "")).removeprefix("Bot ") != self.token:
            return 4004
        intents = int(data["intents"])
        if intents >= 1 << 26:
            return 4013
        for intent, granted in PRIVILEGED.items():
            if intents & intent and not int(self.world.app["flags"]) & granted:
                return 4014
        return None

    token = ""

    async def _resume(self, socket: Socket, data: Raw) -> Session | None:
        self.resumes.append(data)
        session = self.sessions.get(str(data.get("session_id")))
        if session is None or data.get("seq") is None or int(data["seq"]) > session.seq:
            await socket.send({"op": INVALID, "d": False, "s": None, "t": None})
            self._changed()
            return None
        session.socket = socket
        session.resumes += 1
        for frame in [f for f in session.sent if f["s"] > int(data["seq"])]:
            await socket.send(frame)
        await self._emit(session, "RESUMED", {"_trace": []})
        self._changed()
        return session

    async def _emit(self, session: Session, event: str, data: Raw) -> None:
        session.seq += 1
        frame = {"op": DISPATCH, "s": session.seq, "t": event, "d": data}
        session.sent.append(frame)
        if session.socket is not None:
            await session.socket.send(frame)

    async def dispatch(self, event: str, data: Raw, intent: int = GUILDS) -> None:
        """To every session that asked for it; a session without a socket gets it when it resumes. What is said where
        the bot may not look is not told."""
        room = self.world.channels.get(str(data.get("channel_id")))
        if event.startswith("MESSAGE_") and room and not self.world.permissions(room, self.world.bot) & VIEW:
            return
        for session in tuple(self.sessions.values()):
            if intent and not session.intents & intent:
                continue
            if "guild_id" in data and not self._has_guild(session):
                continue
            await self._emit(session, event, self._seen_by(session, event, data))
        self._changed()

    def _seen_by(self, session: Session, event: str, data: Raw) -> Raw:
        """Without the message content intent, only DMs, mentions and own messages can be read."""
        if event not in {"MESSAGE_CREATE", "MESSAGE_UPDATE"} or session.intents & CONTENT:
            return data
        mentioned = any(user["id"] == self.world.bot for user in data.get("mentions", []))
        if "guild_id" not in data or mentioned or data["author"]["id"] == self.world.bot:
            return data
        return data | {"content": "", "embeds": [], "attachments": [], "components": []}

    # --- trouble on order ---

    async def reconnect(self) -> None:
        """op 7: please reconnect and resume."""
        for session in tuple(self.sessions.values()):
            if session.socket is not None:
                await session.socket.send({"op": RECONNECT, "d": None, "s": None, "t": None})

    async def invalidate(self, *, resumable: bool = False) -> None:
        """op 9. A session that is not resumable is forgotten, with everything that it would have replayed."""
        for session in tuple(self.sessions.values()):
            socket = session.socket
            if not resumable:
                del self.sessions[session.id]
            if socket is not None:
                await socket.send({"op": INVALID, "d": resumable, "s": None, "t": None})

    async def close_all(self, code: int) -> None:
        for ws in tuple(self.sockets):
            await ws.close(code=code)
