"""`firstline` and `python -m bot`."""

from __future__ import annotations

import sys

import click
import structlog

from bot.config import ConfigError
from bot.shell import shell
from bot.shell_output import fail

# What goes wrong outside our control ends in one clear message, never in a traceback.
FINDING, USAGE = 1, 2


def main() -> None:
    """Run the command line. Exit codes: 0 ok, 1 a finding, 2 wrong usage."""
    from bot.texts import WordingError
    from bot.web import WebError
    from bot.writer import StorageError
    from knowledge.passage import KnowledgeError

    try:
        code = shell(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
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
        sys.exit(130)
    finally:
        structlog.reset_defaults()
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
