"""A small client of the rig's API server for demo and bench: the standard library only, loopback only."""

import base64
import http.client
import json
import os
import ssl
import tempfile
import threading
import time
import urllib.parse

CALL_TIMEOUT = 30
WATCH_SECONDS = 300


class Refused(Exception):
    """What the API server answered instead of the object."""

    def __init__(self, code, answer):
        super().__init__(f"{code}: {answer[:300]}")
        self.code = code


class Kube:
    """One connection, for one thread. The rig writes its kubeconfig as JSON."""

    def __init__(self, path=None):
        with open(path or os.environ["KUBECONFIG"]) as file:
            config = json.load(file)
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        decode = lambda text: base64.b64decode(text).decode()
        self.context = ssl.create_default_context(cadata=decode(cluster["certificate-authority-data"]))
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as pair:
            pair.write(decode(user["client-certificate-data"]) + decode(user["client-key-data"]))
            pair.flush()
            self.context.load_cert_chain(pair.name)
        self.address = urllib.parse.urlsplit(cluster["server"]).netloc
        self.connection = None

    def open(self, timeout):
        return http.client.HTTPSConnection(self.address, timeout=timeout, context=self.context)

    def call(self, method, path, body=None, kind="application/json"):
        """One request and its answer. A connection that the server closed is opened again once."""
        text = None if body is None else json.dumps(body)
        for again in (True, False):
            self.connection = self.connection or self.open(CALL_TIMEOUT)
            try:
                self.connection.request(method, path, text, {"Content-Type": kind})
                answer = self.connection.getresponse()
                content = answer.read().decode()
                break
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                self.connection.close()
                self.connection = None
                if not again:
                    raise
        if answer.status >= 300:
            raise Refused(answer.status, content)
        return json.loads(content)

    def get(self, path):
        return self.call("GET", path)

    def create(self, path, body):
        return self.call("POST", path, body)

    def merge(self, path, body):
        return self.call("PATCH", path, body, "application/merge-patch+json")


class Store:
    """The objects of one list, kept up to date by a watch in a thread of its own."""

    def __init__(self, path, on_change=None):
        self.path, self.on_change = path, on_change
        self.objects, self.changed = {}, threading.Condition()
        self.ended, self.answer = False, None
        self.kube = Kube()
        self.fill()
        threading.Thread(target=self.run, daemon=True).start()

    def fill(self):
        found = self.kube.get(self.path)
        with self.changed:
            self.objects = {item["metadata"]["name"]: item for item in found.get("items") or []}
            self.version = found["metadata"]["resourceVersion"]
            self.changed.notify_all()

    def run(self):
        while not self.ended:
            try:
                self.follow()
            except (OSError, http.client.HTTPException, ValueError, Refused):
                time.sleep(0.2)
                try:
                    self.fill()
                except (OSError, http.client.HTTPException, Refused):
                    continue

    def follow(self):
        connection = self.kube.open(WATCH_SECONDS + 10)
        query = f"?watch=true&timeoutSeconds={WATCH_SECONDS}&resourceVersion={self.version}"
        connection.request("GET", self.path + query)
        answer = connection.getresponse()
        if answer.status != 200:
            raise Refused(answer.status, answer.read().decode())
        for line in answer:
            event = json.loads(line)
            if event["type"] == "ERROR":
                raise ValueError(event["object"].get("message"))
            self.take(event["type"], event["object"])
        connection.close()

    def take(self, kind, item):
        name = item["metadata"]["name"]
        with self.changed:
            self.version = item["metadata"]["resourceVersion"]
            if kind == "DELETED":
                self.objects.pop(name, None)
            else:
                self.objects[name] = item
            self.changed.notify_all()
        if self.on_change:
            self.on_change(kind, item)

    def wait(self, what, holds, seconds):
        """Waits until `holds` of the objects by name, and returns what it returned."""
        end = time.monotonic() + seconds
        with self.changed:
            while True:
                found = holds(self.objects)
                if found:
                    return found
                left = end - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"gave up on {what} after {seconds} s")
                self.changed.wait(min(left, 1))


def field(item, path, otherwise=None):
    """The value at a dotted path, or `otherwise` where a part is missing."""
    for part in path.split("."):
        if not isinstance(item, dict) or part not in item:
            return otherwise
        item = item[part]
    return item


def condition(item, kind):
    """The status of a condition that speaks of the present generation, else None."""
    for found in field(item, "status.conditions", []):
        if found["type"] == kind and found.get("observedGeneration") == item["metadata"]["generation"]:
            return found["status"]
    return None
