"""What a clip costs a large base, computed from its shape, and the time that a GPU's matrix rate allows for it.

    python benchmarks/flops.py                       the published bases, at 790 TFLOP/s (bf16, one H200)
    python benchmarks/flops.py --tflops 180          another GPU's measured rate
    python benchmarks/flops.py --base FOLDER --size 1216x704 --frames 121 --seconds 3.1
                                                     a base of yours, beside what a clip took you
    python benchmarks/flops.py --run                 measures this machine: its matrix rate, then clips with random
                                                     weights, of published shapes on a GPU, of small ones on a CPU

Counted: the products of the denoiser (projections, attention, ffn, control branch), and with --run the autoencoder,
which few steps make the larger bill. The text encoder comes on top, once per prompt.
`tests/model/bases/test_flops.py` holds the formula against torch's own count.
"""

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Shape:
    """What of a denoiser its cost depends on."""

    layers: int
    width: int
    ffn: int
    text_tokens: int
    pixels_per_token: int  # along height and along width
    frames_per_token: int
    control_layers: int = 0  # VACE


@dataclass(frozen=True)
class Run:
    """One clip."""

    name: str
    shape: Shape
    frames: int
    height: int
    width: int
    steps: int
    references: float = (
        0.0  # tokens of the references, in targets: 1 = one of full size, 1/4 = one of half the side
    )


WAN_1_3B = Shape(layers=30, width=1536, ffn=8960, text_tokens=512, pixels_per_token=16, frames_per_token=4)
WAN_14B = Shape(layers=40, width=5120, ffn=13824, text_tokens=512, pixels_per_token=16, frames_per_token=4)
WAN_5B = Shape(layers=30, width=3072, ffn=14336, text_tokens=512, pixels_per_token=32, frames_per_token=4)
LTX2_19B = Shape(layers=48, width=4096, ffn=16384, text_tokens=1024, pixels_per_token=32, frames_per_token=8)
LTX_2B = Shape(layers=28, width=2048, ffn=8192, text_tokens=256, pixels_per_token=32, frames_per_token=8)

RUNS = (
    Run("Wan 2.1 1.3B", WAN_1_3B, 81, 480, 832, 4),
    Run("Wan 2.1 1.3B in context", WAN_1_3B, 81, 480, 832, 4, 1.0),
    Run("Wan 2.1 VACE 1.3B", replace(WAN_1_3B, control_layers=15), 81, 480, 832, 4),
    Run("Wan 2.2 TI2V 5B in context", WAN_5B, 121, 704, 1280, 4, 1.0),
    Run("Wan 2.2 A14B in context", WAN_14B, 81, 480, 832, 4, 1.0),
    Run("LTX 2B", LTX_2B, 121, 704, 1216, 8),
    Run("LTX 2B, reference", LTX_2B, 121, 704, 1216, 8, 1.0),
    Run("LTX 2B, half-size reference", LTX_2B, 121, 704, 1216, 8, 0.25),
    Run("LTX-2 19B, picture alone", LTX2_19B, 121, 704, 1216, 8),
    Run("LTX-2 19B, reference", LTX2_19B, 121, 704, 1216, 8, 1.0),
    Run("LTX-2 19B, half-size reference", LTX2_19B, 121, 704, 1216, 8, 0.25),
)


def target_tokens(run: Run) -> int:
    side = run.shape.pixels_per_token
    return (1 + (run.frames - 1) // run.shape.frames_per_token) * (run.height // side) * (run.width // side)


def flops_per_forward(shape: Shape, tokens: int) -> float:
    """Of one pass over `tokens`: twice the multiplications."""
    d, text = shape.width, shape.text_tokens
    projections = tokens * (4 * d * d + 2 * d * d + 2 * d * shape.ffn) + text * 2 * d * d
    attention = 2 * tokens * tokens * d + 2 * tokens * text * d
    control = shape.control_layers * (projections + attention + tokens * d * d)
    return 2.0 * (shape.layers * (projections + attention) + control)


def flops_per_clip(run: Run) -> float:
    return run.steps * flops_per_forward(run.shape, round(target_tokens(run) * (1 + run.references)))


def shape_of(folder: Path) -> Shape:
    """Of a base's folder in the form of diffusers: LTX-2 or Wan."""
    config: dict[str, Any] = json.loads((folder / "transformer" / "config.json").read_text())
    autoencoder: dict[str, Any] = json.loads((folder / "vae" / "config.json").read_text())
    width = config["num_attention_heads"] * config["attention_head_dim"]
    if "ffn_dim" in config:
        control = len(config.get("vace_layers", ()))
        side = autoencoder.get("scale_factor_spatial") or 8
        return Shape(
            config["num_layers"], width, config["ffn_dim"], 512, side * config["patch_size"][1], 4, control
        )
    side = autoencoder.get("spatial_compression_ratio") or 32
    return Shape(
        config["num_layers"], width, 4 * width, 1024, side, autoencoder.get("temporal_compression_ratio") or 8
    )


def row(run: Run, tflops: float, seconds: float | None) -> str:
    flops = flops_per_clip(run)
    bound_s = flops / (tflops * 1e12)
    ratio = f"{seconds / bound_s:6.1f} x" if seconds else "       -"
    tokens = round(target_tokens(run) * (1 + run.references))
    size = f"{run.frames}x{run.height}x{run.width}"
    return (
        f"{run.name:32} {size:>13} {tokens:>8} {run.steps:>3} {flops / run.steps / 1e15:>9.3f} "
        f"{flops / 1e15:>8.2f} {bound_s:>8.2f} {ratio}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tflops", type=float, default=790.0, help="measured matrix rate, dense bf16")
    parser.add_argument("--base", type=Path, help="a base's folder, instead of the published ones")
    parser.add_argument("--size", default="832x480", help="WxH")
    parser.add_argument("--frames", type=int, default=81)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--references", type=float, default=1.0, help="in targets; 0.25 = one of half the side")
    parser.add_argument("--seconds", type=float, help="what denoising a clip took, for the ratio")
    parser.add_argument("--run", action="store_true", help="measure this machine")
    given = parser.parse_args()
    if given.run:
        from flops_run import run_all

        run_all()
        return
    runs: tuple[Run, ...] = RUNS
    if given.base:
        width, height = (int(side) for side in given.size.split("x"))
        shape = shape_of(given.base)
        runs = (Run(given.base.name, shape, given.frames, height, width, given.steps, given.references),)
    print(f"{'base':32} {'clip':>13} {'tokens':>8} {'':>3} {'PFLOP':>9} {'PFLOP':>8} {'bound s':>8} measured")
    print(f"{'':32} {'':>13} {'':>8} {'st.':>3} {'/forward':>9} {'/clip':>8} {given.tflops:>4.0f} TF/s  / bound")
    for run in runs:
        print(row(run, given.tflops, given.seconds))


if __name__ == "__main__":
    main()
