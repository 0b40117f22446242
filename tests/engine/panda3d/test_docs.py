"""The code in docs/panda3d.md runs as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[3] / "docs" / "panda3d.md"

HEADLESS = """
from panda3d.core import loadPrcFileData
loadPrcFileData("", "load-display p3headlessgl\\nwindow-type offscreen\\nwin-size 64 48\\naudio-library-name null")
"""
THINGS_IT_SPEAKS_OF = """
cart, cup = base.render.attachNewNode("cart"), base.render.attachNewNode("cup")
"""
WHAT_IT_PROMISES = """
assert frame.index == 99
assert frame.engine_time_ns == 99 * 40_000_000
assert len(frame.channels) == 8
"""


def test_the_code_in_the_docs_runs() -> None:
    game, tags, loop = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    game = game.replace("base.run()", "base.taskMgr.step()\nlift.close()")
    code = HEADLESS + game + THINGS_IT_SPEAKS_OF + tags + loop + WHAT_IT_PROMISES
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
