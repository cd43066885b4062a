"""`python -m supervisor.rehearsal`."""

import sys

from supervisor.rehearsal._cli import main

sys.exit(main(sys.argv[1:]))
