"""The groups on moto, which keeps mixed instances: one launch template an architecture, each as hard to reach as the
next, and no desired capacity that an update would set back."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from stand_in import NAME, RELEASE, Faults, client, create, update, user_data
from templates import Resolver, load

ARM = {"c7g", "c6g", "m7g", "m6g"}
X86 = {"c6i", "c6a", "c5", "m6i", "m6a", "m5"}
SIZE = "large"


def main():
    faults = Faults()
    parameters = parameters_of_fleet()
    create("both", "fleet.yaml", parameters)
    templates = launch_templates()
    check_workers(faults, templates)
    check_launch_templates(faults, templates)
    check_scheduler(faults, templates)
    update("both", "fleet.yaml", parameters | {"MaxWorkers": "30"})
    faults.same("most workers after an update", described(f"{NAME}-workers")["MaxSize"], 30)
    # What the scheduler said stays: AWS leaves alone what the template does not name, and moto sets it back.
    faults.same("desired", load("fleet.yaml")["Resources"]["Workers"]["Properties"].get("DesiredCapacity"), None)
    check_one_architecture(faults, parameters)
    return faults.end("mixed instances of both architectures, hardened alike; one of either alone too")


def parameters_of_fleet():
    """The default network's, where a network of one's own is asked for."""
    ec2 = client("ec2")
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    subnets = [one["SubnetId"] for one in ec2.describe_subnets()["Subnets"] if one["VpcId"] == vpc]
    return {
        "Name": NAME, "VpcId": vpc, "SubnetIds": ",".join(subnets), "PublicAddresses": "true",
        "Architectures": "both", "WorkerSize": SIZE, "WorkerDiskGiB": "16", "MaxWorkers": "20",
        "OnDemandPercentage": "0", "SpotStrategy": "capacity-optimized", "SchedulerType": "t4g.small",
        "LogDays": "30", "ReleasesBucket": "releases", "Release": RELEASE,
        "WorkerProfileArn": "arn:aws:iam::123456789012:instance-profile/worker",
        "SchedulerProfileArn": "arn:aws:iam::123456789012:instance-profile/scheduler",
        "ArmImage": "ami-arm", "X86Image": "ami-x86",
    }


def check_workers(faults, templates):
    group = described(f"{NAME}-workers")
    faults.same("workers", (group["MinSize"], group["DesiredCapacity"], group["MaxSize"]), (0, 0, 20))
    faults.same("protected from the start", group["NewInstancesProtectedFromScaleIn"], False)
    faults.same("who goes first", group["TerminationPolicies"], ["OldestLaunchTemplate", "Default"])
    policy = group["MixedInstancesPolicy"]
    spread = policy["InstancesDistribution"]
    faults.same("on demand", (spread["OnDemandBaseCapacity"], spread["OnDemandPercentageAboveBaseCapacity"]), (0, 0))
    faults.same("spot", spread["SpotAllocationStrategy"], "capacity-optimized")
    overrides = policy["LaunchTemplate"]["Overrides"]
    found = {}
    for one in overrides:
        family, size = one["InstanceType"].split(".")
        faults.same(f"size of {family}", size, SIZE)
        if "WeightedCapacity" in one:
            faults.append(f"{family} has a weight: the scheduler counts instances")
        found.setdefault(templates[one["LaunchTemplateSpecification"]["LaunchTemplateId"]][0], set()).add(family)
    expected = {f"{NAME}-worker-arm64": ARM, f"{NAME}-worker-x86-64": X86}
    faults.same("families by launch template", found, expected)


def check_launch_templates(faults, templates):
    for name, data in templates.values():
        faults.same(f"{name}: metadata", data["MetadataOptions"], {
            "HttpEndpoint": "enabled", "HttpTokens": "required", "HttpPutResponseHopLimit": 1,
            "InstanceMetadataTags": "disabled",
        })
        for disk in data["BlockDeviceMappings"]:
            faults.same(f"{name}: disk", (disk["Ebs"]["Encrypted"], disk["Ebs"]["VolumeType"]), (True, "gp3"))
        faults.same(f"{name}: when it is switched off", data["InstanceInitiatedShutdownBehavior"], "terminate")
        if "KeyName" in data:
            faults.append(f"{name} has a key for SSH")
        image = "ami-x86" if name.endswith("x86-64") else "ami-arm"
        faults.same(f"{name}: image", data["ImageId"], image)
        role = "scheduler" if name.endswith("scheduler") else "worker"
        faults.same(f"{name}: rights", data["IamInstanceProfile"]["Arn"].split("/")[1], role)
        check_user_data(faults, name, role, user_data(data))


def check_user_data(faults, name, role, text):
    """It is a shell script that says what it is and checks what it runs."""
    parsed = subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True)
    faults.same(f"{name}: shell", (parsed.returncode, parsed.stderr), (0, ""))
    first = text.splitlines()[:3]
    faults.same(f"{name}: first line", first[0], "#!/bin/bash")
    faults.same(f"{name}: role", first[1].split()[1], f"ROLE={role}")
    waits = "RESOURCE=Schedulers" if role == "scheduler" else "RESOURCE="
    faults.same(f"{name}: who waits for it", first[2].split()[2], waits)
    if text.count("sha256sum --check --strict") != 2:
        faults.append(f"{name} runs what it has not checked")
    if len(text) > 16_000:
        faults.append(f"{name}: {len(text)} bytes, and EC2 takes 16 KB")
    for what, aws in (("nothing can be fetched", "exit 1"), ("something else is fetched", 'echo else >"$5"')):
        with tempfile.TemporaryDirectory() as place:
            called = calls_of(text, Path(place), aws)
        faults.same(f"{name}: when {what}", called[-2:], ["sleep 300", "systemctl poweroff"])


def calls_of(text, place, aws):
    """Runs it in a folder of its own; what it called of what stands for the instance's programs, in order."""
    note = f'#!/bin/sh\necho "$(basename "$0") $*" >>{place}/called\n'
    for program, script in (("aws", note + aws + "\n"), ("sleep", note), ("systemctl", note)):
        (place / program).write_text(script)
        (place / program).chmod(0o755)
    subprocess.run(
        ["bash"], input=text.replace("/opt/feedfleet", str(place / "opt")), text=True, capture_output=True,
        env=os.environ | {"PATH": f"{place}:{os.environ['PATH']}"}, timeout=60,
    )
    return (place / "called").read_text().splitlines()


def check_scheduler(faults, templates):
    group = described(f"{NAME}-scheduler")
    faults.same("schedulers", (group["MinSize"], group["DesiredCapacity"], group["MaxSize"]), (1, 1, 1))
    data = templates[group["LaunchTemplate"]["LaunchTemplateId"]][1]
    faults.same("scheduler's type", data["InstanceType"], "t4g.small")
    faults.same("one that is gone is replaced", len(group["Instances"]), 1)


def check_one_architecture(faults, parameters):
    """A release with one binary. moto does not leave out what a condition leaves out of a list, so the template is
    asked itself."""
    template = load("fleet.yaml")
    group = template["Resources"]["Workers"]["Properties"]["MixedInstancesPolicy"]["LaunchTemplate"]
    for architecture, families, expected in (("arm64", ARM, "WorkerArm"), ("x86_64", X86, "WorkerX86")):
        resolver = Resolver(template, parameters | {"Architectures": architecture})
        policy = resolver.resolve(group)
        found = {one["InstanceType"].split(".")[0] for one in policy["Overrides"]}
        faults.same(f"families of {architecture}", found, families)
        specified = [policy["LaunchTemplateSpecification"]]
        specified += [one["LaunchTemplateSpecification"] for one in policy["Overrides"]]
        launched = {one["LaunchTemplateId"] for one in specified}
        faults.same(f"launch templates of {architecture}", launched, {expected})
        needs = {"WorkerArm": "HasArm", "WorkerX86": "HasX86"}[expected]
        faults.same(f"condition of {expected}", template["Resources"][expected]["Condition"], needs)


def described(group):
    found = client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[group])
    return found["AutoScalingGroups"][0]


def launch_templates():
    """Name and content of each, by its id."""
    ec2 = client("ec2")
    found = {}
    for one in ec2.describe_launch_templates()["LaunchTemplates"]:
        versions = ec2.describe_launch_template_versions(LaunchTemplateId=one["LaunchTemplateId"], Versions=["$Latest"])
        data = versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]
        found[one["LaunchTemplateId"]] = one["LaunchTemplateName"], data
    return found


if __name__ == "__main__":
    sys.exit(main())
