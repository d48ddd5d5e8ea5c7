"""The directory of the desk: people by name, learned from what they do, kept over a restart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Self

from adapters.port import ActionInvoked, Actor, ChoreDone, Inbound, MessageReceived, MsgRef, Place
from bot.agents import PEOPLE_MAX, Agents
from bot.config import Config
from bot.policies import policy_of
from bot.storage import Storage
from bot.writer import Writer

DESK = Place("slack", "T1", "C1", "m1")
KIM = Actor("slack", "T1", "U1", "Kim", roles=frozenset({"agent"}))


def does(actor: Actor | None, verb: str = "claim") -> Inbound:
    return ActionInvoked(keys=("k",), place=DESK, actor=actor, occurred_at=0, verb=verb, arg="T-1")


class Opened:
    """A directory on a database of its own; `told` is what the rules were told."""

    def __init__(self, path: Path, configured: dict[str, dict[str, str]] | None = None) -> None:
        self.writer = Writer(path / "firstline.db")
        self.told: list[dict[str, dict[str, str]]] = []
        self.agents = Agents(
            Storage(self.writer), configured or {}, lambda names: self.told.append({p: dict(n) for p, n in names.items()})
        )  # fmt: skip

    async def __aenter__(self) -> Self:
        await self.writer.open()
        await self.agents.load()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.writer.close()


async def test_whoever_acts_as_an_agent_is_known_by_name_also_after_a_restart(tmp_path: Path) -> None:
    async with Opened(tmp_path) as desk:
        await desk.agents.heard(does(KIM))
        await desk.agents.heard(does(replace(KIM, name="Kim K.")))
        assert desk.told[-1] == {"slack": {"U1": "Kim K."}}
    async with Opened(tmp_path) as desk:
        assert desk.told == [{"slack": {"U1": "Kim K."}}]


async def test_nothing_is_written_where_nothing_is_new(tmp_path: Path) -> None:
    async with Opened(tmp_path) as desk:
        await desk.agents.heard(does(KIM))
        await desk.agents.heard(does(KIM))
        await desk.agents.heard(does(replace(KIM, name="")))
        assert len(desk.told) == 2


async def test_customers_bots_and_the_process_itself_are_nobody_of_the_desk(tmp_path: Path) -> None:
    async with Opened(tmp_path) as desk:
        for actor in (replace(KIM, roles=frozenset()), replace(KIM, is_bot=True), None):
            await desk.agents.heard(does(actor))
        result = ChoreDone(
            keys=("k",), place=DESK, actor=KIM, occurred_at=0, chore="status", ok=True, result={}
        )
        await desk.agents.heard(result)
        assert desk.told == [{}]


async def test_whoever_acts_without_the_right_is_one_no_longer(tmp_path: Path) -> None:
    async with Opened(tmp_path) as desk:
        await desk.agents.heard(does(KIM))
        message = MessageReceived(
            keys=("m",), place=DESK, actor=replace(KIM, roles=frozenset()), occurred_at=0, ref=MsgRef(DESK, "m2"), text="hi"
        )  # fmt: skip
        await desk.agents.heard(message)
        assert desk.told[-1] == {"slack": {}}


async def test_configured_people_are_there_and_get_their_name_when_they_act(tmp_path: Path) -> None:
    async with Opened(tmp_path, {"slack": {"U1": "", "U2": ""}}) as desk:
        await desk.agents.heard(does(KIM))
        assert desk.told[-1] == {"slack": {"U1": "Kim", "U2": ""}}


async def test_a_big_desk_keeps_those_who_acted_last(tmp_path: Path) -> None:
    async with Opened(tmp_path) as desk:
        for n in range(PEOPLE_MAX + 3):
            await desk.agents.heard(does(replace(KIM, id=f"U{n}", name=f"Agent {n}")))
        known = desk.told[-1]["slack"]
        assert len(known) == PEOPLE_MAX
        assert "U0" not in known
        assert next(iter(known)) == f"U{PEOPLE_MAX + 2}"


def test_a_group_of_the_configuration_is_no_person() -> None:
    staff = {"slack": {"agents": ["S024GROUP", "U024BE7LH"], "admins": ["U024BE7LH"]}}
    policy = policy_of(Config.model_validate({"staff": staff}))
    assert policy.agents["slack"] == {"U024BE7LH": ""}
    assert policy.agents["playground"] == {"dana": "Dana", "kim": "Kim"}
