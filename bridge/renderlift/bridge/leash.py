"""Runs a module that must not outlive whoever started it: `python -m renderlift.bridge.leash MODULE ...`.

Standard input is the leash. A parent that is killed cannot stop its children any more, but the
system closes its end of the pipe, on every system and however it ended.
"""

import os
import runpy
import signal
import sys
import threading
import time

GRACE_S = 10.0  # to say goodbye and to close files


def main() -> None:
    threading.Thread(target=_end_with_the_parent, name="renderlift-leash", daemon=True).start()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _end_with_the_parent() -> None:
    while os.read(0, 1):
        pass
    signal.raise_signal(signal.SIGTERM)
    time.sleep(GRACE_S)
    os._exit(1)


if __name__ == "__main__":
    main()
