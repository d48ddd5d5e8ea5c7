"""What people do on the local Discord: write, edit, delete, react, press, submit, command."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tests.discord_server.interactions import (
    AUTOCOMPLETE,
    COMMAND,
    COMPONENT,
    MODAL,
    Interaction,
    Interactions,
    Modal,
)
from tests.discord_server.limits import units
from tests.discord_server.world import DM, FORUM, SEND, SEND_IN_THREADS, THREADS, Raw, World, iso

if TYPE_CHECKING:
    from tests.discord_server.gateway import Gateway
    from tests.discord_server.rest import Rest


class People:
    world: World
    gateway: Gateway
    rest: Rest
    interactions: Interactions
    until: Callable[..., Any]
    _intent: Callable[[Raw], int]
    _announce: Callable[[Raw], Any]

    # --- writing ---

    async def user_says(
        self,
        channel: str,
        user: str,
        text: str = "",
        *,
        attachments: Sequence[tuple[str, bytes, str | None]] = (),
        reply_to: str | None = None,
        **more: Any,
    ) -> str:
        """A message by a person in a channel, thread or DM; its id. `more`: raw fields (stickers, flags, poll)."""
        room, who = self.world.channel(channel), self.world.user(user)
        if room["type"] != DM:
            assert room["type"] != FORUM, "in a forum people post: user_posts"
            self.world.need(room, who, SEND_IN_THREADS if room["type"] in THREADS else SEND)
        if room["type"] in THREADS and room["thread_metadata"]["archived"]:
            assert not room["thread_metadata"]["locked"], "nobody can write in a locked thread"
            room["thread_metadata"]["archived"] = False
            await self.gateway.dispatch("THREAD_UPDATE", room)
        if reply_to is not None:
            more |= {
                "type": 19,
                "message_reference": {"message_id": reply_to, "channel_id": room["id"], "type": 0},
            }
        more["attachments"] = [self.world.attach(name, data, mime) for name, data, mime in attachments]
        return str(await self._announce(self.world.new_message(room, who, text, **more)))

    async def user_dm(self, user: str, text: str, **more: Any) -> str:
        """A direct message to the bot."""
        return await self.user_says(self.world.dm_channel(self.world.user(user)), user, text, **more)

    async def user_posts(
        self, forum: str, user: str, title: str, text: str, *, tags: Sequence[str] = ()
    ) -> str:
        """A forum post; the id of the thread, which is also the id of its first message."""
        room, who = self.world.channel(forum), self.world.user(user)
        known = {tag["name"]: tag["id"] for tag in room["available_tags"]}
        ident = self.world.snowflake()
        thread = self.world.add_thread(room["id"], ident, title, who, tags=[known[tag] for tag in tags])
        await self.gateway.dispatch("THREAD_CREATE", thread | {"newly_created": True})
        return str(await self._announce(self.world.new_message(thread, who, text, id=ident)))

    async def user_starts_thread(self, channel: str, user: str, name: str, *, private: bool = False) -> str:
        """A thread that hangs on no message of ours; its id."""
        room, who = self.world.channel(channel), self.world.user(user)
        thread = self.world.add_thread(
            room["id"], self.world.snowflake(), name, who, kind=12 if private else 11
        )
        if private:
            self.world.thread_members[thread["id"]].add(self.world.bot)
        await self.gateway.dispatch("THREAD_CREATE", thread | {"newly_created": True})
        return str(thread["id"])

    async def bot_says(self, channel: str, bot: str, text: str) -> str:
        return str(await self._announce(self.world.new_message(self.world.channel(channel), bot, text)))

    async def webhook_says(self, channel: str, text: str) -> str:
        hook = self.world.snowflake()
        message = self.world.new_message(self.world.channel(channel), hook, text, webhook_id=hook)
        return str(await self._announce(message))

    async def system_says(self, channel: str, user: str, kind: int) -> str:
        """One of Discord's own messages (6: pinned, 7: joined, 8: boosted, 18: thread created …)."""
        message = self.world.new_message(self.world.channel(channel), self.world.user(user), "", type=kind)
        return str(await self._announce(message))

    async def user_edits(self, message: str, text: str) -> None:
        found = self.world.message(message)
        found |= {"content": text, "edited_timestamp": iso(self.world.clock())}
        await self.rest.announce_edit(found)

    async def unfurl(self, message: str) -> None:
        """Discord adds a link preview: an update that nobody made."""
        found = self.world.message(message)
        found["embeds"] = [{"type": "link", "url": "https://example.com", "title": "Example"}]
        await self.rest.announce_edit(found)

    async def user_deletes(self, message: str) -> None:
        await self.rest.remove(self.world.message(message))

    async def user_bulk_deletes(self, channel: str, messages: Sequence[str]) -> None:
        room = self.world.channel(channel)
        for ident in messages:
            del self.world.messages[room["id"]][ident]
        event = {"ids": list(messages), "channel_id": room["id"], "guild_id": room["guild_id"]}
        await self.gateway.dispatch("MESSAGE_DELETE_BULK", event, self._intent(room))

    async def user_reacts(self, message: str, emoji: str, user: str, *, on: bool = True) -> None:
        await self.rest.reaction(self.world.message(message), emoji, self.world.user(user), on=on)

    # --- interactions ---

    async def _answered(self, made: Interaction) -> Interaction:
        await self.gateway.dispatch("INTERACTION_CREATE", made.payload, 0)
        await self.until(lambda: made.response)
        return made

    def _message_seen_by(self, ident: str, user: str) -> Raw:
        """A message in a channel that this person sees, or one that only they see."""
        for interaction in self.interactions.all.values():
            for message in interaction.shown:
                if message["id"] == ident and message.get("_for") in {None, user}:
                    return message
        found = self.world.message(ident)
        room = self.world.channels[found["channel_id"]]
        self.world.need(room, user)
        return found

    async def user_presses(
        self, message: str, label: str, user: str, *, confirm: bool = False, value: str | None = None
    ) -> Interaction:
        """Press the button with this label. `confirm`: where the answer asks back with one button, press that.

        For a select menu, `label` is its placeholder or custom id, and `value` the chosen option.
        """
        who = self.world.user(user)
        shown = self._message_seen_by(message, who)
        items = [c for row in shown["components"] for c in row["components"]]
        names = [c.get("label") or c.get("placeholder") or c["custom_id"] for c in items]
        item = next(
            (c for c, name in zip(items, names, strict=True) if label in {name, c.get("custom_id")}), None
        )
        assert item is not None, f"no button {label!r}; there are {names}"
        assert not item.get("disabled"), f"{label!r} is disabled"
        data: Raw = {"custom_id": item["custom_id"], "component_type": item["type"], "id": 1}
        if value is not None:
            data["values"] = [value]
        room = self.world.channels[shown["channel_id"]]
        made = await self._answered(self.interactions.create(COMPONENT, who, room, data, shown))
        asked = made.ephemerals[-1] if made.ephemerals else None
        if confirm and asked is not None and asked["components"]:
            again = asked["components"][0]["components"][0]
            return await self.user_presses(asked["id"], str(again["label"]), user)
        return made

    async def user_submits(
        self,
        modal: Modal,
        values: Mapping[str, str],
        user: str,
        *,
        files: Sequence[tuple[str, bytes, str | None]] = (),
    ) -> Interaction:
        """Fill in and send a form. `values` by input id or label; what is not named keeps its prefilled value.

        Refuses what Discord's client would not send: a required input left empty, a text too long.
        """
        assert modal.open, "this form is no longer on the screen"
        inputs = modal.inputs()
        ids = {item["label"]: ident for ident, item in inputs.items()}
        typed = {ids.get(name, name): value for name, value in values.items()}
        assert set(typed) <= set(inputs), f"no inputs {set(typed) - set(inputs)}; there are {sorted(ids)}"
        attachments: Raw = {}
        filled = [self._fill(ident, item, typed, files, attachments) for ident, item in inputs.items()]
        data: Raw = {"custom_id": modal.custom_id, "components": filled}
        if attachments:
            data["resolved"] = {"attachments": attachments}
        modal.open = False
        who = self.world.user(user)
        room = self.world.channels[modal.interaction.channel]
        source = modal.interaction.payload.get("message")
        return await self._answered(self.interactions.create(MODAL, who, room, data, source))

    def _fill(
        self,
        ident: str,
        item: Raw,
        typed: Mapping[str, str],
        files: Sequence[tuple[str, bytes, str | None]],
        attachments: Raw,
    ) -> Raw:
        answer: Raw = {"type": item["type"], "custom_id": ident, "id": 2}
        needed = item.get("required", True)
        if item["type"] == 19:
            made = [self.world.attach(name, data, mime) for name, data, mime in files]
            assert made or not needed, f"{ident} needs a file"
            for file in made:
                base = f"{self.world.base}/attachments/0/{file['id']}/{file['filename']}"
                url = f"{base}?hm={self.world.link_generation}"
                attachments[file["id"]] = file | {"url": url, "proxy_url": url, "ephemeral": True}
            answer["values"] = [file["id"] for file in made]
        elif item["type"] == 3:
            options = {o["label"]: o["value"] for o in item["options"]}
            default = next((o["value"] for o in item["options"] if o.get("default")), "")
            value = typed.get(ident, default)
            value = options.get(value, value)
            assert not value or value in options.values(), f"{value!r} is no option of {ident}: {options}"
            assert value or not needed, f"{ident} needs a choice"
            answer["values"] = [value] if value else []
        else:
            value = typed.get(ident, item.get("value", ""))
            assert value or not needed, f"{ident} must not be empty"
            assert units(value) <= item.get("max_length", 4000), f"{ident} is too long"
            answer["value"] = value
        return {"type": 18, "id": 1, "component": answer}

    def _registered(self, name: str, kind: int) -> Raw:
        for command in self.world.commands:
            if command["name"] == name and command["type"] == kind:
                return command
        known = [c["name"] for c in self.world.commands]
        raise AssertionError(f"no command {name!r} is registered; there are {known}")

    def _verb(self, verb: str) -> tuple[Raw, Raw]:
        command = self._registered("firstline", 1)
        for option in command["options"]:
            if option["name"] == verb:
                return command, option
        raise AssertionError(f"no verb {verb!r}")

    async def user_command(
        self, verb: str, options: Mapping[str, str | int | bool], user: str, channel: str
    ) -> Interaction:
        """`/firstline <verb>` with options, checked as Discord's client checks them."""
        command, sub = self._verb(verb)
        known = {o["name"]: o for o in sub.get("options") or []}
        assert set(options) <= set(known), (
            f"no options {set(options) - set(known)}; there are {sorted(known)}"
        )
        missing = [name for name, o in known.items() if o.get("required") and name not in options]
        assert not missing, f"missing options {missing}"
        given = [{"name": n, "type": known[n]["type"], "value": v} for n, v in options.items()]
        data = self._command_data(command, [{"name": verb, "type": 1, "options": given}])
        who, room = self.world.user(user), self.world.channel(channel)
        self.world.need(room, who)
        return await self._answered(self.interactions.create(COMMAND, who, room, data))

    @staticmethod
    def _command_data(command: Raw, options: list[Raw]) -> Raw:
        return {"id": command["id"], "name": command["name"], "type": command["type"], "options": options}

    async def user_context_menu(self, name: str, message: str, user: str) -> Interaction:
        """Right click on a message → Apps → `name`."""
        command, who = self._registered(name, 3), self.world.user(user)
        target = self._message_seen_by(message, who)
        room = self.world.channels[target["channel_id"]]
        resolved = {"messages": {message: self.world.signed(target)}}
        data = self._command_data(command, []) | {"target_id": message, "resolved": resolved}
        return await self._answered(self.interactions.create(COMMAND, who, room, data))

    async def autocomplete(self, verb: str, option: str, typed: str, user: str, channel: str) -> list[Raw]:
        """What Discord offers while somebody types an option."""
        command, sub = self._verb(verb)
        known = next(o for o in sub["options"] if o["name"] == option)
        assert known.get("autocomplete"), f"{option} has no autocomplete"
        given = [{"name": option, "type": known["type"], "value": typed, "focused": True}]
        data = self._command_data(command, [{"name": verb, "type": 1, "options": given}])
        who, room = self.world.user(user), self.world.channel(channel)
        made = await self._answered(self.interactions.create(AUTOCOMPLETE, who, room, data))
        return made.choices
