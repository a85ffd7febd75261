"""A configuration: fleet.toml and pipes/ as one archive, named by its checksum, and a pointer to the one that counts.
Instances look at the pointer each minute."""

import gzip
import hashlib
import io
import re
import subprocess
import tarfile
import tempfile
import tomllib
from pathlib import Path

from aws import Failure, Refused
from release import is_there

CURRENT = "configurations/current"
# What `pipes check` says of a variable that instances may have.
NOT_SET = re.compile(r"variable \w+ is not set in the environment")


def settings(aws, name, data_bucket):
    """What fleet.toml has to say about this fleet: section, setting, value."""
    queues = aws.stand_in("SQS") or f"https://sqs.{aws.region}.{aws.domain}"
    queue = {"backend": "sqs"}
    for job in ("crawl", "image"):
        queue[f"{job}_url"] = f"{queues}/{aws.account}/{name}-{job}.fifo"
        queue[f"{job}_dead_url"] = f"{queues}/{aws.account}/{name}-{job}-dead.fifo"
    return {
        "queue": queue,
        "catalog": {"url": f"s3://{data_bucket}/catalog"},
        "objects": {"url": f"s3://{data_bucket}/objects"},
        "fleet": {"backend": "autoscaling", "group": f"{name}-workers"},
        "metrics": {"cloudwatch": f"Feedfleet/{name}"},
        "aws": {"region": aws.region},
    }


def as_toml(tables):
    """The settings as lines of fleet.toml."""
    lines = []
    for table, values in tables.items():
        lines += [f"[{table}]", *(f'{key} = "{value}"' for key, value in values.items()), ""]
    return "\n".join(lines)


def check(folder, tables):
    """Refuses a fleet.toml that is of another fleet."""
    path = Path(folder) / "fleet.toml"
    if not path.is_file():
        raise Failure(f"there is no {path}; `settings` prints what it has to say")
    try:
        found = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise Failure(f"{path}: {error}") from error
    wrong = [
        f'  [{table}] {key} = "{value}"'
        for table, values in tables.items()
        for key, value in values.items()
        if found.get(table, {}).get(key) != value
    ]
    if wrong:
        raise Failure("\n".join([f"{path} is not this fleet's; it has to say:", *wrong]))


def check_by_program(program, folder):
    """Refuses what `pipes check` finds; it asks no network. Variables need not be set on this machine."""
    command = [program, "--config", folder, "pipes", "check"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    except OSError as error:
        raise Failure(f"{program} cannot be run on this machine: {error}") from error
    told = mistakes(done.stdout)
    only_variables = told and all(NOT_SET.search(one) for one in told)
    if done.returncode != 0 and not only_variables:
        counting = [one for one in told if not NOT_SET.search(one)]
        raise Failure("\n".join([f"{program} refuses this configuration:", *counting]))


def mistakes(told):
    """What `pipes check` complains of, one by one."""
    # A mistake is a line, and what stands in the file is indented below it.
    found = re.findall(r"^\S.*(?:\n +.*)*", told, re.MULTILINE)
    return [one for one in found if not one.endswith(": ok") and not one.startswith("sound pipes:")]


def archive(folder):
    """The archive: the same bytes for the same files, whoever makes it."""
    folder = Path(folder)
    paths = [folder / "fleet.toml", *sorted((folder / "pipes").glob("*.toml"))]
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.USTAR_FORMAT) as out:
        for path in paths:
            content = path.read_bytes()
            entry = tarfile.TarInfo(str(path.relative_to(folder)))
            entry.size, entry.mode = len(content), 0o644
            out.addfile(entry, io.BytesIO(content))
    return gzip.compress(tar.getvalue(), mtime=0)


def upload(aws, bucket, folder):
    """Uploads the configuration in a folder and makes it the one that counts. Gives its name."""
    content = archive(folder)
    name = hashlib.sha256(content).hexdigest()
    key = f"configurations/{name}.tar.gz"
    if not is_there(aws, bucket, key):
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            aws.do("s3", "cp", "--no-progress", file.name, f"s3://{bucket}/{key}")
    point_to(aws, bucket, name)
    return name


def back(aws, bucket, name):
    """Makes a configuration that is there the one that counts."""
    if not is_there(aws, bucket, f"configurations/{name}.tar.gz"):
        raise Failure(f"there is no configuration {name}; `list` lists them")
    point_to(aws, bucket, name)


def current(aws, bucket):
    """The configuration that counts; none where there is none."""
    try:
        return aws.text("s3", "cp", f"s3://{bucket}/{CURRENT}", "-").strip()
    except Refused as refused:
        if refused.is_absent():
            return None
        raise


def point_to(aws, bucket, name):
    """Says which configuration counts."""
    aws.do("s3", "cp", "--no-progress", "-", f"s3://{bucket}/{CURRENT}", input=name)
    if aws.dry_run:
        print(f"the configuration would be {name}")
    else:
        print(f"configuration {name}: instances take it over within two minutes")
