"""The two stacks: the buckets, which last, and everything else, which comes and goes."""

import json
import re
import tempfile
import time
from pathlib import Path

import release as releases
from aws import Failure, Refused

WAIT_SECS = 1200
POLL_SECS = 15
# A stack that somebody is just making is no longer than some seconds what a mere change set is: in REVIEW_IN_PROGRESS.
REVIEW_SECS = 30
# A worker has the hook's 150 s to hand back what it has, and its machine takes a minute or two to end.
RETIRE_SECS = 900
RETIRE_POLL_SECS = 5
# What Auto Scaling takes with one request.
PROTECTION_BATCH = 50
# Parameters that other subnets come of, or another network.
NETWORK = ("VpcId", "VpcCidr", "SubnetIds", "Zones")
# What S3 deletes with one request.
DELETE_BATCH = 1000
# What a stack is in when somebody begins to do something with it.
BEGINNINGS = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS")
# What a stack does not leave by itself for one that runs, and what to do then. After any other failure: a new stack.
WAYS_OUT = {
    "ROLLBACK_COMPLETE": (
        "its first attempt was taken back; after seeing to the reason, `apply` with the same --set makes it anew"
    ),
    "UPDATE_FAILED": (
        "after seeing to the reason, "
        "`aws --region {region} cloudformation rollback-stack --stack-name {stack}`, then `wait`"
    ),
    "UPDATE_ROLLBACK_FAILED": (
        "after seeing to the reason, "
        "`aws --region {region} cloudformation continue-update-rollback --stack-name {stack}`, then `wait`"
    ),
    "REVIEW_IN_PROGRESS": (
        "nothing of it is there yet but a change set, which stays one unless somebody is just carrying it out; "
        "`apply --release ID` or `up`, with the same --set, makes it"
    ),
    "DELETE_IN_PROGRESS": "when it has gone, `apply --release ID` or `up` makes it anew",
    "DELETE_COMPLETE": "`apply --release ID` or `up` makes it anew",
    "DELETE_FAILED": "after seeing to the reason, `destroy` goes on",
}
# Parameters of the buckets' stack. The other one has KmsKeyArn too, which it takes from there.
OF_STORAGE = {"KmsKeyArn", "KeepDeletedDays"}


def find(aws, stack):
    """A stack as it is; none where there is none."""
    try:
        return aws.ask("cloudformation", "describe-stacks", "--stack-name", stack)["Stacks"][0]
    except Refused as refused:
        if refused.is_absent():
            return None
        raise


def parameters(stack):
    """A stack's parameters; none of a stack that is not there."""
    given = stack.get("Parameters", []) if stack else []
    return {one["ParameterKey"]: one["ParameterValue"] for one in given}


def own_template(name):
    """A template of this clone."""
    return (releases.INFRA / "templates" / name).read_text()


def names_of(template):
    """The names of a template's parameters."""
    section = re.search(r"^Parameters:\n(.*?)^\S", template, re.MULTILINE | re.DOTALL)[1]
    return set(re.findall(r"^  (\w+):$", section, re.MULTILINE))


def check_name(name):
    """Refuses a fleet's name that the templates would refuse, once something is made."""
    said = re.search(r"^  Name:\n((?:    .*\n)+)", own_template("main.yaml"), re.MULTILINE)[1]
    pattern = re.search(r'AllowedPattern: "(.*)"', said)[1]
    if not re.fullmatch(pattern, name):
        raise Failure(f"--name {name}: expected {re.search('ConstraintDescription: (.*)', said)[1]}")


def check_names(given, known):
    """Refuses what is no parameter: `aws cloudformation deploy` would leave it out, and say nothing."""
    for name in sorted(given.keys() - known):
        raise Failure(f"--set {name}: there is no such parameter here, but {', '.join(sorted(known))}")


def deploy(aws, stack, template, overrides, name):
    """Creates or updates a stack, and waits for it. What is not overridden stays as it was."""
    found = find(aws, stack)
    if found and found["StackStatus"] == "ROLLBACK_COMPLETE":
        # What is left of a first attempt that failed: nothing, but it takes no other.
        delete(aws, stack)
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(template)
        file.flush()
        arguments = ["cloudformation", "deploy", "--stack-name", stack, "--template-file", file.name]
        arguments += ["--capabilities", "CAPABILITY_IAM", "--no-fail-on-empty-changeset"]
        arguments += ["--tags", f"feedfleet={name}"]
        if overrides:
            arguments += ["--parameter-overrides", *(f"{key}={value}" for key, value in overrides.items())]
        if not aws.dry_run:
            print(f"making the stack {stack}, or bringing it up to date, which may take minutes")
        before = newest_event(aws, stack) if found else None
        try:
            aws.do(*arguments)
        except Refused as refused:
            # What was refused at once has no events; those that are there are of an earlier attempt.
            begun = newest_event(aws, stack) != before
            reasons = failures(aws, stack) if begun else []
            raise Failure("\n".join([str(refused), *(f"  {line}" for line in reasons)])) from refused


def newest_event(aws, stack):
    """The id of what happened last to a stack; none where nothing is known of it."""
    try:
        arguments = ("describe-stack-events", "--stack-name", stack, "--max-items", "1")
        events = aws.ask("cloudformation", *arguments)["StackEvents"]
    except Refused:
        return None
    return events[0]["EventId"] if events else None


def failures(aws, stack, beginnings=BEGINNINGS):
    """What went wrong last in a stack and in those that it nests, newest last."""
    try:
        events = aws.ask("cloudformation", "describe-stack-events", "--stack-name", stack)["StackEvents"]
    except Refused:
        return []
    lines = []
    for event in events:
        if event["ResourceStatus"] in beginnings:
            if event["PhysicalResourceId"] == event["StackId"]:
                break  # where this attempt began
        if event["ResourceStatus"].endswith("FAILED"):
            reason = event.get("ResourceStatusReason", "")
            lines.append(f"{stack}: {event['LogicalResourceId']}: {reason}")
            nested = event.get("PhysicalResourceId", "")
            if event["ResourceType"] == "AWS::CloudFormation::Stack" and nested not in ("", event["StackId"]):
                # One that could not be made is deleted after that, and its reasons are those before.
                is_deleted = event["ResourceStatus"].startswith("DELETE")
                lines += reversed(failures(aws, nested, BEGINNINGS if is_deleted else BEGINNINGS[:2]))
    # A resource may fail once more when the stack is taken back, by the same reason.
    return list(dict.fromkeys(reversed(lines)))


def storage(aws, fleet, given):
    """The stack of the buckets. It is there before anything else, and changes only when it is told to."""
    if "KmsKeyArn" in given:
        roles_before_buckets(aws, fleet, given["KmsKeyArn"])
    overrides = {"Name": fleet.name} | {key: given[key] for key in sorted(OF_STORAGE & given.keys())}
    deploy(aws, fleet.storage_stack, own_template("storage.yaml"), overrides, fleet.name)


def roles_before_buckets(aws, fleet, key):
    """Lets the roles of a fleet that runs use a key, before the buckets encrypt with it: else all of its writes are
    refused until the next `apply`."""
    stack = find(aws, fleet.stack)
    if stack is None or stack["StackStatus"] == "ROLLBACK_COMPLETE":
        return
    before = parameters(stack).get("KmsKeyArn", "")
    if before not in ("", key):
        raise Failure(
            f"KmsKeyArn stays {before}: what is in the buckets stays encrypted with it, and the roles may use one key"
        )
    if before != key:
        update(aws, fleet, None, {"KmsKeyArn": key})


def apply(aws, fleet, release, given, packaged=None):
    """The stack of everything else, with a release; without one, with the release that it has. `packaged`: what the
    release was built for, if it was packaged just now, which a dry run only says."""
    update(aws, fleet, release, given, packaged)
    refresh(aws, fleet)


def update(aws, fleet, release, given, packaged=None):
    """The stack, without its workers."""
    stack = find(aws, fleet.stack)
    release = release or parameters(stack).get("Release")
    if not release:
        raise Failure("which release? `package` uploads one, and --release names it")
    only_said = aws.dry_run and packaged is not None
    if not only_said and not releases.is_there(aws, fleet.releases_bucket, "configurations/current"):
        raise Failure("there is no configuration yet, and no instance starts without: `configure` uploads one")
    stand_in = aws.stand_in("S3")
    if releases.is_there(aws, fleet.releases_bucket, f"releases/{release}/{releases.SUMS}"):
        template = releases.template(aws, fleet.releases_bucket, release, "main.yaml")
        built = releases.architectures_of(aws, fleet.releases_bucket, release)
    elif only_said:
        template, built = own_template("main.yaml"), packaged
    else:
        raise Failure(f"there is no release {release}; `list` lists them")
    check_names(given, names_of(template))
    check_network(aws, fleet, parameters(stack), given)
    host = f"https://{fleet.releases_bucket}.s3.{aws.region}.{aws.domain}"
    base = f"{stand_in}/{fleet.releases_bucket}" if stand_in else host
    overrides = {
        "Name": fleet.name,
        "Templates": f"{base}/releases/{release}/templates",
        "ReleasesBucket": fleet.releases_bucket,
        "DataBucket": fleet.data_bucket,
        "Release": release,
        "KmsKeyArn": parameters(find(aws, fleet.storage_stack)).get("KmsKeyArn", ""),
    }
    chosen = machines(built, parameters(stack))
    if built == "both" != chosen["Architectures"] and "Architectures" not in given:
        print(f"workers stay on {chosen['Architectures']}; `apply --set Architectures=both` brings the other one too")
    deploy(aws, fleet.stack, template, overrides | chosen | given, fleet.name)


def check_network(aws, fleet, before, given):
    """CloudFormation takes a network away without asking who is in it: it tries three times, and then forgets what it could
    not delete."""
    changed = [name for name in NETWORK if name in given and name in before and given[name] != before[name]]
    # A zone more takes nothing away.
    if changed == ["Zones"] and given["Zones"] > before["Zones"]:
        return
    if changed and (there := workers(aws, fleet)):
        raise Failure(
            f"{', '.join(changed)} would take away the network that {len(there)} workers are in: `apply` it when the fleet "
            "is empty"
        )


def workers(aws, fleet):
    """The workers' instances."""
    groups = aws.ask(
        "autoscaling", "describe-auto-scaling-groups", "--auto-scaling-group-names", f"{fleet.name}-workers"
    )["AutoScalingGroups"]
    return groups[0]["Instances"] if groups else []


def machines(built, before):
    """What workers and scheduler run on, by the architectures that a release was built for: as before, where it was
    built for that."""
    chosen = {"Architectures": before.get("Architectures", built) if built == "both" else built}
    family, size = before.get("SchedulerType", "t4g.small").split(".")
    needed = {"arm64": "t4g", "x86_64": "t3a", "both": family}[built]
    if family != needed:
        chosen["SchedulerType"] = f"{needed}.{size}"
    return chosen


def refresh(aws, fleet):
    """Workers that are there are replaced by ones of this release, those that are busy when they no longer are."""
    if aws.dry_run:
        return
    if not workers(aws, fleet):
        return
    preferences = {"SkipMatching": True, "ScaleInProtectedInstances": "Wait", "MinHealthyPercentage": 90}
    try:
        aws.do(
            "autoscaling", "start-instance-refresh", "--auto-scaling-group-name", f"{fleet.name}-workers",
            "--preferences", json.dumps(preferences),
        )
        print(
            "workers of another release are being replaced. AWS waits an hour for those that are busy, and then gives\n"
            "the replacement up: what is left by then goes when the fleet shrinks, or with the next `apply`"
        )
    except Refused as refused:
        print(f"workers of another release stay until the fleet shrinks: {refused}")


def wait(aws, fleet):
    """Waits until a scheduler is in service and has said that it works."""
    if aws.dry_run:
        print("would wait until the scheduler says that it works")
        return
    until = time.monotonic() + WAIT_SECS
    reviewed_since = None
    while True:
        stack = find(aws, fleet.stack)
        if stack is None:
            raise Failure(f"there is no stack {fleet.stack}: `apply` or `up` makes it")
        if stack["StackStatus"] != "REVIEW_IN_PROGRESS":
            reviewed_since = None
        elif reviewed_since is None:
            reviewed_since = time.monotonic()
        if reviewed_since is None or time.monotonic() - reviewed_since >= REVIEW_SECS:
            check_goes_on(aws, fleet, stack["StackStatus"])
        state = scheduler_state(aws, fleet, stack)
        if state is None:
            print("the scheduler works")
            return
        if time.monotonic() > until:
            raise Failure(f"after {WAIT_SECS // 60} minutes {state}")
        print(f"{state}; waiting")
        time.sleep(POLL_SECS)


def check_goes_on(aws, fleet, status):
    """Refuses to wait for a stack that stays as it is until somebody sees to it, or goes."""
    way_out = WAYS_OUT.get(status)
    if way_out is None and status.endswith("_FAILED"):
        way_out = "after seeing to the reason, `destroy` without --with-data and then `up` make it anew"
    if way_out is None:
        return
    told = f"the stack {fleet.stack} is {status}: {way_out.format(region=aws.region, stack=fleet.stack)}"
    reasons = [f"  {line}" for line in failures(aws, fleet.stack)]
    raise Failure("\n".join([told, *reasons]))


def scheduler_state(aws, fleet, stack):
    """What is not as it should be; none if the scheduler works."""
    # After an update that was taken back the stack stays in UPDATE_ROLLBACK_COMPLETE, and its fleet runs.
    if not stack["StackStatus"].endswith("_COMPLETE"):
        return f"the stack is {stack['StackStatus']}"
    groups = aws.ask(
        "autoscaling", "describe-auto-scaling-groups", "--auto-scaling-group-names", f"{fleet.name}-scheduler"
    )["AutoScalingGroups"]
    instances = groups[0]["Instances"] if groups else []
    if not any(one["LifecycleState"] == "InService" for one in instances):
        return "no scheduler is in service"
    now = int(time.time())
    figures = aws.ask(
        "cloudwatch", "get-metric-statistics", "--namespace", f"Feedfleet/{fleet.name}",
        "--metric-name", "SchedulerAlive", "--statistics", "Maximum", "--period", "60",
        "--start-time", str(now - 180), "--end-time", str(now),
    )
    return None if figures["Datapoints"] else "the scheduler has not said yet that it works"


def destroy(aws, fleet, with_data):
    """Takes the fleet down; with its data only where that is asked for."""
    if find(aws, fleet.stack) is not None:
        retire(aws, fleet)
    delete(aws, fleet.stack)
    if not with_data:
        if find(aws, fleet.storage_stack) is not None:
            print("the buckets stay, with all data; `destroy --with-data` deletes them too")
        return
    for bucket in (fleet.data_bucket, fleet.releases_bucket):
        empty(aws, bucket)
    delete(aws, fleet.storage_stack)


def retire(aws, fleet):
    """Lets every instance go, and waits until they have gone. CloudFormation would set a group's sizes to 0 and wait
    for its scale-in, which spares workers that protect themselves; and those go on for as long as there is work."""
    names = [f"{fleet.name}-scheduler", f"{fleet.name}-workers"]
    until = time.monotonic() + RETIRE_SECS
    while True:
        groups = aws.ask("autoscaling", "describe-auto-scaling-groups", "--auto-scaling-group-names", *names)
        # The scheduler first: it is the one that asks for workers.
        groups = sorted(groups["AutoScalingGroups"], key=lambda one: names.index(one["AutoScalingGroupName"]))
        for group in groups:
            let_go(aws, group)
        left = [one["InstanceId"] for group in groups for one in group["Instances"]]
        if aws.dry_run or not left:
            return
        if time.monotonic() > until:
            raise Failure(
                f"after {RETIRE_SECS // 60} minutes there are still {', '.join(left)}, which are paid for; "
                "`destroy` goes on from here"
            )
        print(f"instances that hand back their work and end: {len(left)}; waiting")
        time.sleep(RETIRE_POLL_SECS)


def let_go(aws, group):
    """One step: no instance is wanted, and none is protected. Each look takes it again, for a worker that has just been
    given a job protects itself anew."""
    named = ("--auto-scaling-group-name", group["AutoScalingGroupName"])
    sizes = ("--min-size", "0", "--max-size", "0", "--desired-capacity", "0")
    aws.do("autoscaling", "update-auto-scaling-group", *named, *sizes)
    protected = [
        one["InstanceId"]
        for one in group["Instances"]
        if one.get("ProtectedFromScaleIn") and one["LifecycleState"] == "InService"
    ]
    for start in range(0, len(protected), PROTECTION_BATCH):
        batch = protected[start : start + PROTECTION_BATCH]
        try:
            aws.do(
                "autoscaling", "set-instance-protection", *named,
                "--no-protected-from-scale-in", "--instance-ids", *batch,
            )
        except Refused as refused:
            # An instance that ends meanwhile is refused, and the others of the batch with it; the next look sees.
            print(f"still protected: {refused}")


def delete(aws, stack):
    """Deletes a stack, and waits until it has gone."""
    if find(aws, stack) is None:
        print(f"there is no stack {stack}")
        return
    if not aws.dry_run:
        print(f"deleting the stack {stack}")
    aws.do("cloudformation", "delete-stack", "--stack-name", stack)
    try:
        aws.do("cloudformation", "wait", "stack-delete-complete", "--stack-name", stack)
    except Refused as refused:
        raise Failure("\n".join([str(refused), *failures(aws, stack)])) from refused


def empty(aws, bucket):
    """Deletes every version of every object."""
    try:
        aws.ask("s3api", "head-bucket", "--bucket", bucket)
    except Refused as refused:
        if refused.is_absent():
            return
        raise
    deleted = 0
    while True:
        page = aws.ask(
            "s3api", "list-object-versions", "--bucket", bucket, "--max-keys", str(DELETE_BATCH), "--no-paginate"
        )
        found = (page or {}).get("Versions", []) + (page or {}).get("DeleteMarkers", [])
        if not found:
            break
        objects = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]
        with tempfile.TemporaryDirectory() as place:
            request = Path(place) / "delete.json"
            request.write_text(json.dumps({"Objects": objects, "Quiet": True}))
            answer = aws.do("s3api", "delete-objects", "--bucket", bucket, "--delete", f"file://{request}")
        if aws.dry_run:
            print(f"would go on until {bucket} is empty")
            return
        errors = json.loads(answer or "{}").get("Errors", [])
        if errors:
            raise Failure(f"{bucket}: {errors[0]['Key']}: {errors[0]['Message']}")
        deleted += len(objects)
        print(f"{bucket}: {deleted} deleted")
