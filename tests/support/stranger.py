"""A server that is not the one that was expected: it answers the same bytes to everybody, and hangs up."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stranger(said: bytes) -> Iterator[str]:
    """Listens until the end of the block; gives host:port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:  # closed: the block has ended
                    return
                with client:
                    client.recv(65_536)
                    client.sendall(said)

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
