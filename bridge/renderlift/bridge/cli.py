"""`renderlift`: what the user types. Commands import what they need when they run.

docs/cli.md explains exit codes and the events of --json.
"""

import math
from pathlib import Path
from typing import Annotated

import typer

from renderlift.bridge import cli_learning, options
from renderlift.bridge.options import (
    FAILED,
    LOSSY,
    MANY,
    Debug,
    Endpoint,
    Json,
    Length,
    Once,
    Overlap,
    OwnKey,
    PeerKeys,
    RayAddress,
    Render,
    Size,
    telling,
)
from renderlift.bridge.renderer_options import RendererOptions, takes_renderer_options

# Written out, because the module that defines it takes a tenth of a second to import.
DEFAULT_ENDPOINT = "tcp://127.0.0.1:5755"
CONNECT_S = 10.0  # until `play` gives up on a bridge that does not answer
HURRY_S = 0.5  # until it says that it waits

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Lifts game-engine output into photorealistic video: same geometry, same motion, frame for frame.\n\n"
    "Begin with `renderlift demo`; `renderlift doctor` says what works on this machine.",
)


@app.command()
@takes_renderer_options()
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for what it makes.")] = Path(
        "renderlift-demo"
    ),
    frames: Annotated[int, typer.Option(min=2, help="Frames to capture.")] = 96,
    size: Size = "448x256",
    no_open: Annotated[bool, typer.Option("--no-open", help="Do not open the video at the end.")] = False,
    *,
    render: Render = "embedded",
    renderer: RendererOptions,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """See a running engine become photoreal: engine, bridge and model as real processes.

    Leaves a before | after video, a still beside the path-traced truth, a table and the recording.

        renderlift demo

        renderlift demo -o /tmp/demo --frames 24 --no-open
    """
    with telling(as_json, debug) as events, options.interrupted_by_terminate():
        from renderlift.bridge.demo import Demo, run_demo

        run_demo(Demo(output, frames, size, render, renderer), events, opens=not no_open)


@app.command()
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

        from renderlift.bridge.clip import clip_size, preview_size
        from renderlift.bridge.films import Films
        from renderlift.bridge.receive import Receiver
        from renderlift.bridge.record import Recorder
        from renderlift.bridge.renderer import load_renderer
        from renderlift.bridge.serve import Service
        from renderlift.bridge.serve import serve as serve_engines

        with ExitStack() as stack:
            recorder = stack.enter_context(Recorder(record)) if record else None
            films = stack.enter_context(Films(video)) if video else None
            curve = options.load_curve(key, peer)
            durable = recorder.last_index if recorder else None
            receiver = stack.enter_context(Receiver(endpoint, durable=durable, curve=curve))
            events.tell("listening", f"Listening at {receiver.endpoint}.", endpoint=receiver.endpoint)
            options.leave_a_core_to_the_engine()
            lift = load_renderer(render, renderer)
            events.tell("ready", f"The renderer {render} is ready.", render=render)
            service = Service(*preview_size(lift, preview_length), *clip_size(lift, length, overlap), once=once)
            served = serve_engines(
                receiver, lift, service, events=events, stop=stop, recorder=recorder, films=films
            )
        files = films.paths if films else []
        events.tell("served", served.text(record), served=served, films=files)
        if served.failed or served.left_out:
            raise typer.Exit(LOSSY)


@app.command()
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


@app.command()
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


@app.command()
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


@app.command()
def info(
    recording: Annotated[Path, typer.Argument(help="A recording, whole or cut short.")],
    verify: Annotated[bool, typer.Option("--verify", help="Read and check every byte.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Say what a recording holds, and whether it is whole.

    renderlift info take1

    renderlift info take1 --verify --json
    """
    with telling(as_json, debug) as events:
        from renderlift.bridge.describe import tell_recording
        from renderlift.bridge.record import summarize

        summary = summarize(recording, verify=verify)
        tell_recording(summary, events)
        lost = summary.damaged_chunks or any(stream.missing for stream in summary.streams)
        if lost or summary.cut_segments:
            raise typer.Exit(LOSSY)


@app.command()
@takes_renderer_options()
def enhance(
    recordings: Annotated[list[Path], typer.Argument(help="A recording; or several, or a dataset of pairs.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="NAME.mp4, or a folder for PNGs; of several: a folder of videos.")
    ],
    *,
    render: Render = "embedded",
    renderer: RendererOptions,
    length: Length = None,
    overlap: Overlap = None,
    session: Annotated[str | None, typer.Option(help="Which session, where there are several.")] = None,
    camera: Annotated[str | None, typer.Option(help="Which camera, where there are several.")] = None,
    side_by_side: Annotated[bool, typer.Option("--side-by-side", help="Before | after.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Begin again, and replace the output.")] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Work side by side; else one per GPU.", rich_help_panel=MANY)
    ] = None,
    ray_address: RayAddress = "",
    png: Annotated[
        bool, typer.Option("--png", help="A folder of PNGs per stream, not a video.", rich_help_panel=MANY)
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Render a recording to a video or to pictures: every frame, in its size and order.

    Several recordings, or --workers: every stream of them gets its output, and one that fails stops no other.

    Interrupted or killed, the same command goes on where it stopped.

        renderlift enhance take1 -o take1.mp4 --side-by-side

        renderlift enhance take1 -o pictures --steps 8 --seed 7 --keep text --keep hud=0.5

        renderlift enhance take1 -o take1.mp4 --base LTX_2_FOLDER --adapter MY_LORA --prompt "{scene} at dusk"

        renderlift enhance takes/* -o lifted --workers 4
    """
    options.check_clip(length, overlap)
    if png and output.suffix:
        raise typer.BadParameter(f"--png makes folders, and {output} is a file")
    with telling(as_json, debug) as events, options.interrupted_by_terminate():
        from renderlift.bridge import enhance_many as many

        if many.is_many(recordings, workers, ray_address):
            from renderlift.bridge.batch import Look, streams_of

            if ray_address:  # other machines have other working folders
                recordings, output = [path.resolve() for path in recordings], output.resolve()
                renderer = many.with_whole_paths(renderer)
            chosen = streams_of(recordings, output, png=png, session=session, camera=camera)
            look = Look(render, renderer, length, overlap, side_by_side)
            crew = many.cluster_for(look, workers, ray_address)
            finished, failed, gaps = many.enhance_many(chosen, look, crew, events, restart=restart)
            if failed or gaps:
                raise typer.Exit(LOSSY if finished else FAILED)
            return
        from renderlift.bridge.clip import clip_size
        from renderlift.bridge.enhance import enhance as enhance_recording
        from renderlift.bridge.record import summarize
        from renderlift.bridge.remedied import in_words
        from renderlift.bridge.renderer import load_renderer
        from renderlift.bridge.video import refuse_other_ending

        (recording,) = recordings
        summarize(recording)  # wrong names are told before the model is loaded
        refuse_other_ending(output)
        lift = load_renderer(render, renderer)
        frames, shared = clip_size(lift, length, overlap)
        done = enhance_recording(
            recording,
            output,
            lift,
            length=frames,
            overlap=shared,
            settings={"render": render, **renderer},
            session=session,
            camera=camera,
            side_by_side=side_by_side,
            restart=restart,
            progress=lambda finished, total: events.progress("rendering", finished, total),
        )
        reused = f", {done.reused_frames} of them from the run before" if done.reused_frames else ""
        missing = f"; {done.missing_frames} are missing or damaged in the recording" if done.missing_frames else ""
        remedied = f"; {in_words(done.remedied)}" if done.remedied else ""
        text = f"{done.frames} frames in {done.path}{reused}{missing}{remedied}"
        events.tell("enhanced", text, enhanced=done)
        if done.missing_frames:
            raise typer.Exit(LOSSY)


# What makes models, in the order of a first training.
for command in (cli_learning.pairs, cli_learning.train, cli_learning.evaluate, cli_learning.fetch):
    app.command()(command)


@app.command()
def doctor(
    base: Annotated[
        str | None, typer.Option(help="Folder of a large base, to be measured; else the published ones.")
    ] = None,
    gpu_memory: Annotated[
        float | None, typer.Option(min=1, help="GB of a GPU that is not here, to plan for.", metavar="GB")
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Say what works on this machine, and the fix for what does not; and how large bases would fit.

    renderlift doctor

    renderlift doctor --base ltx-2 --gpu-memory 24
    """
    with telling(as_json, debug) as events:
        from renderlift.bridge.doctor import examine, tell_findings
        from renderlift.bridge.doctor_bases import tell_bases

        findings = examine()
        tell_findings(findings, events)
        tell_bases(events, base=base, gpu_memory_gb=gpu_memory)
        if any(finding.state == "fail" for finding in findings):
            raise typer.Exit(FAILED)


def main() -> None:
    app(prog_name="renderlift")


if __name__ == "__main__":
    main()
