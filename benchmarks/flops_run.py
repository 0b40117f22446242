"""What `flops.py --run` does: clips of real shapes through the real classes, with random weights.

Speed needs no trained weights. On a GPU the shapes are those of published bases, on a CPU the embedded base's own
and a tiny Wan's, by the same code. The bound is what the machine's own matrix rate, measured first, allows for.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from diffusers import AutoencoderKLLTX2Video, AutoencoderKLWan, WanTransformer3DModel
from flops import LTX2_19B, LTX_2B, WAN_1_3B, WAN_14B, Run, Shape, flops_per_clip
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from renderlift.model.embedded import EmbeddedSize, build
from renderlift.model.packing import Context, Tokens, velocity

ROUNDS = 3  # of each part; the median counts
LIVE_FPS = 32.0  # what a preview should reach on a large GPU
EMBEDDED = EmbeddedSize()
EMBEDDED_SHAPE = Shape(EMBEDDED.layers, 256, 1024, EMBEDDED.caption_tokens, EMBEDDED.spatial_ratio, 4)
TINY_WAN = Shape(layers=4, width=256, ffn=1024, text_tokens=64, pixels_per_token=16, frames_per_token=4)
LTX_2B_SIZE = EmbeddedSize(
    latent_channels=128, heads=32, head_dim=64, layers=28, caption_channels=4096, caption_tokens=LTX_2B.text_tokens
)
HALF = 0.25  # tokens of a reference of half the side

LTX2_19B_SIZE = EmbeddedSize(
    latent_channels=128,
    heads=32,
    head_dim=128,
    layers=48,
    caption_channels=4096,
    caption_tokens=LTX2_19B.text_tokens,
)
SIZES = {EMBEDDED_SHAPE: EMBEDDED, LTX_2B: LTX_2B_SIZE, LTX2_19B: LTX2_19B_SIZE}

ON_GPU = (
    Run("LTX 2B, half-size reference", LTX_2B, 121, 704, 1216, 8, HALF),
    Run("LTX 2B, half-size reference", LTX_2B, 121, 704, 1216, 4, HALF),
    Run("Wan 2.1 1.3B", WAN_1_3B, 81, 480, 832, 8),
    Run("Wan 2.1 1.3B", WAN_1_3B, 81, 480, 832, 4),
    Run("live: LTX 2B, 2 half-size references", LTX_2B, 25, 448, 832, 4, 2 * HALF),
    Run("live: LTX 2B, 2 half-size references", LTX_2B, 25, 448, 832, 1, 2 * HALF),
    Run("live: embedded", EMBEDDED_SHAPE, 9, 96, 160, 2, 1.0),
    Run("LTX-2 19B, half-size reference", LTX2_19B, 121, 704, 1216, 8, HALF),
    Run("Wan 2.2 A14B, one expert", WAN_14B, 81, 480, 832, 4),
)
ON_CPU = (
    Run("embedded", EMBEDDED_SHAPE, 17, 96, 160, 2, 1.0),
    Run("live: embedded", EMBEDDED_SHAPE, 9, 96, 160, 2, 1.0),
    Run("tiny Wan", TINY_WAN, 5, 64, 96, 4),
)


@dataclass(frozen=True)
class Model:
    """What a run needs of a base."""

    transformer: Any
    autoencoder: Any
    forward: Callable[[], object]  # one step of one clip
    encode: Callable[[], object]  # its references
    decode: Callable[[], object]


@dataclass(frozen=True)
class Measured:
    """One clip: what it costs and what it took, in FLOP and seconds."""

    run: Run
    denoise_flops: float
    autoencoder_flops: float
    denoise_s: float
    autoencoder_s: float
    peak_bytes: int = 0  # of the GPU's memory
    compiled: bool = False
    tiled: bool = False  # decoded in tiles, because the whole did not fit

    @property
    def fps(self) -> float:
        return self.run.frames / (self.denoise_s + self.autoencoder_s)


def run_all() -> None:
    """Measure, and print each row of the table as it is known."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    on_gpu = device.type == "cuda"
    name = torch.cuda.get_device_name() if on_gpu else f"CPU, {torch.get_num_threads()} threads"
    dtypes = (torch.bfloat16,) if on_gpu else (torch.bfloat16, torch.float32)
    rates = {dtype: matrix_rate(device, dtype) for dtype in dtypes}
    print(f"\n{'':65} {'TFLOP':>8} {'':>8} {'denoise':>8} {'s':>8} {'autoenc.':>8}")
    print(
        f"{'base':38} {'clip':>13} {'st.':>3} {'dtype':>8} {'denoise':>8} {'autoenc.':>8} {'bound':>8} "
        f"{'took':>8} {'s':>8} {'ratio':>6} {'fps':>6}{'  peak' if on_gpu else ''}",
        flush=True,
    )
    for runs in same_clips(ON_GPU if on_gpu else ON_CPU):
        for dtype in dtypes:
            for measured in measure(runs, device, dtype):
                # Clocks and neighbours change: the rate is the best of all that were measured along the way.
                rates[dtype] = max(rates[dtype], matrix_rate(device, dtype))
                print(row(measured, rates[dtype], dtype), flush=True)
    for dtype, rate in rates.items():
        print(f"{name}: {rate / 1e12:.3f} TFLOP/s of {dtype_name(dtype)} matrix products")


def same_clips(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs that differ in their steps alone, together: one model serves them all."""
    groups: dict[Run, list[Run]] = {}
    for run in runs:
        groups.setdefault(replace(run, steps=0), []).append(run)
    return list(groups.values())


def row(measured: Measured, rate: float, dtype: torch.dtype) -> str:
    run, bound_s = measured.run, measured.denoise_flops / rate
    size = f"{run.frames}x{run.height}x{run.width}"
    notes = f" of {LIVE_FPS:.0f}" if run.name.startswith("live") else ""
    notes += f"  {measured.peak_bytes / 1e9:.1f} GB" if measured.peak_bytes else ""
    notes += ", compiled" if measured.compiled else ""
    notes += ", decoded in tiles" if measured.tiled else ""
    return (
        f"{run.name:38} {size:>13} {run.steps:>3} {dtype_name(dtype):>8} {measured.denoise_flops / 1e12:>8.3f} "
        f"{measured.autoencoder_flops / 1e12:>8.3f} {bound_s:>8.3f} {measured.denoise_s:>8.3f} "
        f"{measured.autoencoder_s:>8.3f} {measured.denoise_s / bound_s:>5.1f}x {measured.fps:>6.1f}{notes}"
    )


def measure(runs: Sequence[Run], device: torch.device, dtype: torch.dtype) -> Iterator[Measured]:
    """The clips of one shape with random weights; on a GPU once more with compiled blocks."""
    on_gpu = device.type == "cuda"
    counted = autoencoder_flops(runs[0])
    with torch.inference_mode():
        model = open_model(runs[0], device, dtype)
        autoencoder_s, tiled = autoencoder_time(model, device)
        for compiled in (False, True) if on_gpu else (False,):
            if compiled:
                model.transformer.compile_repeated_blocks(fullgraph=True)
            step_s = timed(model.forward, device)
            for run in runs:
                peak = torch.cuda.max_memory_allocated() if on_gpu else 0
                flops = flops_per_clip(run)
                yield Measured(run, flops, counted, run.steps * step_s, autoencoder_s, peak, compiled, tiled)
        del model
        if on_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()


def autoencoder_time(model: Model, device: torch.device) -> tuple[float, bool]:
    """Seconds to encode a clip's references and decode its picture, and whether that took tiles."""
    encode_s = timed(model.encode, device)
    try:
        return encode_s + timed(model.decode, device), False
    except torch.OutOfMemoryError:
        model.autoencoder.enable_tiling()
        torch.cuda.empty_cache()
    return encode_s + timed(model.decode, device), True


def autoencoder_flops(run: Run) -> float:
    """Of encoding a clip's references and decoding its picture, as torch counts them: on the meta device, where
    nothing is computed. Long clips are counted at two lengths, since each further latent costs the same."""
    times = 1 + (run.frames - 1) // run.shape.frames_per_token
    if times <= 4:
        return _counted(run)
    step = run.shape.frames_per_token
    three, four = (_counted(replace(run, frames=1 + latents * step)) for latents in (2, 3))
    return four + (times - 4) * (four - three)


def _counted(run: Run) -> float:
    meta = torch.device("meta")
    model = open_model(run, meta, torch.float32, only_autoencoder=True)
    # The fused kernel of attention is not counted by torch everywhere.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model.decode()
        model.encode()
    return float(counter.get_total_flops())


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of a large product of square matrices, the best of several."""
    side = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    return 2.0 * side**3 / min(times(lambda: a @ b, device, rounds=7))


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Median time of `work`, in seconds, after one round for warmth."""
    return sorted(times(work, device, rounds=ROUNDS))[ROUNDS // 2]


def times(work: Callable[[], object], device: torch.device, *, rounds: int) -> Iterator[float]:
    for number in range(rounds + 1):
        began_s = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        if number:
            yield time.perf_counter() - began_s


def open_model(run: Run, device: torch.device, dtype: torch.dtype, *, only_autoencoder: bool = False) -> Model:
    """The base of a run, and one clip for it."""
    usual = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            is_wan = "Wan" in run.name
            return (_wan if is_wan else _ltx)(run, only_autoencoder)
    finally:
        torch.set_default_dtype(usual)


def _ltx(run: Run, only_autoencoder: bool) -> Model:
    embedded = run.shape is EMBEDDED_SHAPE
    size = SIZES[run.shape]
    side, step = run.shape.pixels_per_token, run.shape.frames_per_token
    t, h, w = 1 + (run.frames - 1) // step, run.height // side, run.width // side
    reference_count = 0 if not run.references else 1 if run.references in (1.0, HALF) else 2
    half = 1 if run.references == 1.0 else 2
    pipeline: Any = None if only_autoencoder else build(size)
    autoencoder: Any = build(size).vae if embedded else AutoencoderKLLTX2Video()
    autoencoder.eval()
    target = Tokens(torch.randn(1, t * h * w, size.latent_channels), t, h, w)
    small_h, small_w = -(-h // half), -(-w // half)
    reference = Tokens(torch.randn(1, t * small_h * small_w, size.latent_channels), t, small_h, small_w)
    context = Context(*(torch.randn(1, size.caption_tokens, size.caption_channels) for _ in range(2)))
    latents = torch.randn(1, size.latent_channels, t, h, w)
    pixels = torch.rand(1, 3, run.frames, small_h * side, small_w * side)
    sigma = torch.tensor([0.5])

    def encode() -> None:
        for _ in range(reference_count):
            autoencoder.encode(pixels).latent_dist.mode()

    return Model(
        None if only_autoencoder else pipeline.transformer,
        autoencoder,
        lambda: velocity(pipeline.transformer, target, sigma, [reference] * reference_count, context),
        encode,
        lambda: autoencoder.decode(latents, return_dict=False)[0],
    )


def _wan(run: Run, only_autoencoder: bool) -> Model:
    shape = run.shape
    t, h, w = 1 + (run.frames - 1) // shape.frames_per_token, run.height // 8, run.width // 8
    text_channels = 64 if shape is TINY_WAN else 4096
    transformer: Any = None
    if not only_autoencoder:
        transformer = WanTransformer3DModel(
            num_attention_heads=shape.width // 128,
            attention_head_dim=128,
            num_layers=shape.layers,
            ffn_dim=shape.ffn,
            text_dim=text_channels,
        )
    autoencoder: Any = AutoencoderKLWan(base_dim=16) if shape is TINY_WAN else AutoencoderKLWan()
    autoencoder.eval()
    latents = torch.randn(1, 16, t, h, w)
    text = torch.randn(1, shape.text_tokens, text_channels)
    timestep = torch.tensor([500.0])
    return Model(
        transformer,
        autoencoder,
        lambda: transformer(latents, timestep=timestep, encoder_hidden_states=text, return_dict=False),
        lambda: None,
        lambda: autoencoder.decode(latents, return_dict=False)[0],
    )


def dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
