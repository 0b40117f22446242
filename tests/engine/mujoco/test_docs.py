"""The code in docs/mujoco.md runs as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from renderlift.bridge.receive import Receiver

pytest.importorskip("mujoco")

DOCS = Path(__file__).parents[3] / "docs" / "mujoco.md"
MODEL = """<mujoco><visual><quality shadowsize="0"/></visual><worldbody>
<body pos="0 0 1"><freejoint/><geom size=".2"/></body><camera name="eye" pos="0 -2 1" xyaxes="1 0 0 0 0 1"/>
</worldbody></mujoco>"""
WHAT_IT_PROMISES = """
assert lift.publisher.status.acknowledged == lift.publisher.status.sent == 6
assert len(frame.channels) == 8
"""


def test_the_code_in_the_docs_runs(tmp_path: Path) -> None:
    (tmp_path / "model.xml").write_text(MODEL)
    loop, capture = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    with Receiver("tcp://127.0.0.1:*") as receiver:
        loop = loop.replace("attach(model, data", f"attach(model, data, endpoint={receiver.endpoint!r}")
        command = [sys.executable, "-c", loop + capture + WHAT_IT_PROMISES]
        with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            for frame in receiver.frames(timeout_s=60, until_bye=True):
                receiver.acknowledge(frame)
            said = process.communicate(timeout=60)
    assert process.returncode == 0, said[1].decode()
