"""Steers a rigged run phase by phase, and injects a fault at the planned moment."""

import json
import selectors
import socket
import threading
from pathlib import Path

from tests.faults.injections import Injection
from tests.faults.stage import Announcement


class Director:
    """Lets the processes of one run go on as they announce themselves, and injects its fault."""

    def __init__(self, injection: Injection, folder: Path) -> None:
        self._injection = injection
        self._seen = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / "stage"))
        self._listener.listen(64)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self.saved = 0
        """Number of finished saves."""
        self.launches = 0
        """Number of launches that reached their last phase."""
        self.aimed: Announcement | None = None
        """The announcement after which the fault is injected."""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._direct)

    def start(self) -> None:
        """Starts the thread that steers the run."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread once all announcements are read."""
        self._ended.set()
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            self._selector.unregister(key.fileobj)
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()

    def _direct(self) -> None:
        while True:
            ready = self._selector.select(0.05)
            if not ready and self._ended.is_set():
                return
            for key, _ in ready:
                if key.fileobj is self._listener:
                    connection, _ = self._listener.accept()
                    self._selector.register(connection, selectors.EVENT_READ)
                else:
                    self._answer(key.fileobj)  # type: ignore[arg-type]

    def _answer(self, connection: socket.socket) -> None:
        try:
            line = connection.recv(65536)
            if line:
                self._announced(json.loads(line))
                connection.sendall(b"g")
                return
        except OSError:
            pass  # it was killed
        self._selector.unregister(connection)
        connection.close()

    def _announced(self, announcement: Announcement) -> None:
        phase = announcement["phase"]
        self.saved += phase == "saved"
        calibrates = announcement.get("calibrates") and phase == "timed batch"
        if self.aimed is None and ("calibration" if calibrates else phase) == self._injection.phase:
            self._seen += 1
            if self._seen == self._injection.occurrence:
                self.aimed = announcement
