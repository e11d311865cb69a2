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
        self.keeps = False  # what it holds back while nothing flows is forwarded later
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.lost: list[socket.socket] = []  # kept open: who talks to them is not told
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near = self.listener.accept()[0]
                if self._vanishes():
                    self.lost.append(near)
                    continue
                far = socket.socket(socket.AF_UNIX)
                try:
                    far.connect(self.target)
                except OSError:  # the server is down
                    near.close()
                    continue
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._forward, args=pair, daemon=True).start()

    def _vanishes(self) -> bool:
        """Whether what arrives now is lost; waits where it is to be forwarded later."""
        if self.keeps:
            self.flows.wait()
        return not self.flows.is_set()

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if self._vanishes():
                    break
                sink.sendall(data)
        if self._vanishes():
            self.lost += [source, sink]
            return
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def silence(self, seconds: float, keeps: bool = False) -> Iterator[None]:
        """Forwards nothing from now on; after so many seconds new connections are forwarded again.

        Args:
            keeps: the old ones too, with all that was sent meanwhile; else they are lost, and neither end is told.
        """
        self.keeps = keeps
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
