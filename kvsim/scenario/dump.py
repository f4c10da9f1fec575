"""A scenario as YAML text: everything written out, so that it needs no catalog and no defaults to be read."""

import re
from typing import Any

import yaml

from kvsim.scenario.scenario import Scenario

__all__ = ["dump"]


class _Dumper(yaml.SafeDumper):
    """Quotes text that the loader would read as a number or a truth value."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - a table of its own, or the next call would change PyYAML's
        first: list(rules) for first, rules in yaml.SafeDumper.yaml_implicit_resolvers.items()
    }

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Indent the elements of a list below its key."""
        super().increase_indent(flow, False)


_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[.0-9][-+.0-9_eExXoObBa-fA-F]*"), list("-+.0123456789")
)


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    """Text with Unicode's own line ends in double quotes: elsewhere PyYAML loses them."""
    unusual = any(character in text for character in "\x85\u2028\u2029\ufeff")
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if unusual else None)


_Dumper.add_representer(str, _text)


def dump(scenario: Scenario) -> str:
    """YAML text that `load` reads back as an equal scenario."""
    data: dict[str, Any] = scenario.model_dump(mode="json", exclude_none=True)
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
