# SPDX-License-Identifier: Apache-2.0
"""JSON-RPC 2.0, one message a line, over a Unix socket."""

import json
import socket
import time

from .wait import SLOWNESS, deadline


class RpcError(Exception):
    """An error answer: code, message, data as the server gave them."""

    def __init__(self, method, error):
        self.method = method
        self.code = error.get("code")
        self.message = error.get("message", "")
        self.data = error.get("data")
        super().__init__(f"{method}: {self.code}: {self.message} {json.dumps(self.data) if self.data else ''}".rstrip())


class Rpc:
    """A connection. Answers come in any order; notifications are kept in `events` until taken."""

    def __init__(self, path, timeout_s=30):
        self.path = path
        self.timeout_s = timeout_s
        self.events = []
        self._next_id = 1
        self._answers = {}
        self._buffer = b""
        self._decoder = json.JSONDecoder()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout_s * SLOWNESS)
        self.socket.connect(path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send_bytes(self, data):
        """For tests of the protocol itself."""
        self.socket.sendall(data)

    def receive(self, timeout_s=None):
        """The next message, whatever it is; None when the server closed; TimeoutError."""
        end = deadline(timeout_s if timeout_s is not None else self.timeout_s)
        while b"\n" not in self._buffer:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"{self.path}: nothing within {timeout_s} s")
            self.socket.settimeout(left)
            data = self.socket.recv(1 << 20)
            if not data:
                return None
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\n", 1)
        return json.loads(line) if line.strip() else self.receive(timeout_s)

    def start(self, method, **params):
        """Sends a request and returns its id; `finish` waits for the answer."""
        request_id = self._next_id
        self._next_id += 1
        request = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
        self.send_bytes(json.dumps(request).encode() + b"\n")
        return request_id

    def finish(self, request_id, method="", timeout_s=None):
        end = time.monotonic() + (timeout_s or self.timeout_s) * SLOWNESS
        while request_id not in self._answers:
            message = self.receive(max(0.01, (end - time.monotonic()) / SLOWNESS))
            if message is None:
                raise ConnectionError(f"{self.path}: closed before the answer to {method}")
            if "id" in message and message["id"] is not None:
                self._answers[message["id"]] = message
            else:
                self.events.append(message)
        answer = self._answers.pop(request_id)
        if "error" in answer:
            raise RpcError(method, answer["error"])
        return answer["result"]

    def call(self, method, **params):
        """Asks and waits: the result, or RpcError."""
        return self.finish(self.start(method, **params), method)

    def event(self, timeout_s=5):
        """The params of the next notification."""
        if not self.events:
            message = self.receive(timeout_s)
            if message is None:
                raise ConnectionError(f"{self.path}: closed")
            self.events.append(message)
        return self.events.pop(0)["params"]
