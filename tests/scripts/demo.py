#!/usr/bin/env python3
"""The story of `make demo`, told while it happens: called by tests/rig/demo.sh inside the rig.

A first version comes up, a second one climbs and is promoted by hand, a third one never gets ready and is rolled back.
Requests go through the data plane all the time, and each answer is counted by the version that gave it. Exits 0 only if
everything went as told. Without a data plane the pods are fake, and no answers are counted.
"""

import collections
import http.client
import json
import os
import queue
import subprocess
import sys
import threading
import time
import urllib.parse

from kube import Kube, Refused, Store, condition, field

NAMESPACE = "demo"
ROLLOUTS = f"/apis/stairlock.dev/v1alpha1/namespaces/{NAMESPACE}/rollouts"
# Answers that a share is measured on.
SAMPLE = 200
# Requests a second, over two connections.
RATE = 200
# A step that lasts is shown again after so many seconds.
SHOW_EVERY = 3.0
# The longest that any one thing of the story may take.
PATIENCE = 90

real = os.environ.get("REAL_NODE") == "1"
gateway = os.environ.get("GATEWAY_URL", "")
registry = os.environ["REGISTRY"]
began = time.monotonic()


def say(text=""):
    print(text, flush=True)


def chapter(text):
    say()
    say(f"== {text}")


class Traffic:
    """Requests through the data plane, and what came back."""

    def __init__(self, url):
        self.url, self.lock = urllib.parse.urlsplit(url), threading.Lock()
        self.recent, self.total, self.faults = collections.deque(maxlen=SAMPLE), collections.Counter(), collections.Counter()
        self.on = True
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(2)]
        for thread in self.threads:
            thread.start()

    def run(self):
        connection = http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=5)
        while self.on:
            due = time.monotonic() + len(self.threads) / RATE
            try:
                connection.request("GET", "/", headers={"Host": "shop.example"})
                answer = connection.getresponse()
                content = answer.read()
                fault = None if answer.status == 200 else f"HTTP {answer.status}"
                version = json.loads(content)["version"] if fault is None else None
            except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
                connection.close()
                fault, version = type(error).__name__, None
            with self.lock:
                self.recent.append(version or fault)
                self.total[version or fault] += 1
                if fault:
                    self.faults[fault] += 1
            time.sleep(max(0.0, due - time.monotonic()))

    def forget(self):
        with self.lock:
            self.recent.clear()

    def share(self):
        """The answers since the last `forget`, at most SAMPLE, as text; and how many they are."""
        with self.lock:
            counts, count = collections.Counter(self.recent), len(self.recent)
        return "  ".join(f"{name} {100 * n / count:.0f}%" for name, n in sorted(counts.items())), count

    def all_from(self, version):
        with self.lock:
            return len(self.recent) == SAMPLE and set(self.recent) == {version}

    def end(self):
        self.on = False
        for thread in self.threads:
            thread.join(timeout=6)


class Ladder:
    """The Rollout as it moves, one line for each change of what a person would call its place."""

    def __init__(self, traffic):
        self.traffic, self.changes = traffic, queue.Queue()
        self.store = Store(ROLLOUTS, lambda kind, item: self.changes.put(item))
        self.place, self.shown_at, self.row_shown = None, 0.0, True

    def head(self):
        say(f"{'time':>7}  {'phase':<12} {'step':>4} {'weight':>6}  {'version':<10} {'answers from':<24} waits for")

    def row(self):
        share, _ = self.traffic.share() if self.traffic else ("-", 0)
        phase, step, weight, version, waits = self.place
        say(f"{time.monotonic() - began:6.1f}s  {phase:<12} {step:>4} {weight:>6}  {version:<10} {share:<24} {waits}")
        self.shown_at, self.row_shown = time.monotonic(), True

    def look(self, item):
        waiting = (field(item, "status.waitingFor") or [{}])[0]
        place = (
            field(item, "status.phase") or "-",
            field(item, "status.attempt.step", 0),
            field(item, "status.attempt.weight", 0),
            field(item, "status.attempt.release.version") or "-",
            waiting.get("kind", ""),
        )
        if place == self.place:
            return
        if not self.row_shown:
            self.row()
        self.place, self.row_shown = place, False
        if self.traffic:
            self.traffic.forget()
        else:
            self.row()

    def until(self, what, holds):
        """Shows what happens until `holds` of the Rollout, and returns it."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                self.look(self.changes.get(timeout=0.1))
            except queue.Empty:
                pass
            if self.place and self.traffic:
                enough = self.traffic.share()[1] >= SAMPLE
                age = time.monotonic() - self.shown_at
                if enough and (not self.row_shown or age >= SHOW_EVERY):
                    self.row()
            item = self.store.objects.get("shop")
            if item and self.changes.empty() and holds(item):
                if not self.row_shown:
                    self.row()
                return item
            if time.monotonic() > end:
                state = json.dumps(field(item, "status", {}), indent=1) if item else "no Rollout"
                raise TimeoutError(f"gave up on {what} after {PATIENCE} s\n{state}")

    def watch(self, seconds):
        """Shows what happens for some seconds."""
        end = time.monotonic() + seconds
        self.until("time", lambda _: time.monotonic() > end)


def push(tag, *variables):
    say(f"$ push {registry}/shop:{tag} {' '.join(variables)}")
    subprocess.run(["tests/rig/image.sh", f"{registry}/shop:{tag}", *variables], check=True, timeout=60)


def kubectl(*words):
    say("$ kubectl " + " ".join(words))
    subprocess.run(["kubectl", "-n", NAMESPACE, *words], check=True, timeout=30, stdout=subprocess.DEVNULL)


def objects():
    """What a user would write, with the rig's registry and Gateway in it."""
    template = {
        "metadata": {"labels": {"app": "shop"}},
        "spec": {
            "terminationGracePeriodSeconds": 10,
            "containers": [{
                "name": "app",
                "ports": [{"containerPort": 8080}],
                "env": [{"name": "DRAIN", "value": "2s"}],
                "readinessProbe": {"httpGet": {"path": "/readyz", "port": 8080}, "periodSeconds": 1},
            }],
        },
    }
    if real:
        template["spec"]["nodeSelector"] = {"type": "real"}
        template["spec"]["tolerations"] = [{"key": "stairlock.dev/real", "operator": "Exists"}]
    backend = lambda name, weight: {"name": name, "port": 8080, "weight": weight}
    return [
        ("/apis/image.toolkit.fluxcd.io/v1", "imagerepositories", {
            "kind": "ImageRepository", "spec": {"image": f"{registry}/shop", "interval": "1m", "insecure": True}}),
        ("/apis/image.toolkit.fluxcd.io/v1", "imagepolicies", {
            "kind": "ImagePolicy", "spec": {
                "imageRepositoryRef": {"name": "shop"},
                "policy": {"semver": {"range": "1.x" if real else ">=1.0.0-0"}},
                "digestReflectionPolicy": "IfNotPresent"}}),
        ("/apis/gateway.networking.k8s.io/v1", "httproutes", {
            "kind": "HTTPRoute", "spec": {
                "parentRefs": [{"name": "gw" if gateway else "fake", "namespace": "gw"}],
                "hostnames": ["shop.example"],
                "rules": [{"backendRefs": [backend("shop-stable", 100), backend("shop-canary", 0)]}]}}),
        ("/apis/stairlock.dev/v1alpha1", "rollouts", {
            "kind": "Rollout", "spec": {
                "sourceRef": {"kind": "ImagePolicy", "name": "shop"},
                "container": "app",
                "replicas": 2,
                "progressDeadlineSeconds": 20,
                "selector": {"matchLabels": {"app": "shop"}},
                "template": template,
                "strategy": {"canary": {
                    "stableService": "shop-stable", "canaryService": "shop-canary", "port": 8080,
                    "trafficRouting": {"gatewayAPI": {"httpRoute": "shop"}},
                    "steps": [
                        {"setWeight": 20, "pause": {"duration": "5s"}},
                        {"setWeight": 50, "pause": {}},
                        {"setWeight": 100}]}}}}),
    ]


def apply(kube):
    try:
        kube.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    except Refused as refused:
        if refused.code != 409:
            raise
    for group, kind, body in objects():
        body |= {"apiVersion": group.removeprefix("/apis/"), "metadata": {"name": "shop"}}
        kube.create(f"{group}/namespaces/{NAMESPACE}/{kind}", body)
        say(f"$ apply {body['kind']} shop")


def completed(version):
    def holds(item):
        attempt = field(item, "status.attempt", {})
        return attempt.get("release", {}).get("version") == version and condition(item, "Completed") == "True"
    return holds


def phase_of(version, phase):
    def holds(item):
        right = field(item, "status.attempt.release.version") == version
        return right and field(item, "status.phase") == phase
    return holds


def awaits_promotion(item):
    return any(waiting["kind"] == "AwaitingPromotion" for waiting in field(item, "status.waitingFor") or [])


def served_by(traffic, version):
    """All answers come from one version."""
    if traffic:
        traffic.forget()
        end = time.monotonic() + 20
        while not traffic.all_from(version):
            if time.monotonic() > end:
                raise TimeoutError(f"answers do not all come from {version}: {traffic.share()[0]}")
            time.sleep(0.1)


def pods_of(kube, version):
    """The pods that run a version, and those that run another."""
    pods = kube.get(f"/api/v1/namespaces/{NAMESPACE}/pods")["items"]
    images = [pod["spec"]["containers"][0]["image"] for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    right = [image for image in images if f":{version}@" in image or image.endswith(f":{version}")]
    return len(right), len(images) - len(right)


def story(kube, ladder, bad):
    chapter("1.0.0 is the first revision: no ladder")
    push("1.0.0")
    apply(kube)
    ladder.head()
    ladder.until("1.0.0 to complete", completed("1.0.0"))
    if gateway:
        ladder.traffic = Traffic(gateway)
        served(ladder.traffic)
    served_by(ladder.traffic, "1.0.0")

    chapter("1.1.0 climbs: 20% for 5 s, 50% until promoted, 100%")
    push("1.1.0")
    ladder.head()
    ladder.until("the manual pause", lambda item: phase_of("1.1.0", "Paused")(item) and awaits_promotion(item))
    ladder.watch(2 * SHOW_EVERY)
    kubectl("annotate", "slr", "shop", "stairlock.dev/promote=true")
    ladder.until("1.1.0 to complete", completed("1.1.0"))
    served_by(ladder.traffic, "1.1.0")

    chapter(f"{bad} never becomes ready: rolled back after the progress deadline of 20 s")
    push(bad, *(["BAD=1"] if real else []))
    ladder.head()
    ladder.until("the rollback", phase_of(bad, "Failed"))
    served_by(ladder.traffic, "1.1.0")
    end = time.monotonic() + PATIENCE
    while pods_of(kube, "1.1.0") != (2, 0):
        if time.monotonic() > end:
            raise TimeoutError(f"pods (of 1.1.0, others): {pods_of(kube, '1.1.0')}")
        ladder.watch(0.5)


def served(traffic):
    """The gateway needs a moment to hear of the route; what failed before the first answer does not count."""
    end = time.monotonic() + 30
    while not traffic.total.keys() - traffic.faults.keys():
        if time.monotonic() > end:
            raise TimeoutError("the gateway does not answer")
        time.sleep(0.1)
    with traffic.lock:
        traffic.total.clear()
        traffic.faults.clear()


def summary(ladder):
    """What happened; and what was not as told."""
    item = ladder.store.objects["shop"]
    chapter("what happened")
    wrong = []
    for entry in reversed(field(item, "status.history", [])):
        release = entry.get("release", {})
        say(f"attempt {entry['number']}: {release.get('version', '-'):<10} {entry['outcome']}, reached {entry['weight']}%")
    outcomes = [entry["outcome"] for entry in reversed(field(item, "status.history", []))]
    if outcomes != ["Completed", "Completed", "DeadlineExceeded"]:
        wrong.append(f"the attempts ended as {outcomes}")
    if condition(item, "Stalled") != "True":
        wrong.append("the failure is not Stalled")
    if ladder.traffic:
        ladder.traffic.end()
        total, faults = ladder.traffic.total, ladder.traffic.faults
        answers = ", ".join(f"{count} from {name}" for name, count in sorted(total.items()) if name not in faults)
        say(f"requests: {sum(total.values())}, failed: {sum(faults.values())} {dict(faults) or ''}({answers})")
        if faults:
            wrong.append("requests failed")
    return wrong


def main():
    if not real:
        say("no real node: pods are fake and have no traffic")
    bad = "1.2.0" if real else "1.2.0-bad"
    kube = Kube()
    ladder = Ladder(None)
    try:
        story(kube, ladder, bad)
        wrong = summary(ladder)
    except (TimeoutError, Refused, subprocess.SubprocessError) as error:
        wrong = [str(error)]
    say("all went as told" if not wrong else "NOT as told: " + "; ".join(wrong))
    return 1 if wrong else 0


sys.exit(main())
