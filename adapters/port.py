"""The words that all platforms share: who and where, what comes in, what goes out, what can fail.

Pure data. An adapter turns a platform's events into `Inbound` and carries out `Op`; it never learns what a
ticket or an answer is. All of it can be kept as JSON (`adapters.codec`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

PlatformName = Literal["slack", "discord", "playground", "console"]

# --- who and where ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """Where something can be posted.

    `channel` is Slack's channel id or Discord's *parent* channel id; `thread` is Slack's root `ts` or
    Discord's thread id (equal to the id of the message that it hangs on), `None` for the top level.
    """

    platform: PlatformName
    tenant: str
    channel: str
    thread: str | None = None
    kind: Literal["channel", "private", "dm", "forum"] = "channel"
    external: bool = False

    @property
    def conversation(self) -> str:
        """The key of the conversation that happens here; equal for equal threads, whatever their kind."""
        return f"{self.platform}:{self.tenant}:{self.channel}:{self.thread or '-'}"


@dataclass(frozen=True, slots=True)
class MsgRef:
    """One message on a platform. `id` is Slack's `ts` or a snowflake, always text."""

    place: Place
    id: str


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did something. `roles` holds platform role ids plus "agent" and "admin", looked up at the action."""

    platform: PlatformName
    tenant: str
    id: str
    name: str = ""
    is_bot: bool = False
    is_self: bool = False
    external: bool = False
    roles: frozenset[str] = frozenset()
    email: str | None = None


@dataclass(frozen=True, slots=True)
class FileRef:
    """A file by reference, never by a lasting URL: platforms sign and expire those.

    `url`: only where the platform has nothing that could be asked again for a fresh one (a file uploaded in a form on
    Discord stands in no message). It is as private as the file, and good for about a day.
    """

    id: str
    name: str
    mime: str | None = None
    size: int | None = None
    source: MsgRef | None = None
    url: str = field(default="", repr=False)


# --- what comes in ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What every event carries. `keys[0]` is the delivery key, the rest are logical keys (dedup)."""

    keys: tuple[str, ...]
    place: Place
    actor: Actor | None
    occurred_at: float
    order: tuple[int, ...] = ()
    attempt: int = 0
    catchup: bool = False
    redacted: tuple[str, ...] = ()  # kinds of secrets removed before the first write; the core fills it


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageReceived(Envelope):
    """Somebody wrote. `text` is plain text: entities decoded, mentions as names, the bot's mention stripped.

    `place.thread` is already the thread in which an answer belongs (Slack: root ts; Discord: the id of the
    message, since a thread made from it gets that id). `is_root`: the message itself stands at top level.
    `others_present`: the adapter knows that a third person has written in this thread.
    """

    type: Literal["message"] = "message"
    ref: MsgRef
    text: str
    files: tuple[FileRef, ...] = ()
    mentions_bot: bool = False
    is_root: bool = False
    reply_to: MsgRef | None = None
    title: str = ""
    tags: tuple[str, ...] = ()
    unsupported: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageEdited(Envelope):
    type: Literal["edited"] = "edited"
    ref: MsgRef
    text: str
    files: tuple[FileRef, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageDeleted(Envelope):
    type: Literal["deleted"] = "deleted"
    ref: MsgRef


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactionChanged(Envelope):
    type: Literal["reaction"] = "reaction"
    ref: MsgRef
    emoji: str
    added: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandInvoked(Envelope):
    """`/firstline <verb> <text>`; `args` holds the platform's typed options where it has them."""

    type: Literal["command"] = "command"
    name: str
    text: str = ""
    args: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionInvoked(Envelope):
    """A button was pressed, or an option of a select chosen (`value`). `arg` is an opaque id only."""

    type: Literal["action"] = "action"
    verb: str
    arg: str
    source: MsgRef | None = None
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageAction(Envelope):
    """Slack's message shortcut, Discord's message context menu: `help` or `escalate` on somebody's message."""

    type: Literal["message_action"] = "message_action"
    verb: str
    target: MsgRef
    target_text: str
    target_author: Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class FormSubmitted(Envelope):
    """A form came back. `values` are private: never logged, never posted in public."""

    type: Literal["form"] = "form"
    form: str
    context: str
    values: Mapping[str, str] = field(repr=False)
    files: tuple[FileRef, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadChanged(Envelope):
    """`opened`: the private thread that this conversation asked for is there, or what it got instead."""

    type: Literal["thread"] = "thread"
    state: Literal["archived", "unarchived", "locked", "deleted", "opened"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallChanged(Envelope):
    type: Literal["install"] = "install"
    state: Literal["revoked", "uninstalled", "joined_channel", "left_channel", "became_external"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberLeft(Envelope):
    """An agent left the workspace or lost the staff role; `who` is that agent's id."""

    type: Literal["member_left"] = "member_left"
    who: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeOpened(Envelope):
    """The customer opened the bot's home tab (Slack)."""

    type: Literal["home"] = "home"


# Events that the process itself puts on the line. They are recorded like any other.


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerFired(Envelope):
    """A timer row came due. `timer` names which (e.g. "pending_warn"), `arg` is the ticket or conversation."""

    type: Literal["timer"] = "timer"
    timer: str
    arg: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFailed(Envelope):
    """An outgoing message was given up: parked, with a reason in words. `anchor` says which it was; `edit:` or `delete:`
    before it, that a change of a message failed which stands there as before."""

    type: Literal["delivery_failed"] = "delivery_failed"
    anchor: str
    kind: Literal["gone", "forbidden", "rejected", "exhausted", "ambiguous"]
    reason: str
    audience: Literal["customer", "staff", "person"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoreDone(Envelope):
    """Work outside the conversation is finished (a reload, a search, a report); `result` is JSON data."""

    type: Literal["chore_done"] = "chore_done"
    chore: str
    ok: bool
    result: Mapping[str, Any] = field(default_factory=dict)
    interaction: str = ""


Inbound = (
    MessageReceived
    | MessageEdited
    | MessageDeleted
    | ReactionChanged
    | CommandInvoked
    | ActionInvoked
    | MessageAction
    | FormSubmitted
    | ThreadChanged
    | InstallChanged
    | MemberLeft
    | HomeOpened
    | TimerFired
    | DeliveryFailed
    | ChoreDone
)

# --- what goes out ---------------------------------------------------------------------------------------

Style = Literal["b", "i", "s", "code"]


@dataclass(frozen=True, slots=True)
class Span:
    """A run of text. `text` is plain: the renderer escapes it. `url` must be http, https or mailto.

    `mention`: the id of a group or person *from the configuration* (on-call), or `user:` and the id of an agent; the
    only pings there are. With `channel:` before it, a channel that the reader's platform shows by its name; nobody is
    called by that.
    """

    text: str
    style: frozenset[Style] = frozenset()
    url: str | None = None
    mention: str | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """One block. `items` are its lines (para, quote, code: joined by line breaks; bullets, numbers: one each;
    fields: pairs of label and value, two items each; heading: one)."""

    type: Literal["para", "heading", "bullets", "numbers", "code", "quote", "fields", "divider", "note"]
    items: tuple[tuple[Span, ...], ...] = ()


Doc = tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Button:
    """`verb` + `arg` are all that travels in the button's id; `value` only for selects."""

    verb: str
    arg: str
    label: str
    style: Literal["default", "primary", "danger"] = "default"
    confirm: str | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """A message, platform-neutral. A card is Content with a `title`; renderers draw it as blocks or an embed.

    `revision`: of two edits of the same message, the higher wins. `files` are relayed by reference.
    """

    body: Doc = ()
    buttons: tuple[Button, ...] = ()
    title: str = ""
    status: str = ""
    footer: str = ""
    revision: int = 0
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class FormInput:
    id: str
    label: str
    kind: Literal["line", "text", "choice", "email", "date", "file"] = "line"
    required: bool = True
    value: str = ""
    hint: str = ""
    max: int = 3000
    choices: tuple[tuple[str, str], ...] = ()  # (value, label)


@dataclass(frozen=True, slots=True)
class Form:
    """At most 5 inputs, title at most 24 characters and labels at most 45, so that one form fits everywhere."""

    id: str
    title: str
    inputs: tuple[FormInput, ...]
    context: str = ""
    submit: str = ""


@dataclass(frozen=True, slots=True)
class FormErrors:
    """Why a form was refused, by input id. Nothing was stored; the person may correct and resubmit."""

    errors: Mapping[str, str]
    form: Form | None = None  # prefilled with what was typed, for platforms without inline errors


@dataclass(frozen=True, slots=True)
class Post:
    type: Literal["post"] = field(default="post", kw_only=True)
    place: Place
    content: Content
    reply_to: MsgRef | None = None
    speaking_as: str = ""  # an agent's display name, signposted as a person; empty: the bot
    files: tuple[FileRef, ...] = ()


@dataclass(frozen=True, slots=True)
class Edit:
    type: Literal["edit"] = field(default="edit", kw_only=True)
    ref: MsgRef
    content: Content
    speaking_as: str = ""


@dataclass(frozen=True, slots=True)
class Delete:
    type: Literal["delete"] = field(default="delete", kw_only=True)
    ref: MsgRef


@dataclass(frozen=True, slots=True)
class React:
    type: Literal["react"] = field(default="react", kw_only=True)
    ref: MsgRef
    emoji: str
    on: bool = True


@dataclass(frozen=True, slots=True)
class OpenThread:
    """Make sure that there is a thread on `origin`. Idempotent; where threads are implicit, a no-op.

    `private_for`: a thread that only this person and the team can read, beside the public one. Where the platform has
    none or does not allow it, the thread on `origin` instead; `Delivered.place` says which it is.
    """

    type: Literal["open_thread"] = field(default="open_thread", kw_only=True)
    origin: MsgRef
    title: str
    private_for: Actor | None = None


@dataclass(frozen=True, slots=True)
class SetThread:
    type: Literal["set_thread"] = field(default="set_thread", kw_only=True)
    place: Place
    archived: bool | None = None
    locked: bool | None = None
    tags: tuple[str, ...] | None = None
    solved: bool | None = None


@dataclass(frozen=True, slots=True)
class Private:
    """To one person only. Through the live interaction where the adapter still holds it (`interaction` is the
    delivery key of the event that caused this), else ephemeral, else a DM. `hint`: losing it does no harm."""

    type: Literal["private"] = field(default="private", kw_only=True)
    place: Place
    actor: Actor
    content: Content
    interaction: str = ""
    hint: bool = True


@dataclass(frozen=True, slots=True)
class PublishHome:
    """Fill the bot's home tab for one person (Slack); elsewhere a no-op."""

    type: Literal["home"] = field(default="home", kw_only=True)
    actor: Actor
    content: Content


Op = Post | Edit | Delete | React | OpenThread | SetThread | Private | PublishHome


@dataclass(frozen=True, slots=True)
class Delivered:
    """`ref`: the message that now exists; `place`: the thread that now exists (OpenThread)."""

    ref: MsgRef | None = None
    place: Place | None = None


# --- what can fail ---------------------------------------------------------------------------------------


class AdapterError(Exception):
    """Something that a platform refused or did not do."""


class RateLimited(AdapterError):
    """Too fast: wait `retry_after` seconds. Nothing was delivered. `scope`: what is frozen."""

    def __init__(self, retry_after: float, scope: Literal["lane", "platform"] = "lane") -> None:
        super().__init__(f"rate limited for {retry_after:g} s")
        self.retry_after = retry_after
        self.scope = scope


class Ambiguous(AdapterError):
    """Bytes may have reached the platform: reconcile before any resend."""


class Unavailable(AdapterError):
    """Certainly not delivered (no connection, nothing sent); try again later."""


class Gone(AdapterError):
    """The message, thread or channel no longer exists."""


class Forbidden(AdapterError):
    """A permission is missing; the text says which and where to grant it."""


class Rejected(AdapterError):
    """The platform refused the content (too long, automod, invalid)."""


class TooLate(AdapterError):
    """The interaction or trigger has expired."""


class AdapterFatal(Exception):
    """Bad token, disallowed intent, revoked install: this adapter stays down, the rest of the process lives on."""


# --- the port --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Caps:
    """What this platform can do; the core asks these, never a platform's name."""

    idempotent_post: Literal["native", "best_effort", "none"]
    safe_resend_seconds: float  # how long a blind resend with the same key is safe; 0: never
    can_reconcile: bool
    thread_model: Literal["reply", "channel"]  # it hangs under any message by itself; it must be opened
    inline_form_errors: bool
    private_in_channel: bool
    post_interval_seconds: float = 0.0  # shaping per channel


@dataclass(frozen=True, slots=True)
class Mark:
    """Where to catch up: the last message that was recorded in `place` (`after` empty: nothing yet).

    `known`: messages of people in this place, of conversations that are not over. Any of them may have been edited or
    deleted while nobody listened.
    """

    place: Place
    after: str = ""
    known: tuple[MsgRef, ...] = ()


class Sink(Protocol):
    """What an adapter sees of the rest of the process."""

    async def receive(self, event: Inbound) -> Form | FormErrors | None:
        """Durable when it returns; only then acknowledge. A repeat is recognised and returns None.

        A press, command or shortcut that needs a form gets the form back (nothing was stored: show it at once).
        A form submission that is refused gets `FormErrors` back. Raises only if the event could not be stored:
        then do NOT acknowledge.
        """

    def state(self, platform: PlatformName, state: str, detail: str = "") -> None:
        """Tell what the connection does: connecting, connected, reconnecting, down, fatal, stopped."""

    async def marks(self, platform: PlatformName) -> Sequence[Mark]:
        """The watched channels and open conversations, with the last message known of each."""

    async def watch(self, marks: Sequence[Mark]) -> None:
        """Listening begins: each of these places that has no mark yet gets this one, so that what is said there after
        it can be caught up although nothing was ever recorded there. A mark that exists stays as it is."""

    async def assignees(self, platform: PlatformName) -> Sequence[str]:
        """The agents who have an open ticket. Whoever of them left while nobody listened is worth a `MemberLeft`."""

    def catching_up(self, platform: PlatformName) -> AbstractAsyncContextManager[None]:
        """While inside, events with `catchup=True` are recorded but not yet worked on."""

    async def choices(
        self, platform: PlatformName, actor: Actor, option: str, typed: str
    ) -> Sequence[tuple[str, str]]:
        """Autocomplete for a command option ("topic", "ticket"): at most 25 (value, label) for this actor."""


class ChatAdapter(Protocol):
    """One chat platform. Its only memory is the platform's own."""

    name: PlatformName
    caps: Caps

    async def run(self, sink: Sink) -> None:
        """Connect and emit until closed. Builds new client objects each time it is called. Raises AdapterFatal
        when a restart cannot help (and says what to click), anything else when it can."""

    async def stop_ingress(self) -> None:
        """Take no more events; sending still works."""

    async def close(self, grace: float) -> None:
        """Let go of everything within `grace` seconds. `run` returns."""

    def parts(self, op: Op) -> int:
        """How many API calls `op` needs (a long text is split). Pure; the same for the same op."""

    async def deliver(self, op: Op, part: int, key: str) -> Delivered:
        """Carry out one part. The same `key` on every try. Raises an AdapterError; one whose bytes may have
        left raises Ambiguous."""

    async def reconcile(
        self, op: Op, part: int, key: str, since: float
    ) -> Delivered | Literal["absent", "unknown"]:
        """Did an earlier try (first made at epoch second `since`) arrive?"""

    def catch_up(self, mark: Mark, limit: int) -> AsyncIterator[Inbound]:
        """What was said in `mark.place` after `mark.after`, oldest first, with `catchup=True`."""

    async def actor(self, tenant: str, user: str) -> Actor:
        """Who that is, with live roles."""

    def fetch(self, file: FileRef, max_bytes: int) -> AsyncIterator[bytes]:
        """The file's bytes; raises Rejected beyond `max_bytes` or when it is not what it says."""

    async def permalink(self, ref: MsgRef) -> str | None:
        """A link that a person can open."""

    async def check(self) -> Sequence[CheckResult]:
        """Verify tokens, scopes, channels, permissions, the staff channel; for `firstline check`."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of `firstline check`. `fix`: what to click."""

    name: str
    ok: bool
    detail: str = ""
    fix: str = ""
