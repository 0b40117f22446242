"""What each channel of each engine costs and how exact it is: the table of docs/engines.md.

    python benchmarks/engine_channels.py [--engine panda3d] [--engine mujoco] [--frames 10]

Precision is measured on a wall ten metres away, seen by a camera that is turned and tilted. Time is
processor time, over all threads, of whole frames of a scene of ours (Panda3D's demo, MuJoCo's arm;
one step of it included), the median over frames, so that other work on the machine counts little.
Without a GPU drawing is done by the processor, so nothing is left out.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from renderlift.bridge.frame import Channel, Frame

SIZES = ((180, 320), (360, 640), (720, 1280))
WALL_M = 10.0
Run = Callable[[tuple[int, int], Sequence[Channel] | None], Callable[[], Any]]


def main() -> None:
    options = _parser().parse_args()
    engines = {"panda3d": (_panda3d, _panda3d_wall), "mujoco": (_mujoco, _mujoco_wall)}
    for name in options.engine or engines:
        run, wall = engines[name]
        print(f"\n{name}\n  precision: {_precision(wall())}")
        print(f"  {'ms per frame':28}" + "".join(f"{w}x{h:<8}" for h, w in SIZES))
        for title, channels in VARIANTS[name].items():
            print(
                f"  {title:28}" + "".join(f"{_median_ms(run(s, channels), options.frames):<12.1f}" for s in SIZES)
            )


ALL_OF_MUJOCO = ("depth", "instance_id", "class_id", "flow", "normal", "albedo", "material")
VARIANTS: dict[str, dict[str, Sequence[Channel] | None]] = {
    "panda3d": {"all eight channels": None},
    "mujoco": {
        "rgb": (Channel.RGB,),
        "rgb, depth, ids": (Channel.DEPTH, Channel.INSTANCE_ID, Channel.CLASS_ID),
        "rgb, depth, ids, flow": (Channel.DEPTH, Channel.INSTANCE_ID, Channel.CLASS_ID, Channel.FLOW),
        "rgb, depth, ids, normal": (Channel.DEPTH, Channel.INSTANCE_ID, Channel.CLASS_ID, Channel.NORMAL),
        "rgb, depth, ids, albedo": (Channel.DEPTH, Channel.INSTANCE_ID, Channel.CLASS_ID, Channel.ALBEDO),
        "all eight channels": tuple(Channel(name) for name in ALL_OF_MUJOCO),
    },
}


def _median_ms(grab: Callable[[], Any], frames: int) -> float:
    for _ in range(2):  # shaders compile
        grab()
    times_ms: list[float] = []
    for _ in range(frames):
        start_s = time.process_time()
        grab()
        times_ms.append(1000 * (time.process_time() - start_s))
    return statistics.median(times_ms)


def _precision(frames: Iterable[Frame]) -> str:
    """Worst errors over a wall at y = WALL_M that a camera sees in two poses."""
    before, now = frames
    normal = now.channels[Channel.NORMAL].astype(np.float64)
    wanted = now.camera.world_from_camera[:3, :3].T @ [0, -1, 0]
    degrees = np.degrees(np.arctan2(np.linalg.norm(np.cross(normal, wanted), axis=-1), normal @ wanted))
    rows, columns = np.mgrid[0 : now.height, 0 : now.width] + 0.5
    pixels = np.stack([columns, rows, np.ones_like(rows)], -1)
    points = pixels @ np.linalg.inv(now.camera.image_from_camera).T * now.channels[Channel.DEPTH]
    points = points @ now.camera.world_from_camera[:3, :3].T + now.camera.world_from_camera[:3, 3]
    pose = before.camera.world_from_camera
    image = (points - pose[:3, 3]) @ pose[:3, :3] @ before.camera.image_from_camera.T
    flow = now.channels[Channel.FLOW] - (image[..., :2] / image[..., 2:] - pixels[..., :2])
    return (
        f"wall at {WALL_M:g} m off by {1000 * np.abs(points[..., 1] - WALL_M).max():.3f} mm at most, "
        f"normal {degrees.max():.2f} degrees, flow {np.abs(flow).max():.4f} px"
    )


def _panda3d(size: tuple[int, int], channels: Sequence[Channel] | None) -> Callable[[], Any]:
    from renderlift.engine.panda3d import render_frames
    from renderlift.engine.scenes import demo_courtyard

    frames = iter(render_frames(demo_courtyard(), *size))
    return lambda: next(frames)  # drawn in twice the size and shrunk, as in the demo


def _panda3d_wall() -> tuple[Frame, Frame]:
    from renderlift.engine.panda3d.capture import Capture
    from renderlift.engine.panda3d.panda import core, headless_output, open_buffer

    wanted = core.FrameBufferProperties()
    wanted.setRgbaBits(8, 8, 8, 8)
    wanted.setDepthBits(24)
    output = open_buffer(headless_output(), "wall", *SIZES[0], wanted, sort=1)
    root = core.NodePath("world")
    lens = core.PerspectiveLens()
    lens.setFov(60)
    lens.setAspectRatio(SIZES[0][1] / SIZES[0][0])
    lens.setNearFar(0.1, 1000)
    camera = root.attachNewNode(core.Camera("camera", lens))
    output.makeDisplayRegion().setCamera(camera)
    card = core.CardMaker("wall")
    card.setFrame(-100, 100, -100, 100)
    card.setHasNormals(True)
    root.attachNewNode(card.generate()).setY(WALL_M)
    capture = Capture(output, camera)
    camera.setPosHpr(0.5, 0.3, -0.2, 8, -5, 3)
    before = capture.grab(0)
    camera.setPosHpr(0.6, 0.5, -0.1, 10, -4, 4)
    return before, capture.grab(1)


def _mujoco(size: tuple[int, int], channels: Sequence[Channel] | None) -> Callable[[], Any]:
    from renderlift.engine.mujoco import Capture
    from renderlift.engine.mujoco.simulation import load_simulation

    simulation = load_simulation("arm")
    capture = Capture(simulation.model, cameras=["room"], size=size, channels=channels or ())

    def grab() -> Any:
        simulation.run_until(simulation.data.time + 1 / 24)
        return capture.grab(simulation.data)

    return grab


def _mujoco_wall() -> tuple[Frame, Frame]:
    from renderlift.engine.mujoco import Capture
    from renderlift.engine.mujoco.library import core

    model = core.MjModel.from_xml_string(f"""<mujoco><statistic extent="10"/><worldbody>
        <body mocap="true"><camera name="eye" xyaxes="1 0 0 0 0 1" fovy="36"/></body>
        <geom type="box" size="100 1 100" pos="0 {WALL_M + 1} 0"/></worldbody></mujoco>""")
    data = core.MjData(model)
    capture = Capture(model, size=SIZES[0])
    frames: list[Frame] = []
    for position, angles in (((0.5, 0.3, -0.2), (8, -5, 3)), ((0.6, 0.5, -0.1), (10, -4, 4))):
        data.mocap_pos[0] = position
        core.mju_euler2Quat(data.mocap_quat[0], np.radians(angles), "zxy")
        frames += capture.grab(data)
    capture.close()
    return frames[0], frames[1]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", action="append", choices=["panda3d", "mujoco"], help="may be repeated; both")
    parser.add_argument("--frames", type=int, default=10)
    return parser


if __name__ == "__main__":
    main()
