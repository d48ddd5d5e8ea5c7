"""The bot that is killed: the real line on a real disk, behind the wire. `python -m tests.chaos.victim SOCKET DATABASE`."""

from __future__ import annotations

import sys
from pathlib import Path

from tests import stand_ins
from tests.chaos.served import run_quietly, serve
from tests.chaos.wire import WireAdapter

if __name__ == "__main__":
    socket, database = map(Path, sys.argv[1:])
    run_quietly(serve(WireAdapter(socket), database, stand_ins.policy(), search_seconds=0.005))
