"""The Web API of the local Slack: documented shapes, and Slack's refusals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tests.slack.blocks import Invalid, check_blocks, check_view, too_long
from tests.slack.workspace import APP, BOT, BOT_USER, TEAM, Channel, Message, sortable

if TYPE_CHECKING:
    from tests.slack.server import SlackServer

Json = dict[str, Any]

NEEDS = {
    "chat.postMessage": "chat:write", "chat.update": "chat:write", "chat.delete": "chat:write",
    "chat.postEphemeral": "chat:write", "conversations.open": "im:write", "conversations.info": "channels:read",
    "conversations.members": "channels:read", "conversations.history": "channels:history",
    "conversations.replies": "channels:history", "users.info": "users:read", "users.list": "users:read",
    "usergroups.users.list": "usergroups:read", "reactions.add": "reactions:write",
    "reactions.remove": "reactions:write", "files.info": "files:read", "files.getUploadURLExternal": "files:write",
    "files.completeUploadExternal": "files:write", "apps.connections.open": "connections:write",
}  # fmt: skip
ALL_SCOPES = sorted({*NEEDS.values(), "app_mentions:read", "groups:history", "groups:read", "im:history", "commands",
                     "metadata.message:read", "reactions:read", "users:read.email"} - {"connections:write"})  # fmt: skip


class Refused(Exception):
    """ok: false."""

    def __init__(self, error: str, **more: Any) -> None:
        super().__init__(error)
        self.answer = {"ok": False, "error": error, **more}


def _true(value: object) -> bool:
    return str(value).lower() in {"true", "1"}


class Methods:
    """One coroutine-free function per method; names with the dot replaced by an underscore."""

    def __init__(self, server: SlackServer) -> None:
        self._server = server
        self._space = server.space
        self._unshared: list[tuple[int, Channel, list[Json], str | None]] = []

    def call(self, method: str, args: Mapping[str, Any]) -> Json:
        handler = getattr(self, method.replace(".", "_"), None)
        if handler is None:
            raise Refused("unknown_method", req_method=method)
        answer: Json = handler(dict(args))
        return {"ok": True, **answer}

    # --- identity ----------------------------------------------------------------------------------------------

    def auth_test(self, args: Json) -> Json:
        return {"url": "https://local.slack.com/", "team": "Local", "user": "firstline", "team_id": TEAM,
                "user_id": BOT_USER, "bot_id": BOT, "app_id": APP, "is_enterprise_install": False}  # fmt: skip

    def apps_connections_open(self, args: Json) -> Json:
        return {"url": self._server.sockets.new_ticket()}

    def users_info(self, args: Json) -> Json:
        user = self._space.users.get(str(args.get("user")))
        if user is None:
            raise Refused("user_not_found")
        return {"user": user}

    def users_list(self, args: Json) -> Json:
        return {**self._page(list(self._space.users.values()), args, "members", 100), "cache_ts": 1}

    def usergroups_users_list(self, args: Json) -> Json:
        if args.get("usergroup") not in self._space.groups:
            raise Refused("no_such_subteam")
        return {"users": sorted(self._space.groups[args["usergroup"]])}

    # --- conversations -----------------------------------------------------------------------------------------

    def _channel(self, args: Json, *, member: bool = False, writable: bool = False) -> Channel:
        channel = self._space.channels.get(str(args.get("channel", "")))
        if channel is None or (channel.kind == "group" and BOT_USER not in channel.members):
            raise Refused("channel_not_found")
        if member and BOT_USER not in channel.members:
            raise Refused("not_in_channel")
        if writable and channel.archived:
            raise Refused("is_archived")
        return channel

    def conversations_open(self, args: Json) -> Json:
        user = str(args.get("users", ""))
        if user not in self._space.users:
            raise Refused("user_not_found")
        if self._space.users[user]["is_bot"]:
            raise Refused("cannot_dm_bot")
        return {"channel": {"id": self._space.dm(user).id}}

    def conversations_info(self, args: Json) -> Json:
        channel = self._channel(args)
        return {"channel": {
            "id": channel.id, "name": channel.name, "is_channel": channel.kind == "channel",
            "is_private": channel.kind == "group", "is_im": channel.kind == "im", "is_archived": channel.archived,
            "is_member": BOT_USER in channel.members, "is_ext_shared": channel.ext_shared,
        }}  # fmt: skip

    def conversations_members(self, args: Json) -> Json:
        return self._page(sorted(self._channel(args).members), args, "members", 100)

    def conversations_history(self, args: Json) -> Json:
        channel = self._channel(args, member=True)
        shown = [m for m in channel.in_order() if m.get("thread_ts") in {None, m["ts"]} or m.get("subtype")]
        shown = [m for m in shown if m.get("subtype") != "tombstone"]
        return self._page(list(reversed(self._window(shown, args))), args, "messages", 100)

    def conversations_replies(self, args: Json) -> Json:
        channel = self._channel(args, member=True)
        root = channel.messages.get(str(args.get("ts", "")))
        if root is None:
            raise Refused("thread_not_found")
        return self._page([*self._window([root], {}), *self._window(channel.replies(root["ts"]), args)], args,
                          "messages", 1000)  # fmt: skip

    def _window(self, messages: list[Message], args: Json) -> list[Message]:
        oldest, latest = str(args.get("oldest") or "0"), str(args.get("latest") or "9999999999")
        low, high = sortable(oldest), sortable(latest)
        edges = {low, high} if _true(args.get("inclusive")) else set()
        keep = [m for m in messages if low < sortable(m["ts"]) < high or sortable(m["ts"]) in edges]
        if not _true(args.get("include_all_metadata")):
            keep = [{k: v for k, v in m.items() if k != "metadata"} for m in keep]
        return keep

    def _page(self, rows: list[Any], args: Json, name: str, default: int) -> Json:
        limit = int(args.get("limit") or default)
        if not 1 <= limit < 1001:
            raise Refused("invalid_limit")
        start = int(args.get("cursor") or 0)
        end = start + min(limit, self._server.page_max)
        more = end < len(rows)
        return {
            name: rows[start:end],
            "has_more": more,
            "response_metadata": {"next_cursor": str(end) if more else ""},
        }

    # --- messages ------------------------------------------------------------------------------------------------

    def _content(self, args: Json) -> Json:
        blocks = args.get("blocks")
        if not args.get("text") and not blocks:
            raise Refused("no_text")
        if blocks is not None:
            try:
                check_blocks(blocks)
            except Invalid as why:
                raise Refused("invalid_blocks", response_metadata={"messages": [f"[ERROR] {why}"]}) from why
            if too_long(blocks):
                raise Refused("msg_blocks_too_long")
            blocks = [{"block_id": f"b{self._space.number()}", **block} for block in blocks]
        return {
            "text": str(args.get("text") or "")[:40_000],
            **({"blocks": blocks} if blocks is not None else {}),
        }

    def chat_postMessage(self, args: Json) -> Json:
        channel = self._channel(args, member=True, writable=True)
        self._server.check_post_rate(channel.id)
        content = self._content(args)
        metadata = args.get("metadata")
        if metadata is not None and not {"event_type", "event_payload"} <= set(metadata):
            raise Refused("invalid_metadata_format")
        message: Message = {"type": "message", "user": BOT_USER, "bot_id": BOT, "app_id": APP, "team": TEAM,
                            "ts": self._space.ts(), **content}  # fmt: skip
        message |= {
            k: args[k] for k in ("metadata", "client_msg_id", "unfurl_links", "unfurl_media") if k in args
        }
        root = args.get("thread_ts")
        if root is not None and root in channel.messages:
            if channel.messages[root].get("thread_ts") not in {None, root}:
                raise Refused("cannot_reply_to_message")
            message["thread_ts"] = root
            self._space.mark_root(channel, root, message["ts"])
        channel.messages[message["ts"]] = message
        self._server.posted(channel, message)
        return {"channel": channel.id, "ts": message["ts"], "message": message}

    def _own(self, channel: Channel, ts: str, refusal: str) -> Message:
        message = channel.messages.get(ts)
        if message is None:
            raise Refused("message_not_found")
        if message.get("bot_id") != BOT:
            raise Refused(refusal)
        return message

    def chat_update(self, args: Json) -> Json:
        channel = self._channel(args, member=True, writable=True)
        message = self._own(channel, str(args.get("ts")), "cant_update_message")
        if len(str(args.get("text") or "")) > 4000:
            raise Refused("msg_too_long")
        content = self._content(args)
        if "text" in args and "blocks" not in args:
            message.pop("blocks", None)
        message.update(content)
        message["edited"] = {"user": BOT_USER, "ts": self._space.ts()}
        return {"channel": channel.id, "ts": message["ts"], "text": message["text"], "message": message}

    def chat_delete(self, args: Json) -> Json:
        channel = self._channel(args, writable=True)
        self._own(channel, str(args.get("ts")), "cant_delete_message")
        self._space.delete(channel, str(args["ts"]))
        return {"channel": channel.id, "ts": args["ts"]}

    def chat_postEphemeral(self, args: Json) -> Json:
        channel = self._channel(args, member=True, writable=True)
        user = str(args.get("user", ""))
        if user not in channel.members:
            raise Refused("user_not_in_channel")
        message = {"channel": channel.id, "to": user, "ts": self._space.ts(), "thread_ts": args.get("thread_ts"),
                   **self._content(args)}  # fmt: skip
        self._space.ephemerals.append(message)
        return {"message_ts": message["ts"]}

    def chat_getPermalink(self, args: Json) -> Json:
        channel = self._channel(args)
        ts = str(args.get("message_ts", ""))
        if ts not in channel.messages:
            raise Refused("message_not_found")
        return {
            "channel": channel.id,
            "permalink": f"https://local.slack.com/archives/{channel.id}/p{ts.replace('.', '')}",
        }

    def _reactable(self, args: Json) -> Json:
        channel = self._channel(args, member=True)
        message = channel.messages.get(str(args.get("timestamp", "")))
        if message is None:
            raise Refused("message_not_found")
        name = str(args.get("name", ""))
        if not name.isascii() or not name.replace("_", "").replace("-", "").replace("+", "").isalnum():
            raise Refused("invalid_name")
        reactions: Json = message.setdefault("reactions_by_name", {})
        found: Json = {"users": reactions.setdefault(name, set())}
        return found

    def reactions_add(self, args: Json) -> Json:
        users = self._reactable(args)["users"]
        if BOT_USER in users:
            raise Refused("already_reacted")
        users.add(BOT_USER)
        return {}

    def reactions_remove(self, args: Json) -> Json:
        users = self._reactable(args)["users"]
        if BOT_USER not in users:
            raise Refused("no_reaction")
        users.discard(BOT_USER)
        return {}

    # --- views ---------------------------------------------------------------------------------------------------

    def _checked(self, view: Any) -> Json:
        try:
            check_view(view)
        except Invalid as why:
            raise Refused("invalid_arguments", response_metadata={"messages": [f"[ERROR] {why}"]}) from why
        found: Json = dict(view)
        return found

    def views_open(self, args: Json) -> Json:
        trigger = str(args.get("trigger_id") or "")
        if not trigger:
            raise Refused(
                "invalid_arguments", response_metadata={"messages": ["missing required field: trigger_id"]}
            )
        if trigger not in self._space.triggers:
            raise Refused("invalid_trigger_id")
        user, expires = self._space.triggers[trigger]
        if expires == 0:
            raise Refused("exchanged_trigger_id")
        if self._space.clock() > expires:
            raise Refused("expired_trigger_id")
        view = self._checked(args.get("view"))
        self._space.triggers[trigger] = (user, 0)
        return {"view": self._server.show(user, view)}

    def views_update(self, args: Json) -> Json:
        held = self._space.views.get(str(args.get("view_id", "")))
        if held is None:
            raise Refused("not_found")
        if args.get("hash") not in {None, held["hash"]}:
            raise Refused("hash_conflict")
        held.update(self._checked(args.get("view")), hash=f"h{self._space.number()}", errors={})
        return {"view": held}

    def views_publish(self, args: Json) -> Json:
        user = str(args.get("user_id", ""))
        if user not in self._space.users:
            raise Refused("user_not_found")
        view = self._checked(args.get("view"))
        if view["type"] != "home":
            raise Refused("invalid_arguments")
        held = {"id": f"V{self._space.number()}", "hash": f"h{self._space.number()}", **view}
        self._space.homes[user] = held
        return {"view": held}

    # --- files -----------------------------------------------------------------------------------------------------

    def files_info(self, args: Json) -> Json:
        file = self._space.files.get(str(args.get("file", "")))
        if file is None:
            raise Refused("file_not_found")
        url = f"{self._server.url}/files-pri/{file['id']}"
        shown = {"url_private": url, "url_private_download": url, "shares": self._shares(file["id"]), **file}
        self._share_later()
        return {"file": shown}

    def _shares(self, file: str) -> Json:
        """In which messages a file stands, as Slack tells it: by public and private channels."""
        shares: Json = {}
        for channel in self._space.channels.values():
            found = [
                {k: m[k] for k in ("ts", "thread_ts") if k in m} for m in channel.in_order()
                if any(f["id"] == file for f in m.get("files") or ())
            ]  # fmt: skip
            if found:
                kind = "public" if channel.kind == "channel" else "private"
                shares.setdefault(kind, {})[channel.id] = found
        return shares

    def files_getUploadURLExternal(self, args: Json) -> Json:
        length = int(args.get("length") or 0)
        if not args.get("filename") or length <= 0:
            raise Refused("invalid_arguments")
        ident = f"F{self._space.number():06d}"
        self._space.uploads[ident] = {"name": args["filename"], "length": length}
        return {"file_id": ident, "upload_url": f"{self._server.url}/upload/{ident}"}

    def files_completeUploadExternal(self, args: Json) -> Json:
        channel = self._channel({"channel": args.get("channel_id")}, member=True, writable=True)
        shared = []
        for entry in args.get("files") or ():
            upload = self._space.uploads.pop(entry["id"], None)
            if upload is None or "data" not in upload:
                raise Refused("file_not_found")
            file = self._space.add_file(
                upload["name"], upload["data"], "application/octet-stream", BOT_USER, entry["id"]
            )
            shared.append({**file, "title": entry.get("title", upload["name"])})
        self._unshared.append((self._server.share_after, channel, shared, args.get("thread_ts")))
        self._share_later()
        return {"files": [{"id": file["id"], "title": file["title"]} for file in shared]}

    def _share_later(self) -> None:
        """Slack shares an upload some time after it has said that it is complete."""
        waiting, self._unshared = self._unshared, []
        for turns, channel, shared, thread in waiting:
            if turns > 0:
                self._unshared.append((turns - 1, channel, shared, thread))
                continue
            message: Message = {"type": "message", "user": BOT_USER, "bot_id": BOT, "app_id": APP, "team": TEAM,
                                "text": "", "ts": self._space.ts(), "files": shared, "subtype": "file_share"}  # fmt: skip
            if thread in channel.messages:
                message["thread_ts"] = thread
                self._space.mark_root(channel, thread, message["ts"])
            channel.messages[message["ts"]] = message
            self._server.posted(channel, message)
