"""`python -m renderlift.engine.mujoco MODEL`."""

import sys

from renderlift.engine.mujoco.play import main

sys.exit(main())
