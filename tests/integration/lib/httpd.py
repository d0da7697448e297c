# SPDX-License-Identifier: Apache-2.0
"""The web server of a test machine: httpd.py NAME PORT.

GET / answers "NAME CLIENT-ADDRESS", /bytes/N answers N bytes, POST anything answers its length.
Prints "ready" once it listens, on both families.
"""

import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    machine = ""

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path.startswith("/bytes/"):
            self.answer(b"x" * int(self.path.rsplit("/", 1)[1]))
        else:
            client = self.client_address[0].removeprefix("::ffff:")
            self.answer(f"{self.machine} {client}\n".encode())

    def do_POST(self):
        length = int(self.headers.get("Content-Length", 0))
        self.rfile.read(length)
        self.answer(f"{length}\n".encode())

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True
    request_queue_size = 128

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a server of before may have closed first
        self.socket.bind(self.server_address)  # without the look-up of our own name


def main():
    Handler.machine = sys.argv[1]
    server = Server(("::", int(sys.argv[2])), Handler)
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
