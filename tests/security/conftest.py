"""What the security tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.security.scene import Scene
from tests.stage import Knowledge


@pytest.fixture
async def scene(knowledge: Knowledge, tmp_path: Path) -> AsyncIterator[Scene]:
    """A desk that is open, with the sample knowledge."""
    async with Scene(knowledge, tmp_path) as made:
        yield made
