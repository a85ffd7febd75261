"""The AWS CLI: what is asked of it is asked always, what changes something is only printed in a dry run."""

import json
import os
import shlex
import subprocess


class Failure(Exception):
    """Something that the user has to see to; its text says what."""


class Refused(Failure):
    """AWS refused a request."""

    def is_absent(self):
        """Whether what was asked for is not there. With brackets: an account's number may have 404 in it."""
        words = ("does not exist", "Not Found", "NoSuchKey", "NoSuchBucket", "(404)", "not exist")
        return any(word in str(self) for word in words)


class Aws:
    """One account and region, through `aws`."""

    def __init__(self, region, dry_run):
        self.dry_run = dry_run
        self.region = region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        if not self.region:
            found = subprocess.run(["aws", "configure", "get", "region"], capture_output=True, text=True)
            self.region = found.stdout.strip()
        if not self.region:
            raise Failure("no region: name one with --region, or set AWS_REGION")
        self._account = None

    @property
    def account(self):
        """The account's number."""
        if self._account is None:
            self._account = self.ask("sts", "get-caller-identity")["Account"]
        return self._account

    @property
    def domain(self):
        """The end of the services' names."""
        return "amazonaws.com.cn" if self.region.startswith("cn-") else "amazonaws.com"

    def stand_in(self, service):
        """The address of what stands in for a service, as the SDK's variables name it; none for AWS itself."""
        return os.environ.get(f"AWS_ENDPOINT_URL_{service}") or os.environ.get("AWS_ENDPOINT_URL")

    def ask(self, *arguments):
        """The answer to a question, as JSON."""
        return json.loads(self._run([*arguments, "--output", "json"]).stdout or "null")

    def text(self, *arguments):
        """The answer to a question, as it is."""
        return self._run(list(arguments)).stdout

    def do(self, *arguments, told=False, input=None):
        """Changes something. `told`: the CLI's own output is shown while it works."""
        if self.dry_run:
            print("would run: aws " + shlex.join(arguments))
            return None
        return self._run(list(arguments), told=told, input=input).stdout

    def _run(self, arguments, told=False, input=None):
        command = ["aws", "--region", self.region, *arguments]
        done = subprocess.run(
            command,
            stdout=None if told else subprocess.PIPE,
            stderr=subprocess.PIPE,
            input=input,
            text=True,
            env=os.environ | {"AWS_PAGER": ""},
        )
        if done.returncode != 0:
            raise Refused(f"aws {shlex.join(arguments[:2])}: {done.stderr.strip()}")
        return done
