#!/usr/bin/env python3
"""Packs the time zone data that are compiled into the program: src/model/zones.bin.

Usage: tests/zones/pack.py [tzdata.zi]; needs `zic`. One record for each name, sorted by name: a byte
with the length of the name, the name, two bytes (big endian) with the length of the data, and the
data as TZif (RFC 9636), without anything before 2024: a schedule asks only for what is to come.
"""
import pathlib
import struct
import subprocess
import sys
import tempfile

FROM = 1704067200  # 2024-01-01T00:00:00Z
ROOT = pathlib.Path(__file__).resolve().parents[2]
HEADER = ">4sc15x6L"


def block(version: bytes, times, types, rows, names: bytes) -> bytes:
    head = struct.pack(HEADER, b"TZif", version, 0, 0, 0, len(times), len(rows), len(names))
    body = struct.pack(f">{len(times)}q", *times) + bytes(types)
    return head + body + b"".join(struct.pack(">lBB", *row) for row in rows) + names


def late(data: bytes) -> bytes:
    """The part of a TZif file that speaks of the time from FROM on."""
    size = struct.calcsize(HEADER)
    _, _, uts, stds, leaps, count, kinds, chars = struct.unpack_from(HEADER, data)
    at = size + count * 5 + kinds * 6 + chars + leaps * 8 + stds + uts
    _, version, uts, stds, leaps, count, kinds, chars = struct.unpack_from(HEADER, data, at)
    at += size
    times = struct.unpack_from(f">{count}q", data, at)
    types = data[at + count * 8 : at + count * 9]
    at += count * 9
    rows = [struct.unpack_from(">lBB", data, at + 6 * row) for row in range(kinds)]
    at += kinds * 6
    names = data[at : at + chars]
    footer = data[at + chars + leaps * 12 + stds + uts :]
    past = [row for time, row in zip(times, types) if time < FROM]
    coming = [(time, row) for time, row in zip(times, types) if FROM <= time]
    # The first row is what holds before the first of the times.
    order = [past[-1] if past else 0] + [row for _, row in coming]
    kept = sorted(set(order), key=order.index)
    new = [kept.index(row) for _, row in coming]
    second = block(version, [t for t, _ in coming], new, [rows[row] for row in kept], names)
    return block(version, [], [], [(0, 0, 0)], b"\0") + second + footer


def main() -> None:
    source = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/zoneinfo/tzdata.zi")
    version = source.read_text().splitlines()[0]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["zic", "-b", "slim", "-d", folder, str(source)], check=True)
        zones = pathlib.Path(folder)
        names = {str(path.relative_to(zones)): path for path in zones.rglob("*") if path.is_file()}
        packed = b""
        for name in sorted(names):
            data, text = late(names[name].read_bytes()), name.encode()
            packed += len(text).to_bytes(1, "big") + text + len(data).to_bytes(2, "big") + data
    (ROOT / "src/model/zones.bin").write_bytes(packed)
    print(f"{version}: {len(names)} zones, {len(packed)} bytes")


if __name__ == "__main__":
    main()
