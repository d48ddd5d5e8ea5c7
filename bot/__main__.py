"""`firstline` and `python -m bot`."""

from __future__ import annotations

import errno
import sys
from typing import TYPE_CHECKING

import typer
from typer.exceptions import TyperException

from bot.config import ConfigError
from bot.log import quietly
from bot.shell import shell
from bot.shell_output import fail

if TYPE_CHECKING:  # it would make every command wait
    from knowledge.passage import KnowledgeError

# What goes wrong outside our control ends in one clear message, never in a traceback.
FINDING, USAGE, INTERRUPTED = 1, 2, 130
TO_DO = {  # what helps against what an operating system complains of
    errno.ENOSPC: "Make room there, or choose another place.",
    errno.ENOENT: "Make the folder first, or choose another place.",
    errno.ENOTDIR: "A file is where a folder should be: choose another place.",
    errno.EISDIR: "A folder is where a file should be: choose another name.",
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS),
                    "Let the user who runs this write there, or choose another place."),
    errno.EMFILE: "Raise the limit of open files (ulimit -n).",
}  # fmt: skip


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
        tell(error)
        sys.exit(FINDING)
    except (StorageError, WebError, WordingError) as error:
        fail(str(error), [])
        sys.exit(FINDING)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        fail(f"{where}{error.strerror or error}", [TO_DO[error.errno]] if error.errno in TO_DO else [])
        sys.exit(FINDING)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def tell(error: KnowledgeError) -> None:
    """What is wrong with what was read, where; a complaint about no file in particular stands alone."""
    complaints = error.complaints
    if len(complaints) == 1 and not complaints[0].path:
        message = complaints[0].message
        fail(f"{message[:1].upper()}{message[1:]}", [])
        return
    lines = [str(c) for c in complaints]
    if any(c.message == "no such file or folder" for c in complaints):
        lines.append(
            "[knowledge] paths in config.toml says where the answers are; --knowledge names a folder."
        )
    fail("What was read cannot be used; nothing was changed.", lines)


if __name__ == "__main__":
    main()
