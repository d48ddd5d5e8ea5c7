"""The page in a real browser: what people see, press and hear, and what hostile text cannot do to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, Page, async_playwright, expect

from adapters.playground import PlaygroundAdapter
from adapters.port import Block, Content, Forbidden, Place, Post, Private, Span
from tests.playground.world import ADMINS, AGENTS, CUSTOMERS, HOSTILE, SmallDesk, para

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


class Site:
    """One playground on a port of its own."""

    def __init__(self, port: int = 0, desks: Sequence[str] = ()) -> None:
        self.chat = PlaygroundAdapter(["help", "general"], "desk", CUSTOMERS, AGENTS, ADMINS, desks=desks)
        self.desk = SmallDesk(self.chat)
        app = web.Application()
        app.add_routes(self.chat.routes(self.desk))
        self.server = TestServer(app, port=port)

    async def stop(self) -> None:
        await self.chat.close(1)
        await self.server.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def site() -> AsyncIterator[Site]:
    site = Site()
    await site.server.start_server()
    yield site
    await site.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser, site: Site) -> AsyncIterator[Page]:
    """A page that fails the test when its script fails or the policy is violated."""
    context = await browser.new_context(viewport={"width": 1440, "height": 900})
    page = await context.new_page()
    page.set_default_timeout(8_000)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda m: complaints.append(m.text) if "Content Security Policy" in m.text else None)
    await page.goto(str(site.server.make_url("/")))
    await expect(page.locator("#link-words")).to_have_text("connected")
    yield page
    await context.close()
    assert complaints == []


async def test_a_new_visitor_asks_a_suggested_question_and_sees_why_it_was_answered_so(page: Page) -> None:
    await page.get_by_role("button", name="Can I get my money back?").click()

    customer = page.get_by_role("region", name="Community messages")
    await expect(customer.locator(".message.bot")).to_contain_text("within 14 days")
    await expect(customer.locator(".busy:visible")).to_have_count(0)
    await expect(customer.locator(".empty")).to_have_count(0)
    why = page.get_by_role("region", name="Decisions")
    await why.locator("summary").click()
    await expect(why).to_contain_text("Of 100 answers like this one, about 93 are right")
    await expect(why.locator("h2")).to_contain_text("Ana, #help")
    await expect(why.locator(".evidence-title").first).to_have_text("Refund policy")
    await expect(page.locator("#said")).to_contain_text("Firstline: You can ask for your money back")


async def test_links_open_elsewhere_and_tell_nothing_about_us(page: Page) -> None:
    await page.get_by_role("button", name="Can I get my money back?").click()

    link = page.get_by_role("link", name="Refund policy")
    await expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")
    await expect(link).to_have_attribute("target", "_blank")


async def test_from_question_to_claimed_ticket_with_the_keyboard_alone(page: Page, site: Site) -> None:
    keys = page.keyboard
    await keys.press("/")
    await expect(page.locator("#customer-text")).to_be_focused()
    await keys.type("refund please")
    await keys.press("Shift+Enter")
    await keys.type("thank you")
    await keys.press("Enter")
    await expect(page.locator(".message.bot").first).to_be_visible()
    assert site.chat.messages("help")[0].text == "refund please\nthank you"

    await page.get_by_role("button", name="Talk to a person").focus()
    await keys.press("Enter")
    dialog = page.get_by_role("dialog", name="Tell us more")
    await expect(dialog.get_by_label("E-mail")).to_be_focused()
    await keys.press("Enter")
    plan = dialog.get_by_label("Plan")
    await expect(plan).to_be_focused()
    await expect(plan).to_have_value("")  # a choice that nobody made is none
    await expect(dialog).to_contain_text("Please choose one.")
    await keys.type("Team")
    await expect(plan).to_have_value("t")
    await keys.press("Shift+Tab")
    await keys.press("Shift+Tab")
    await keys.type("nonsense")
    await keys.press("Enter")
    await expect(dialog).to_contain_text("That is not an e-mail address.")
    await expect(dialog.get_by_label("E-mail")).to_be_focused()
    await expect(dialog.get_by_label("E-mail")).to_have_attribute("aria-invalid", "true")
    await keys.press("Control+A")
    await keys.type("ana@example.org")
    await keys.press("Enter")
    await expect(dialog).to_be_hidden()

    card = page.locator("#feed-desk .message.card")
    await expect(card).to_contain_text("P2 · new")
    await card.get_by_role("button", name="Claim").focus()
    await keys.press("Enter")
    await expect(card).to_contain_text("P2 · open · Dana")
    await expect(card.get_by_role("button", name="Claim")).to_be_focused()


async def test_tab_stays_inside_a_dialog_and_escape_closes_it(page: Page, site: Site) -> None:
    await page.get_by_role("button", name="Can I get my money back?").click()
    await page.get_by_role("button", name="Talk to a person").click()
    dialog = page.locator("#form-dialog")
    await expect(dialog).to_be_visible()

    inside = []
    for _ in range(9):
        await page.keyboard.press("Tab")
        inside.append(
            await page.evaluate(
                "() => document.activeElement === document.body || !!document.activeElement.closest('dialog')"
            )
        )
    async with page.expect_response("**/playground/dismiss"):
        await page.keyboard.press("Escape")

    assert all(inside)
    await expect(dialog).to_be_hidden()
    await expect(page.get_by_role("button", name="Talk to a person")).to_be_focused()
    assert list(site.chat.forms("ana")) == []


async def test_hostile_names_and_messages_do_nothing(page: Page, site: Site) -> None:
    place = Place("playground", "playground", "help")
    evil = Content(
        title=HOSTILE, status=HOSTILE, footer=HOSTILE,
        body=(Block("para", ((Span(HOSTILE), Span("click", url="javascript:window.pwned=1")),)), Block("code", ((Span(HOSTILE),),))),
    )  # fmt: skip
    await site.chat.say(
        "mal", f'{HOSTILE} javascript:window.pwned=1 http://e.example/"onmouseover="window.pwned=1', "help"
    )
    await site.chat.deliver(Post(place, evil, speaking_as=HOSTILE), 0, "evil")
    site.chat.observe(
        {
            "kind": HOSTILE,
            "why": HOSTILE,
            "trace": [[HOSTILE, HOSTILE]],
            "customer": HOSTILE,
            "conversation": HOSTILE,
        }
    )
    await expect(page.locator(".message.relayed")).to_be_visible()
    await page.reload()
    await expect(page.locator(".message.relayed")).to_be_visible()

    assert await page.evaluate("() => window.pwned === undefined")
    assert await page.evaluate("() => document.querySelectorAll('img, iframe, main script').length") == 0
    assert (
        await page.evaluate(
            "() => [...document.querySelectorAll('a')].filter(a => !/^(https?|mailto):/.test(a.href)).map(a => a.getAttribute('href'))"
        )
        == []
    )
    await expect(page.locator(".card-title")).to_have_text(HOSTILE)


async def test_the_policy_stops_script_even_if_some_got_in(browser: Browser, site: Site) -> None:
    page = await browser.new_page()
    await page.goto(str(site.server.make_url("/")))

    await page.evaluate(
        "() => { const s = document.createElement('script'); s.textContent = 'window.pwned = 1'; document.body.append(s); }"
    )
    await page.evaluate(
        "() => { document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.pwned=1\">'); }"
    )

    assert await page.evaluate("() => window.pwned === undefined")
    await page.close()


async def test_each_person_sees_what_is_theirs(page: Page, site: Site) -> None:
    ben = await site.chat.actor("playground", "ben")
    await site.chat.deliver(
        Private(Place("playground", "playground", "help"), ben, Content(body=(para("for ben"),))), 0, "p"
    )
    feed = page.locator("#feed-customer")
    await expect(feed).not_to_contain_text("for ben")

    await page.locator("#who-customer").get_by_role("radio", name="Ana", exact=True).focus()
    await page.keyboard.press("ArrowRight")
    await expect(feed).to_contain_text("for ben")
    await expect(feed).to_contain_text("only you see this")
    await page.get_by_role("button", name="Direct").click()
    await expect(feed).not_to_contain_text("for ben")
    await page.locator("#customer-text").fill("psst")
    await page.keyboard.press("Enter")
    await expect(feed.locator(".message.bot")).to_be_visible()
    assert site.chat.messages("dm-ben")[0].text == "psst"


async def test_each_team_has_its_own_desk_where_a_route_names_one(browser: Browser) -> None:
    site = Site(desks=["#workshop"])
    await site.server.start_server()
    page = await browser.new_page()
    await page.goto(str(site.server.make_url("/")))
    card = Content(title="T-1", body=(para("a flat tyre"),))
    await site.chat.deliver(
        Post(Place("playground", "playground", "workshop", kind="private"), card), 0, "card"
    )
    feed = page.locator("#feed-desk")

    await expect(page.locator("#desk-name")).to_be_hidden()
    await expect(feed).not_to_contain_text("a flat tyre")
    await page.get_by_role("button", name="#workshop").click()

    await expect(feed).to_contain_text("a flat tyre")
    await expect(page.get_by_role("button", name="#workshop")).to_have_attribute("aria-pressed", "true")
    with pytest.raises(Forbidden):
        await site.chat.say("ana", "let me in", "workshop")
    await page.close()
    await site.stop()


async def test_messages_are_edited_deleted_and_reacted_to(page: Page, site: Site) -> None:
    asked = await site.chat.say("ana", "refund?", "help")
    message = page.locator(f"#m-{asked}")
    more = message.get_by_label("More about the message of Ana")

    await more.click()
    await message.get_by_role("button", name="Edit").click()
    await page.keyboard.press("Control+A")
    await page.keyboard.type("refund, please?")
    await page.keyboard.press("Enter")
    await expect(message).to_contain_text("refund, please?")
    await expect(message).to_contain_text("edited")
    await more.click()
    await message.get_by_role("button", name="Thumbs up").click()
    await expect(message.locator(".reactions")).to_contain_text("👍 1")
    await more.click()
    await message.get_by_role("button", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(message).to_contain_text("deleted by its author")


async def test_a_follow_up_stays_in_the_conversation_and_a_failure_loses_nothing(
    page: Page, site: Site
) -> None:
    text = page.locator("#customer-text")
    await text.fill("refund?")
    await text.press("Enter")
    await expect(page.locator("#composer-customer .target")).to_contain_text("Replying in “refund?”")
    site.desk.refusing = True
    await text.fill("and how long does it take?")
    await text.press("Enter")
    await expect(page.locator("#composer-customer .problem")).to_contain_text("could not be stored")
    await expect(text).to_have_value("and how long does it take?")

    site.desk.refusing = False
    await text.press("Enter")
    await expect(page.locator("#feed-customer .message")).to_have_count(4)
    await text.press("Escape")
    await expect(page.locator("#composer-customer .target")).to_be_hidden()
    await text.fill("something else")
    await text.press("Enter")
    await expect(page.locator("#feed-customer .thread")).to_have_count(2)
    roots = [m.id for m in site.chat.messages("help")]
    assert [[m.text for m in site.chat.messages("help", r) if m.author] for r in roots] == [
        ["refund?", "and how long does it take?"],
        ["something else"],
    ]


async def test_an_agent_chooses_the_thread_to_write_in(page: Page, site: Site) -> None:
    asked = await site.chat.say("ana", "refund?", "help")
    await site.chat.press("ana", site.chat.messages("help", asked)[-1].id, "Talk to a person")
    await site.chat.submit("ana", "details", {"email": "ana@example.org"})

    await page.get_by_role("button", name="Reply to T-1042").click()
    await expect(page.locator("#desk-text")).to_be_focused()
    await page.keyboard.type("I know her")
    await page.keyboard.press("Enter")

    await expect(page.locator("#feed-desk .thread.current")).to_contain_text("I know her")
    card = site.chat.messages("desk")[0].id
    assert [m.text for m in site.chat.messages("desk", card)[1:]] == ["I know her"]


async def test_admin_commands_answer_in_their_own_pane(page: Page) -> None:
    await page.keyboard.press("c")
    await page.keyboard.type("status")
    await page.keyboard.press("Enter")

    results = page.get_by_role("log", name="Command results")
    await expect(results).to_contain_text("44 topics")
    await expect(page.locator("#feed-desk .message")).to_have_count(0)
    await page.keyboard.press("ArrowUp")
    await expect(page.locator("#command-text")).to_have_value("status")
    await page.reload()
    await expect(results).to_contain_text("/firstline status")
    await expect(results).to_contain_text("44 topics")


async def test_on_a_narrow_screen_the_newest_result_is_shown_first(page: Page) -> None:
    for _ in range(12):
        await page.locator("#command-text").fill("status")
        await page.locator("#command-text").press("Enter")
    await page.set_viewport_size({"width": 400, "height": 700})
    await page.reload()

    await page.locator("[data-pane=why]").click()

    results = page.get_by_role("log", name="Command results")
    await expect(results.locator(".result")).to_have_count(12)
    await expect(results.locator(".result").last).to_be_in_viewport()


async def test_a_command_whose_result_stands_elsewhere_does_not_look_unfinished(page: Page) -> None:
    results = page.get_by_role("log", name="Command results")
    for command in ("claim T-1042", "resolve T-1042"):
        await page.locator("#command-text").fill(command)
        await page.locator("#command-text").press("Enter")
    await expect(page.get_by_role("dialog", name="Resolve")).to_be_visible()

    for _ in range(2):
        await expect(results).to_contain_text("Dana claimed T-1042")
        await expect(results).to_contain_text("opened the form “Resolve”")
        await expect(results).not_to_contain_text("working")
        await page.reload()


async def test_a_file_goes_along_with_a_message(page: Page, site: Site) -> None:
    await page.locator("#composer-customer input[type=file]").set_input_files(
        {"name": "bill.txt", "mimeType": "text/plain", "buffer": b"42 euros"}
    )
    await expect(page.locator("#composer-customer .attached")).to_have_text("bill.txt")

    await page.locator("#customer-text").fill("here it is")
    await page.keyboard.press("Enter")

    await expect(page.get_by_role("link", name="bill.txt (1 kB)")).to_be_visible()
    assert [site.chat.room.file(f.id)[1] for m in site.chat.messages("help") for f in m.files] == [
        b"42 euros"
    ]


async def test_a_lost_connection_is_told_and_mends_itself(browser: Browser) -> None:
    first = Site()
    await first.server.start_server()
    port = first.server.port
    page = await browser.new_page()
    await page.goto(str(first.server.make_url("/")))
    await expect(page.locator("#link-words")).to_have_text("connected")

    await first.stop()
    await expect(page.get_by_role("alert").first).to_contain_text("connection to the bot is lost")
    await page.locator("#customer-text").fill("still there?")
    await page.keyboard.press("Enter")
    await expect(page.locator("#composer-customer .problem")).to_contain_text("nothing was sent")
    await expect(page.locator("#customer-text")).to_have_value("still there?")

    second = Site(port)
    await second.server.start_server()
    await expect(page.locator("#lost")).to_be_hidden(timeout=20_000)
    await page.locator("#customer-text").press("Enter")
    await expect(page.locator("#feed-customer .message.bot")).to_be_visible()
    await page.close()
    await second.stop()


async def test_every_control_has_a_name_and_every_pane_a_heading(page: Page, site: Site) -> None:
    asked = await site.chat.say("ana", "refund?", "help")
    await site.chat.press("ana", site.chat.messages("help", asked)[-1].id, "Talk to a person")
    await site.chat.submit("ana", "details", {"email": "ana@example.org"})
    await expect(page.locator("#feed-desk .message.card")).to_be_visible()

    session = await page.context.new_cdp_session(page)
    tree = (await session.send("Accessibility.getFullAXTree"))["nodes"]
    controls = {
        "button",
        "textbox",
        "link",
        "radio",
        "combobox",
        "checkbox",
        "DisclosureTriangle",
        "region",
        "log",
        "group",
        "dialog",
    }
    shown = [
        (n["role"]["value"], n.get("name", {}).get("value", ""))
        for n in tree
        if not n.get("ignored") and n["role"]["value"] in controls
    ]

    assert [s for s in shown if not s[1].strip() and s[0] != "group"] == []
    assert len(shown) > 30
    assert {name for role, name in shown if role == "region"} >= {
        "Community",
        "Desk",
        "Why",
        "Community messages",
        "Decisions",
    }
    assert await page.evaluate("() => document.documentElement.lang") == "en"
    assert (
        await page.evaluate(
            "() => { const ids = [...document.querySelectorAll('[id]')].map(e => e.id); return ids.length - new Set(ids).size; }"
        )
        == 0
    )


async def test_nothing_spills_at_any_width(page: Page, site: Site) -> None:
    await site.chat.say("ana", "https://example.org/" + "x" * 300, "help")

    for width in (320, 400, 719, 900, 1160, 1600):
        await page.set_viewport_size({"width": width, "height": 800})
        for pane in ("customer", "desk", "why"):
            tab = page.locator(f"[data-pane={pane}]")
            if await tab.is_visible():
                await tab.click()
                await expect(page.locator(f"#pane-{pane}")).to_be_visible()
            spills = await page.evaluate(
                "() => document.documentElement.scrollWidth > window.innerWidth"
                " || [...document.querySelectorAll('.feed')].some(f => f.scrollWidth > f.clientWidth + 1)"
            )
            assert not spills, (width, pane)


async def test_a_hidden_pane_counts_what_is_new_in_it(page: Page, site: Site) -> None:
    await page.set_viewport_size({"width": 400, "height": 800})

    await site.chat.say("kim", "hello", "desk")

    await expect(page.locator("[data-pane=desk] .count")).to_have_text("1")
    await page.locator("[data-pane=desk]").click()
    await expect(page.locator("[data-pane=desk] .count")).to_be_hidden()


async def test_the_why_of_an_answer_is_one_step_away(page: Page, site: Site) -> None:
    asked = await site.chat.say("ana", "refund?", "help")
    answer = site.chat.messages("help", asked)[-1].id

    await page.locator(f"#m-{answer}").get_by_role("button", name="Why this answer?").click()

    await expect(page.locator("#feed-why details[open] summary")).to_be_focused()
