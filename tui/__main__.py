"""`python -m tui` is the same as `chat-tui`."""

import sys

from tui.cli import main

sys.exit(main())
