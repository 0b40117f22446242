"""Every error Renderlift raises on purpose.

    RenderliftError             a sentence, and the fix where there is one
    ├── ChannelError            an array that breaks its channel's row in the table
    ├── ProtocolError           bytes that docs/protocol.md does not allow
    │   └── VersionError        a peer that speaks another protocol version
    ├── TransportError          a connection, session or shared-memory ring that failed
    ├── RecordingError          a recording that cannot be read or written
    ├── SetupError              something this machine lacks: a package, weights, a GPU, EGL
    └── RenderError             a renderer that failed on a clip

The command line prints the message and the fix, and exits with `exit_code`.
"""

# What a slim container lacks of the libraries that OpenCV and Panda3D load.
SYSTEM_LIBRARIES_FIX = "On Debian or Ubuntu: apt-get install libegl1 libgl1 libgl1-mesa-dri libglib2.0-0"


def install_fix(extra: str) -> str:
    """What to do where the packages of an extra are missing. The project is not on a package index."""
    return f"In your clone of renderlift: pip install -c constraints.txt -e '.[{extra}]'"


def with_fix(message: str, fix: str) -> str:
    """As people read it: the fix on a line of its own."""
    return f"{message}\n  fix: {fix}" if fix else message


class RenderliftError(Exception):
    """Base of the tree.

    Args:
        message: what came and what was wanted.
        fix: what the reader can do about it, as an imperative sentence.
    """

    exit_code = 1

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message}\n{self.fix}" if self.fix else self.message


class ChannelError(RenderliftError):
    """An array has another shape or dtype than its channel's row says."""


class ProtocolError(RenderliftError):
    """A message breaks docs/protocol.md.

    `code` is the word from its table of error codes that goes back to the peer.
    """

    def __init__(self, message: str, *, fix: str = "", code: str = "malformed") -> None:
        super().__init__(message, fix=fix)
        self.code = code


class VersionError(ProtocolError):
    """The peer speaks another protocol version."""

    def __init__(self, message: str, *, fix: str = "", code: str = "version") -> None:
        super().__init__(message, fix=fix, code=code)


class TransportError(RenderliftError):
    """A connection, a session or a shared-memory ring failed."""


class RecordingError(RenderliftError):
    """A recording cannot be read or written."""


class SetupError(RenderliftError):
    """This machine lacks something that was asked for."""


class RenderError(RenderliftError):
    """A renderer failed on a clip."""
