"""Reads the templates: YAML with CloudFormation's short forms, and what their functions come to for given
parameters. Only what the templates use is known here; anything else is an error."""

import re
from pathlib import Path

import yaml

INFRA = Path(__file__).resolve().parents[1]
ACCOUNT, REGION = "123456789012", "eu-west-1"
PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Region": REGION,
    "AWS::Partition": "aws",
    "AWS::StackName": "stack",
    "AWS::URLSuffix": "amazonaws.com",
}
NOTHING = object()


class Loader(yaml.SafeLoader):
    """YAML in which `!Sub x` is `{"Fn::Sub": x}`."""


def _short(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


Loader.add_multi_constructor("!", _short)


def load(name):
    """One template."""
    return yaml.load((INFRA / "templates" / name).read_text(), Loader)


class Resolver:
    """What a template comes to."""

    def __init__(self, template, parameters):
        defaults = {
            name: str(one["Default"]) for name, one in template.get("Parameters", {}).items() if "Default" in one
        }
        # A resource is known by its name in the template.
        self.values = PSEUDO | {name: name for name in template["Resources"]} | defaults | parameters
        self.conditions = template.get("Conditions", {})

    def resolve(self, value):
        """A value with its functions carried out; NOTHING where it is left out."""
        if isinstance(value, list):
            return [one for one in map(self.resolve, value) if one is not NOTHING]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (function, argument), = value.items()
            if function == "Ref" or function.startswith("Fn::"):
                return self._call(function, argument)
        resolved = {key: self.resolve(one) for key, one in value.items()}
        return {key: one for key, one in resolved.items() if one is not NOTHING}

    def _call(self, function, argument):
        if function == "Ref":
            return NOTHING if argument == "AWS::NoValue" else self.values[argument]
        if function == "Fn::Sub":
            return re.sub(r"\$\{([^}]+)\}", lambda name: str(self.values[name[1]]), argument)
        if function == "Fn::GetAtt":
            return argument
        if function == "Fn::Split":
            return str(self.resolve(argument[1])).split(argument[0])
        if function == "Fn::If":
            chosen = argument[1] if self._holds({"Condition": argument[0]}) else argument[2]
            return self.resolve(chosen)
        raise ValueError(f"{function} is not known to the tests")

    def _holds(self, condition):
        (function, argument), = condition.items()
        if function == "Condition":
            return self._holds(self.conditions[argument])
        if function == "Fn::Not":
            return not self._holds(argument[0])
        if function == "Fn::Equals":
            # Parameters are texts, whatever the template compares them with.
            return str(self.resolve(argument[0])) == str(self.resolve(argument[1]))
        raise ValueError(f"{function} is not known to the tests")
