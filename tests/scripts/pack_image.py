#!/usr/bin/env python3
"""Packs files into an image of one layer: a tar that is an OCI layout and what `docker load` reads, both at once.

    pack_image.py OUT NAME:TAG ARCH FILE=/PLACE:MODE...

The first file is the entrypoint. The same files give the same bytes, whenever and wherever they are packed. Root owns the
files; the image runs as 65532. Prints the digest of the manifest.
"""

import gzip
import hashlib
import io
import json
import sys
import tarfile

EPOCH = "1970-01-01T00:00:00Z"


def main():
    out, ref, arch, *files = sys.argv[1:]
    name, tag = ref.rsplit(":", 1)
    places = [tuple(part.rpartition("=")) for part in files]
    layer = tar(with_folders((place_of(to), read(path), mode_of(to)) for path, _, to in places))
    packed = gzip.compress(layer, compresslevel=9, mtime=0)
    config = dump({
        "architecture": arch,
        "os": "linux",
        "created": EPOCH,
        "config": {
            "Entrypoint": ["/" + place_of(places[0][2])],
            "User": "65532:65532",
            "ExposedPorts": {"8080/tcp": {}},
            "Labels": {
                "org.opencontainers.image.title": name.rsplit("/", 1)[-1],
                "org.opencontainers.image.version": tag,
                "org.opencontainers.image.licenses": "Apache-2.0",
            },
        },
        "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
        "history": [{"created": EPOCH, "created_by": "pack_image"}],
    })
    manifest = dump({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": part("application/vnd.oci.image.config.v1+json", config),
        "layers": [part("application/vnd.oci.image.layer.v1.tar+gzip", packed)],
    })
    entry = part("application/vnd.oci.image.manifest.v1+json", manifest)
    entry["platform"] = {"os": "linux", "architecture": arch}
    entry["annotations"] = {"org.opencontainers.image.ref.name": tag, "io.containerd.image.name": ref}
    index = dump({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [entry],
    })
    docker = dump([{"Config": blob(config), "RepoTags": [ref], "Layers": [blob(packed)]}])
    parts = [("index.json", index), ("manifest.json", docker), ("oci-layout", dump({"imageLayoutVersion": "1.0.0"}))]
    parts += [(blob(content), content) for content in (config, manifest, packed)]
    with open(out, "wb") as file:
        file.write(tar(with_folders((place, content, 0o644) for place, content in parts)))
    print(digest(manifest))


def read(path):
    with open(path, "rb") as file:
        return file.read()


def place_of(to):
    return to.rpartition(":")[0].strip("/")


def mode_of(to):
    return int(to.rpartition(":")[2], 8)


def digest(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def blob(content):
    return "blobs/sha256/" + digest(content).removeprefix("sha256:")


def part(kind, content):
    return {"mediaType": kind, "digest": digest(content), "size": len(content)}


def dump(value):
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def with_folders(files):
    """Puts before each file the folders that it needs and that are not there yet."""
    known = set()
    for place, content, mode in files:
        steps = place.split("/")
        for depth in range(1, len(steps)):
            folder = "/".join(steps[:depth])
            if folder not in known:
                known.add(folder)
                yield folder, None, 0o755
        yield place, content, mode


def tar(entries):
    """A tar without times and owners; content None is a folder."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for place, content, mode in entries:
            entry = tarfile.TarInfo(place)
            entry.mode, entry.mtime = mode, 0
            if content is None:
                entry.type = tarfile.DIRTYPE
                archive.addfile(entry)
            else:
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


main()
