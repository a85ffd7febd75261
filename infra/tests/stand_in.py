"""An emulator's services, and the stacks of infra/ on it."""

import base64
import os
import time

import boto3

from templates import INFRA, REGION

NAME = "night"
RELEASE = "5e" * 32
WITHIN_SECS = 120


class Faults(list):
    """What is not as it should be; each is one line."""

    def same(self, what, found, expected):
        """Notes a difference."""
        if found != expected:
            self.append(f"{what}: {found!r}, expected {expected!r}")

    def end(self, done):
        """Prints them; the exit status."""
        print("\n".join(self) or done)
        return 1 if self else 0


def client(service):
    """A service of the emulator at FEEDFLEET_STAND_IN."""
    return boto3.client(
        service,
        endpoint_url=os.environ["FEEDFLEET_STAND_IN"],
        region_name=REGION,
        aws_access_key_id="tests",
        aws_secret_access_key="tests",
    )


def template(name):
    """A template's text."""
    return (INFRA / "templates" / name).read_text()


def create(stack, name, parameters):
    """Creates a stack, waits for it, and gives its outputs."""
    cloudformation = client("cloudformation")
    cloudformation.create_stack(StackName=stack, TemplateBody=template(name), **_options(parameters))
    return _outputs(_settled(stack, "CREATE_COMPLETE"))


def update(stack, name, parameters):
    """Updates a stack, and waits for it."""
    cloudformation = client("cloudformation")
    cloudformation.update_stack(StackName=stack, TemplateBody=template(name), **_options(parameters))
    return _outputs(_settled(stack, "UPDATE_COMPLETE"))


def delete(stack):
    """Deletes a stack, and waits until it has gone."""
    cloudformation = client("cloudformation")
    identity = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackId"]
    cloudformation.delete_stack(StackName=stack)
    _settled(identity, "DELETE_COMPLETE")


def user_data(launch_template):
    """What an instance of a launch template runs."""
    return base64.b64decode(launch_template["UserData"]).decode()


def _options(parameters):
    given = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
    return {"Parameters": given, "Capabilities": ["CAPABILITY_IAM"]}


def _settled(stack, wanted):
    cloudformation = client("cloudformation")
    until = time.monotonic() + WITHIN_SECS
    while True:
        try:
            found = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
        except cloudformation.exceptions.ClientError:
            if wanted == "DELETE_COMPLETE":
                return None
            raise
        if found["StackStatus"] == wanted:
            return found
        if not found["StackStatus"].endswith("IN_PROGRESS") or time.monotonic() > until:
            for event in cloudformation.describe_stack_events(StackName=stack)["StackEvents"]:
                if "FAILED" in event["ResourceStatus"]:
                    print(event["LogicalResourceId"], event.get("ResourceStatusReason"))
            raise SystemExit(f"the stack {stack} is {found['StackStatus']}, expected {wanted}")
        time.sleep(0.1)


def _outputs(stack):
    return {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])}
