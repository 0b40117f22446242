"""The commands that talk to engines: `serve`, `capture`, `record`, `play`."""

import math
from pathlib import Path
from typing import Annotated

import typer

from renderlift.bridge import options
from renderlift.bridge.options import (
    LOSSY,
    Debug,
    Endpoint,
    Json,
    Length,
    Once,
    Overlap,
    OwnKey,
    PeerKeys,
    Render,
    Size,
    telling,
)
from renderlift.bridge.renderer_options import RendererOptions, takes_renderer_options

# Written out, because the module that defines it takes a tenth of a second to import.
DEFAULT_ENDPOINT = "tcp://127.0.0.1:5755"
CONNECT_S = 10.0  # until `play` gives up on a bridge that does not answer
HURRY_S = 0.5  # until it says that it waits


@takes_renderer_options()
def serve(
    endpoint: Endpoint = DEFAULT_ENDPOINT,
    *,
    render: Render = "embedded",
    renderer: RendererOptions,
    preview_length: Annotated[
        int | None, typer.Option(min=1, help="Newest frames in a clip of a preview; else as the renderer likes it.")
    ] = None,
    length: Length = None,
    overlap: Overlap = None,
    record: Annotated[
        Path | None, typer.Option(help="Keep what engines capture in this recording.", metavar="FOLDER")
    ] = None,
    video: Annotated[
        Path | None, typer.Option(help="Keep the lifted pictures of captures: NAME.mp4, or a folder for PNGs.")
    ] = None,
    once: Once = False,
    key: OwnKey = None,
    peer: PeerKeys = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Wait for engines, and send photoreal frames back to them.

    Previews get the newest frame, whatever the speed. Captures lose none: with --record they are on disk
    before they are acknowledged, and the renderer may lag behind; without it they go in its step.
    Ends with Ctrl-C.

        renderlift serve

        renderlift serve --record shots/take1 --video take1.mp4 --once
    """
    options.check_clip(length, overlap)
    with telling(as_json, debug) as events, options.stopping() as stop:
        from contextlib import ExitStack
        from functools import partial

        from renderlift.bridge.clip import clip_size, preview_size, tell_steps
        from renderlift.bridge.films import Films
        from renderlift.bridge.loading import load_told
        from renderlift.bridge.places import refuse_place
        from renderlift.bridge.receive import Receiver
        from renderlift.bridge.record import Recorder
        from renderlift.bridge.renderer import renderer_name
        from renderlift.bridge.serve import Service
        from renderlift.bridge.serve import serve as serve_engines

        refuse_place([video] if video else [], [record] if record else [], renderer)
        with ExitStack() as stack:
            recorder = stack.enter_context(Recorder(record)) if record else None
            films = stack.enter_context(Films(video)) if video else None
            curve = options.load_curve(key, peer)
            durable = recorder.last_index if recorder else None
            receiver = stack.enter_context(Receiver(endpoint, durable=durable, curve=curve))
            events.tell("listening", f"Listening at {receiver.endpoint}.", endpoint=receiver.endpoint)
            options.leave_a_core_to_the_engine()
            lift = load_told(render, renderer, events)
            events.tell("ready", f"The {renderer_name(render, renderer)} is ready.", render=render)
            tell_steps(lift, partial(events.denoising, bar=False))
            service = Service(*preview_size(lift, preview_length), *clip_size(lift, length, overlap), once=once)
            served = serve_engines(
                receiver, lift, service, events=events, stop=stop, recorder=recorder, films=films
            )
        files = films.paths if films else []
        events.tell("served", served.text(record), served=served, films=files)
        if served.failed or served.left_out:
            raise typer.Exit(LOSSY)


def capture(
    engine: Annotated[str, typer.Argument(help="panda3d, mujoco or unrealcv.")],
    scene: Annotated[
        str,
        typer.Argument(help="What it shows: demo or random:7; arm or a model.xml; HOST:PORT; module:function."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Recording to write or to append to.")],
    own_options: Annotated[
        list[str] | None, typer.Argument(help="After `--`: options that only this engine has.", metavar="-- ...")
    ] = None,
    frames: Annotated[int, typer.Option(min=1, help="Frames to capture, of each camera.")] = 96,
    size: Size = "448x256",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Start an engine and record every frame of a scene, with all its channels.

    renderlift capture panda3d demo -o take1 --frames 96

    renderlift capture mujoco arm -o take2 -- --camera room --camera wrist
    """
    from renderlift.bridge.capture import capture as capture_scene

    with telling(as_json, debug) as events, options.stopping() as stop:
        count = capture_scene(
            engine,
            scene,
            output,
            frames=frames,
            size=size,
            events=events,
            stop=stop,
            own_options=own_options or (),
        )
        events.tell("captured", f"{count} frames in {output}", recording=output, frames=count)
        if stop.is_set():
            raise typer.Exit(options.INTERRUPTED)


def record(
    output: Annotated[Path, typer.Argument(help="Recording to write or to append to.")],
    endpoint: Endpoint = DEFAULT_ENDPOINT,
    once: Once = False,
    key: OwnKey = None,
    peer: PeerKeys = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Record whatever engines send, until Ctrl-C. Nothing is rendered.

    renderlift record take1

    renderlift record take1 --once --json
    """
    with telling(as_json, debug) as events, options.stopping() as stop:
        from renderlift.bridge.capture import record_engines

        dropped = record_engines(
            output, endpoint, once=once, curve=options.load_curve(key, peer), events=events, stop=stop
        )
        if dropped:
            raise typer.Exit(LOSSY)


def play(
    recording: Annotated[Path, typer.Argument(help="Folder that record, capture or serve wrote.")],
    endpoint: Endpoint = DEFAULT_ENDPOINT,
    mode: Annotated[str, typer.Option(help="preview or capture.")] = "preview",
    speed: Annotated[float, typer.Option(help="2 is twice as fast; inf is as fast as the bridge takes it.")] = 1.0,
    loop: Annotated[bool, typer.Option("--loop", help="Begin again at the end, until Ctrl-C.")] = False,
    key: OwnKey = None,
    peer: PeerKeys = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Send a recording to a bridge, as if its engine were live.

    renderlift play take1 --loop

    renderlift play take1 --mode capture --speed inf
    """
    if not speed > 0 or math.isnan(speed):
        raise typer.BadParameter("--speed must be above 0")
    if mode not in ("preview", "capture"):
        raise typer.BadParameter("--mode is preview or capture")
    with telling(as_json, debug) as events, options.stopping() as stop:
        from renderlift.bridge.errors import TransportError
        from renderlift.bridge.play import ReplaySession
        from renderlift.bridge.play import play as replay
        from renderlift.bridge.send import Publisher
        from renderlift.bridge.wire import Mode

        curve = options.load_curve(key, peer)

        def connect(opening: ReplaySession) -> Publisher:
            publisher = Publisher(
                endpoint,
                engine=opening.engine,
                mode=Mode(mode),
                channels=opening.channels,
                cameras=opening.cameras,
                names=opening.names,
                session=opening.session,
                curve=curve,
            )
            connected = publisher.wait_connected(min(HURRY_S, CONNECT_S))
            if not connected:
                text = f"No bridge at {endpoint} yet; waiting {CONNECT_S:.0f} s for one."
                events.tell("waiting", text, endpoint=endpoint, seconds=CONNECT_S)
                connected = publisher.wait_connected(CONNECT_S)
            if not connected:
                problem = publisher.status.problem  # closing puts another in its place
                publisher.close(0)
                raise TransportError(problem, fix=f"Start one: renderlift serve --endpoint {endpoint}")
            events.tell(
                "playing", f"Playing {opening.engine} ({', '.join(opening.cameras)}).", opening=opening.session
            )
            return publisher

        count = replay(recording, connect, speed=speed, loop=loop, stop=stop)
        events.tell("played", f"{count} frames sent.", frames=count)
