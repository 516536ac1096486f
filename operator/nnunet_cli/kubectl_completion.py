"""Entry point kubectl_complete-nnunet: `kubectl nnunet <TAB>`.

kubectl (1.26 and later) calls it with the words after `kubectl nnunet`, the last of which is being typed, and reads one
completion a line and at the end a number of Cobra's ShellCompDirective:
https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/
"""

import contextlib
import io
import os
import shlex
import sys
from collections.abc import Sequence

from nnunet_cli.app import app
from nnunet_cli.text.output import say

FILES, NO_FILES = 0, 4
"""ShellCompDirectiveDefault: files where there is nothing else; ShellCompDirectiveNoFileComp."""
_TAKE_FILES = ("lint", "dataset")
"""Commands whose arguments are files or folders."""


def main() -> None:
    """Print what the words may go on with."""
    words = sys.argv[1:] or [""]
    for completion in completions(words):
        say(completion)
    say(f":{FILES if words[0] in _TAKE_FILES and len(words) > 1 else NO_FILES}")


def completions(words: Sequence[str]) -> list[str]:
    """Return what the last word may become, by the same protocol by which a shell asks the program."""
    asked = {
        "_KUBECTL_NNUNET_COMPLETE": "complete_bash",
        "COMP_WORDS": shlex.join(["kubectl-nnunet", *words]),
        "COMP_CWORD": str(len(words)),
    }
    os.environ.update(asked)
    try:
        with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
            app(prog_name="kubectl-nnunet")
    finally:
        for name in asked:
            del os.environ[name]
    return said.getvalue().split()


if __name__ == "__main__":
    main()
