"""The first promise: one command, one page, a question, the approved answer. A real process and a real browser."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import async_playwright, expect

from tests.playground.test_page import FLAGS

ROOT = Path(__file__).parents[2]
ADDRESS = r"http://[\w.:\[\]]+/"
FROM_THE_PAGE = {"X-Firstline": "playground"}

REFUND = """\
---
title: Refund policy
questions:
  - How do I get my money back?
  - Can I have a refund?
category: billing
reviewed: 2026-10-01
---
Customers can request a refund within 14 days if the service has not started.
"""
PASSWORD = """\
---
title: Reset a password
questions:
  - How do I reset my password?
  - I forgot my password
category: account
---
Open the sign-in page and press "Forgot password". The link works for one hour.
"""


async def told(process: asyncio.subprocess.Process, what: str) -> str:
    """What the command says about where it is or that it is ready; everything it said, if it does not."""
    assert process.stdout is not None
    said = ""
    while line := (await process.stdout.readline()).decode():
        said += line
        if found := re.search(what, line):
            return found[0]
    raise AssertionError(f"it never said {what}:\n{said}")


@asynccontextmanager
async def demo(tmp_path: Path, pytestconfig: pytest.Config) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command on a small folder, as a process of its own; it must leave when told."""
    models = pytestconfig.cache.mkdir("knowledge") / "models"  # type: ignore[union-attr]  # as tests/conftest.py
    knowledge = tmp_path / "knowledge"
    knowledge.mkdir()
    (knowledge / "refund.md").write_text(REFUND, "utf-8")
    (knowledge / "password.md").write_text(PASSWORD, "utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "demo", "--port", "0", "--knowledge", str(knowledge),
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "FIRSTLINE_MODELS": str(models)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0


@pytest.mark.timeout(300)  # the first time, the embedding model is exported
async def test_the_page_is_there_at_once_and_what_is_asked_meanwhile_is_answered(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """The first line says what to open. Whoever asks before the knowledge is read has asked."""
    async with demo(tmp_path, pytestconfig) as process, aiohttp.ClientSession() as person:
        assert process.stdout is not None
        first = (await process.stdout.readline()).decode()
        page = re.search(ADDRESS, first)
        assert page, first
        assert "ready" in first

        asked = {"user": "ana", "channel": "help", "text": "How do I get my money back?"}
        async with person.post(f"{page[0]}playground/say", json=asked, headers=FROM_THE_PAGE) as said:
            assert said.status == 200
        await told(process, r"^ready: 2 topics")
        async with person.get(f"{page[0]}playground/events") as feed:
            async for line in feed.content:
                if b"within 14 days" in line:
                    break


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.timeout(300)  # the first time, the embedding model is exported
async def test_the_demo_answers_a_question_on_its_page_and_leaves_when_told(
    chromium: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    async with demo(tmp_path, pytestconfig) as process:
        where = await told(process, ADDRESS)
        await told(process, "^ready")
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            page = await browser.new_page()
            page.set_default_timeout(20_000)
            await page.goto(where)
            await page.locator("#customer-text").fill("How do I get my money back?")
            await page.keyboard.press("Enter")
            answer = page.locator("#feed-customer .message.bot").first
            await expect(answer).to_contain_text(
                "within 14 days if the service has not started", timeout=20_000
            )
            await expect(answer).to_contain_text("Refund policy")
            await answer.get_by_role("button", name="Talk to a person").click()
            await expect(page.locator("#feed-desk .message.card")).to_be_visible(timeout=20_000)
            await expect(page.locator("#feed-why .chip.warn").first).to_have_text("Handed to a person")
            await browser.close()
