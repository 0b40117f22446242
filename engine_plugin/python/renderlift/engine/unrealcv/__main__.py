"""`python -m renderlift.engine.unrealcv HOST:PORT`."""

import sys

from renderlift.engine.unrealcv.play import main

sys.exit(main())
