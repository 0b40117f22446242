"""The commands that make and measure models: `pairs`, `train`, `evaluate`, `fetch`."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from renderlift.bridge import options
from renderlift.bridge.controls import CONTROLS
from renderlift.bridge.options import LOSSY, Base, Debug, Device, Json, Length, Overlap, RayAddress, Size, telling
from renderlift.bridge.renderer_options import OWN, RendererOptions, as_words, takes_renderer_options

of_scenes = partial(typer.Option, rich_help_panel="Scenes")
of_anchors = partial(typer.Option, rich_help_panel="Anchors")


@takes_renderer_options(without=("anchors",))
def pairs(
    dataset: Annotated[Path, typer.Argument(help="Folder of the dataset; going on if it is there.")],
    seeds: Annotated[
        str | None, typer.Option(help="Scenes of ours to make: 0:200, or 0:200,900000:900024.", metavar="RANGES")
    ] = None,
    recording: Annotated[
        Path | None, typer.Option("--from", help="Or: make pairs of this recording, or of a dataset's.")
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(help="Or: write it as videos with ltx-trainer's columns.", metavar="FOLDER"),
    ] = None,
    frames: Annotated[int, of_scenes(min=1, help="Frames of a scene.")] = 5,
    size: Size = "448x256",
    samples: Annotated[int, typer.Option(min=1, help="Light paths per pixel of a photo.")] = 8,
    kinds: Annotated[
        str | None,
        of_scenes(help="Dealt out in turn: any, room, courtyard, street, workshop."),
    ] = None,
    exposure_jitter: Annotated[float, of_scenes(min=0, max=4, help="Photos are off by up to so many stops.")] = 0.0,
    vignette: Annotated[float, of_scenes(min=0, max=0.9, help="Light that corners lose, 0 to 0.9.")] = 0.0,
    aperture_mm: Annotated[float, of_scenes(min=0, max=200, help="Of the lens; 0 = all is sharp.")] = 0.0,
    maker: Annotated[str | None, of_scenes(help="module:function that makes scenes of yours.")] = None,
    jobs: Annotated[int, of_scenes(min=1, help="Processes that work side by side.")] = 1,
    ray_address: RayAddress = "",
    shard: Annotated[str, of_scenes(help="2/4: the second of four machines.", metavar="I/N")] = "1/1",
    anchors: Annotated[
        str,
        of_anchors(help="Photos of each clip's ends: path_tracer, embedded, a folder, module:function."),
    ] = "path_tracer",
    scene: Annotated[
        str | None,
        of_anchors(help="That was recorded, for the path tracer: demo, random:7."),
    ] = None,
    propagate: Annotated[
        str,
        of_anchors(help="How they reach the rest: flow, a base's folder (Wan VACE), module:function."),
    ] = "flow",
    length: Annotated[int, of_anchors(min=3, help="Frames of a clip.")] = 17,
    number: Annotated[int, of_anchors(min=0, max=999_999, help="Of the first clip's folder.")] = 0,
    limit: Annotated[
        list[str] | None,
        of_anchors(help="What to reject, e.g. warp=2; may be repeated."),
    ] = None,
    keep_all: Annotated[bool, of_anchors("--keep-all", help="Reject nothing.")] = False,
    *,
    render: Annotated[str, of_anchors(help="Paints what flow carries anchors over.")] = "identity",
    renderer: RendererOptions,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make pairs of render and photo to train and measure on.

    With --seeds: scenes built in code, rendered by Panda3D and photographed by a path tracer. Those from seed
    900000 on are held out: never trained on.

    With --from: photos of the first and last frame of each clip of a recording, carried over the frames
    between, measured, and kept or rejected.

    With --export: what is there, as videos for other trainers. `renderlift train` reads such folders too.

    Interrupted or killed, the same command goes on where it stopped.

        renderlift pairs dataset --seeds 0:200,900000:900024 --jobs 2

        renderlift pairs dataset2 --from take1 --anchors photos
    """
    if sum(asked is not None for asked in (seeds, recording, export)) != 1:
        raise typer.BadParameter("one of --seeds, --from and --export is needed")
    if renderer and recording is None:
        raise typer.BadParameter(f"{' '.join(as_words(renderer))}: scenes of ours are not rendered by a model")
    with telling(as_json, debug, goes_on=options.same_command()) as events, options.interrupted_by_terminate():
        from renderlift.bridge.pairs import anchored_pairs, export_pairs, truth_pairs

        if export is not None:
            done = export_pairs(dataset, export, events=events)
        elif recording is not None:
            asked = {
                "anchors": anchors,
                "propagate": propagate,
                "lift": render,
                "length": length,
                "number": number,
                "scene": scene,
                "samples": samples,
                "keep_all": keep_all,
            }
            done = anchored_pairs(
                dataset, recording, asked=asked, renderer=renderer, limits=limit or [], events=events
            )
        else:
            given = {
                "samples": samples,
                "kinds": kinds.split(",") if kinds else None,
                "exposure_jitter": exposure_jitter,
                "vignette": vignette,
                "aperture_mm": aperture_mm,
            }
            done = truth_pairs(
                dataset,
                seeds or "",
                shard,
                maker=maker,
                frames=frames,
                size=size,
                options=given,
                jobs=jobs,
                ray_address=ray_address,
                events=events,
            )
        if not done:
            raise typer.Exit(LOSSY)


def train(
    task: Annotated[
        str | None,
        typer.Argument(help="lift, forward, inverse, or a name of your own.", show_default=False),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(help="Of `renderlift pairs`, or videos with ltx-trainer's columns.", metavar="DATASET"),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the adapter; going on if it is there.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Recipe file; flags win over it.", metavar="FILE")] = None,
    minutes: Annotated[float | None, typer.Option(min=0.0, help="When to stop.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="When to stop, in steps.")] = None,
    base: Base = None,
    control: Annotated[
        str | None, typer.Option(help=f"What Wan VACE is shown: {', '.join(CONTROLS)}.", show_default="edge")
    ] = None,
    held_out: Annotated[Path | None, typer.Option(help="Another dataset to measure on.", metavar="DATASET")] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Where latents are kept; else in the dataset.", metavar="FOLDER")
    ] = None,
    device: Device = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and check it.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Begin again, and replace the output.")] = False,
    example: Annotated[bool, typer.Option("--example", help="Print a recipe file with every field.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Teach the base your game's look: an adapter (IC-LoRA) from pairs of render and photo.

    Interrupted or killed, the same command goes on where it stopped. The output holds the adapter, a card
    with its result on held-out scenes, and pictures.

        renderlift train lift --pairs DATASET -o my_adapter --minutes 10

        renderlift train --example > my.toml && renderlift train --config my.toml --pairs DATASET -o my_adapter

        accelerate launch --num_processes 4 -m renderlift.bridge.cli train lift --pairs DATASET -o my_adapter
    """
    with telling(as_json, debug) as events, options.stopping() as stop:
        from renderlift.bridge.by_name import load_function

        if example:
            typer.echo(load_function("renderlift.model.training.recipe", "example", extra="train")(task or "lift"))
            return
        if pairs is None or output is None:
            raise typer.BadParameter("--pairs and --output are needed")
        done = load_function("renderlift.model.training.run", "train", extra="train")(
            output,
            pairs,
            config=config,
            held_out=held_out,
            cache=cache,
            device=device or "auto",
            restart=restart,
            dry_run=dry_run,
            talk=events,
            stop=stop.is_set,
            task=task,
            minutes=minutes,
            steps=steps,
            base=base,
            control=control,
        )
        if not done:
            raise typer.Exit(options.INTERRUPTED)


@takes_renderer_options()
def evaluate(
    recording: Annotated[Path, typer.Argument(help="A recording, or a dataset of pairs.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the page and the numbers.")] = Path(
        "renderlift-evaluation"
    ),
    *,
    render: Annotated[
        str | None,
        typer.Option(
            help="embedded (unless --video is given), or module:function.", show_default=False, rich_help_panel=OWN
        ),
    ] = None,
    renderer: RendererOptions,
    video: Annotated[
        list[Path] | None,
        typer.Option(help="A finished video or folder of PNGs to measure; may be repeated.", show_default=False),
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option(
            help="The renderer once more, with changes: steps=1,lock=no. May be repeated. "
            "Semicolons between, where a value has commas.",
            show_default=False,
        ),
    ] = None,
    ablate: Annotated[
        bool, typer.Option("--ablate", help="Also without lock, averaging or adapter, and without each buffer.")
    ] = False,
    truth: Annotated[
        Path | None, typer.Option(help="Pictures of the truth, named by frame index.", metavar="FOLDER")
    ] = None,
    part: Annotated[
        str | None, typer.Option(help="Of a dataset: held_out (if there is any), train or all.", show_default=False)
    ] = None,
    scenes: Annotated[int | None, typer.Option(min=1, help="Scenes of a dataset, at most.")] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="Frames of a scene, at most.")] = None,
    length: Length = None,
    overlap: Overlap = None,
    session: Annotated[str | None, typer.Option(help="Which session, where there are several.")] = None,
    camera: Annotated[str | None, typer.Option(help="Which camera, where there are several.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the tables as Markdown too.", metavar="FILE")] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Measure everything again.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure how faithful lifted pictures are: to the truth, the engine's geometry, its labels and its motion.

    Beside the render itself and, where there is one, the truth. Writes a page with the worst scenes.
    Interrupted or killed, the same command goes on where it stopped.

        renderlift evaluate take1

        renderlift evaluate pairs --also steps=1 --also lock=no

        renderlift evaluate take1 --video theirs.mp4
    """
    options.check_clip(length, overlap)
    if part not in (None, "held_out", "train", "all"):
        raise typer.BadParameter("--part is held_out, train or all")
    with (
        telling(as_json, debug, goes_on=options.same_command(restart)) as events,
        options.interrupted_by_terminate(),
    ):
        from renderlift.bridge.evaluate import evaluate as evaluate_all
        from renderlift.bridge.places import refuse_place

        refuse_place([output], [recording, *(video or []), *([truth] if truth else [])], renderer)
        asked = {
            "input": recording,
            "output": output,
            "render": render,
            "options": renderer,
            "videos": tuple(video or ()),
            "also": tuple(also or ()),
            "ablate": ablate,
            "truth": truth,
            "session": session,
            "camera": camera,
            "part": part,
            "scenes": scenes,
            "frames": frames,
            "length": length,
            "overlap": overlap,
            "restart": restart,
            "markdown": markdown,
        }
        if not evaluate_all(asked, events):
            raise typer.Exit(LOSSY)


def fetch(
    base: Annotated[str, typer.Argument(help="OWNER/NAME@COMMIT on the Hugging Face hub.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for it.")],
    accept_licence: Annotated[bool, typer.Option("--accept-licence", help="You have read it, and agree.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Download a large base: one pinned version, safetensors only, its licence shown first.

    renderlift fetch Lightricks/LTX-2@0123456789abcdef0123456789abcdef01234567 -o ltx-2
    """
    with telling(as_json, debug, goes_on=options.same_command()) as events, options.interrupted_by_terminate():
        from renderlift.bridge.by_name import load_function

        folder = load_function("renderlift.model.bases.hub", "fetch", extra="model")(
            base, output, accepted=accept_licence
        )
        whole = (folder / "model_index.json").is_file()
        use = f"use it with --base {folder}" if whole else "a part of a base, not a whole one"
        events.tell("fetched", f"{base} in {folder}; {use}", base=base, folder=folder)
