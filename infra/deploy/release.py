"""A release: binaries, what starts them on an instance, and the templates, each named in SHA256SUMS. The release is
named by the checksum of that file, so one name stands for one content, and the templates can pin it."""

import hashlib
import struct
import subprocess
import tempfile
from pathlib import Path

from aws import Failure, Refused

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"
SUMS = "SHA256SUMS"
# Machine numbers of ELF, by the names that `uname -m` gives.
MACHINES = {"x86_64": 62, "aarch64": 183}
ELF_64_LITTLE = b"\x7fELF\x02\x01"
# A program header that names a loader: the program needs libraries of the machine it runs on.
PT_INTERP = 3
# What a build without AWS says when a configuration names it.
NO_AWS = b"this build has no AWS in it"


def binaries(folder):
    """The binaries in a folder, by architecture: `feedfleet-aarch64`, `feedfleet-x86_64`, or both."""
    found = {name: Path(folder) / f"feedfleet-{name}" for name in MACHINES}
    found = {name: path for name, path in found.items() if path.is_file()}
    if not found:
        raise Failure(
            f"{folder} has neither feedfleet-aarch64 nor feedfleet-x86_64; build one with\n"
            "  docker build --target binary --output out . && mv out/feedfleet out/feedfleet-$(uname -m)"
        )
    for name, path in found.items():
        check_binary(path, MACHINES[name])
    return found


def check_binary(path, machine):
    """Refuses what would not start on an instance."""
    image = path.read_bytes()
    if image[:6] != ELF_64_LITTLE or len(image) < 64:
        raise Failure(f"{path} is no program for 64-bit Linux")
    if struct.unpack_from("<H", image, 18)[0] != machine:
        raise Failure(f"{path} is a program for another architecture than its name says")
    start, = struct.unpack_from("<Q", image, 32)
    size, count = struct.unpack_from("<HH", image, 54)
    for number in range(count):
        if struct.unpack_from("<I", image, start + number * size)[0] == PT_INTERP:
            raise Failure(f"{path} is not static: build it with the Dockerfile, or for a target with musl")
    if NO_AWS in image:
        raise Failure(f"{path} was built without AWS: build it with --features aws")


def files(folder):
    """All files of a release, by their names in it."""
    found = {f"bin/feedfleet-{name}": path.read_bytes() for name, path in binaries(folder).items()}
    for part in ("instance", "systemd", "templates"):
        found |= {f"{part}/{path.name}": path.read_bytes() for path in sorted((INFRA / part).iterdir())}
    found["VERSION"] = version().encode() + b"\n"
    return found


def version():
    """What this clone calls itself, for people."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--tags"]
    told = subprocess.run(command, capture_output=True, text=True)
    return told.stdout.strip() or "unknown"


def package(aws, bucket, folder):
    """Uploads a release, and gives its name. One that is there already is left as it is."""
    contents = files(folder)
    sums = "".join(
        f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(contents.items())
    )
    release = hashlib.sha256(sums.encode()).hexdigest()
    if is_there(aws, bucket, f"releases/{release}/{SUMS}"):
        print(f"release {release} is there already")
        return release
    with tempfile.TemporaryDirectory() as place:
        for name, content in contents.items():
            path = Path(place) / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        place_there = f"s3://{bucket}/releases/{release}/"
        aws.do("s3", "cp", "--no-progress", "--recursive", place, place_there)
        # The last one: a release that has it is whole.
        path = Path(place) / SUMS
        path.write_text(sums)
        aws.do("s3", "cp", "--no-progress", str(path), place_there + SUMS)
    told = f"release {release} ({contents['VERSION'].decode().strip()})"
    print(f"it would be {told}" if aws.dry_run else told)
    return release


def is_there(aws, bucket, key):
    """Whether an object exists."""
    try:
        aws.ask("s3api", "head-object", "--bucket", bucket, "--key", key)
    except Refused as refused:
        if refused.is_absent():
            return False
        raise
    return True


def architectures(machines):
    """What workers may run on that have binaries for these machines, as the template calls it."""
    return "both" if len(machines) > 1 else "arm64" if "aarch64" in machines else "x86_64"


def architectures_of(aws, bucket, release):
    """What workers of a release may run on."""
    sums = aws.text("s3", "cp", f"s3://{bucket}/releases/{release}/{SUMS}", "-")
    names = [line.split("  ", 1)[1] for line in sums.splitlines()]
    return architectures([machine for machine in MACHINES if f"bin/feedfleet-{machine}" in names])


def template(aws, bucket, release, name):
    """A template of a release."""
    return aws.text("s3", "cp", f"s3://{bucket}/releases/{release}/templates/{name}", "-")
