"""A headless Chromium spoken to over its debugging pipe: what a page logs, fetches and shows."""

import base64
import fcntl
import json
import os
import shutil
import subprocess
import tempfile

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


class Browser:
    """One page at a time. `problems` are console errors and exceptions, `requests` the addresses it asked for."""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        (their_in, self._out), (self._in, their_out) = os.pipe(), os.pipe()

        def wire():
            ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (their_in, their_out)]  # where nothing is open
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        arguments = [PROGRAM, *FLAGS, f"--user-data-dir={self._folder.name}", "about:blank"]
        self._process = subprocess.Popen(
            arguments, preexec_fn=wire, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(their_in)
        os.close(their_out)
        self._rest, self._count, self.events = b"", 0, []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self._out)
        self._process.terminate()
        self._process.wait(timeout=20)
        os.close(self._in)
        self._folder.cleanup()

    def call(self, method, **parameters):
        return self._call(method, self._session, **parameters)

    def _call(self, method, session=None, **parameters):
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        message.update({"sessionId": session} if session else {})
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._count:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def _read(self):
        while b"\0" not in self._rest:
            piece = os.read(self._in, 2**16)
            if not piece:
                raise RuntimeError("the browser is gone")
            self._rest += piece
        message, _, self._rest = self._rest.partition(b"\0")
        answer = json.loads(message)
        if "method" in answer:
            self.events.append((answer["method"], answer["params"]))
        return answer

    def open(self, address, width=1280, height=900, dark=False, paper=False):
        """Show a page at this size, or as on paper, and wait until it has loaded."""
        self.events.clear()
        phone = width < 600
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        scheme = "dark" if dark else "light"
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media="print" if paper else "", features=features)
        self.call("Page.navigate", url=str(address))
        while not any(name == "Page.loadEventFired" for name, _ in self.events):
            self._read()

    def run(self, script):
        """The value of a JavaScript expression."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def settle(self, milliseconds=100):
        """Wait for what the page does in its next frame, and for what that puts off for less than this time."""
        self.run(f"new Promise(done => requestAnimationFrame(() => setTimeout(done, {milliseconds})))")

    def wait_for(self, condition):
        """Wait until this JavaScript expression holds, at most ten seconds."""
        look = f"look = () => ({condition}) || performance.now() > end ? done() : setTimeout(look, 20)"
        self.run(f"new Promise(done => {{ const end = performance.now() + 10000, {look}; look(); }})")

    def complaints(self, script):
        """What axe-core, whose source is given, finds wrong for who sees, hears or points otherwise."""
        self.call("Runtime.evaluate", expression=script)
        found = self.run("axe.run().then(found => found.violations.map(v => [v.id, v.nodes.map(n => n.html)]))")
        return [f"{name}: {node[:160]}" for name, nodes in found for node in nodes]

    def press(self, key):
        text = {"text": key} if len(key) == 1 else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def drag(self, x0, y0, x1, y1):
        self.call("Input.dispatchMouseEvent", type="mousePressed", x=x0, y=y0, button="left", clickCount=1)
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x1, y=y1, button="left")
        self.call("Input.dispatchMouseEvent", type="mouseReleased", x=x1, y=y1, button="left", clickCount=1)

    @property
    def problems(self):
        self.run("new Promise(done => setTimeout(done, 50))")
        logged = [e["entry"]["text"] for name, e in self.events if name == "Log.entryAdded"]
        thrown = [str(e["exceptionDetails"]) for name, e in self.events if name == "Runtime.exceptionThrown"]
        said = [str(e["args"]) for name, e in self.events if name == "Runtime.consoleAPICalled"]
        return logged + thrown + said

    @property
    def requests(self):
        asked = [e["request"]["url"] for name, e in self.events if name == "Network.requestWillBeSent"]
        return [address for address in asked if not address.startswith("data:")]

    def picture(self, path, whole=True):
        """Save a screenshot as PNG."""
        answer = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        with open(path, "wb") as file:
            file.write(base64.b64decode(answer["data"]))

    def paper(self, path):
        """Save the page as it prints."""
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("Page.printToPDF", printBackground=False)["data"]))
