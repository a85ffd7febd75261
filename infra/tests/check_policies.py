"""Whether each role may make the calls that it makes, and nothing else: the source, calls.toml and access.yaml say
the same. Needs no network."""

import fnmatch
import json
import re
import sys
import tomllib

import botocore.session
from botocore import xform_name

from templates import ACCOUNT, INFRA, REGION, Resolver, load

ROOT = INFRA.parent
SERVICES = ("sqs", "s3", "autoscaling", "cloudwatch", "ec2", "sts", "ssm", "iam")
ROLES = ("worker", "scheduler", "operator")
# What AWS takes of a role's inline policies together, white space not counted.
POLICY_BYTES = 10_240
QUEUES = {"crawl": "CrawlArn", "crawl-dead": "CrawlDeadArn", "image": "ImageArn", "image-dead": "ImageDeadArn"}
PARAMETERS = {
    "Name": "night",
    "DataBucket": "data",
    "ReleasesBucket": "releases",
    "KmsKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/k",
    "MetricsNamespace": "Feedfleet/night",
    "OperatorPrincipal": "",
    "SourceObjects": "arn:aws:s3:::partner/feeds/*,arn:aws:s3:::other/products.csv",
} | {parameter: f"arn:aws:sqs:{REGION}:{ACCOUNT}:night-{queue}.fifo" for queue, parameter in QUEUES.items()}


def main():
    """Prints what differs; 1 if anything does."""
    table = tomllib.loads((INFRA / "calls.toml").read_text())["call"]
    faults = [*against_source(table), *against_keys(table), *against_instance(table), *against_template(table)]
    faults += [*of_trust(), *of_the_log()]
    # A comparison that cannot fail shows nothing.
    for lost in ("sqs.receive_message", "autoscaling.set_desired_capacity"):
        rest = [call for call in table if call["call"] != lost]
        if not against_source(rest) or not against_template(rest):
            faults.append(f"without {lost} in calls.toml nothing was noticed")
    without = [call for call in table if call["call"] != "s3.put_object"]
    if not against_keys(without):
        faults.append("that nobody may write objects was not noticed")
    print("\n".join(faults) or f"{len(table)} calls of {len(ROLES)} roles: allowed, and nothing else is")
    return 1 if faults else 0


def against_source(table):
    """The calls of the SDK in the source, and no others, are in the table."""
    declared = {call["call"] for call in table if call["call"].split(".")[0] in SERVICES and " " not in call["call"]}
    made = calls_in_source()
    faults = [f"{where}: {call} is not in calls.toml" for call, where in made.items() if call not in declared]
    faults += [f"calls.toml: nothing calls {call}" for call in sorted(declared - set(made))]
    table_calls = any(call["call"].startswith("table.") for call in table)
    if table_calls != ("AmazonS3Builder" in (ROOT / "shared/aws/src/table_store.rs").read_text()):
        faults.append("calls.toml and shared/aws/src/table_store.rs do not agree on whether tables are on S3")
    for manifest in ROOT.glob("**/Cargo.toml"):
        crate = manifest.parent.relative_to(ROOT).as_posix()
        if crate not in ("shared/aws", "tests", ".") and "aws-sdk" in manifest.read_text():
            faults.append(f"{crate} uses the SDK, and only shared/aws is looked through")
    return faults


def against_keys(table):
    """Whatever has a key may be written by somebody, and deleted again."""
    model = ROOT / "shared/model/src"
    code = "".join(path.read_text() for path in [model / "keys.rs", *sorted(model.glob("keys/*.rs"))])
    prefixes = set(re.findall(r'(?:: &str = |format!\(|of\()"([a-z]+)(?:/|"|-)', code))
    # The name of upkeep's owner stays, for the next one to write over.
    wanted = {("s3.put_object", prefix) for prefix in prefixes}
    wanted |= {("s3.delete_object", prefix) for prefix in prefixes - {"upkeep"}}
    made = {
        (call["call"], name.split("/")[1])
        for call in table
        for role in ROLES
        for name in call.get(role, [])
        if name.startswith("objects/")
    }
    faults = [f"calls.toml: no role makes {call} on {prefix}/, which keys.rs has" for call, prefix in sorted(wanted - made)]
    return faults if len(prefixes) > 10 else [*faults, f"keys.rs was not understood: {sorted(prefixes)}"]


def against_instance(table):
    """What starts an instance makes the AWS CLI's calls that the table has, and no others."""
    scripts = [*(INFRA / "instance").iterdir(), INFRA / "templates/fleet.yaml"]
    made = {
        f"instance.aws {found[1]}"
        for path in scripts
        for found in re.finditer(r"\baws ([a-z0-9]+ [a-z-]+)", path.read_text())
    }
    declared = {call["call"] for call in table if call["call"].startswith("instance.aws ")}
    return [f"only one of calls.toml and what starts an instance has {call}" for call in sorted(made ^ declared)]


def calls_in_source():
    """The SDK's operations that shared/aws/src begins, by where: `.receive_message()` is one of SQS."""
    session = botocore.session.get_session()
    operations = {
        xform_name(name): service
        for service in reversed(SERVICES)
        for name in session.get_service_model(service).operation_names
    }
    made = {}
    for path in sorted((ROOT / "shared/aws/src").rglob("*.rs")):
        if path.stem == "tests":
            continue
        code = path.read_text().split("#[cfg(test)]\nmod tests {")[0]
        for found in re.finditer(r"\.([a-z0-9_]+)\(\)", code):
            if service := operations.get(found[1]):
                made.setdefault(f"{service}.{found[1]}", path.relative_to(ROOT))
    return made


def against_template(table):
    """What each role is allowed, pair by pair of action and resource, is what its calls take."""
    faults = []
    for role in ROLES:
        needed = {
            (action, resource)
            for call in table
            for action in call["actions"]
            for name in call.get(role, [])
            for resource in resources(name, role)
        }
        allowed = set()
        for statement in statements(role):
            actions, on = as_list(statement["Action"]), as_list(statement["Resource"])
            allowed |= {(action, resource) for action in actions for resource in on}
            faults += of_statement(role, statement)
        faults += [f"{role} makes a call that takes {a} on {r}, and may not" for a, r in sorted(needed - allowed)]
        faults += [f"{role} may {a} on {r}, and no call takes it" for a, r in sorted(allowed - needed)]
        size = len(re.sub(r"\s", "", json.dumps(statements(role))))
        if size > POLICY_BYTES * 0.9:
            faults.append(f"the policy of {role} has {size} bytes: AWS takes {POLICY_BYTES}")
    return faults


def of_statement(role, statement):
    """What no statement may say."""
    name = f"{role}, {statement['Sid']}"
    faults = [f"{name}: {statement['Effect']}"] if statement["Effect"] != "Allow" else []
    faults += [f"{name}: {action} is open" for action in as_list(statement["Action"]) if "*" in action]
    narrowed = statement.get("Condition") == {"StringEquals": {"cloudwatch:namespace": "Feedfleet/night"}}
    if "cloudwatch:PutMetricData" in as_list(statement["Action"]) and not narrowed:
        faults.append(f"{name}: figures of any namespace")
    return faults


def of_trust():
    """Instances alone are workers and schedulers; who is an operator, the account says."""
    faults = []
    for role in ROLES:
        trust, = template_role(role)["AssumeRolePolicyDocument"]["Statement"]
        expected = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"} if role == "operator" else {"Service": "ec2.amazonaws.com"}
        if trust != {"Effect": "Allow", "Principal": expected, "Action": "sts:AssumeRole"}:
            faults.append(f"{role} trusts {trust}")
    return faults


def of_the_log():
    """What is deleted could be written again, which the bucket's policy does not refuse: so nobody but the scheduler,
    whose upkeep trims it, deletes an entry of the table's log."""
    entry = "arn:aws:s3:::data/catalog/products/_delta_log/00000000000000000007.json"
    may = {
        role
        for role in ROLES
        for statement in statements(role)
        if "s3:DeleteObject" in as_list(statement["Action"])
        and any(fnmatch.fnmatchcase(entry, resource) for resource in as_list(statement["Resource"]))
    }
    return [] if may == {"scheduler"} else [f"{', '.join(sorted(may)) or 'nobody'} may delete a commit"]


def statements(role):
    """A role's statements in access.yaml."""
    policy, = template_role(role)["Policies"]
    return policy["PolicyDocument"]["Statement"]


def template_role(role):
    template = load("access.yaml")
    return Resolver(template, PARAMETERS).resolve(template["Resources"][role.capitalize()]["Properties"])


def resources(name, role):
    """What a name of the table stands for."""
    if name in QUEUES:
        return [PARAMETERS[QUEUES[name]]]
    if name.startswith(("catalog/", "objects/")):
        return [f"arn:aws:s3:::data/{name}"]
    parameter = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/feedfleet/night"
    return {
        "data": ["arn:aws:s3:::data"],
        "releases": ["arn:aws:s3:::releases/*"],
        "sources": PARAMETERS["SourceObjects"].split(","),
        "group": [
            f"arn:aws:autoscaling:{REGION}:{ACCOUNT}:autoScalingGroup:*:autoScalingGroupName/night-workers"
        ],
        "any": ["*"],
        "namespace": ["*"],
        # IAM is asked about the path itself.
        "secrets": [parameter, f"{parameter}/*"],
        "log": [f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/feedfleet/night/{role}:*"],
        "key": [PARAMETERS["KmsKeyArn"]],
    }[name]


def as_list(value):
    return value if isinstance(value, list) else [value]


if __name__ == "__main__":
    sys.exit(main())
