"""The report as a page: one HTML file with its pictures inside, worst scenes first."""

import base64
from collections.abc import Iterator
from html import escape
from pathlib import Path

import cv2
import numpy as np

from renderlift.model.evaluate.distance import Picture
from renderlift.model.evaluate.measures import MEASURES
from renderlift.model.evaluate.pictures import HEAT_FULL, heat
from renderlift.model.evaluate.report import Report, SceneResult, best, notes
from renderlift.model.evaluate.run import picture_path
from renderlift.model.evaluate.subjects import RENDER, TRUTH

WORST = 6
MANY = 6  # columns, beyond which they stand closer
EVERY = 8  # scenes up to which all are shown
_WEBP = (cv2.IMWRITE_WEBP_QUALITY, 92)
_CARDS = ("psnr_gain_db", "ssim", "detail_error", "label_fit", "warp_relative", "seam_ratio")
_WAYS = {"higher": "↑", "lower": "↓", "near 1": "→ 1", "near truth": "→ truth"}
_ZOOM = """
const dialog = document.querySelector("dialog");
dialog.onclick = () => dialog.close();
document.querySelectorAll("figure img").forEach((picture) => (picture.onclick = () => {
  dialog.firstElementChild.src = picture.src;
  dialog.showModal();
}));
"""


def html_page(report: Report, folder: Path) -> str:
    """The page.

    Args:
        folder: what `run.evaluate` wrote to, for the pictures.
    """
    style = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
    body = "\n".join([*_head(report), *_table(report), *_gains(report), *_cases(report, folder), *_notes(report)])
    title = f"Evaluation of {escape(report.input)}"
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f'<meta name="viewport" content="width=device-width">\n<style>\n{style}</style>\n'
        f'{body}\n<dialog><img alt=""></dialog>\n<script>{_ZOOM}</script>\n</html>\n'
    )


def _head(report: Report) -> Iterator[str]:
    scenes = len(report.scenes)
    yield f"<h1>{escape(report.main)}, measured on {escape(report.input)}</h1>"
    yield (
        f"<p>{report.frames} frames of {scenes} scene{'s' * (scenes != 1)} at {escape(report.size)}, means over "
        "the scenes. Measures that need no truth are best read beside what the truth itself scores.</p>"
    )
    main = report.subject(report.main)
    if main is None:
        return
    yield '<div class="cards">'
    for measure in MEASURES:
        if measure.key in _CARDS and measure.key in main.summary:
            text = measure.text(main.summary[measure.key])
            yield f'<div class="card"><b>{text}</b><span>{escape(measure.title)}</span></div>'
    if main.gained is not None:
        text = f"{main.gained} of {scenes}"
        yield f'<div class="card"><b>{text}</b><span>scenes nearer to the truth than the render</span></div>'
    yield "</div>"


def _table(report: Report) -> Iterator[str]:
    yield '<h2>Measures</h2>\n<div class="wide">'
    yield f"<table{' class=many' * (len(report.subjects) > MANY)}><tr><th>measure</th>"
    for subject in report.subjects:
        yield f"<th{_kind(subject.name, report)}>{escape(subject.name)}</th>"
    yield "</tr>"
    for measure in MEASURES:
        if not any(measure.key in subject.summary for subject in report.subjects):
            continue
        winners = best(measure, report)
        yield f"<tr><td>{escape(measure.title)}<i>{_WAYS[measure.better]}</i></td>"
        for subject in report.subjects:
            kind = _kind(subject.name, report, "best" if subject.name in winners else "")
            yield f"<td{kind}>{measure.text(subject.summary.get(measure.key))}</td>"
        yield "</tr>"
    yield "</table></div>"
    yield (
        "<p class=under>Blur lowers warp error and flicker too: read them beside the amount of detail. "
        "The truth is path-traced and denoised, and not quite steady itself.</p>"
    )


def _gains(report: Report) -> Iterator[str]:
    """A bar per scene: how much nearer to the truth than the render."""
    gains = {name: gain for name in report.scenes if (gain := _gain_db(report, name)) is not None}
    if len(gains) < 2:
        return
    low, high = min(0.0, *gains.values()), max(0.0, *gains.values())
    span = max(high - low, 1e-6)
    zero = f'<i class="zero" style="left:{-low / span:.2%}"></i>'
    yield '<h2>PSNR gain over the render, scene by scene</h2>\n<div class="bars">'
    for name, gain in sorted(gains.items(), key=lambda item: item[1]):
        left, width = (min(gain, 0.0) - low) / span, abs(gain) / span
        bar = f'<i class="bar{" loss" * (gain < 0)}" style="left:{left:.2%};width:{width:.2%}"></i>'
        yield f'<span>{escape(name)}</span><div class="track">{bar}{zero}</div><b>{gain:+.2f} dB</b>'
    yield "</div>"


def _cases(report: Report, folder: Path) -> Iterator[str]:
    names = sorted(report.scenes, key=lambda name: _rank(report, name))
    chosen = names if len(names) <= EVERY else [*names[:WORST], names[len(names) // 2], names[-1]]
    yield f"<h2>{'All scenes' if chosen == names else f'The {WORST} worst scenes, the median and the best'}</h2>"
    yield (
        f"<p>The worst frame of each. Error: difference to the truth, from none, black, to {HEAT_FULL} levels. "
        "Labels: the engine's borders of ids, green where the picture has an edge, red where it has none. "
        "Click to enlarge.</p>"
    )
    for name in chosen:
        yield from _case(report, folder, name)


def _case(report: Report, folder: Path, scene: str) -> Iterator[str]:
    main = _result(report, report.main, scene)
    gain = _gain_db(report, scene)
    told = "" if gain is None else f"<span{' class=loss' * (gain < 0)}>{gain:+.2f} dB over the render</span>"
    frame = f"<span>frame {main.shown_frame}</span>" if main else ""
    kind = f"<span>{escape(main.kind)}</span>" if main and main.kind else ""
    yield f'<div class="case"><h3>{escape(scene)}{kind}{frame}{told}</h3><div class="row">'
    pictures = {s.name: _picture(picture_path(folder, s.name, scene)) for s in report.subjects}
    own, truth = pictures.get(report.main), pictures.get(TRUTH)
    order = dict.fromkeys([RENDER, report.main, TRUTH])
    shown = {name: pictures.get(name) for name in order}
    if own is not None and truth is not None:
        shown["error"] = heat(own, truth)
    shown["labels"] = _picture(picture_path(folder, report.main, scene, "labels"))
    shown |= {name: picture for name, picture in pictures.items() if name not in order}
    for caption, picture in shown.items():
        if picture is not None:
            yield f'<figure><img alt="{escape(caption)}" src="{_embedded(picture)}">'
            yield f"<figcaption>{escape(caption)}</figcaption></figure>"
    yield "</div></div>"


def _notes(report: Report) -> Iterator[str]:
    told = notes(report)
    if told:
        yield "<h2>Notes</h2><ul>"
        yield from (f"<li>{escape(note)}</li>" for note in told)
        yield "</ul>"


def _kind(name: str, report: Report, more: str = "") -> str:
    kinds = [more, "main" if name == report.main else "", "truth" if name == TRUTH else ""]
    text = " ".join(kind for kind in kinds if kind)
    return f' class="{text}"' if text else ""


def _result(report: Report, subject: str, scene: str) -> SceneResult | None:
    found = report.subject(subject)
    return next((result for result in found.scenes if result.scene == scene), None) if found else None


def _gain_db(report: Report, scene: str) -> float | None:
    main, own = _result(report, report.main, scene), _result(report, RENDER, scene)
    if not main or not own or "psnr_db" not in main.values or "psnr_db" not in own.values:
        return None
    return main.values["psnr_db"] - own.values["psnr_db"]


def _rank(report: Report, scene: str) -> float:
    """Lowest for the worst scene."""
    gain = _gain_db(report, scene)
    main = _result(report, report.main, scene)
    return gain if gain is not None else main.values.get("label_fit", 0.0) if main else 0.0


def _picture(path: Path) -> Picture | None:
    read = cv2.imread(str(path), cv2.IMREAD_COLOR) if path.exists() else None
    return None if read is None else np.ascontiguousarray(read[..., ::-1], np.uint8)


def _embedded(picture: Picture) -> str:
    encoded = cv2.imencode(".webp", picture[..., ::-1], _WEBP)[1]
    return f"data:image/webp;base64,{base64.b64encode(encoded.tobytes()).decode()}"
