"""A line with a long way: a proxy on loopback that hands on every octet a fixed time after it came, and never slows the stream."""

import queue
import socket
import threading
import time

from .base import free_port


class Line:
    """Delays each way by `delay` seconds. The TCP handshake, three ways of it, takes as long as it would on such a line."""

    def __init__(self, far_port, delay):
        self.far_port, self.delay = far_port, delay
        # How often a client spoke after it had heard something: what it can't do without waiting.
        self.turns = 0
        self.heard = True

    def __enter__(self):
        self.port = free_port()
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.carry, args=(near,), daemon=True).start()

    def carry(self, near):
        time.sleep(3 * self.delay)
        far = socket.create_connection(("127.0.0.1", self.far_port))
        for side in [near, far]:
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for source, sink, note in [(near, far, None), (far, near, self.note_heard)]:
            due = queue.SimpleQueue()
            threading.Thread(target=self.take, args=(source, due, source is near), daemon=True).start()
            threading.Thread(target=self.give, args=(sink, due, note), daemon=True).start()

    def take(self, source, due, from_client):
        octets = b"more"
        while octets:
            try:
                octets = source.recv(1 << 16)
            except OSError:
                octets = b""
            if from_client and octets and self.heard:
                self.turns, self.heard = self.turns + 1, False
            due.put((time.monotonic() + self.delay, octets))

    def give(self, sink, due, note):
        while True:
            when, octets = due.get()
            time.sleep(max(0.0, when - time.monotonic()))
            try:
                if not octets:
                    return sink.shutdown(socket.SHUT_WR)
                sink.sendall(octets)
            except OSError:
                return None
            if note:
                note()

    def note_heard(self):
        self.heard = True
