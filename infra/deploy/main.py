"""The commands of scripts/deploy."""

import argparse
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import configuration
import release
import stacks
from aws import Aws, Failure, Refused

EPILOG = """\
for the first time:
  scripts/deploy settings              what fleet.toml has to say
  scripts/deploy up --binaries out --config ~/my-fleet --set AlarmEmail=me@shop.example

later:
  scripts/deploy configure ~/my-fleet  new or changed pipes, within two minutes
  scripts/deploy package --binaries out
  scripts/deploy apply --release ID    another release, newer or older
  scripts/deploy apply --set MaxWorkers=40
  scripts/deploy destroy
"""


PROGRAM = "feedfleet"


class Fleet:
    """What everything of a fleet is called in the account."""

    def __init__(self, aws, name):
        self.name = name
        self.stack = name
        self.storage_stack = f"{name}-storage"
        self.data_bucket = f"{name}-data-{aws.account}-{aws.region}"
        self.releases_bucket = f"{name}-releases-{aws.account}-{aws.region}"


def main():
    """Runs one command; what the user has to see to is told in words."""
    arguments = parse(sys.argv[1:])
    try:
        stacks.check_name(arguments.name)
        aws = Aws(arguments.region, arguments.dry_run)
        arguments.run(aws, Fleet(aws, arguments.name), arguments)
    except Failure as failure:
        sys.exit(f"deploy: {failure}")
    except KeyboardInterrupt:
        sys.exit("deploy: stopped; what was begun goes on in the account, `wait` looks at it")


def up(aws, fleet, given):
    """Everything, in order."""
    # What would end it late is looked for before anything is made.
    stacks.check_names(given.set, stacks.names_of(stacks.own_template("main.yaml")) | stacks.OF_STORAGE)
    built = release.architectures(release.binaries(given.binaries))
    found = program(given)
    if found is None:
        raise Failure("there is no feedfleet with AWS for this machine, whose doctor comes last; --feedfleet names one")
    given.feedfleet = found
    check_configuration(aws, fleet, given)
    stacks.storage(aws, fleet, given.set)
    named = release.package(aws, fleet.releases_bucket, given.binaries)
    configure(aws, fleet, given)
    stacks.apply(aws, fleet, named, of_main(given.set), built)
    stacks.wait(aws, fleet)
    doctor(aws, fleet, given)


def package(aws, fleet, given):
    """A release into the bucket."""
    stacks.check_names(given.set, stacks.OF_STORAGE)
    release.binaries(given.binaries)
    stacks.storage(aws, fleet, given.set)
    release.package(aws, fleet.releases_bucket, given.binaries)


def configure(aws, fleet, given):
    """A configuration into the bucket, or back to an earlier one."""
    if getattr(given, "back", None):
        if given.config:
            raise Failure("a folder, or --back ID, which takes none: not both")
        configuration.back(aws, fleet.releases_bucket, given.back)
        return
    if not given.config:
        raise Failure("which configuration? name a folder, or --back ID")
    check_configuration(aws, fleet, given)
    configuration.upload(aws, fleet.releases_bucket, given.config)


def check_configuration(aws, fleet, given):
    """Refuses what is not this fleet's, or what its program would refuse: instances that start would end by it."""
    configuration.check(given.config, configuration.settings(aws, fleet.name, fleet.data_bucket))
    found = program(given)
    if found is not None:
        configuration.check_by_program(found, given.config)
    elif given.feedfleet == PROGRAM:
        raise Failure(
            "there is no feedfleet with AWS on the PATH, and nothing is uploaded that none has looked at; "
            "--feedfleet FILE names one that runs on this machine"
        )
    else:
        raise Failure(f"there is no {given.feedfleet} with AWS on this machine")


def program(given):
    """The program for this machine, with AWS: the one that is named, else the one on the PATH or of the binaries; none
    where there is none."""
    places = [given.feedfleet]
    if given.feedfleet == PROGRAM and "binaries" in given and platform.system() == "Linux":
        places.append(str(Path(given.binaries).resolve() / f"{PROGRAM}-{platform.machine()}"))
    found = [path for path in map(shutil.which, places) if path]
    return next((path for path in found if release.NO_AWS not in Path(path).read_bytes()), None)


def apply(aws, fleet, given):
    """The stack."""
    of_storage = sorted(given.set.keys() & stacks.OF_STORAGE)
    if of_storage:
        raise Failure(f"{' and '.join(of_storage)} would change the buckets, which `package --set` does, and `up`")
    stacks.apply(aws, fleet, given.release, given.set)


def wait(aws, fleet, _):
    """Until the scheduler works."""
    stacks.wait(aws, fleet)


def doctor(aws, fleet, given):
    """The operator's view, from this machine."""
    command = [given.feedfleet, "--config", given.config, "doctor"]
    if aws.dry_run:
        print("would run: " + " ".join(command))
        return
    try:
        ended = subprocess.run(command, env=os.environ | {"AWS_REGION": aws.region})
    except FileNotFoundError:
        raise Failure(f"there is no {given.feedfleet} on this machine; --feedfleet names it") from None
    if ended.returncode != 0:
        raise Failure("the doctor found something; its remedies are above")


def settings(aws, fleet, _):
    """For fleet.toml."""
    print(configuration.as_toml(configuration.settings(aws, fleet.name, fleet.data_bucket)), end="")


def listing(aws, fleet, _):
    """Releases and configurations, with the times they came, and which of them count."""
    stack = stacks.find(aws, fleet.stack)
    applied, current = stacks.parameters(stack).get("Release"), configuration.current(aws, fleet.releases_bucket)
    print(f"release of the stack: {applied or 'there is no stack'}")
    print(f"configuration that counts: {current or 'there is none'}")
    for what, name, counts in (("releases/", release.SUMS, applied), ("configurations/", ".tar.gz", current)):
        try:
            listed = aws.ask("s3api", "list-objects-v2", "--bucket", fleet.releases_bucket, "--prefix", what)
        except Refused as refused:
            if not refused.is_absent():
                raise
            print(f"there is no bucket {fleet.releases_bucket} yet: `up` or `package` makes it")
            return
        for one in sorted((listed or {}).get("Contents", []), key=lambda one: one["LastModified"]):
            if one["Key"].endswith(name):
                named = one["Key"].removeprefix(what).removesuffix(name).rstrip("/")
                mark = "  (counts)" if named == counts else ""
                print(f"{one['LastModified']}  {what.rstrip('s/')}  {named}{mark}")


def destroy(aws, fleet, given):
    """Takes it down."""
    what = fleet.data_bucket if given.with_data else fleet.name
    if not given.yes and not aws.dry_run:
        lost = "all of its data" if given.with_data else "everything of it but its data"
        if answer(f"This deletes the fleet and {lost}. Type {what} to go on: ") != what:
            raise Failure("nothing was deleted")
    stacks.destroy(aws, fleet, given.with_data)


def answer(question):
    """What the user types."""
    try:
        return input(question)
    except (EOFError, RuntimeError):
        # At its end, or closed.
        print()
        raise Failure("nothing was deleted: nobody is there to answer; `destroy --yes` asks nothing") from None


def of_main(given):
    """What is not the storage's alone."""
    return {key: value for key, value in given.items() if key not in stacks.OF_STORAGE - {"KmsKeyArn"}}


class Setting(argparse.Action):
    """--set NAME=VALUE, again and again."""

    def __call__(self, parser, namespace, value, option=None):
        name, equals, value = value.partition("=")
        if not equals or not name:
            parser.error(f"--set {name}: expected NAME=VALUE")
        setattr(namespace, self.dest, getattr(namespace, self.dest) | {name: value})


def parse(arguments):
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/deploy", description=__doc__, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--name", default="feedfleet", help="the fleet's name in the account (%(default)s)")
    parser.add_argument("--region", help="the region; else that of the environment, or of `aws configure`")
    parser.add_argument("--dry-run", action="store_true", help="print what would be changed, and change nothing")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(run, name, help, *options):
        added = commands.add_parser(name, help=help, description=help)
        added.set_defaults(run=run)
        for option in options:
            option(added)

    def binaries(added):
        added.add_argument("--binaries", required=True, metavar="DIR", help="has feedfleet-aarch64, feedfleet-x86_64 or both")

    def values(added):
        added.add_argument("--set", action=Setting, default={}, metavar="NAME=VALUE", help="a parameter of the templates")

    def config(added):
        added.add_argument("--config", required=True, metavar="DIR", help="has fleet.toml and pipes/")

    def local(added):
        added.add_argument("--feedfleet", default=PROGRAM, metavar="FILE", help="the program on this machine")

    def folder(added):
        added.add_argument("config", nargs="?", metavar="DIR", help="has fleet.toml and pipes/")
        added.add_argument("--back", metavar="ID", help="back to this configuration instead")

    def named(added):
        added.add_argument("--release", metavar="ID", help="the release; else the one that the stack has")

    def how(added):
        added.add_argument("--with-data", action="store_true", help="the buckets too, with all that is in them")
        added.add_argument("--yes", action="store_true", help="ask nothing")

    command(up, "up", "package, configure, apply, wait and doctor, in this order", binaries, config, values, local)
    command(settings, "settings", "print what fleet.toml has to say about this fleet")
    command(package, "package", "upload binaries and templates as a release", binaries, values)
    command(
        configure, "configure", "upload a configuration, which instances take over within two minutes", folder, local
    )
    command(apply, "apply", "create or update the stack", named, values)
    command(wait, "wait", "wait until the scheduler works")
    command(doctor, "doctor", "run `feedfleet doctor` from this machine", config, local)
    command(listing, "list", "list releases and configurations")
    command(destroy, "destroy", "let its instances go, and take the fleet down", how)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
