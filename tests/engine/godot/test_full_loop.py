"""The whole product: a Godot scene in, the embedded model, a photoreal frame back in Godot's window."""

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

BADGE_COLORS = ((51, 191, 115), (242, 166, 38))  # fresh, stale


def test_a_godot_scene_comes_back_lifted_into_its_own_window(start: Any, screen: Any, keep_picture: Any) -> None:
    pytest.importorskip("diffusers")
    command = [sys.executable, "-m", "renderlift.bridge.cli", "serve", "--endpoint", "tcp://127.0.0.1:*", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as bridge:
        assert bridge.stdout
        events = map(json.loads, bridge.stdout)
        endpoint = next(event["endpoint"] for event in events if event["event"] == "listening")
        window = ("--position", "0,0", "--resolution", "448x256")
        arguments = ("--renderlift-size=224x128", f"--renderlift-endpoint={endpoint}")
        game = start("level.tscn", "--renderlift-show=on", *arguments, engine=window)
        game.wait_for("PICTURE", 240.0)
        shown = np.s_[:256, :448]
        picture = screen.picture()[shown]
        keep_picture("lifted", picture)
        assert picture.std() > 10  # a picture, not a colour
        dots = [np.abs(picture.astype(int) - color).max(-1) < 6 for color in BADGE_COLORS]
        assert sum(int(dot.sum()) for dot in dots) > 20  # with the badge that only lifted pictures have
        game.kill()
        bridge.terminate()
        for _ in events:
            pass
