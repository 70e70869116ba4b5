#!/usr/bin/env python
"""Django's command line for a checkout; `agentsite` is the same once the package is installed."""

import sys

from agentsite.cli import main

if __name__ == "__main__":
    sys.exit(main())
