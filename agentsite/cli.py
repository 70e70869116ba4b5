"""The console script `agentsite`: every management command under a shorter name."""

import os
import sys


def main() -> int:
    """Run the command named on the command line and return its exit code."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentsite.settings")
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except KeyboardInterrupt:
        # Ctrl-C before a command put its own handler in place: no traceback, the shell's usual code.
        return 130
    return 0
