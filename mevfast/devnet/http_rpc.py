"""JSON-RPC over one kept-alive HTTP connection, blocking: set-up, traders and tests."""

import http.client
import json
from collections.abc import Sequence
from typing import Any

from mevfast.errors import RpcError


class HttpRpc:
    """A client of one node. Not for several threads at once."""

    def __init__(self, host: str, port: int) -> None:
        """Connects at the first request."""
        self.host, self.port = host, port
        self._connection = http.client.HTTPConnection(host, port)

    def _exchange(self, body: bytes, timeout_s: float) -> bytes:
        self._connection.timeout = timeout_s
        if self._connection.sock is not None:
            self._connection.sock.settimeout(timeout_s)
        try:
            self._connection.request("POST", "/", body, {"Content-Type": "application/json"})
            return self._connection.getresponse().read()
        except BaseException:
            self._connection.close()  # the next request starts afresh
            raise

    def batch(self, calls: Sequence[tuple[str, list[Any]]], timeout_s: float = 60.0) -> list[Any]:
        """Results in order of the calls; RpcError for the first refused one.

        OSError or http.client.HTTPException where the node is not there.
        """
        requests = [
            {"jsonrpc": "2.0", "id": index, "method": method, "params": params}
            for index, (method, params) in enumerate(calls)
        ]
        answers = json.loads(self._exchange(json.dumps(requests).encode(), timeout_s))
        results: list[Any] = [None] * len(calls)
        for answer in answers:
            if "error" in answer:
                error = answer["error"]
                method = calls[answer["id"]][0]
                raise RpcError(method, error["code"], error["message"], error.get("data"))
            results[answer["id"]] = answer["result"]
        return results

    def call(self, method: str, *params: Any, timeout_s: float = 30.0) -> Any:
        """The result of one request; RpcError where it is refused."""
        return self.batch([(method, list(params))], timeout_s)[0]

    def close(self) -> None:
        """Closes the connection; a later request opens another."""
        self._connection.close()
