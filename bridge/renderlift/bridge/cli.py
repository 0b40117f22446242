"""`renderlift`: what the user types. Commands import what they need when they run.

docs/cli.md explains exit codes and the events of --json.
"""

from pathlib import Path
from typing import Annotated

import typer

from renderlift.bridge import cli_engines, cli_learning, options
from renderlift.bridge.options import (
    FAILED,
    LOSSY,
    MANY,
    Debug,
    Json,
    Length,
    Overlap,
    RayAddress,
    Render,
    Size,
    telling,
)
from renderlift.bridge.renderer_options import RendererOptions, takes_renderer_options

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


# What talks to engines; help lists commands in the order in which they are added.
for command in (cli_engines.serve, cli_engines.capture, cli_engines.record, cli_engines.play):
    app.command()(command)


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

        renderlift enhance take1 -o pictures --steps 8 --seed 7 --keep text --keep screen=0.5

        renderlift enhance take1 -o take1.mp4 --base LTX_2_FOLDER --adapter MY_LORA --prompt "{scene} at dusk"

        renderlift enhance takes/* -o lifted --workers 4
    """
    options.check_clip(length, overlap)
    if png and output.suffix:
        raise typer.BadParameter(f"--png makes folders, and {output} is a file")
    goes_on = options.same_command(restart)
    with telling(as_json, debug, goes_on=goes_on) as events, options.interrupted_by_terminate():
        from renderlift.bridge import enhance_many as many

        if many.is_many(recordings, workers, ray_address):
            from renderlift.bridge.batch import Look, streams_of
            from renderlift.bridge.places import refuse_place

            if ray_address:  # other machines have other working folders
                recordings, output = [path.resolve() for path in recordings], output.resolve()
                renderer = many.with_whole_paths(renderer)
            chosen = streams_of(recordings, output, png=png, session=session, camera=camera)
            outputs = [output, *(stream.output for stream in chosen.streams)]
            refuse_place(outputs, [*recordings, *(stream.recording for stream in chosen.streams)], renderer)
            look = Look(render, renderer, length, overlap, side_by_side)
            crew = many.cluster_for(look, workers, ray_address)
            finished, failed, gaps = many.enhance_many(chosen, look, crew, events, restart=restart)
            if failed or gaps:
                raise typer.Exit(LOSSY if finished else FAILED)
            return
        from renderlift.bridge.clip import clip_size, tell_steps
        from renderlift.bridge.enhance import Order
        from renderlift.bridge.enhance import enhance as enhance_recording
        from renderlift.bridge.loading import load_told
        from renderlift.bridge.places import refuse_place
        from renderlift.bridge.remedied import in_words

        (recording,) = recordings
        settings = {"render": render, **renderer}
        order = Order(recording, output, length or 0, overlap or 0, settings, session, camera, side_by_side)
        stream = order.stream()  # what is wrong is told before the model is loaded, which takes long
        refuse_place([output], recordings, renderer)
        if not restart:
            order.refuse(stream, length=length, overlap=overlap)
        lift = load_told(render, renderer, events)
        tell_steps(lift, events.denoising)
        frames, shared = clip_size(lift, length, overlap)
        done = enhance_recording(
            recording,
            output,
            lift,
            length=frames,
            overlap=shared,
            settings=settings,
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
        float | None,
        typer.Option(parser=options.gigabytes, help="GB of a GPU that is not here, to plan for.", metavar="GB"),
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
        from renderlift.bridge.doctor_bases import refuse_no_base, tell_bases

        if base:
            refuse_no_base(Path(base))
        findings = examine()
        tell_findings(findings, events)
        tell_bases(events, base=base, gpu_memory_gb=gpu_memory)
        if any(finding.state == "fail" for finding in findings):
            raise typer.Exit(FAILED)


def main() -> None:
    app(prog_name="renderlift")


if __name__ == "__main__":
    main()
