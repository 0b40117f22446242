"""UnrealCV: frames from any running UnrealCV scene, with nothing to build or install in it.

from renderlift.engine.unrealcv import Capture
with Capture("127.0.0.1:9000") as capture:
    frames = capture.grab(engine_time_ns=0)
"""

from renderlift.engine.unrealcv.capture import Capture

__all__ = ["Capture"]
