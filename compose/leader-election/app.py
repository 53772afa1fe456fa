"""The application of the recipe leader-election, which works only while it leads.

It asks the sidecar on localhost:4040 to lead, waits for its turn, and while its lease holds adds
to the set of store:8000, over and over: it reads the set, adds an item and writes it back, both with
its fencing token. Standard library only. Two ways to hold a lease, by the variable HOLD:

    renew        acquires, and renews when the sidecar said it should; survives a restarted sidecar
    connection   leads for as long as a connection to the sidecar lives; when this process dies,
                 the kernel closes it, and the next one leads at once

    GET  /            what it does: leading, token, valid_for_ms, writes accepted and refused
    GET  /leadership  what its sidecar knows of the election
    GET  /cluster     what its sidecar knows of the group
    POST /kill        ends the process that works with SIGKILL; its parent starts another
    POST /pause       stops it between a read and a write, as a pause of the runtime would
    POST /resume      lets it go on
    GET  /healthz
"""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = 8000
STORE = ("store", 8000)
SIDECAR = ("127.0.0.1", 4040)
ADMIN = ("127.0.0.1", 9612)
ELECTION = "/v1/elections/work"

# For its turn it waits so long at a time.
WAIT_MS = 10_000
# A request to the sidecar that does not wait for a turn.
ASK_S = 2
# An operation on the store; none begins when the lease holds for less.
OPERATION_S = 1
# Between two operations, two attempts, and two lives of the process.
PACE_S = 0.05
RETRY_S = 0.1
# A pause ends by itself, lest it be forgotten.
PAUSE_S_MAX = 300


def boottime_s():
    """The clock that leases are counted on; it goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def ask(address, method, path, body=None, timeout_s=ASK_S):
    """One request; the status and the decoded answer."""
    connection = http.client.HTTPConnection(*address, timeout=timeout_s)
    try:
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, json.loads(response.read() or b"{}")
    finally:
        connection.close()


class Lease:
    """What the sidecar granted, and until when it may be relied on."""

    def __init__(self, grant):
        self.holder, self.session = grant["holder"], grant["session"]
        self.token = grant["token"]
        self.over = False
        self.extend(grant)

    def extend(self, grant):
        # On the clock of this machine, so it holds however long the answer was on its way.
        self.deadline_s = grant["deadline_boottime_ns"] / 1e9
        self.renew_s = boottime_s() + grant["renew_after_ms"] / 1000

    def left_s(self):
        return 0 if self.over else max(0, self.deadline_s - boottime_s())


class Application:
    """The work, and the state that others may look at."""

    def __init__(self):
        self.lease = None
        self.go = threading.Event()
        self.go.set()
        self.held_up = False
        self.items = 0
        self.counts = {"accepted": 0, "refused": 0, "errors": 0}

    def status(self):
        lease = self.lease
        left_s = lease.left_s() if lease else 0
        return {
            "leading": left_s > 0,
            "token": lease.token if lease else None,
            "valid_for_ms": round(left_s * 1000),
            "paused": self.held_up,
            "process": os.getpid(),
            **self.counts,
        }

    def run(self):
        lead = {"renew": self.renewing, "connection": self.connected}[os.environ["HOLD"]]
        while True:
            try:
                lead()
            except (OSError, http.client.HTTPException, ValueError):
                # The sidecar is not there; it will be.
                time.sleep(RETRY_S)

    def renewing(self):
        """Acquires once, then works and renews until the lease is lost."""
        # Sent again after an answer that never came, it finds the lease it got.
        request = {"wait_ms": WAIT_MS, "request_id": str(uuid.uuid4())}
        status, grant = None, {}
        while status != 200:
            try:
                waits_s = WAIT_MS / 1000 + ASK_S
                status, grant = ask(SIDECAR, "POST", f"{ELECTION}/acquire", request, waits_s)
            except (OSError, http.client.HTTPException, ValueError):
                status, grant = 504, {}
            if status not in (200, 504):
                request["request_id"] = str(uuid.uuid4())
            if status != 200 and grant.get("error") != "held":
                time.sleep(RETRY_S)
        self.lease = Lease(grant)
        try:
            while self.keep(self.lease):
                self.work(self.lease)
                time.sleep(PACE_S)
        finally:
            self.give_up()

    def keep(self, lease):
        """Renews when it is time; false when the lease is lost."""
        if boottime_s() < lease.renew_s:
            return True
        body = {"session": lease.session, "token": lease.token}
        try:
            status, grant = ask(SIDECAR, "POST", f"{ELECTION}/renew", body)
        except (OSError, http.client.HTTPException, ValueError):
            # The lease holds until its deadline all the same.
            return True
        if status == 200:
            lease.extend(grant)
        return status != 409

    def connected(self):
        """Leads for as long as the connection lives."""
        connection = http.client.HTTPConnection(*SIDECAR)
        try:
            headers = {"Accept": "text/event-stream", "Content-Type": "application/json"}
            connection.request("POST", f"{ELECTION}/acquire", "{}", headers)
            response = connection.getresponse()
            if response.status != 200:
                time.sleep(RETRY_S)
                return
            reader = threading.Thread(target=self.listen, args=(response,), daemon=True)
            reader.start()
            while reader.is_alive():
                if self.lease:
                    self.work(self.lease)
                time.sleep(PACE_S)
        finally:
            self.lease = None
            connection.close()

    def listen(self, response):
        """Follows the events `elected` and `renewed` until there are no more."""
        event = None
        while event not in ("lost", "failed"):
            line = response.readline()
            if not line:
                break
            name, _, value = line.decode().strip().partition(": ")
            if name == "event":
                event = value
            elif name == "data" and event == "elected":
                self.lease = Lease(json.loads(value))
            elif name == "data" and event == "renewed":
                self.lease.extend(json.loads(value))
        if self.lease:
            self.lease.over = True

    def work(self, lease):
        """One operation, begun only if it can end before the lease does."""
        if lease.left_s() < OPERATION_S:
            return
        self.items += 1
        item = f"{lease.token}/{self.items}"
        try:
            path = f"/set?token={lease.token}"
            status, found = ask(STORE, "GET", path, timeout_s=OPERATION_S / 2)
            if status != 200:
                self.counts["refused"] += 1
                return
            if not self.go.is_set():
                self.held_up = True
                self.go.wait(PAUSE_S_MAX)
                self.held_up = False
            write = {
                "items": found["items"] + [item],
                "added": item,
                "token": lease.token,
                "writer": lease.holder,
            }
            status, _ = ask(STORE, "PUT", "/set", write, OPERATION_S / 2)
            self.counts["accepted" if status == 200 else "refused"] += 1
        except (OSError, http.client.HTTPException, ValueError, KeyError):
            self.counts["errors"] += 1

    def give_up(self):
        """Resigns, so that the next one need not wait for the lease to end."""
        lease, self.lease = self.lease, None
        try:
            body = {"session": lease.session, "token": lease.token}
            ask(SIDECAR, "POST", f"{ELECTION}/resign", body)
        except (OSError, http.client.HTTPException, ValueError):
            # It ends by itself.
            pass


APPLICATION = Application()


class Handler(BaseHTTPRequestHandler):
    """The routes listed at the head of this file."""

    timeout = ASK_S

    def answer(self, status, body):
        body = json.dumps(body).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def pass_on(self, address, path):
        try:
            self.answer(*ask(address, "GET", path, timeout_s=1))
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.answer(502, {"error": str(error)})

    def do_GET(self):
        if self.path == "/":
            self.answer(200, APPLICATION.status())
        elif self.path == "/leadership":
            self.pass_on(SIDECAR, ELECTION)
        elif self.path == "/cluster":
            self.pass_on(ADMIN, "/mgmt/v1/cluster")
        elif self.path == "/healthz":
            self.answer(200, {"ok": True})
        else:
            self.answer(404, {"error": "not_found"})

    def do_POST(self):
        if self.path == "/kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.path in ("/pause", "/resume"):
            if self.path == "/pause":
                APPLICATION.go.clear()
            else:
                APPLICATION.go.set()
            self.answer(200, APPLICATION.status())
        else:
            self.answer(404, {"error": "not_found"})

    def log_message(self, *_):
        """Silent: the health check alone would fill the log."""


def supervise():
    """Starts the process that works, again and again: process 1 cannot be killed from within."""
    while True:
        child = subprocess.Popen([sys.executable, __file__, "work"])
        try:
            child.wait()
        finally:
            # Told to end, it lets the child resign first.
            child.terminate()
            child.wait()
        time.sleep(RETRY_S)


def work():
    server = ThreadingHTTPServer(("0.0.0.0", PORT), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    APPLICATION.run()


def main():
    if sys.argv[1:] == ["healthcheck"]:
        urllib.request.urlopen(f"http://127.0.0.1:{PORT}/healthz", timeout=ASK_S)
        return
    # As process 1 it would otherwise ignore the signal and be killed after the grace period.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    work() if sys.argv[1:] == ["work"] else supervise()


if __name__ == "__main__":
    main()
