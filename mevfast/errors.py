"""The one exception tree. Every message says what was expected, what was there, and what to do."""


class MevfastError(Exception):
    """Base of every error a user may see; the command line prints it as one line, no traceback."""

    exit_code = 2


class ConfigError(MevfastError):
    """The config file: names file, key, what was expected and what was there."""


class KeyFileError(MevfastError):
    """The signing key cannot be read. Never carries key material."""


class DataError(MevfastError):
    """A vector, market or artifact file is not what it should be: names file and field."""


class NodeError(MevfastError):
    """The node cannot be reached, speaks another protocol, or has another chain id.

    Its exit code is its own: a service manager may try again, unlike after a wrong config.
    """

    exit_code = 3


class RpcError(MevfastError):
    """The node answered a request with an error object; carries `code` and `data`.

    Its exit code is NodeError's: a node that is busy now may answer later.
    """

    exit_code = NodeError.exit_code

    def __init__(self, method: str, code: int, message: str, data: object = None) -> None:
        super().__init__(f"{method}: node answered error {code}: {message}")
        self.method, self.code, self.message, self.data = method, code, message, data


class DevnetError(MevfastError):
    """The embedded chain cannot be set up or started."""
