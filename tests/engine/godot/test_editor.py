"""The editor itself: no play, the dock switched on, the picture over the 3D view."""

from typing import Any

import numpy as np

from renderlift.bridge.frame import Array, Channel


def test_the_editor_sends_its_3d_view_and_shows_what_comes_back(
    start: Any, screen: Any, new_painter: Any, keep_picture: Any
) -> None:
    painter = new_painter()
    window = ("--editor", "--position", "0,0", "--resolution", "1280x800")
    editor = start("level.tscn", f"--live={painter.endpoint}", "--view=2", engine=window)
    editor.wait_for(f"OPERATOR done, remembered: {painter.endpoint}", 600.0)
    painter.wait_frames(2, 600.0)
    frame = painter.frames[-1]
    assert {row.name for row in frame.names if row.path} == {"Floor", "Box"}
    assert set(np.unique(frame.channels[Channel.INSTANCE_ID])) >= {1}
    assert painter.share_in(frame.channels[Channel.RGB]) == 0.0  # never what came back

    def is_in_view_and_dock(picture: Array) -> bool:
        return painter.share_in(picture[:, :900]) > 0.1 and painter.share_in(picture[:, 1000:]) > 0.02

    picture = screen.picture_once(is_in_view_and_dock, 300.0)
    keep_picture("editor", picture)
    assert is_in_view_and_dock(picture)
    editor.kill()
