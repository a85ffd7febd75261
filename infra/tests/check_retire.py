"""A fleet that is busy is let go, on moto, which spares protected instances as AWS does: `scripts/deploy destroy` does
this before it deletes the stack."""

import os
import sys

from check_fleet import described, parameters_of_fleet
from stand_in import NAME, Faults, client, create
from templates import INFRA, REGION
from warm_cli import warm_cli

sys.path.insert(0, str(INFRA / "deploy"))
import stacks
from aws import Aws, Failure

GROUPS = f"{NAME}-scheduler", f"{NAME}-workers"


class Fleet:
    """As far as it matters here."""

    name = NAME


class Busy(Aws):
    """A worker is given a job just after its protection was taken, and takes it back: `times` times."""

    def __init__(self, times):
        super().__init__(REGION, dry_run=False)
        self.times = times

    def do(self, *arguments, **options):
        answer = super().do(*arguments, **options)
        if arguments[1] == "set-instance-protection" and self.times > 0:
            self.times -= 1
            protect(list(arguments[arguments.index("--instance-ids") + 1 :])[:1])
        return answer


def main():
    faults = Faults()
    os.environ["AWS_ENDPOINT_URL"] = os.environ["FEEDFLEET_STAND_IN"]
    stacks.RETIRE_POLL_SECS = 0
    create("busy", "fleet.yaml", parameters_of_fleet())
    autoscaling = client("autoscaling")
    autoscaling.set_desired_capacity(AutoScalingGroupName=GROUPS[1], DesiredCapacity=3)
    workers = instances(GROUPS[1])
    faults.same("workers", len(workers), 3)
    network(faults, workers)
    protect(workers)
    # What CloudFormation alone would do.
    autoscaling.update_auto_scaling_group(AutoScalingGroupName=GROUPS[1], MinSize=0, MaxSize=0, DesiredCapacity=0)
    faults.same("workers that are busy, after a scale-in", sorted(instances(GROUPS[1])), sorted(workers))

    # One that never gives up keeps nobody waiting for ever, and is named.
    stacks.RETIRE_SECS = -1
    try:
        stacks.retire(Busy(times=1), Fleet)
        faults.append("a fleet that is still there was not told of")
    except Failure as failure:
        if not any(worker in str(failure) for worker in workers):
            faults.append(f"what is still there is not named: {failure}")

    stacks.RETIRE_SECS = 60
    stacks.retire(Busy(times=2), Fleet)
    for group in GROUPS:
        found = described(group)
        sizes = [found[size] for size in ("MinSize", "DesiredCapacity", "MaxSize")]
        faults.same(f"sizes of {group}", sizes, [0, 0, 0])
        faults.same(f"instances of {group}", instances(group), [])
    network(faults, [])
    return faults.end("workers that protect themselves are let go, and the scheduler's instance too")


def network(faults, workers):
    """The network that workers are in is not taken away; that of an empty fleet may be."""
    aws = Aws(REGION, dry_run=False)
    harmless = {"Zones": "3", "MaxWorkers": "9"}, {"Zones": "4"}
    for given, may_be in [*((given, True) for given in harmless), ({"Zones": "2"}, not workers)]:
        try:
            stacks.check_network(aws, Fleet, {"Zones": "3"}, given)
            refused = False
        except Failure as failure:
            refused = f"{len(workers)} workers" in str(failure)
        faults.same(f"{given} with {len(workers)} workers is refused", refused, not may_be)


def instances(group):
    return [one["InstanceId"] for one in described(group)["Instances"]]


def protect(workers):
    client("autoscaling").set_instance_protection(
        AutoScalingGroupName=GROUPS[1], InstanceIds=workers, ProtectedFromScaleIn=True
    )


if __name__ == "__main__":
    with warm_cli():
        sys.exit(main())
