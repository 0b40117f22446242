"""What a recording holds, as a table."""

from renderlift.bridge.events import Events
from renderlift.bridge.record import RecordingSummary
from renderlift.bridge.segment_index import StreamSummary


def tell_recording(summary: RecordingSummary, events: Events) -> None:
    """Tell what `record.summarize` found, and what its crashes left."""
    rows = [_row(stream) for stream in summary.streams]
    header = ("engine", "session", "camera", "frames", "missing", "size", "fps", "seconds")
    title = f"{summary.path}: {summary.frames} frames, {_size(summary.bytes)}"
    # Above the table, which would not fit a terminal of 80 columns with them.
    for channels in dict.fromkeys(", ".join(stream.channels) for stream in summary.streams):
        title += f"\n{channels}"
    missing = [[[gap.start, gap.stop - 1] for gap in stream.missing] for stream in summary.streams]
    events.table(
        "recording",
        title,
        header,
        rows,
        recording=summary,
        frames=summary.frames,
        whole=summary.whole,
        missing=missing,
    )
    for text in _remarks(summary):
        events.tell("remark", text, text=text)


def _row(stream: StreamSummary) -> tuple[str, ...]:
    return (
        stream.engine,
        stream.session[:8],
        stream.camera,
        str(stream.frames),
        _gaps(stream.missing),
        f"{stream.width}x{stream.height}",
        f"{stream.fps:.3g}" if stream.fps else "-",
        f"{stream.duration_s:.2f}",
    )


def _gaps(missing: tuple[range, ...]) -> str:
    shown = [str(gap.start) if len(gap) == 1 else f"{gap.start}-{gap.stop - 1}" for gap in missing[:4]]
    return ", ".join([*shown, "..."] if len(missing) > 4 else shown) or "none"


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _remarks(summary: RecordingSummary) -> list[str]:
    remarks: list[str] = []
    if summary.cut_segments:
        remarks.append(
            f"{', '.join(summary.cut_segments)}: no end. Its recorder was killed, or is still writing; "
            "what is there is read, and the next recorder ends it properly."
        )
    if summary.recovered_segments:
        remarks.append(f"{', '.join(summary.recovered_segments)}: its recorder was killed; all it wrote is here.")
    if summary.damaged_chunks:
        remarks.append(f"{summary.damaged_chunks} pieces are damaged and left out.")
    return remarks
