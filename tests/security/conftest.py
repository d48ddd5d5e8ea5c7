"""What the security tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.security.scene import Desk
from tests.stage import Knowledge


@pytest.fixture
async def secure(knowledge: Knowledge, tmp_path: Path) -> AsyncIterator[Desk]:
    """A desk that is open, with the sample knowledge."""
    async with Desk(knowledge, tmp_path) as made:
        yield made
