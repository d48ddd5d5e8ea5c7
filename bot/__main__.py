"""`firstline` and `python -m bot`."""

from __future__ import annotations

import sys

import typer
from typer.exceptions import TyperException

from bot.config import ConfigError
from bot.log import quietly
from bot.shell import shell
from bot.shell_output import fail

# What goes wrong outside our control ends in one clear message, never in a traceback.
FINDING, USAGE, INTERRUPTED = 1, 2, 130


def main() -> None:
    """Run the command line. Exit codes: 0 ok, 1 a finding, 2 wrong usage."""
    from bot.texts import WordingError
    from bot.web import WebError
    from bot.writer import StorageError
    from knowledge.passage import KnowledgeError

    try:
        with quietly():
            code = shell(standalone_mode=False)
    except typer.Abort:
        sys.exit(INTERRUPTED)
    except typer.Exit as error:
        sys.exit(error.exit_code)
    except TyperException as error:  # wrong usage: typer words it and says where help is
        show = getattr(error, "show", None)
        if show is not None:
            show()
        sys.exit(getattr(error, "exit_code", USAGE))
    except ConfigError as error:
        fail("The configuration cannot be used.", [str(error)])
        sys.exit(FINDING)
    except KnowledgeError as error:
        fail("The knowledge cannot be used; nothing was changed.", [str(c) for c in error.complaints])
        sys.exit(FINDING)
    except (StorageError, WebError, WordingError) as error:
        fail(str(error), [])
        sys.exit(FINDING)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
