#!/usr/bin/env python3
"""Measures what a release costs: called by bench.sh inside a rig with fake pods and a running controller.

Writes and requests are counted from the API server's audit log by the controller's account; dry runs and the Lease do not
count. CPU and memory are the process's own, from /proc. A time from a source change to the first write runs from the moment
at which the server received the new ImagePolicy status to that at which it received the write, both by its own clock.
"""

import collections
import datetime
import json
import math
import os
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request

from kube import Kube, Refused, Store, condition, field

QUICK = bool(os.environ.get("QUICK"))
# Releases that story A and B are averaged over.
RELEASES = 5 if QUICK else 20
# Rollouts with pods for memory, for sources that all change at once, and for the restart.
ROLLOUTS = 30 if QUICK else 300
# Source changes, one after the other, for the time to the first write.
CHANGES = 5 if QUICK else 40
# The rest that is looked at, and the quiet before it.
REST, QUIET = (10, 5) if QUICK else (30, 15)
# An attempt's old side drains 30 s after it lost its traffic; then come the last writes.
DRAINED = 36
NAMESPACE = "bench"
IMAGE = "registry.example/bench"

account, port = os.environ["CONTROLLER_ACCOUNT"], os.environ["CONTROLLER_PORT"]
group = {
    "rollouts": f"/apis/stairlock.dev/v1alpha1/namespaces/{NAMESPACE}/rollouts",
    "imagepolicies": f"/apis/image.toolkit.fluxcd.io/v1/namespaces/{NAMESPACE}/imagepolicies",
    "kustomizations": f"/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/{NAMESPACE}/kustomizations",
    "httproutes": f"/apis/gateway.networking.k8s.io/v1/namespaces/{NAMESPACE}/httproutes",
}


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


class Process:
    """The controller: its CPU and memory."""

    def __init__(self):
        with open(os.environ["CONTROLLER_PID"]) as file:
            self.pid = int(file.read().split()[0])

    def cpu(self):
        """Seconds of CPU since its start, user and system, all threads."""
        with open(f"/proc/{self.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """Resident memory and its peak, in MiB."""
        with open(f"/proc/{self.pid}/status") as file:
            lines = dict(line.split(":", 1) for line in file if line.startswith("Vm"))
        return tuple(int(lines[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))

    def ended(self):
        """Whether it is gone, or waits for its parent to look."""
        try:
            with open(f"/proc/{self.pid}/stat") as file:
                return file.read().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            return True


class Audit:
    """What the API server saw, from where it was last read."""

    def __init__(self):
        self.file = open(os.environ["AUDIT_LOG"])
        self.file.seek(0, os.SEEK_END)
        self.rest = ""

    def read(self):
        """The requests since the last call, each once."""
        lines = (self.rest + self.file.read()).split("\n")
        self.rest = lines.pop()
        events, seen = [], set()
        for line in lines:
            event = json.loads(line)
            if event["auditID"] not in seen:
                seen.add(event["auditID"])
                events.append(event)
        return events


def received(event):
    text = event["requestReceivedTimestamp"].replace("Z", "+00:00")
    return datetime.datetime.fromisoformat(text).timestamp()


def kind_of(event):
    about = event.get("objectRef", {})
    kind = about.get("resource", event["requestURI"])
    return f"{kind}/{about['subresource']}" if "subresource" in about else kind


def ours(events):
    """The controller's requests without those about the Lease."""
    return [e for e in events if e["user"]["username"] == account and kind_of(e) != "leases"]


def writes(events):
    """The controller's writes, without dry runs."""
    reads = ("get", "list", "watch")
    return [e for e in ours(events) if e["verb"] not in reads and "dryRun=" not in e["requestURI"]]


def by_kind(events):
    return dict(collections.Counter(f"{e['verb']} {kind_of(e)}" for e in events).most_common())


def refused(events):
    """The controller's requests that were answered by an error, by code and kind."""
    codes = [(e.get("responseStatus", {}).get("code", 200), kind_of(e)) for e in ours(events)]
    return dict(collections.Counter(f"{code} {kind}" for code, kind in codes if code >= 400))


def percentile(values, percent):
    """The smallest value that so many percent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def rollout(name, source=False, route=False):
    canary = {"steps": [{"setWeight": 50, "pause": {"duration": "1s"}}, {"setWeight": 100}]}
    container = {"name": "app", "image": f"{IMAGE}/{name}:1.0.0", "ports": [{"containerPort": 8080}]}
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}},
        "strategy": {"canary": canary},
    }
    if source:
        spec["sourceRef"] = {"kind": "ImagePolicy", "name": name}
    if route:
        canary |= {"stableService": f"{name}-stable", "canaryService": f"{name}-canary", "port": 8080,
                   "trafficRouting": {"gatewayAPI": {"httpRoute": name}}}
    return {"apiVersion": "stairlock.dev/v1alpha1", "kind": "Rollout", "metadata": {"name": name}, "spec": spec}


def httproute(name):
    backends = [{"name": f"{name}-{side}", "port": 8080, "weight": weight} for side, weight in (("stable", 100), ("canary", 0))]
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": name},
            "spec": {"parentRefs": [{"name": "fake", "namespace": "gw"}], "rules": [{"backendRefs": backends}]}}


def create(kube, kind, body):
    kube.create(group[kind], body)


def create_policy(kube, name):
    """Suspended, so that the rig's reflector leaves its status to us."""
    create(kube, "imagepolicies", {
        "apiVersion": "image.toolkit.fluxcd.io/v1", "kind": "ImagePolicy", "metadata": {"name": name},
        "spec": {"imageRepositoryRef": {"name": name}, "policy": {"semver": {"range": "x"}}, "suspend": True}})
    offer(kube, name, "1.0.0")


def offer(kube, name, tag):
    """What image-reflector-controller writes when it has picked a tag. The generation of these policies is 1."""
    stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    image = f"{IMAGE}/{name}"
    kube.merge(f"{group['imagepolicies']}/{name}/status", {"status": {
        "observedGeneration": 1,
        "latestRef": {"name": image, "tag": tag},
        "conditions": [{"type": "Ready", "status": "True", "reason": "Succeeded", "observedGeneration": 1,
                        "lastTransitionTime": stamp, "message": f"Latest image tag for {image} resolved to {tag}"}]}})


def set_image(kube, name, tag):
    """The edit of a person: one field of the template."""
    kube.call("PATCH", f"{group['rollouts']}/{name}",
              [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": f"{IMAGE}/{name}:{tag}"}],
              "application/json-patch+json")


def at(version):
    def holds(item):
        return field(item, "status.attempt.release.version") == version and condition(item, "Completed") == "True"
    return holds


def all_at(store, names, version, seconds):
    def holds(objects):
        return all(name in objects and at(version)(objects[name]) for name in names)
    store.wait(f"{len(names)} Rollouts at {version}", holds, seconds)


def in_parallel(names, act):
    """Does something for each name, on eight connections."""
    faults = []

    def run(part):
        kube = Kube()
        try:
            for name in part:
                act(kube, name)
        except (OSError, Refused) as error:
            faults.append(error)

    threads = [threading.Thread(target=run, args=(names[i::8],)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]


def story_a(kube, store, audit, process):
    say(f"story A: {RELEASES} releases by template edit")
    create(kube, "rollouts", rollout("a"))
    all_at(store, ["a"], "1.0.0", 60)
    time.sleep(3)
    audit.read()
    cpu = process.cpu()
    for release in range(1, RELEASES + 1):
        set_image(kube, "a", f"1.0.{release}")
        all_at(store, ["a"], f"1.0.{release}", 60)
        time.sleep(0.5)  # its last event is told; an edit before that costs a conflict
    time.sleep(3)
    events = audit.read()
    return {"writes": writes(events), "requests": ours(events), "refused": refused(events), "cpu": process.cpu() - cpu}


def story_b(kube, store, audit, process):
    say(f"story B: {RELEASES} releases by ImagePolicy behind HTTPRoutes")
    names = [f"b-{i:02}" for i in range(RELEASES)]
    for name in names:
        create_policy(kube, name)
        create(kube, "httproutes", httproute(name))
        create(kube, "rollouts", rollout(name, source=True, route=True))
    all_at(store, names, "1.0.0", 120)
    time.sleep(3)
    audit.read()
    cpu = process.cpu()
    for name in names:
        offer(kube, name, "1.1.0")
        time.sleep(0.5)
    all_at(store, names, "1.1.0", 120)
    time.sleep(DRAINED)
    events = audit.read()
    return {"writes": writes(events), "requests": ours(events), "refused": refused(events), "cpu": process.cpu() - cpu}


class Flux:
    """Stands in for kustomize-controller: a Kustomization of a new generation is applied at once."""

    def __init__(self):
        self.kube, self.lock, self.todo = Kube(), threading.Condition(), collections.OrderedDict()
        self.store = Store(group["kustomizations"], self.note)
        for _ in range(4):
            threading.Thread(target=self.run, daemon=True).start()

    def note(self, kind, item):
        behind = field(item, "status.observedGeneration") != item["metadata"]["generation"]
        if kind != "DELETED" and behind:
            with self.lock:
                self.todo[item["metadata"]["name"]] = item["metadata"]["generation"]
                self.lock.notify()

    def run(self):
        kube = Kube()
        while True:
            with self.lock:
                while not self.todo:
                    self.lock.wait()
                name, generation = self.todo.popitem(last=False)
            stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
            ready = {"type": "Ready", "status": "True", "reason": "ReconciliationSucceeded", "message": "Applied revision: main",
                     "observedGeneration": generation, "lastTransitionTime": stamp}
            try:
                kube.merge(f"{group['kustomizations']}/{name}/status", {"status": {
                    "observedGeneration": generation, "lastAppliedRevision": "main", "conditions": [ready]}})
            except Refused as answer:
                say(f"Kustomization {name}: {answer}")


def bound(name):
    """A Rollout that only delivers, and the Kustomization of which it has a variable."""
    rollout = {"apiVersion": "stairlock.dev/v1alpha1", "kind": "Rollout", "metadata": {"name": name},
               "spec": {"sourceRef": {"kind": "ImagePolicy", "name": name}, "bakeTime": "1s"}}
    kustomization = {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": name, "annotations": {"stairlock.dev/substitute.TAG.from": name}},
        "spec": {"interval": "10m", "prune": True, "sourceRef": {"kind": "GitRepository", "name": "apps"},
                 "postBuild": {"substitute": {"OTHER": "1"}}}}
    return rollout, kustomization


def story_c(kube, store, audit, process):
    """Delivery only: one variable of a Kustomization each, a bake of 1 s; one by one, then all at once."""
    say(f"story C: {ROLLOUTS} Rollouts that deliver to a Kustomization each")
    Flux()
    names = [f"c-{i:03}" for i in range(ROLLOUTS)]

    def add(kube, name):
        create_policy(kube, name)
        rollout, kustomization = bound(name)
        create(kube, "kustomizations", kustomization)
        create(kube, "rollouts", rollout)

    in_parallel(names, add)
    all_at(store, names, "1.0.0", 300)
    time.sleep(3)
    audit.read()
    cpu = process.cpu()
    for name in names[:RELEASES]:
        offer(kube, name, "1.1.0")
        time.sleep(0.5)
    all_at(store, names[:RELEASES], "1.1.0", 120)
    time.sleep(3)
    events = audit.read()
    found = {"writes": writes(events), "requests": ours(events), "refused": refused(events), "cpu": process.cpu() - cpu}

    say(f"{ROLLOUTS} releases at once")
    cpu = process.cpu()
    in_parallel(names, lambda kube, name: offer(kube, name, "1.2.0"))
    all_at(store, names, "1.2.0", 300)
    time.sleep(3)
    events = audit.read()
    found["at_once"] = list(first_writes(events, set(names), "kustomizations").values())
    found["cpu_at_once"] = process.cpu() - cpu
    found["writes_at_once"] = len(writes(events))
    found["refused_at_once"] = refused(events)
    return found


def first_writes(events, names, kind=None):
    """For each Rollout the milliseconds from its ImagePolicy's new status to the controller's first write about it, or about
    an object of a kind that is named as it."""
    changed, took = {}, {}
    for event in sorted(events, key=received):
        about = event.get("objectRef", {})
        if kind_of(event) == "imagepolicies/status" and event["verb"] == "patch" and about.get("name") in names:
            changed[about["name"]] = received(event)
    for event in sorted(writes(events), key=received):
        name = event.get("objectRef", {}).get("name", "")
        if kind and kind_of(event) != kind:
            continue
        if name in changed and name not in took and received(event) >= changed[name]:
            took[name] = 1000 * (received(event) - changed[name])
    return took


def many(kube, store, audit, process):
    say(f"{ROLLOUTS} Rollouts with pods and a source each")
    names = [f"m-{i:03}" for i in range(ROLLOUTS)]
    in_parallel(names, create_policy)
    in_parallel(names, lambda kube, name: create(kube, "rollouts", rollout(name, source=True)))
    all_at(store, names, "1.0.0", 300)
    time.sleep(QUIET)
    found = {"memory": process.memory()}

    say(f"{CHANGES} source changes, one after the other")
    audit.read()
    alone = []
    for name in names[:CHANGES]:
        offer(kube, name, "1.1.0")
        all_at(store, [name], "1.1.0", 60)
        time.sleep(0.3)
    alone = first_writes(audit.read(), set(names))
    found["alone"] = list(alone.values())

    say(f"{ROLLOUTS} source changes at once")
    time.sleep(3)
    audit.read()
    in_parallel(names, lambda kube, name: offer(kube, name, "1.2.0"))
    all_at(store, names, "1.2.0", 300)
    time.sleep(3)
    events = audit.read()
    found["at_once"] = list(first_writes(events, set(names)).values())
    found["refused"] = refused(events)
    found["memory_after"] = process.memory()

    say(f"rest: {QUIET} s of quiet, then {REST} s")
    time.sleep(QUIET)
    audit.read()
    time.sleep(REST)
    events = audit.read()
    quiet = ours(events)
    found["rest"] = by_kind([e for e in quiet if e["verb"] != "watch"])
    found["watches"] = sum(e["verb"] == "watch" for e in quiet)
    found["lease"] = sum(e["user"]["username"] == account and kind_of(e) == "leases" for e in events)
    return found


def restart(audit, process):
    say("restart")
    os.kill(process.pid, 15)
    end = time.monotonic() + 30
    while not process.ended():
        if time.monotonic() > end:
            raise TimeoutError("the controller does not end on SIGTERM")
        time.sleep(0.02)
    audit.read()
    began = time.monotonic()
    line = 'start stairlock "$binary" --leader-election=true --identity bench --kubeconfig "$S/controller.kubeconfig" ' \
        '--bind-address "127.0.0.1:$controller_port"'
    subprocess.run(["bash", "-c", line], check=True, timeout=30)
    while not ready():
        if time.monotonic() > began + 60:
            raise TimeoutError("the controller does not become ready")
        time.sleep(0.01)
    took = time.monotonic() - began
    time.sleep(10)
    return {"seconds": took, "writes": by_kind(writes(audit.read()))}


def ready():
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def table(found):
    """The rows: figure, measured, bar."""
    a, b, c, m = found["a"], found["b"], found["c"], found["many"]
    rows = []
    for name, story, bar, cpu_bar in (("A", a, "≤ 9", "≤ 5 ms"), ("B", b, "≤ 18", ""), ("C", c, "≤ 7", "≤ 5 ms")):
        rows.append((f"story {name}: writes per release", f"{len(story['writes']) / RELEASES:.1f}", bar))
        for kind, count in by_kind(story["writes"]).items():
            rows.append((f"  {kind}", f"{count / RELEASES:.2f}", ""))
        reads = len([e for e in story["requests"] if e["verb"] in ("get", "list")])
        rows.append(("  besides: reads", f"{reads / RELEASES:.2f}", ""))
        dry = len([e for e in story["requests"] if "dryRun=" in e["requestURI"]])
        rows.append(("  besides: dry runs", f"{dry / RELEASES:.2f}", ""))
        for answer, count in story["refused"].items():
            rows.append((f"  of these answered {answer}", f"{count / RELEASES:.2f}", ""))
        rows.append((f"story {name}: CPU per release", f"{1000 * story['cpu'] / RELEASES:.1f} ms", cpu_bar))
    if c["at_once"]:
        what = f"story C, {ROLLOUTS} at once: source change → patched target"
        rows.append((f"{what}, p50", f"{percentile(c['at_once'], 50):.0f} ms", ""))
        rows.append((f"{what}, p99 of {len(c['at_once'])}", f"{percentile(c['at_once'], 99):.0f} ms", "≤ 1 s (kuberik 10.7 s)"))
        rows.append(("  writes per release", f"{c['writes_at_once'] / ROLLOUTS:.1f}", "≤ 7 (kuberik 18.2)"))
        rows.append(("  CPU per release", f"{1000 * c['cpu_at_once'] / ROLLOUTS:.1f} ms", "≤ 5 ms (kuberik 21 ms)"))
        for answer, count in c["refused_at_once"].items():
            rows.append((f"  answered {answer}", str(count), ""))
    rows += [
        (f"resident memory, {ROLLOUTS} Rollouts with pods", f"{m['memory'][0]:.1f} MiB", "≤ 30 MiB"),
        ("  its peak until then", f"{m['memory'][1]:.1f} MiB", ""),
        (f"  after {ROLLOUTS} releases at once", f"{m['memory_after'][0]:.1f} MiB", ""),
    ]
    for name, values, bar in (("alone", m["alone"], "≤ 50 ms"), (f"{ROLLOUTS} at once", m["at_once"], "≤ 1 s")):
        what = f"source change → first write, {name}"
        if not values:
            rows.append((what, "no write seen", bar))
            continue
        rows.append((f"{what}, p50", f"{percentile(values, 50):.0f} ms", ""))
        rows.append((f"{what}, p99 of {len(values)}", f"{percentile(values, 99):.0f} ms", bar))
    rest = sum(m["rest"].values())
    rows += [
        (f"requests at rest in {REST} s", f"{rest} {m['rest'] or ''}".strip(), "0"),
        ("  besides: watches opened again", str(m["watches"]), ""),
        ("  besides: Lease", str(m["lease"]), ""),
        (f"restart with {ROLLOUTS} Rollouts → ready", f"{found['restart']['seconds']:.2f} s", "≤ 10 s at 10,000"),
        ("  writes in the 10 s after", f"{sum(found['restart']['writes'].values())} {found['restart']['writes'] or ''}".strip(), "0"),
    ]
    return rows


def main():
    kube = Kube()
    kube.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    audit, process, store = Audit(), Process(), Store(group["rollouts"])
    found = {
        "a": story_a(kube, store, audit, process),
        "b": story_b(kube, store, audit, process),
        "c": story_c(kube, store, audit, process),
        "many": many(kube, store, audit, process),
        "restart": restart(audit, process),
    }
    rows = table(found)
    widths = [max(len(row[column]) for row in [("figure", "measured", "bar"), *rows]) for column in range(3)]
    line = lambda row: "  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip()
    print(line(("figure", "measured", "bar")))
    print("  ".join("-" * width for width in widths))
    for row in rows:
        print(line(row))
    os.makedirs("target", exist_ok=True)
    with open("target/bench.json", "w") as file:
        json.dump([dict(zip(("figure", "measured", "bar"), row)) for row in rows], file, indent=1, ensure_ascii=False)
        file.write("\n")
    say("target/bench.json")



def only(which):
    kube = Kube()
    try:
        kube.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    except Refused:
        pass
    audit, process, store = Audit(), Process(), Store(group["rollouts"])
    def stat():
        out={}
        for pid in os.listdir("/proc"):
            if pid.isdigit():
                try:
                    f=open(f"/proc/{pid}/stat").read(); c=f[f.index("(")+1:f.rindex(")")]; x=f.rpartition(")")[2].split()
                    out[(pid,c)]=(int(x[11])+int(x[12]))/100
                except OSError: pass
        return out
    b=stat(); t=time.monotonic()
    c=globals()["story_"+which](kube, store, audit, process)
    a=stat(); print("wall",time.monotonic()-t)
    for k,v in sorted(a.items(),key=lambda i:-(i[1]-b.get(i[0],0)))[:8]: print(k,round(v-b.get(k,0),2))
    print("writes",len(c["writes"])/RELEASES,"cpu",1000*c["cpu"]/RELEASES, by_kind(c["writes"]), by_kind(c["requests"]))
    if "at_once" in c: print("p50",percentile(c["at_once"],50),"p99",percentile(c["at_once"],99),"cpu",1000*c["cpu_at_once"]/ROLLOUTS, c["writes_at_once"]/ROLLOUTS)
only(os.environ.get("STORY","c"))
