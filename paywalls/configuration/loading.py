"""Reading the YAML text. Nothing but plain values comes out: no Python objects, no key given twice."""

from collections.abc import Hashable
from typing import Any

import yaml

from paywalls.configuration.faults import InvalidDocument


class _StrictLoader(yaml.SafeLoader):
    """A SafeLoader that refuses a key given twice, of which YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            name = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else None
            if name in seen:
                problem = f'the key "{key.value}" is given twice'
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            if name:
                seen.add(name)
        return super().construct_mapping(node, deep)


def load(text: str | bytes) -> Any:
    """The document in a YAML (or JSON) text. Raises InvalidDocument with the line and column of the fault."""
    try:
        return yaml.load(text, _StrictLoader)  # noqa: S506 (a SafeLoader)
    except yaml.MarkedYAMLError as error:
        # Without YAML's own excerpt of the line, which may show a secret.
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "document"
        raise InvalidDocument([f"{where}: {error.problem or error.context}"]) from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        reason = getattr(error, "reason", None) or str(error).splitlines()[0]
        raise InvalidDocument([f"document: is no readable YAML ({reason})"]) from None
