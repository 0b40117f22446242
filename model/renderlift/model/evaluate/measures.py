"""The measures as a table: what each is called, which way is better, and what it needs."""

from dataclasses import dataclass
from typing import Literal

from renderlift.model.evaluate.distance import MS_SSIM_SMALLEST_PX, load_lpips
from renderlift.model.evaluate.judge import SHORTEST_DRIFT_S

Better = Literal["higher", "lower", "near 1", "near truth"]


@dataclass(frozen=True)
class Measure:
    """One row of the report."""

    key: str
    title: str
    form: str  # how a value is written
    better: Better
    needs: str  # what a scene must have for it
    about_truth: bool = False  # compares with the truth, so the truth itself has none
    about_render: bool = False  # compares with the render, which is therefore out of the contest

    @property
    def short(self) -> str:
        """For the head of a column."""
        return _SHORT.get(self.key, self.title)

    def text(self, value: float | None) -> str:
        return "-" if value is None else self.form.format(value)


_TRUTH = "pictures of the truth"
_IDS = "instance ids"
_FLAT = "instance ids, albedo, flat colours"
_FLOW = "flow, and two frames in a row"
_SEAMS = f"{_FLOW}, more than one clip a scene"
_LONG = f"{SHORTEST_DRIFT_S:.0f} s of a scene"

MEASURES = (
    Measure("psnr_db", "PSNR to the truth", "{:.2f} dB", "higher", _TRUTH, about_truth=True),
    Measure("psnr_gain_db", "PSNR gain over the render", "{:+.2f} dB", "higher", _TRUTH, about_truth=True),
    Measure("newcomer_gain_db", "the same, on objects that enter", "{:+.2f} dB", "higher",
            f"{_TRUTH} and objects that enter", about_truth=True),
    Measure("ssim", "SSIM", "{:.3f}", "higher", _TRUTH, about_truth=True),
    Measure("ms_ssim", "MS-SSIM", "{:.3f}", "higher", f"{_TRUTH} of {MS_SSIM_SMALLEST_PX} pixels or more a side",
            about_truth=True),
    Measure("lpips", "LPIPS", "{:.3f}", "lower", _TRUTH, about_truth=True),
    Measure("gmsd", "GMSD", "{:.3f}", "lower", _TRUTH, about_truth=True),
    Measure("detail_error", "detail missing or false", "{:.2f}", "lower", _TRUTH, about_truth=True),
    Measure("sharpness", "amount of detail, truth's = 1", "{:.2f}", "near 1", _TRUTH, about_truth=True),
    Measure("sharpness_render", "amount of detail, render's = 1", "{:.2f}", "near truth", "nothing",
            about_render=True),
    Measure("edge_f1", "edge F1, engine's edges", "{:.3f}", "higher",
            "edges in instance ids, depth or albedo"),
    Measure("border_recall", "id and depth borders found", "{:.3f}", "higher", "borders in instance ids or depth"),
    Measure("label_fit", "labels that fit within 1 px", "{:.3f}", "higher", _IDS, about_render=True),
    Measure("label_shift_px", "shift against the labels", "{:.2f} px", "lower", _IDS, about_render=True),
    Measure("flat_texture", "texture on flat colours", "{:.2f}", "near truth", _FLAT),
    Measure("flat_colour", "colour error on flat colours", "{:.2f}", "lower", _FLAT,
            about_truth=True),
    Measure("warp_error", "warp error", "{:.2f}", "lower", _FLOW),
    Measure("warp_relative", "warp error, render's = 1", "{:.2f}x", "lower", _FLOW, about_render=True),
    Measure("flicker", "flicker", "{:.2f}", "lower", _FLOW, about_render=True),
    Measure("seam_ratio", "step at clip borders / within", "{:.2f}x", "lower", _SEAMS),
    Measure("drift_per_minute", "colour drift per minute", "{:.1f}", "lower", _LONG,
            about_truth=True),
    Measure("fps", "frames per second", "{:.2f}", "higher", "a renderer"),
)  # fmt: skip
# Those that say most in least space, for tables of many rows.
BRIEF = ("psnr_db", "ssim", "gmsd", "detail_error", "edge_f1", "label_fit", "warp_relative")
_SHORT = {
    "psnr_db": "PSNR",
    "detail_error": "detail",
    "edge_f1": "edge F1",
    "label_fit": "labels",
    "warp_relative": "warp",
}
BY_KEY = {measure.key: measure for measure in MEASURES}


def why_missing(measure: Measure) -> str:
    """Why a measure has no value for any picture."""
    if measure.key == "lpips" and isinstance(load_lpips(), str):
        return str(load_lpips())
    return f"needs {measure.needs}"
