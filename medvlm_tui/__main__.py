"""`python -m medvlm_tui` is the same program as `medvlm-tui`."""

import sys

from medvlm_tui.cli import main

if __name__ == "__main__":
    sys.exit(main())
