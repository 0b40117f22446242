"""The code in docs/unrealcv.md runs as it stands there, but for the address."""

import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[3] / "docs" / "unrealcv.md"


def test_the_code_in_the_docs_runs(unreal: Any) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code.replace("127.0.0.1:9000", f"127.0.0.1:{unreal.port}"), names)
    assert names["frame"].camera.world_from_camera[:3, 3].tolist() == [0, -1, 1.5]
    assert (names["frame"].height, names["frame"].width) == (180, 320)
