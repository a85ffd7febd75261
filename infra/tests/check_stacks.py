"""Both stacks come and go whole on ministack, and what is there in between, asked of the services, is what the code
expects."""

import ipaddress
import json
import os
import sys

from botocore.exceptions import ClientError

import expected
from stand_in import NAME, RELEASE, Faults, client, create, delete, template, update, user_data
from templates import INFRA, REGION, Resolver, load

ACCOUNT = "000000000000"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/of-the-buckets"
MINE = [{"Name": "tag:feedfleet", "Values": [NAME]}]
ALARMS = {
    # name: metric, dimension, comparison, threshold, what silence means
    "scheduler-silent": ("SchedulerAlive", {}, "LessThanThreshold", 1, "breaching"),
    "dead-crawls": ("Dead", {"Queue": "crawl"}, "GreaterThanThreshold", 0, "notBreaching"),
    "dead-images": ("Dead", {"Queue": "image"}, "GreaterThanThreshold", 0, "notBreaching"),
    "late-night": ("LateRuns", {}, "GreaterThanThreshold", 0, "notBreaching"),
    "held-run": ("HeldRuns", {}, "GreaterThanThreshold", 0, "notBreaching"),
    "cannot-grow": ("CapacityShort", {}, "GreaterThanThreshold", 0, "notBreaching"),
}


def main():
    """The whole life of a fleet's account."""
    faults = Faults()
    before = inventory()
    buckets = create(f"{NAME}-storage", "storage.yaml", {"Name": NAME})
    check_buckets(faults, buckets)
    parameters = parameters_of_main(buckets)
    outputs = create(NAME, "main.yaml", parameters)
    check_queues(faults, outputs)
    check_group(faults, outputs)
    check_alarms(faults, outputs)
    check_logs(faults)
    check_roles(faults)
    check_network(faults)
    check_settings(faults, outputs, buckets)
    # A change of one part leaves the others alone. (An update of any other part fails here: ministack forgets the
    # attributes of resources that stay.)
    update(NAME, "main.yaml", parameters | {"InterfaceEndpoints": "true"})
    services = {one["ServiceName"].split(".")[-1] for one in client("ec2").describe_vpc_endpoints()["VpcEndpoints"]}
    faults.same("endpoints", services, {"s3", "sqs", "autoscaling", "monitoring", "logs", "ssm"})
    refused = refused_update(parameters | {"PublicAddresses": "false"})
    if "NAT gateway" not in refused:
        faults.append(f"instances without addresses in a network without a gateway: {refused!r}")
    delete(NAME)
    check_otherwise(faults, parameters)
    left = {what: sorted(set(there) - set(before[what])) for what, there in inventory().items()}
    faults.same("left by the stack", {what: there for what, there in left.items() if there}, {
        "buckets": sorted(buckets.values()), "parameters": ["/images/arm", "/images/x86"],
    })
    empty(buckets["ReleasesBucket"])
    delete(f"{NAME}-storage")
    faults.same("buckets left", inventory()["buckets"], before["buckets"])
    check_buckets_otherwise(faults)
    return faults.end("created, as the code expects it, changed and deleted whole")


def check_otherwise(faults, parameters):
    """With other parameters than the default ones: the smallest network, one architecture, a key; a network that is
    there."""
    ec2, network = client("ec2"), ipaddress.ip_network("10.71.16.0/20")
    there = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    subnets = [one["SubnetId"] for one in ec2.describe_subnets()["Subnets"] if one["VpcId"] == there]
    create(NAME, "main.yaml", parameters | {
        "VpcCidr": str(network), "Zones": "2", "Architectures": "arm64", "KmsKeyArn": KEY,
    })
    made = [ipaddress.ip_network(one["CidrBlock"]) for one in ec2.describe_subnets(Filters=MINE)["Subnets"]]
    faults.same("subnets of two zones", len(made), 2)
    faults.same("subnets outside of the network", [str(one) for one in made if not one.subnet_of(network)], [])
    found = {one["LaunchTemplateName"] for one in ec2.describe_launch_templates()["LaunchTemplates"]}
    faults.same("launch templates for Arm", found, {f"{NAME}-worker-arm64", f"{NAME}-scheduler"})
    for role in client("iam").list_roles()["Roles"]:
        name = role["RoleName"]
        policy, = client("iam").list_role_policies(RoleName=name)["PolicyNames"]
        if KEY not in json.dumps(client("iam").get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]):
            faults.append(f"{name} may not use the key")
    delete(NAME)
    create(NAME, "main.yaml", parameters | {
        "VpcId": there, "SubnetIds": ",".join(subnets), "PublicAddresses": "false", "Architectures": "x86_64",
        "SchedulerType": "t3a.small",
    })
    faults.same("networks beside the one that was there", ec2.describe_vpcs(Filters=MINE)["Vpcs"], [])
    groups = client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    faults.same("where instances start", {one["VPCZoneIdentifier"] for one in groups}, {",".join(subnets)})
    found = {one["LaunchTemplateName"] for one in ec2.describe_launch_templates()["LaunchTemplates"]}
    faults.same("launch templates for x86", found, {f"{NAME}-worker-x86-64", f"{NAME}-scheduler"})
    delete(NAME)


def check_buckets_otherwise(faults):
    """With a key, and with versions; without them again, what was kept goes. ministack keeps neither, so the template is
    asked itself."""
    for days, versions, noncurrent in (("0", None, 1), ("7", {"Status": "Enabled"}, "7")):
        template = load("storage.yaml")
        resolver = Resolver(template, {"Name": NAME, "KmsKeyArn": KEY, "KeepDeletedDays": days})
        data, releases = (resolver.resolve(template["Resources"][one]["Properties"]) for one in ("Data", "Releases"))
        for bucket in (data, releases):
            rule, = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
            faults.same(f"{bucket['BucketName']}: key", rule["ServerSideEncryptionByDefault"],
                        {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY})
            faults.same(f"{bucket['BucketName']}: its own key", rule["BucketKeyEnabled"], True)
        faults.same(f"{days} days: versions of data", data.get("VersioningConfiguration"), versions)
        rules = {one["Id"]: one for one in data["LifecycleConfiguration"]["Rules"]}
        deleted = rules["expire-deleted"]["NoncurrentVersionExpiration"]["NoncurrentDays"]
        faults.same(f"{days} days: what was deleted goes after", deleted, noncurrent)


def refused_update(parameters):
    """What CloudFormation says against an update; nothing where it takes it."""
    try:
        update(NAME, "main.yaml", parameters)
    except ClientError as error:
        return str(error)
    return ""


def parameters_of_main(buckets):
    """Templates uploaded where the stack looks for them."""
    s3, ssm = client("s3"), client("ssm")
    for path in (INFRA / "templates").iterdir():
        key = f"releases/{RELEASE}/templates/{path.name}"
        s3.put_object(Bucket=buckets["ReleasesBucket"], Key=key, Body=template(path.name).encode())
    # Amazon's own parameters are not there.
    for name in ("arm", "x86"):
        ssm.put_parameter(Name=f"/images/{name}", Value=f"ami-{name}", Type="String")
    base = f"{os.environ['FEEDFLEET_STAND_IN']}/{buckets['ReleasesBucket']}"
    return buckets | {
        "Name": NAME, "Templates": f"{base}/releases/{RELEASE}/templates", "Release": RELEASE,
        "AlarmEmail": "me@shop.example", "ArmImage": "/images/arm", "X86Image": "/images/x86",
    }


def check_buckets(faults, buckets):
    """Nobody but the owner, nothing in plain text, and one commit for each version of a table."""
    s3 = client("s3")
    for what, bucket in buckets.items():
        public = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        faults.same(f"{what}: public access", set(public.values()), {True})
        owner = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
        faults.same(f"{what}: owner", owner, [{"ObjectOwnership": "BucketOwnerEnforced"}])
        rule, = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        algorithm = rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"]
        faults.same(f"{what}: encryption", algorithm, "AES256")
        policy = statements(s3.get_bucket_policy(Bucket=bucket)["Policy"])
        refuses_plain(faults, what, policy)
        if what == "DataBucket":
            commits = policy["RefuseUnconditionalCommits"]
            faults.same("commits", commits["Effect"], "Deny")
            faults.same("commits: of whom", commits["Principal"], "*")
            faults.same("commits: which call", commits["Action"], "s3:PutObject")
            faults.same("commits: where", commits["Resource"], f"arn:aws:s3:::{bucket}/*/_delta_log/*.json")
            condition = {"Null": {"s3:if-none-match": "true"}, "Bool": {"s3:ObjectCreationOperation": "true"}}
            faults.same("commits: when", commits["Condition"], condition)
    versions = s3.get_bucket_versioning(Bucket=buckets["ReleasesBucket"]).get("Status")
    faults.same("versions of releases", versions, "Enabled")


def check_queues(faults, outputs):
    """As docs/aws.md says they must be set up."""
    sqs = client("sqs")
    for name in ("Crawl", "Image"):
        queue = sqs.get_queue_attributes(QueueUrl=outputs[f"{name}Url"], AttributeNames=["All"])["Attributes"]
        dead = sqs.get_queue_attributes(QueueUrl=outputs[f"{name}DeadUrl"], AttributeNames=["All"])["Attributes"]
        for what, found in ((name, queue), (f"{name}Dead", dead)):
            for attribute, value in {
                "FifoQueue": "true",
                "ContentBasedDeduplication": "false",
                "DeduplicationScope": "messageGroup",
                "FifoThroughputLimit": "perMessageGroupId",
                "VisibilityTimeout": str(expected.VISIBILITY_SECS),
                "MessageRetentionPeriod": str(14 * 86_400),
                "MaximumMessageSize": str(1 << 20),
                "DelaySeconds": "0",
                "SqsManagedSseEnabled": "true",
            }.items():
                faults.same(f"{what}: {attribute}", found.get(attribute), value)
            refuses_plain(faults, what, statements(found["Policy"]))
        redrive = json.loads(queue["RedrivePolicy"])
        faults.same(f"{name}: dead letters", redrive["deadLetterTargetArn"], dead["QueueArn"])
        # Later than the worker, which says why (operator/src/context.rs).
        receives = expected.MAX_RECEIVES + 2 * expected.RECEIVE_SLACK
        faults.same(f"{name}: receives", int(redrive["maxReceiveCount"]), receives)
        sources = json.loads(dead["RedriveAllowPolicy"])
        allowed = {"redrivePermission": "byQueue", "sourceQueueArns": [queue["QueueArn"]]}
        faults.same(f"{name}Dead: sources", sources, allowed)


def check_group(faults, outputs):
    """As far as ministack keeps groups: without mixed instances and rebalancing, which moto shows."""
    autoscaling, ec2 = client("autoscaling"), client("ec2")
    groups = {one["AutoScalingGroupName"]: one for one in autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]}
    faults.same("groups", set(groups), {f"{NAME}-workers", f"{NAME}-scheduler"})
    workers, scheduler = groups[f"{NAME}-workers"], groups[f"{NAME}-scheduler"]
    faults.same("workers", [workers[k] for k in ("MinSize", "DesiredCapacity", "MaxSize")], [0, 0, 20])
    faults.same("workers: protected", workers["NewInstancesProtectedFromScaleIn"], False)
    faults.same("scheduler", [scheduler[k] for k in ("MinSize", "DesiredCapacity", "MaxSize")], [1, 1, 1])
    faults.same("workers' subnets", len(workers["VPCZoneIdentifier"].split(",")), 3)
    check_hooks(faults, autoscaling, outputs["WorkersGroup"])
    made = ec2.describe_launch_templates()["LaunchTemplates"]
    faults.same("launch templates", len(made), 3)
    for one in made:
        versions = ec2.describe_launch_template_versions(LaunchTemplateId=one["LaunchTemplateId"])
        data = versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]
        profile = "SchedulerProfile" if one["LaunchTemplateName"].endswith("scheduler") else "WorkerProfile"
        if profile not in data["IamInstanceProfile"]["Arn"]:
            faults.append(f"{one['LaunchTemplateName']} has the rights of {data['IamInstanceProfile']['Arn']}")
        if f"BUCKET={NAME}-releases-{ACCOUNT}-{REGION} RELEASE={RELEASE}" not in user_data(data):
            faults.append(f"{one['LaunchTemplateName']} starts with something else:\n{user_data(data)}")


def check_hooks(faults, autoscaling, workers):
    """Those of workers, as instance/boot and the code complete them; the scheduler's group has none."""
    found = {
        name: {
            one["LifecycleHookName"]: one
            for one in autoscaling.describe_lifecycle_hooks(AutoScalingGroupName=name)["LifecycleHooks"]
        }
        for name in (f"{NAME}-scheduler", workers)
    }
    hooks = {expected.BOOT_HOOK, expected.DRAIN_HOOK}
    faults.same("hooks", {name: set(there) for name, there in found.items()}, {f"{NAME}-scheduler": set(), workers: hooks})
    boot, drain = found[workers][expected.BOOT_HOOK], found[workers][expected.DRAIN_HOOK]
    faults.same("boot: when", boot["LifecycleTransition"], "autoscaling:EC2_INSTANCE_LAUNCHING")
    faults.same("boot: if nobody answers", boot["DefaultResult"], "ABANDON")
    slowest = expected.START_SECS + expected.LINGER_SECS
    if boot["HeartbeatTimeout"] < slowest:
        faults.append(f"the hook gives {boot['HeartbeatTimeout']} s to an instance that may take {slowest}")
    faults.same("drain: when", drain["LifecycleTransition"], "autoscaling:EC2_INSTANCE_TERMINATING")
    faults.same("drain: if nobody answers", drain["DefaultResult"], "CONTINUE")
    if drain["HeartbeatTimeout"] < 1.2 * expected.GONE_SECS:
        faults.append(f"the hook gives {drain['HeartbeatTimeout']} s to a worker that takes {expected.GONE_SECS}")


def check_alarms(faults, outputs):
    """Each is of a figure that the scheduler publishes, and tells the topic."""
    cloudwatch, metrics = client("cloudwatch"), expected.metrics()
    found = {one["AlarmName"]: one for one in cloudwatch.describe_alarms()["MetricAlarms"]}
    faults.same("alarms", set(found), {f"{NAME}-{name}" for name in ALARMS})
    for name, (metric, of, comparison, threshold, silence) in ALARMS.items():
        alarm = found[f"{NAME}-{name}"]
        dimensions = {one["Name"]: one["Value"] for one in alarm["Dimensions"]}
        faults.same(f"{name}: figure", (alarm["Namespace"], alarm["MetricName"], dimensions),
                    (outputs["MetricsNamespace"], metric, of))
        faults.same(f"{name}: published", metrics.get(metric, "not at all"), next(iter(of), ""))
        faults.same(f"{name}: when", (alarm["ComparisonOperator"], alarm["Threshold"]), (comparison, threshold))
        faults.same(f"{name}: silence", alarm["TreatMissingData"], silence)
        faults.same(f"{name}: tells", alarm["AlarmActions"], [outputs["AlarmTopicArn"]])
    body = json.loads(cloudwatch.get_dashboard(DashboardName=f"{NAME}-{REGION}")["DashboardBody"])
    shown = json.dumps(body)
    missing = [name for name in metrics if f'"{name}"' not in shown and f'\\"{name}\\"' not in shown]
    faults.same("figures that the dashboard does not show", missing, ["SchedulerAlive"])
    # A name with a hyphen, as fleets may have, stands in quotes.
    if f"SEARCH('{{\"{outputs['MetricsNamespace']}\",Class}}" not in "".join(texts(body)):
        faults.append("the dashboard searches the figures of another namespace")
    policy = client("sns").get_topic_attributes(TopicArn=outputs["AlarmTopicArn"])["Attributes"]["Policy"]
    refuses_plain(faults, "topic", statements(policy), action="sns:Publish")


def texts(value):
    """All texts in what came from JSON."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [text for one in value for text in texts(one)]
    return [value] if isinstance(value, str) else []


def check_logs(faults):
    groups = {one["logGroupName"]: one.get("retentionInDays") for one in client("logs").describe_log_groups()["logGroups"]}
    faults.same("logs", groups, {f"/feedfleet/{NAME}/worker": 30, f"/feedfleet/{NAME}/scheduler": 30})


def check_roles(faults):
    """That the policies arrived; check_policies.py looks at what they say."""
    iam = client("iam")
    roles = {one["RoleName"].split("-")[-2]: one["RoleName"] for one in iam.list_roles()["Roles"]}
    faults.same("roles", set(roles), {"Worker", "Scheduler", "Operator"})
    for role, name in roles.items():
        faults.same(f"{role}: policies", iam.list_role_policies(RoleName=name)["PolicyNames"], [role.lower()])
        faults.same(f"{role}: others'", iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"], [])
        policy = iam.get_role_policy(RoleName=name, PolicyName=role.lower())["PolicyDocument"]
        text = policy if isinstance(policy, str) else json.dumps(policy)
        if f"arn:aws:s3:::{NAME}-data-{ACCOUNT}-{REGION}/catalog/*" not in text:
            faults.append(f"{role} may not read this fleet's table")
        if "kms:" in text:
            faults.append(f"{role} may use a key, and none was named")


def check_network(faults):
    """Nothing comes in."""
    ec2 = client("ec2")
    vpc, = ec2.describe_vpcs(Filters=MINE)["Vpcs"]
    mine = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
    subnets = ec2.describe_subnets(Filters=mine)["Subnets"]
    faults.same("zones", len({one["AvailabilityZone"] for one in subnets}), 3)
    groups = [one for one in ec2.describe_security_groups(Filters=mine)["SecurityGroups"] if one["GroupName"] != "default"]
    faults.same("security groups", len(groups), 1)
    faults.same("what comes in", groups[0]["IpPermissions"], [])
    out = sorted((one["IpProtocol"], one["FromPort"], one["ToPort"]) for one in groups[0]["IpPermissionsEgress"])
    ports = [(21, 22), (80, 80), (443, 443), (990, 990), (1024, 65535)]
    faults.same("what goes out", out, [("tcp", first, last) for first, last in ports])
    endpoints = [one["ServiceName"] for one in ec2.describe_vpc_endpoints(Filters=mine)["VpcEndpoints"]]
    faults.same("endpoints", endpoints, [f"com.amazonaws.{REGION}.s3"])


def check_settings(faults, outputs, buckets):
    """What `scripts/deploy settings` would say, found in the outputs."""
    for name, queue in (("CrawlUrl", "crawl"), ("CrawlDeadUrl", "crawl-dead"), ("ImageUrl", "image"), ("ImageDeadUrl", "image-dead")):
        faults.same(name, outputs[name].rsplit("/", 1)[1], f"{NAME}-{queue}.fifo")
    faults.same("group", outputs["WorkersGroup"], f"{NAME}-workers")
    faults.same("namespace", outputs["MetricsNamespace"], f"Feedfleet/{NAME}")
    faults.same("bucket", buckets["DataBucket"], f"{NAME}-data-{ACCOUNT}-{REGION}")


def inventory():
    """Everything of the kinds that the stacks make, by name."""
    ec2 = client("ec2")
    return {
        "buckets": [one["Name"] for one in client("s3").list_buckets()["Buckets"]],
        "queues": client("sqs").list_queues().get("QueueUrls", []),
        "groups": [one["AutoScalingGroupName"] for one in client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]],
        "launch templates": [one["LaunchTemplateId"] for one in ec2.describe_launch_templates()["LaunchTemplates"]],
        "networks": [one["VpcId"] for one in ec2.describe_vpcs()["Vpcs"]],
        "subnets": [one["SubnetId"] for one in ec2.describe_subnets()["Subnets"]],
        "endpoints": [one["VpcEndpointId"] for one in ec2.describe_vpc_endpoints()["VpcEndpoints"]],
        "gateways": [one["InternetGatewayId"] for one in ec2.describe_internet_gateways()["InternetGateways"]],
        "roles": [one["RoleName"] for one in client("iam").list_roles()["Roles"]],
        "profiles": [one["InstanceProfileName"] for one in client("iam").list_instance_profiles()["InstanceProfiles"]],
        "alarms": [one["AlarmName"] for one in client("cloudwatch").describe_alarms()["MetricAlarms"]],
        "dashboards": [one["DashboardName"] for one in client("cloudwatch").list_dashboards()["DashboardEntries"]],
        "topics": [one["TopicArn"] for one in client("sns").list_topics()["Topics"]],
        "logs": [one["logGroupName"] for one in client("logs").describe_log_groups()["logGroups"]],
        "parameters": [one["Name"] for one in client("ssm").describe_parameters()["Parameters"]],
    }


def empty(bucket):
    s3 = client("s3")
    found = s3.list_object_versions(Bucket=bucket)
    for one in found.get("Versions", []) + found.get("DeleteMarkers", []):
        s3.delete_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])


def statements(policy):
    return {one["Sid"]: one for one in json.loads(policy)["Statement"]}


def refuses_plain(faults, what, policy, action=None):
    plain = policy["RefusePlainHttp"]
    faults.same(f"{what}: plain HTTP", (plain["Effect"], plain["Principal"], plain["Condition"]),
                ("Deny", "*", {"Bool": {"aws:SecureTransport": "false"}}))
    if action:
        faults.same(f"{what}: plain HTTP, which call", plain["Action"], action)


if __name__ == "__main__":
    sys.exit(main())
