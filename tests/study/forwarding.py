"""A forwarding socket between a client and a server that can stop forwarding while everything is acknowledged."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Forwarder:
    """Listens on loopback and forwards to a Unix socket; ``flows`` is cleared to make all packets vanish."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.flows = threading.Event()
        self.flows.set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.lost: list[socket.socket] = []  # kept open: who talks to them is not told
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near = self.listener.accept()[0]
                if not self.flows.is_set():
                    self.lost.append(near)
                    continue
                far = socket.socket(socket.AF_UNIX)
                far.connect(self.target)
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._forward, args=pair, daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if not self.flows.is_set():
                    self.lost += [source, sink]
                    return
                sink.sendall(data)
        if self.flows.is_set():
            for end in (source, sink):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def silence(self, seconds: float) -> Iterator[None]:
        """Forwards nothing from now on; after so many seconds new connections are forwarded again."""
        self.flows.clear()
        back = threading.Timer(seconds, self.flows.set)
        back.start()
        try:
            yield
        finally:
            back.join()

    def close(self) -> None:
        self.listener.close()
        for end in self.lost:
            end.close()
