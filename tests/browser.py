"""A headless Chromium, driven by the DevTools protocol over a pair of pipes."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TIMEOUT_S = 60

_TO_BROWSER, _FROM_BROWSER = 3, 4
"""The descriptors that --remote-debugging-pipe reads and writes."""


def chromium() -> str | None:
    """The path of the browser; None if there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Tab:
    """A page in the browser, with the complaints and requests it made."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to_browser, self._from_browser = to_browser, from_browser
        self._rest, self._number, self._session = b"", 0, None
        self.complaints: list[str] = []
        self.requests: list[str] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **params: Any) -> Any:
        """The browser's answer to a command."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to_browser, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def open(self, url: str, width: int, *, dark: bool) -> None:
        """Shows a page in a window of this width, and waits until it is loaded."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])
        self.ask("Page.navigate", url=url)
        while self._next().get("method") != "Page.loadEventFired":
            pass

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        done = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def _next(self) -> dict[str, Any]:
        """Receives the next message, recorded if it is a complaint or a request."""
        while b"\0" not in self._rest:
            some = os.read(self._from_browser, 1 << 16)
            assert some, "the browser ended"
            self._rest += some
        line, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        method, params = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Log.entryAdded":
            self.complaints.append(params["entry"]["text"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(str(params["args"]))
        return message


@contextmanager
def tab(program: str, profile: Path) -> Iterator[Tab]:
    """A page in a fresh browser, which is ended after TIMEOUT_S whatever happens."""
    for_browser, to_browser = os.pipe()
    from_browser, of_browser = os.pipe()
    options = [
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
        *("--disable-extensions", "--disable-background-networking", "--no-first-run"),
        *(f"--user-data-dir={profile}", "--remote-debugging-pipe"),
    ]
    # Copied to above both first, so that neither overwrites the other.
    placed = (
        "import fcntl, os, sys;"
        "read, write = (fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]);"
        f"os.dup2(read, {_TO_BROWSER}); os.dup2(write, {_FROM_BROWSER});"
        "os.execv(sys.argv[3], sys.argv[3:])"
    )
    started = subprocess.Popen(
        [
            *("timeout", f"{TIMEOUT_S}", sys.executable, "-c", placed),
            *(f"{for_browser}", f"{of_browser}", program, *options),
        ],
        pass_fds=(for_browser, of_browser),
        stderr=subprocess.DEVNULL,
    )
    os.close(for_browser)
    os.close(of_browser)
    try:
        shown = Tab(to_browser, from_browser)
        yield shown
        shown._session = None
        shown.ask("Browser.close")
    finally:
        os.close(to_browser)
        os.close(from_browser)
        try:
            started.wait(10)
        except subprocess.TimeoutExpired:
            started.terminate()  # `timeout` hands it on to all of the browser
            started.wait(10)
