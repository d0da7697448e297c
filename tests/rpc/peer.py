# SPDX-License-Identifier: Apache-2.0
"""A southbound peer: speaks the language of lib/southbound.h, forwards nothing, and can be told to misbehave.

For situations that a real dataplane cannot be brought into at will: refusing an item, answering late, dying between
two calls. The digest is computed as in lib/southbound.c.
"""

import json
import os
import socket
import threading

MASK = (1 << 64) - 1
BUCKETS = 256


def _bytes_hash(data):
    h = 0xCBF29CE484222325
    for byte in data:
        h = ((h ^ byte) * 0x100000001B3) & MASK
    return h


def _finish(h):
    h ^= h >> 33
    h = (h * 0xFF51AFD7ED558CCD) & MASK
    h ^= h >> 33
    h = (h * 0xC4CEB9FE1A85EC53) & MASK
    return h ^ (h >> 33)


# Key columns of each kind (lib/southbound_kinds.c).
KEYS = {"endpoint": 2, "route": 2, "rules": 2, "snat": 2, "dnat": 2, "listener": 3, "backend": 5, "inspection": 2}


def key_of(item):
    return "\x1f".join(str(part) for part in item[: 1 + KEYS.get(item[0], 1)])


def item_hash(item):
    text = json.dumps(item, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return _finish(_bytes_hash(text.encode()))


def bucket_of(key):
    return _finish(_bytes_hash(key.encode())) % BUCKETS


class Peer:
    """One node's dataplane, as far as the controller can tell."""

    def __init__(self, path, name, underlay=None):
        self.path = path
        self.name = name
        self.underlay = underlay
        self.externals = None  # outside networks, as in hello
        self.items = {}
        self.revision = 0
        self.calls = []  # every (method, params)
        self.commits = 0
        self.refuse = lambda item: None  # item → reason
        self.silent = set()  # methods that are never answered
        self.port_status = {}
        self.answers = {}  # method → result
        self.lock = threading.RLock()
        self.listener = None
        self.connections = []

    def start(self):
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen(4)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()
        return self

    def stop(self):
        """As a process that dies: its socket stays behind."""
        if self.listener:
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
            self.listener = None
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            connection.close()
        self.connections = []

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        transactions = {}
        try:
            with connection.makefile("rb") as lines:
                for line in lines:
                    request = json.loads(line)
                    with self.lock:
                        answer = self._answer(request, transactions)
                    if answer is not None:
                        connection.sendall(json.dumps(answer).encode() + b"\n")
        except (OSError, ValueError):
            pass

    def notify(self, method, **params):
        for connection in self.connections:
            try:
                connection.sendall(json.dumps({"jsonrpc": "2.0", "method": method, "params": params}).encode() + b"\n")
            except OSError:
                pass  # of a controller that was

    def _answer(self, request, transactions):
        method, params = request["method"], request.get("params", {})
        self.calls.append((method, params))
        if "id" not in request or method in self.silent:
            return None
        reply = {"jsonrpc": "2.0", "id": request["id"]}
        try:
            reply["result"] = self._result(method, params, transactions)
        except Refused as e:
            reply["error"] = e.error
        return reply

    def _result(self, method, params, transactions):
        if method == "hello":
            return self._hello()
        if method == "state.keys":
            wanted = set(params["buckets"])
            items = [
                item[: 1 + KEYS.get(item[0], 1)] + [f"{item_hash(item):016x}"]
                for key, item in sorted(self.items.items())
                if bucket_of(key) in wanted
            ]
            start = int(params.get("cursor", 0))
            end = start + min(params.get("limit", 10), 10)
            return {"items": items[start:end], "cursor": str(end) if end < len(items) else None}
        if method == "state.begin":
            number = len(transactions) + 1
            transactions[number] = []
            return {"transaction": number}
        if method == "state.put":
            return self._put(params, transactions)
        if method == "state.del":
            self._staged(params, transactions).extend((key_of(key), None) for key in params["keys"])
            return {}
        if method == "state.commit":
            return self._commit(params, transactions)
        if method == "port.status":
            return {"items": [self._port(name) for name in params["names"] if f"port\x1f{name}" in self.items]}
        return self.answers.get(method, {})

    def _hello(self):
        digest = [0] * BUCKETS
        for key, item in self.items.items():
            digest[bucket_of(key)] ^= item_hash(item)
        hello = {
            "api_version": 1,
            "node": self.name,
            "version": "0",
            "features": [],
            "items": len(self.items),
            "revision": self.revision,
            "digest": [f"{value:016x}" for value in digest],
            "capacity": {},
        }
        if self.underlay:
            hello["underlay"] = self.underlay
        if self.externals is not None:
            hello["externals"] = self.externals
        return hello

    @staticmethod
    def _staged(params, transactions):
        if params["transaction"] not in transactions:
            raise Refused(2, "no such transaction", {})
        return transactions[params["transaction"]]

    def _put(self, params, transactions):
        staged = self._staged(params, transactions)
        assert len(params["items"]) <= 1000
        for item in params["items"]:
            reason = self.refuse(item)
            if reason:
                del transactions[params["transaction"]]
                raise Refused(1, reason, {"item": item, "reason": reason})
            staged.append((key_of(item), item))
        return {}

    def _commit(self, params, transactions):
        staged = self._staged(params, transactions)
        for key, item in staged:
            if item is None:
                self.items.pop(key, None)
            else:
                self.items[key] = item
        del transactions[params["transaction"]]
        self.revision = params["revision"]
        self.commits += 1
        return {"revision": self.revision, "changed": len(staged)}

    def _port(self, name):
        counters = {"rx_packets": 1, "rx_bytes": 60, "tx_packets": 0, "tx_bytes": 0, "drops": 0}
        return {"name": name, "state": "active", "reason": "", "counters": counters, **self.port_status.get(name, {})}

    def of(self, kind):
        """Items of a kind, by their last key column."""
        with self.lock:
            return {item[KEYS.get(kind, 1)]: item for item in self.items.values() if item[0] == kind}


    def all(self, kind):
        """Items of a kind without its name, in the order of their keys."""
        with self.lock:
            return sorted((item[1:] for item in self.items.values() if item[0] == kind), key=str)

    def rules(self, group):
        """A group's list: its parts by their numbers."""
        with self.lock:
            parts = sorted(item[2:] for item in self.items.values() if item[:2] == ["rules", group])
        assert all(0 < len(rules) <= 128 for _, rules in parts)
        return [rule for _, rules in parts for rule in rules]


class Refused(Exception):
    def __init__(self, code, message, data):
        super().__init__(message)
        self.error = {"code": code, "message": message, "data": data}
