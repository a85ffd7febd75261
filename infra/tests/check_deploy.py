"""scripts/deploy on ministack, through the AWS CLI, and what an instance makes of it: a release and a configuration go
up, the stack comes, a change of configuration arrives, and all of it goes again."""

import hashlib
import os
import re
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import expected
from stand_in import NAME, Faults, client
from templates import INFRA, REGION, load
from warm_cli import warm_cli

sys.path.insert(0, str(INFRA / "deploy"))
import configuration
import release as releases
import stacks
from aws import Failure, Refused

ROOT = INFRA.parent
DATA = f"{NAME}-data-000000000000-{REGION}"
RELEASES = f"{NAME}-releases-000000000000-{REGION}"
# Amazon's own parameters are not there.
IMAGES = ["--set", "ArmImage=/images/arm", "--set", "X86Image=/images/x86"]
KEY = f"arn:aws:kms:{REGION}:000000000000:key/of-the-buckets"
# The secret is not on this machine.
PIPE = """[source]
url = "https://acme.example/feed.csv?key=${ACME_KEY}"
format = "csv"
[map]
id = "sku"
"""
# Stand for programs of an instance: each notes what it was told, and does as files beside it say.
SYSTEMCTL = """#!/bin/sh
cd "$(dirname "$0")/.."
case "$1" in
is-active) test ! -e stopped ;;
show) cat "property-$3" ;;
*) echo "$*" >>told; test ! -e "fails-$1" ;;
esac
"""
NOTES = '#!/bin/sh\necho "$(basename "$0") $*" >>"$FEEDFLEET_ROOT/told"\n'
# The real one, but for the groups: that does not know at first that the instance runs.
AWS = """#!/bin/sh
test "$1" = autoscaling || exec {aws} "$@"
echo "aws $*" >>"$FEEDFLEET_ROOT/told"
test -e "$FEEDFLEET_ROOT/asked" || {{ touch "$FEEDFLEET_ROOT/asked"; exit 255; }}
"""
# The real one, unless it is to fail.
LN = '#!/bin/sh\ntest ! -e "$(dirname "$0")/../fails-ln" || exit 1\nexec /bin/ln "$@"\n'


def main():
    faults = Faults()
    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        (place / "path").mkdir()
        (place / "path/feedfleet").symlink_to(os.environ["FEEDFLEET_BIN"])
        os.environ["PATH"] = f"{place / 'path'}:{os.environ['PATH']}"
        check_parts(faults)
        for name in ("arm", "x86"):
            client("ssm").put_parameter(Name=f"/images/{name}", Value=f"ami-{name}", Type="String")
        check_refusals(faults, place)
        release = check_package(faults, place)
        first = check_configure(faults, place)
        for dry in ([], ["--dry-run"]):
            check_refused(faults, "there is no release mistyped; `list` lists them", *dry, "apply", "--release", "mistyped")
        deploy("apply", "--release", release, *IMAGES)
        check_stack(faults, place, release)
        check_boot(faults, place, release)
        check_instance(faults, place, first)
        check_destroy(faults)
    return faults.end("packaged, configured, applied and destroyed; an instance starts, and takes configurations over")


def check_parts(faults):
    """What needs no account."""
    for said, absent in (
        ("aws s3api head-object: An error occurred (404) when calling the HeadObject operation: Not Found", True),
        ("aws cloudformation describe-stacks: An error occurred (AccessDenied) when calling the DescribeStacks operation: "
         "User: arn:aws:iam::404123456789:user/me is not authorized", False),
    ):
        faults.same(f"absent, by {said!r}", Refused(said).is_absent(), absent)
    for path in sorted((INFRA / "templates").iterdir()):
        faults.same(f"parameters of {path.name}", stacks.names_of(path.read_text()), set(load(path.name)["Parameters"]))
    arm, x86 = {"SchedulerType": "t4g.small"}, {"SchedulerType": "t3a.medium"}
    for built, before, chosen in (
        ("both", {}, {"Architectures": "both"}),
        ("both", arm | {"Architectures": "arm64"}, {"Architectures": "arm64"}),
        ("both", x86 | {"Architectures": "x86_64"}, {"Architectures": "x86_64"}),
        ("arm64", arm | {"Architectures": "both"}, {"Architectures": "arm64"}),
        ("arm64", x86 | {"Architectures": "x86_64"}, {"Architectures": "arm64", "SchedulerType": "t4g.medium"}),
        ("x86_64", {}, {"Architectures": "x86_64", "SchedulerType": "t3a.small"}),
        ("x86_64", x86 | {"Architectures": "both"}, {"Architectures": "x86_64"}),
    ):
        faults.same(f"a release for {built} after {before}", stacks.machines(built, before), chosen)
    for status, runs in (
        ("CREATE_COMPLETE", True),
        ("UPDATE_ROLLBACK_COMPLETE", True),
        ("UPDATE_ROLLBACK_IN_PROGRESS", False),
        ("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", False),
    ):
        expected = None if runs else f"the stack is {status}"
        account = Running(status)
        found = stacks.scheduler_state(account, Running, account.of_stack())
        faults.same(f"a fleet whose stack is {status}", found, expected)
    check_ways_out(faults)
    for when, begins in (("once it has begun", True), ("before it begins", False)):
        said = refusal(stacks.deploy, Failing(begins), NAME, "", {}, NAME)
        told = "no\n  " + f"{NAME}: Queues: no such key" if begins else "no"
        faults.same(f"an update that fails {when}, after one that failed", said, told)
    check_reasons(faults)
    for name in ("main.yaml", "storage.yaml"):
        known = load(name)["Parameters"]["Name"]
        for given in ("ab", "a1-2", "a" * 20, "a", "a" * 21, "Bad_Name", "1a", "a-", "-a", "a.b", "a\n", ""):
            allowed = re.fullmatch(known["AllowedPattern"], given) is not None
            faults.same(f"{name} takes --name {given!r}", refusal(stacks.check_name, given) is None, allowed)
    said = refusal(stacks.check_name, "Bad_Name")
    faults.same("a name that is refused", said, f"--name Bad_Name: expected {known['ConstraintDescription']}")
    for machines, built in ((["aarch64", "x86_64"], "both"), (["aarch64"], "arm64"), (["x86_64"], "x86_64")):
        faults.same(f"what workers run on, by {machines}", releases.architectures(machines), built)
    try:
        stacks.roles_before_buckets(Keyed(), Keyed, "another")
        faults.append("a fleet with a key is given another one")
    except Failure as failure:
        if KEY not in str(failure):
            faults.append(f"a fleet with a key is refused another one: {failure}")


def check_ways_out(faults):
    """What does not end by itself is not waited for; what does, is."""
    waits, polls, reviews = stacks.WAIT_SECS, stacks.POLL_SECS, stacks.REVIEW_SECS
    # So that it looks once.
    stacks.WAIT_SECS, stacks.REVIEW_SECS = -1, 0
    for status, way_out in (
        ("CREATE_FAILED", "`destroy` without --with-data and then `up`"),
        ("ROLLBACK_FAILED", "`destroy` without --with-data and then `up`"),
        ("ROLLBACK_COMPLETE", "`apply` with the same --set makes it anew"),
        ("UPDATE_FAILED", f"cloudformation rollback-stack --stack-name {NAME}`"),
        ("UPDATE_ROLLBACK_FAILED", f"--region {REGION} cloudformation continue-update-rollback --stack-name {NAME}`"),
        ("REVIEW_IN_PROGRESS", "`apply --release ID` or `up`"),
        ("DELETE_IN_PROGRESS", "when it has gone"),
        ("DELETE_FAILED", "`destroy` goes on"),
    ):
        said = refusal(stacks.wait, Running(status), Running) or ""
        for part in (f"the stack {NAME} is {status}: ", way_out, f"\n  {NAME}: Queues: no such key"):
            if said.count(part) != 1:
                faults.append(f"waiting for a stack that is {status} says {said!r}, expected {part!r} once")
    for status in ("CREATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS"):
        said = refusal(stacks.wait, Running(status), Running) or ""
        faults.same(f"waiting for a stack that is {status}", said.partition("minutes ")[2], f"the stack is {status}")
    # One that is just being made, and one that stays a change set.
    stacks.WAIT_SECS, stacks.POLL_SECS, stacks.REVIEW_SECS = waits, 0, reviews
    review = "REVIEW_IN_PROGRESS"
    said = refusal(stacks.wait, Coming(review, review, "CREATE_IN_PROGRESS", "CREATE_COMPLETE"), Running)
    faults.same("waiting for a stack that is being made", said, None)
    stacks.WAIT_SECS, stacks.POLL_SECS, stacks.REVIEW_SECS = 5, 0.01, 0.02
    said = refusal(stacks.wait, Coming(review), Running) or ""
    if "nothing of it is there yet but a change set" not in said:
        faults.append(f"waiting for a stack that stays a change set says {said!r}")
    stacks.WAIT_SECS, stacks.POLL_SECS, stacks.REVIEW_SECS = waits, polls, reviews


def check_reasons(faults):
    """The reasons of the last attempt at a stack are told, and none of those before; newest first here."""
    earlier = ("UPDATE_FAILED", "Vpc", "", "of an earlier update"), ("UPDATE_IN_PROGRESS", "it", "self", "")
    for what, own, nested, expected in (
        (
            "a delete that fails, after an update that failed",
            (
                ("DELETE_FAILED", "it", "self", "not all of it"), ("DELETE_FAILED", "Network", "nested", "no"),
                ("DELETE_IN_PROGRESS", "Network", "nested", ""), ("DELETE_IN_PROGRESS", "it", "self", ""), *earlier,
            ),
            (("DELETE_FAILED", "Vpc", "", "in use"), ("DELETE_IN_PROGRESS", "it", "self", ""), *earlier),
            ["nested: Vpc: in use", f"{NAME}: Network: no", f"{NAME}: it: not all of it"],
        ),
        (
            "a stack that is not made, and what it nests is deleted",
            (("CREATE_FAILED", "Network", "nested", "no"), ("CREATE_IN_PROGRESS", "it", "self", "")),
            (
                ("DELETE_COMPLETE", "it", "self", ""), ("DELETE_IN_PROGRESS", "it", "self", ""),
                ("CREATE_FAILED", "Vpc", "", "too many"), ("CREATE_IN_PROGRESS", "it", "self", ""),
            ),
            ["nested: Vpc: too many", f"{NAME}: Network: no"],
        ),
    ):
        faults.same(f"reasons of {what}", stacks.failures(Past({NAME: own, "nested": nested}), NAME), expected)


def refusal(run, *arguments):
    """Why something is refused; none if it is not."""
    try:
        run(*arguments)
    except Failure as failure:
        return str(failure)
    return None


class Keyed:
    """A fleet that has a key, and its account."""

    stack = NAME

    def ask(self, *_):
        parameters = [{"ParameterKey": "KmsKeyArn", "ParameterValue": KEY}]
        return {"Stacks": [{"StackStatus": "UPDATE_COMPLETE", "Parameters": parameters}]}


class Running:
    """A fleet whose scheduler works, and its account."""

    name = stack = NAME
    region, dry_run = REGION, False

    def __init__(self, status):
        self.status = status

    def of_stack(self):
        return {"StackStatus": self.status}

    def ask(self, _, question, *__):
        event = {
            "LogicalResourceId": "Queues", "PhysicalResourceId": "", "StackId": "it", "ResourceType": "AWS::SQS::Queue",
            "ResourceStatus": "CREATE_FAILED", "ResourceStatusReason": "no such key",
        }
        return {
            "describe-stacks": {"Stacks": [self.of_stack()]},
            "describe-stack-events": {"StackEvents": [event, event]},
            "describe-auto-scaling-groups": {"AutoScalingGroups": [{"Instances": [{"LifecycleState": "InService"}]}]},
            "get-metric-statistics": {"Datapoints": [{"Maximum": 1}]},
        }[question]


class Coming(Running):
    """An account in which each look finds a stack in the next of these states, and at last in the same."""

    def __init__(self, *statuses):
        super().__init__(statuses[0])
        self.statuses = list(statuses)

    def ask(self, service, question, *arguments):
        if question == "describe-stacks" and self.statuses:
            self.status = self.statuses.pop(0)
        return super().ask(service, question, *arguments)


class Past(Running):
    """An account in which this has happened to stacks: status, resource, where that is, reason."""

    def __init__(self, events):
        super().__init__("DELETE_FAILED")
        self.events = events

    def ask(self, service, question, *arguments):
        if question != "describe-stack-events":
            return super().ask(service, question, *arguments)
        stack = arguments[1]
        return {
            "StackEvents": [
                {
                    "LogicalResourceId": resource, "PhysicalResourceId": stack if place == "self" else place,
                    "StackId": stack, "ResourceStatus": status, "ResourceStatusReason": reason,
                    "ResourceType": "AWS::CloudFormation::Stack" if place else "AWS::EC2::VPC",
                }
                for status, resource, place, reason in self.events[stack]
            ]
        }


class Failing(Running):
    """An account that refuses to change a stack, whose last change failed; `begins`: once it has begun to."""

    def __init__(self, begins):
        super().__init__("UPDATE_ROLLBACK_COMPLETE")
        self.begins, self.events = begins, 1

    def ask(self, service, question, *arguments):
        answer = super().ask(service, question, *arguments)
        if question == "describe-stack-events":
            event = answer["StackEvents"][0]
            answer = {"StackEvents": [event | {"EventId": str(number)} for number in range(self.events, 0, -1)]}
        return answer

    def do(self, *_):
        self.events += self.begins
        raise Refused("no")


def check_refusals(faults, place):
    """What would not start is refused before anything is uploaded."""
    for what, content, said in (
        ("script", b"#!/bin/sh\n" * 10, "no program for 64-bit Linux"),
        ("other", elf(62), "another architecture"),
        ("dynamic", elf(183, interpreter=True), "not static"),
        ("plain", elf(183) + b"this build has no AWS in it", "without AWS"),
    ):
        folder = place / what
        folder.mkdir()
        (folder / "feedfleet-aarch64").write_bytes(content)
        told = deploy("package", "--binaries", str(folder), fails=True)
        if said not in told:
            faults.append(f"a binary that is {what}: {told!r}")
    (place / "config/pipes").mkdir(parents=True)
    check_refused(faults, "--name Bad_Name: expected 2 to 20 of", "--name", "Bad_Name", "settings")
    told = deploy("list")
    for line in ("release of the stack: there is no stack", "configuration that counts: there is none",
                 f"there is no bucket {RELEASES} yet: `up` or `package` makes it"):
        if line not in told.splitlines():
            faults.append(f"a list of nothing says {told!r}")
    told = deploy("destroy", "--yes")
    faults.same("destroy of nothing", told, f"there is no stack {NAME}\n")
    told = deploy("configure", str(place / "config"), fails=True)
    if "there is no" not in told:
        faults.append(f"a configuration without fleet.toml: {told!r}")
    (place / "config/fleet.toml").write_text('[queue]\nbackend = "sqlite"\n')
    told = deploy("configure", str(place / "config"), fails=True)
    if "[fleet] group" not in told or "[queue] backend" not in told:
        faults.append(f"another fleet's fleet.toml: {told!r}")
    (place / "config/pipes/acme.toml").write_text(PIPE)
    (place / "config/fleet.toml").write_text(deploy("settings") + '[workers]\nmax = "40"\n')
    check_refused(faults, "max in [workers] is a text", "configure", str(place / "config"))
    (place / "config/fleet.toml").write_text(deploy("settings"))
    (place / "config/pipes/acme.toml").write_text(PIPE + 'titel = "name"\n')
    told = check_refused(faults, "unknown column 'titel'", "configure", str(place / "config"))
    # They are no mistakes here.
    if "ACME_KEY" in told or "mistakes:" in told:
        faults.append(f"a pipe is refused with what is no reason: {told!r}")
    (place / "config/pipes/acme.toml").write_text(PIPE)
    # Nobody else looks at it before instances take it over.
    path = os.pathsep.join(one for one in os.environ["PATH"].split(os.pathsep) if not Path(one, "feedfleet").exists())
    for dry in ([], ["--dry-run"]):
        check_refused(
            faults, "--feedfleet FILE names one", *dry, "configure", str(place / "config"), env={"PATH": path}
        )
    everything = ["--binaries", str(binaries(place)), "--config", str(place / "config")]
    check_refused(faults, "there is no feedfleet with AWS", "up", *everything, "--feedfleet", "/nowhere")
    check_refused(faults, "--set MaxWorker: there is no such parameter", "up", *everything, "--set", "MaxWorker=40")
    check_refused(faults, "--set MaxWorkers: there is no", "package", *everything[:2], "--set", "MaxWorkers=40")
    check_refused(faults, "would change the buckets", "apply", "--set", "KeepDeletedDays=30")
    check_refused(faults, f"there is no stack {NAME}: `apply` or `up` makes it", "wait")
    told = deploy("--dry-run", "package", "--binaries", str(binaries(place)))
    if "would run: aws s3 cp" not in told or "it would be release" not in told:
        faults.append(f"a dry run says {told!r}")
    check_dry_up(faults, place)
    faults.same("made by a dry run", client("cloudformation").describe_stacks()["Stacks"], [])


def check_dry_up(faults, place):
    """A dry run says the parameters with which the stack would be made."""
    x86 = place / "x86"
    x86.mkdir()
    (x86 / "feedfleet-x86_64").write_bytes(elf(62))
    for folder, expected in (
        (x86, {"Architectures": "x86_64", "SchedulerType": "t3a.small"}),
        (binaries(place), {"Architectures": "both"}),
    ):
        told = deploy(
            "--dry-run", "up", "--binaries", str(folder), "--config", str(place / "config"), "--set", f"KmsKeyArn={KEY}"
        )
        line = next(line for line in told.splitlines() if f"--stack-name {NAME} " in line)
        given = dict(one.split("=", 1) for one in shlex.split(line.partition("--parameter-overrides ")[2]))
        machines = {key: given[key] for key in ("Architectures", "SchedulerType") if key in given}
        faults.same(f"what a dry run says of {folder.name}", machines, expected)
        faults.same(f"the key of a dry run with {folder.name}", given["KmsKeyArn"], KEY)
        for done in ("instances take it over", "making the stack"):
            if done in told:
                faults.append(f"a dry run says as done: {told!r}")


def check_refused(faults, said, *arguments, **how):
    """A command is refused, with these words among others."""
    told = deploy(*arguments, fails=True, **how)
    if said not in told:
        faults.append(f"{' '.join(arguments)}: {told!r}, expected {said!r} in it")
    return told


def check_package(faults, place):
    """A release is there once, whole, and named by its content."""
    deploy("package", "--binaries", str(binaries(place)))
    told = deploy("package", "--binaries", str(binaries(place)))
    if "is there already" not in told:
        faults.append(f"the same release again: {told!r}")
    release = next(line.split()[2] for line in deploy("list").splitlines() if "  release  " in line)
    check = place / "release"
    run("aws", "--region", REGION, "s3", "cp", "--recursive", f"s3://{RELEASES}/releases/{release}/", str(check))
    run("sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS", cwd=check)
    run("bash", "-c", f"echo '{release}  SHA256SUMS' | sha256sum --check --strict --quiet", cwd=check)
    listed = {line.split("  ", 1)[1] for line in (check / "SHA256SUMS").read_text().splitlines()}
    there = {path.relative_to(check).as_posix() for path in check.rglob("*") if path.is_file()}
    faults.same("what SHA256SUMS names", listed, there - {"SHA256SUMS"})
    fetched = {"instance/boot", "instance/configure", "systemd/feedfleet-worker.service", "bin/feedfleet-aarch64",
               "bin/feedfleet-x86_64", "instance/feedfleet-configure.timer", "templates/main.yaml"}
    faults.same("what an instance fetches", fetched - listed, set())
    return release


def check_configure(faults, place):
    """The settings that it prints are those that it wants."""
    config = place / "config"
    (config / "fleet.toml").write_text(deploy("settings") + '[workers]\nmemory = "3GiB"\n')
    (config / "notes.txt").write_text("not for the account")
    deploy("configure", str(config))
    first = current()
    deploy("configure", str(config))
    faults.same("the same configuration again", current(), first)
    check_refused(faults, "a folder, or --back ID", "configure", str(config), "--back", first)
    for dry in ([], ["--dry-run"]):
        check_refused(faults, "there is no configuration mistyped", *dry, "configure", "--back", "mistyped")
    (config / "pipes/second.toml").write_text(PIPE)
    deploy("configure", str(config))
    second = current()
    (config / "pipes/second.toml").unlink()
    check_counts(faults, second, first)
    deploy("configure", "--back", first)
    check_counts(faults, first, second)
    return first


def check_counts(faults, counts, other):
    """`list` says which configuration counts."""
    told = deploy("list")
    lines = [line for line in told.splitlines() if "  configuration  " in line]
    ends = {line.split("  ")[2]: line.endswith("  (counts)") for line in lines}
    faults.same("configurations that count", ends, {counts: True, other: False})
    faults.same("said of it", f"configuration that counts: {counts}" in told.splitlines(), True)


def check_stack(faults, place, release):
    stack = client("cloudformation").describe_stacks(StackName=NAME)["Stacks"][0]
    faults.same("stack", stack["StackStatus"], "CREATE_COMPLETE")
    given = {one["ParameterKey"]: one["ParameterValue"] for one in stack["Parameters"]}
    faults.same("release of the stack", given["Release"], release)
    faults.same("architectures", given["Architectures"], "both")
    check_refused(faults, "--set MaxWorker: there is no such parameter", "apply", "--set", "MaxWorker=40")
    # Roles that do not know the key may write nothing into buckets that encrypt with it.
    told = deploy("--dry-run", "package", "--binaries", str(binaries(place)), "--set", f"KmsKeyArn={KEY}")
    changed = [line.split()[6] for line in told.splitlines() if f"KmsKeyArn={KEY}" in line]
    faults.same("stacks that are given a key, in order", changed, [NAME, f"{NAME}-storage"])
    groups = client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    faults.same("groups", {one["AutoScalingGroupName"] for one in groups}, {f"{NAME}-workers", f"{NAME}-scheduler"})


def check_boot(faults, place, release):
    """What an instance makes of itself, by how its role does in the first seconds."""
    for role, what, stopped, properties, signal, hook, ends in (
        ("scheduler", "runs", False, {"NRestarts": "0"}, "0", [], True),
        ("worker", "runs", False, {"NRestarts": "0"}, None, ["CONTINUE", "CONTINUE"], True),
        ("worker", "starts again and again", False, {"NRestarts": "1"}, None, ["ABANDON"], False),
        ("worker", "is told to go", True, {"ActiveState": "inactive", "Result": "success"}, None, ["ABANDON"], True),
        ("worker", "fails", True, {"ActiveState": "activating", "Result": "exit-code"}, None, ["ABANDON"], False),
        ("scheduler", "ends", True, {"ActiveState": "inactive", "Result": "success"}, "1", [], False),
    ):
        name = f"{role} that {what}"
        root = instance(place / f"boot {name}")
        for path in (
            "usr/local/bin", "usr/local/sbin", "etc/systemd/system", "etc/logrotate.d", "opt/aws/bin",
            "var/lib/cloud/data",
        ):
            (root / path).mkdir(parents=True, exist_ok=True)
        (root / "var/lib/cloud/data/instance-id").write_text("i-0a\n")
        stand_for(root, AWS.format(aws=shutil.which("aws")), "bin/aws")
        stand_for(root, NOTES, "bin/useradd", "bin/sleep", "opt/aws/bin/cfn-signal")
        stand_for(root, "#!/bin/sh\nexit 1\n", "bin/dnf")
        (root / "etc/feedfleet-instance").unlink()
        (root / "stopped").touch()
        if not stopped:
            # It runs from the moment in which it is enabled.
            stand_for(root, SYSTEMCTL.replace("*)", 'enable) rm -f stopped; echo "$*" >>told ;;\n*)'), "bin/systemctl")
        for key, value in properties.items():
            (root / f"property-{key}").write_text(value + "\n")
        (root / "release").mkdir()
        (root / "release/SHA256SUMS").write_bytes((place / "release/SHA256SUMS").read_bytes())
        said = run(
            "bash", str(INFRA / "instance/boot"), cwd=root / "release", fails=not ends,
            env=environment(root) | {
                "ROLE": role, "NAME": NAME, "BUCKET": RELEASES, "REGION": REGION, "RELEASE": release, "STACK": "stack",
                "RESOURCE": "Schedulers" if role == "scheduler" else "",
            },
        )
        noted = told(root)
        for line in (f"enable --now feedfleet-{role}.service", "enable --now feedfleet-configure.timer"):
            if line not in noted:
                faults.append(f"a {name} was not told: {line}\n{said}")
        signals = [line.split()[2] for line in noted if line.startswith("cfn-signal")]
        faults.same(f"a {name} tells the stack", signals, [] if signal is None else [signal])
        completed = [line for line in noted if line.startswith("aws")]
        faults.same(f"a {name} completes its hook", completed, [
            f"aws autoscaling complete-lifecycle-action --auto-scaling-group-name {NAME}-workers "
            f"--lifecycle-hook-name {expected.BOOT_HOOK} --lifecycle-action-result {result} --instance-id i-0a"
            for result in hook
        ])
        if hook == ["ABANDON"] and not ends and noted[-3:-1] != ["sleep 300", *completed]:
            # The group would take it away, and start the next one, at once.
            faults.append(f"a {name} gives up before its console can be read: {noted}")
        stays = what == "runs"
        faults.same(f"a {name} is switched off", "poweroff" in noted, not stays)
        faults.same(f"a {name} lingers for its console", "sleep 300" in noted, not ends)
        settings = (root / "etc/feedfleet-instance").read_text().split()
        faults.same(f"a {name} spreads restarts", f"SPREAD={300 if role == 'worker' else 0}" in settings, True)
        faults.same(f"a {name} is owed a restart", (root / "run/feedfleet-restart").exists(), False)
        if not (root / "etc/feedfleet/fleet.toml").exists():
            faults.append(f"a {name} has no configuration")


def check_instance(faults, place, first):
    """What runs on an instance each minute, with a root of its own: the whole of a configuration at once, secrets that
    survive their quotes, and a restart only where one is needed."""
    root, config = instance(place / "root"), place / "config"
    for path in ("usr/local/bin", "var/log/feedfleet"):
        (root / path).mkdir(parents=True)
    (root / "usr/local/bin/feedfleet").symlink_to(os.environ["FEEDFLEET_BIN"])
    settings = (root / "etc/feedfleet-instance").read_text()
    (root / "stopped").touch()
    secret = 'a"b\\c$d`e f'
    ssm = client("ssm")
    ssm.put_parameter(Name=f"/feedfleet/{NAME}/ACME_KEY", Value=secret, Type="SecureString")
    ssm.put_parameter(Name=f"/feedfleet/{NAME}/no-variable", Value="x", Type="String")

    configured(root)
    faults.same("its configuration", (root / "etc/feedfleet/pipes/acme.toml").read_text(), PIPE)
    faults.same("files of it", sorted(p.name for p in (root / "etc/feedfleet").rglob("*")), ["acme.toml", "fleet.toml", "pipes"])
    faults.same("its name", (root / "etc/feedfleet").resolve().name, first)
    variables = root / "etc/feedfleet.env"
    faults.same("who reads the secrets", variables.stat().st_mode & 0o777, 0o600)
    shell = f'set -a; . "{variables}"; printf "%s" "$ACME_KEY"'
    faults.same("a secret", run("bash", "-c", shell), secret)
    if "no-variable" in variables.read_text():
        faults.append("a parameter that is no variable's name arrived")
    faults.same("told at first, when nothing runs", told(root), [])
    (root / "stopped").unlink()
    configured(root)
    faults.same("told when nothing is new", told(root), [])

    (config / "pipes/other.toml").write_text(PIPE)
    deploy("configure", str(config))
    configured(root)
    faults.same("pipes", sorted(p.name for p in (root / "etc/feedfleet/pipes").iterdir()), ["acme.toml", "other.toml"])
    faults.same("told of a new pipe", told(root), [])
    faults.same("kept", len(list((root / "var/lib/feedfleet-configurations").iterdir())), 1)

    with (config / "fleet.toml").open("a") as file:
        file.write("max = 3\n")
    deploy("configure", str(config))
    configured(root)
    faults.same("told of a new fleet.toml", told(root), ["try-restart feedfleet-worker.service"])

    ssm.put_parameter(Name=f"/feedfleet/{NAME}/ACME_KEY", Value="another", Type="SecureString", Overwrite=True)
    configured(root)
    faults.same("told of a new secret", told(root), ["try-restart feedfleet-worker.service"])

    deploy("configure", "--back", first)
    configured(root)
    faults.same("back", (root / "etc/feedfleet").resolve().name, first)
    faults.same("told of the way back", told(root), ["try-restart feedfleet-worker.service"])

    check_owed_restarts(faults, root, config, settings)
    check_refused_fleet(faults, root, config)
    deploy("configure", "--back", first)
    configured(root)
    told(root)
    # A configuration that is not what its name says, and a name that is none, leave the last one.
    client("s3").put_object(Bucket=RELEASES, Key=f"configurations/{'ab' * 32}.tar.gz", Body=b"something else")
    for name in ("ab" * 32, "../../etc"):
        client("s3").put_object(Bucket=RELEASES, Key="configurations/current", Body=name.encode())
        configured(root, fails=True)
        faults.same(f"after {name}", (root / "etc/feedfleet").resolve().name, first)
        faults.same(f"told after {name}", told(root), [])


def check_owed_restarts(faults, root, config, settings):
    """A restart that a change calls for comes, whatever happens in between; and in its own time."""
    restart, ssm, owed = ["try-restart feedfleet-worker.service"], client("ssm"), root / "run/feedfleet-restart"
    deploy("configure", str(config))
    configured(root)
    told(root)

    def change(secret):
        ssm.put_parameter(Name=f"/feedfleet/{NAME}/ACME_KEY", Value=secret, Type="SecureString", Overwrite=True)

    # Cut off after the secrets were taken over: the next look finds no difference that calls for a restart.
    change("third")
    (config / "pipes/third.toml").write_text(PIPE)
    deploy("configure", str(config))
    (root / "fails-ln").touch()
    configured(root, fails=True)
    faults.same("told by a look that is cut off", told(root), [])
    (root / "fails-ln").unlink()
    configured(root)
    faults.same("told by the next look", told(root), restart)

    change("fourth")
    (root / "fails-try-restart").touch()
    configured(root, fails=True)
    faults.same("told when it cannot restart", told(root), restart)
    (root / "fails-try-restart").unlink()
    configured(root)
    faults.same("told again", told(root), restart)
    configured(root)
    faults.same("told when it has restarted", told(root), [])

    # Spread over hours, so that its time does not come while this runs.
    (root / "etc/feedfleet-instance").write_text(settings + "SPREAD=32000\n")
    times = []
    for change_of in ("one", "another"):
        with (config / "fleet.toml").open("a") as file:
            file.write(f"# {change_of}\n")
        deploy("configure", str(config))
        configured(root)
        faults.same(f"told of {change_of} change before its time", told(root), [])
        times.append(owed.read_text())
    faults.same("its time after another change", times[1], times[0])
    owed.write_text("1\n")
    configured(root)
    faults.same("told when its time has come", told(root), restart)
    faults.same("owed after that", owed.exists(), False)
    change("fifth")
    configured(root)
    faults.same("told of a secret, which a new pipe may need", told(root), restart)
    (root / "etc/feedfleet-instance").write_text(settings)


def check_refused_fleet(faults, root, config):
    """A fleet.toml that the program refuses is not taken over, and nothing else is kept back by that."""
    restart, log = ["try-restart feedfleet-worker.service"], root / "var/log/feedfleet/feedfleet.log"
    before, variables = (root / "etc/feedfleet").resolve().name, (root / "etc/feedfleet.env").read_text()
    sound = (config / "fleet.toml").read_text()
    (config / "fleet.toml").write_text(sound.replace("max = 3", 'max = "${ACME_KEY}"'))
    client("ssm").put_parameter(Name=f"/feedfleet/{NAME}/OTHER_KEY", Value="x", Type="SecureString")
    refused = put(config)
    (root / "run/feedfleet-restart").write_text("1\n")
    configured(root)
    faults.same("after a fleet.toml that is refused", (root / "etc/feedfleet").resolve().name, before)
    faults.same("secrets after it", (root / "etc/feedfleet.env").read_text(), variables)
    faults.same("told of a restart that was owed before", told(root), restart)
    configured(root)
    faults.same("told of a fleet.toml that is refused", told(root), [])
    said = log.read_text() if log.exists() else ""
    if refused not in said or "max in [workers]" not in said or said.count("the last configuration stays") != 2:
        faults.append(f"the log does not say what is refused: {said!r}")

    (config / "fleet.toml").write_text(sound + "# mended\n")
    (config / "pipes/acme.toml").write_text("broken")
    mended = put(config)
    configured(root)
    faults.same("after a pipe that is refused", (root / "etc/feedfleet").resolve().name, mended)
    faults.same("told of it, with a fleet.toml and a secret", told(root), restart)
    (config / "pipes/acme.toml").write_text(PIPE)


def put(folder):
    """Makes a configuration the one that counts, past what scripts/deploy looks at. Gives its name."""
    s3, content = client("s3"), configuration.archive(folder)
    name = hashlib.sha256(content).hexdigest()
    s3.put_object(Bucket=RELEASES, Key=f"configurations/{name}.tar.gz", Body=content)
    s3.put_object(Bucket=RELEASES, Key=configuration.CURRENT, Body=name.encode())
    return name


def check_destroy(faults):
    told = deploy("destroy", input="no\n", fails=True)
    if "nothing was deleted" not in told:
        faults.append(f"destroy without a yes: {told!r}")
    client("s3").put_object(Bucket=DATA, Key="objects/reports/acme/1.json", Body=b"{}")
    check_refused(faults, "nobody is there to answer; `destroy --yes`", "destroy", input="")
    told = run("bash", "-c", f"{ROOT / 'scripts/deploy'} --name {NAME} destroy <&-", fails=True)
    if "nobody is there to answer; `destroy --yes`" not in told:
        faults.append(f"destroy without a standard input says {told!r}")
    told = deploy("--dry-run", "destroy")
    if "would run: aws autoscaling update-auto-scaling-group" not in told or "deleting the stack" in told:
        faults.append(f"a dry run of destroy says {told!r}")
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=f"{NAME}-workers", DesiredCapacity=2)
    told = deploy("destroy", "--yes")
    if "instances that hand back their work and end: 2" not in told:
        faults.append(f"destroy did not wait for the workers: {told!r}")
    left = {one["StackName"] for one in client("cloudformation").describe_stacks()["Stacks"]}
    faults.same("stacks left", left, {f"{NAME}-storage"})
    found = client("s3").list_objects_v2(Bucket=DATA)["KeyCount"]
    faults.same("data left", found, 1)
    deploy("destroy", "--with-data", "--yes")
    faults.same("stacks left at last", client("cloudformation").describe_stacks()["Stacks"], [])
    faults.same("buckets left at last", client("s3").list_buckets()["Buckets"], [])


def binaries(place):
    """Programs as far as their heads."""
    folder = place / "binaries"
    folder.mkdir(exist_ok=True)
    (folder / "feedfleet-aarch64").write_bytes(elf(183))
    (folder / "feedfleet-x86_64").write_bytes(elf(62))
    return folder


def elf(machine, interpreter=False):
    """The head of a program, and one program header."""
    head = bytearray(64 + 56)
    head[:7] = b"\x7fELF\x02\x01\x01"
    struct.pack_into("<HHI", head, 16, 2, machine, 1)
    struct.pack_into("<Q", head, 32, 64)
    struct.pack_into("<HH", head, 54, 56, 1)
    struct.pack_into("<I", head, 64, 3 if interpreter else 1)
    return bytes(head)


def current():
    return client("s3").get_object(Bucket=RELEASES, Key="configurations/current")["Body"].read().decode()


def told(root):
    """What systemctl was told since the last time."""
    path = root / "told"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


def instance(root):
    """The root of an instance, as far as its scripts see it."""
    for folder in ("etc", "run", "bin", "var/lib"):
        (root / folder).mkdir(parents=True)
    stand_for(root, SYSTEMCTL, "bin/systemctl")
    stand_for(root, LN, "bin/ln")
    (root / "etc/feedfleet-instance").write_text(
        f"NAME={NAME}\nBUCKET={RELEASES}\nREGION={REGION}\nUNIT=feedfleet-worker.service\n"
    )
    return root


def stand_for(root, script, *programs):
    for program in programs:
        (root / program).write_text(script)
        (root / program).chmod(0o755)


def environment(root):
    return {"FEEDFLEET_ROOT": str(root), "PATH": f"{root / 'bin'}:{os.environ['PATH']}"}


def configured(root, fails=False):
    run("bash", str(INFRA / "instance/configure"), env=environment(root), fails=fails)


def deploy(*arguments, env={}, fails=False, input=None):
    return run(str(ROOT / "scripts/deploy"), "--name", NAME, *arguments, env=env, fails=fails, input=input)


def run(*command, cwd=None, env={}, fails=False, input=None):
    """Runs it, and gives what it said; it must end as expected."""
    stand_in = {"AWS_ENDPOINT_URL": os.environ["FEEDFLEET_STAND_IN"], "AWS_REGION": REGION}
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | stand_in | env, input=input, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300,
    )
    if (done.returncode != 0) != fails:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


if __name__ == "__main__":
    with warm_cli():
        sys.exit(main())
