"""`python -m agentsite`: the console script, found without PATH."""

import sys

from agentsite.cli import main

sys.exit(main())
