"""What the video that steers a base may show. The command line names them, and cannot ask the model."""

CONTROLS = ("edge", "depth", "seg", "blur", "rgb")
