"""The first promise: one command, one page, a question, the approved answer. A real process and a real browser."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import pytest
from playwright.async_api import async_playwright, expect

from tests.playground.test_page import FLAGS

ROOT = Path(__file__).parents[2]

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


async def address(process: asyncio.subprocess.Process) -> str:
    """Where the page is, as the command says; everything it said, if it does not."""
    assert process.stdout is not None
    said = ""
    while line := (await process.stdout.readline()).decode():
        said += line
        if found := re.search(r"http://[\w.:\[\]]+/", line):
            return found[0]
    raise AssertionError(f"it never said where it is:\n{said}")


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.timeout(300)  # the first time, the embedding model is exported
async def test_the_demo_answers_a_question_on_its_page_and_leaves_when_told(
    chromium: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
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
        where = await address(process)
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
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.communicate(), 60)

    assert process.returncode == 0
