"""What capturing costs Godot: milliseconds of processor time per frame, by size and channels.

    engine_plugin/godot/get_godot.sh && engine_plugin/godot/build.sh
    python benchmarks/godot_capture.py

The demo's courtyard under software Vulkan on a virtual screen, so all drawing is done by the processor; the game's
own window is 64 x 36 pixels, so that next to nothing but the captured view is counted.
"""

import argparse
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from renderlift.bridge.receive import Receiver

PROJECT = Path(__file__).parents[1] / "engine_plugin/godot"
CACHE = Path(os.environ.get("RENDERLIFT_CACHE", Path.home() / ".cache/renderlift"))
SIZES = ("320x180", "640x360", "1280x720")
CHANNELS = {"rgb": 1, "rgb, depth": 3, "all eight channels": 255}
SETTLE = 12  # frames in which pipelines are compiled


@contextmanager
def screen() -> Iterator[str]:
    command = ["Xvfb", "-displayfd", "1", "-screen", "0", "640x480x24", "-nolisten", "tcp"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        yield ":" + process.stdout.readline().strip()
        process.terminate()


def cost_ms(display: str, size: str, channels: int, frames: int) -> float:
    """Processor time of the whole Godot process per captured frame."""
    godot = os.environ.get("RENDERLIFT_GODOT", str(CACHE / "godot-forky/godot"))
    with Receiver("tcp://127.0.0.1:*") as receiver:
        command = [
            godot,
            "--audio-driver",
            "Dummy",
            "--disable-vsync",
            "--resolution",
            "64x36",
            "--fixed-fps",
            "24",
        ]
        command += ["--path", str(PROJECT), "res://demo/courtyard.tscn", "--", "--renderlift-mode=capture"]
        command += [f"--renderlift-size={size}", f"--renderlift-channels={channels}"]
        command += [f"--renderlift-frames={frames + SETTLE}", f"--renderlift-endpoint={receiver.endpoint}"]
        environment = {**os.environ, "DISPLAY": display}
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as game:
            process = psutil.Process(game.pid)
            spent_s: list[float] = []
            for frame in receiver.frames(timeout_s=300):
                receiver.acknowledge(frame)
                times = process.cpu_times()
                spent_s.append(times.user + times.system)
                if len(spent_s) == frames + SETTLE:
                    break
            game.kill()
    return (spent_s[-1] - spent_s[SETTLE - 1]) / frames * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--sizes", nargs="+", default=SIZES)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    extensions = PROJECT / ".godot/extension_list.cfg"  # what an import would write
    extensions.parent.mkdir(exist_ok=True)
    extensions.write_text("res://addons/renderlift/renderlift.gdextension\n")
    with screen() as display:
        table = {
            name: {size: cost_ms(display, size, mask, options.frames) for size in options.sizes}
            for name, mask in CHANNELS.items()
        }
    if options.json:
        print(json.dumps(table))
        return
    print("| | " + " | ".join(options.sizes) + " |")
    print("|---" * (1 + len(options.sizes)) + "|")
    for name, row in table.items():
        print(f"| Godot, {name} | " + " | ".join(f"{row[size]:.0f}" for size in options.sizes) + " |")


if __name__ == "__main__":
    main()
