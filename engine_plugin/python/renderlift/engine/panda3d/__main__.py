"""`python -m renderlift.engine.panda3d SCENE`."""

import signal
import sys

from renderlift.engine.panda3d.play import main


def _leave(_signal: int, _frame: object) -> None:
    """Asked to end, as `renderlift demo` asks it, the engine says goodbye to the bridge."""
    sys.exit(0)


signal.signal(signal.SIGTERM, _leave)
sys.exit(main())
