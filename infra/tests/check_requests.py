"""Whether each role may make the requests that it made: the file that is given has in each line a role, a method and a
path, as seen between the role and the bucket `data`, or a role, `SQS`, an operation and a queue. Needs no network."""

import fnmatch
import sys
from pathlib import Path
from urllib.parse import unquote

from check_policies import PARAMETERS, QUEUES, ROLES, as_list, statements

STATEMENTS = {role: statements(role) for role in ROLES}
OBJECT = {"GET": "s3:GetObject", "HEAD": "s3:GetObject", "PUT": "s3:PutObject", "POST": "s3:PutObject"}


def main(file):
    """Prints what a role may not; 1 if there is anything."""
    made = sorted({tuple(line.split()) for line in Path(file).read_text().splitlines()})
    faults = [
        f"{role} made {' '.join(request)}, and may not {action} on {resource}"
        for role, *request in made
        for action, resource in [needed(*request)]
        if not may(role, action, resource)
    ]
    # A comparison that cannot fail shows nothing.
    never = [("operator", "DELETE", "/data/objects/reports/shop/1.json"), ("worker", "SQS", "ReceiveMessage", "crawl-dead")]
    if not made or any(may(role, *needed(*request)) for role, *request in never):
        faults.append("nothing was compared")
    print("\n".join(faults) or f"{len(made)} requests: each is allowed")
    return 1 if faults else 0


def needed(method, target, queue=None):
    """What a request takes: an action, and what it is on."""
    if method == "SQS":
        return f"sqs:{target.removesuffix('Batch')}", PARAMETERS[QUEUES[queue]]
    path, _, query = target.partition("?")
    parameters = {part.partition("=")[0] for part in query.split("&")}
    bucket, _, key = unquote(path).lstrip("/").partition("/")
    if not key:
        listing = "s3:ListBucketMultipartUploads" if "uploads" in parameters else "s3:ListBucket"
        action = listing if method in ("GET", "HEAD") else f"{method} a bucket"
        return action, f"arn:aws:s3:::{bucket}"
    if method == "DELETE":
        action = "s3:AbortMultipartUpload" if "uploadId" in parameters else "s3:DeleteObject"
    else:
        action = OBJECT[method]
    return action, f"arn:aws:s3:::{bucket}/{key}"


def may(role, action, resource):
    """Whether one of the role's statements allows it."""
    return any(
        action in as_list(statement["Action"])
        and any(fnmatch.fnmatchcase(resource, pattern) for pattern in as_list(statement["Resource"]))
        for statement in STATEMENTS[role]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
