"""`python -m renderlift.engine.panda3d SCENE`."""

import sys

from renderlift.engine.panda3d.play import main

sys.exit(main())
