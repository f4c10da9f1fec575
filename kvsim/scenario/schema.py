"""The JSON Schema of scenario files, for editors: what the specs allow, and the short forms of the loader."""

from typing import Any, get_args

from kvsim.scenario.catalog import SchemeRule
from kvsim.scenario.model_file import MODEL_SUFFIXES
from kvsim.scenario.references import CATALOGS, Catalog, catalog
from kvsim.scenario.scenario import Scenario
from kvsim.scenario.workload import WorkloadSpec

__all__ = ["schema"]

_REFERENCES: dict[str, tuple[Catalog, str]] = {
    "GpuSpec": ("gpus", "preset"),
    "LlmSpec": ("llms", "preset"),
    "SchemeSpec": ("schemes", "preset"),
    "SchemeRule": ("schemes", "preset"),
    "HierarchySpec": ("hierarchies", "preset"),
    "TierSpec": ("memories", "memory"),
    "LinkSpec": ("links", "link"),
}


def schema() -> dict[str, Any]:
    """The JSON Schema of a scenario file."""
    made = Scenario.model_json_schema(mode="validation")
    definitions: dict[str, Any] = made["$defs"]
    for name, (kind, key) in _REFERENCES.items():
        definitions[name] = _with_reference(definitions[name], kind, key)
    reference = definitions["PolicyRef"]
    definitions["PolicyRef"] = {"anyOf": [{"type": "string", "minLength": 1}, reference]}
    for work in get_args(get_args(WorkloadSpec)[0]):
        definitions[work.__name__].setdefault("required", []).insert(0, "kind")
    made.pop("required", None)  # a base may give them
    made["properties"]["extends"] = {
        "type": "string",
        "description": "A shipped scenario or a file, relative to this one, that this one is laid onto.",
    }
    made["title"] = "kvsim scenario"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_allow_empty(made)}


def _with_reference(spec: dict[str, Any], kind: Catalog, key: str) -> dict[str, Any]:
    """The spec, or the name of a catalog entry, or a mapping that refines one."""
    what = CATALOGS[kind]
    names: dict[str, Any] = {
        "type": "string",
        "enum": list(catalog(kind)),
        "description": f"Name of a {what} in the catalog.",
    }
    if kind == "llms":
        names = _or_file(names)
    refined = {**spec, "properties": {key: names, **spec["properties"]}}
    required = refined.pop("required", [])
    if spec["title"] == SchemeRule.__name__:  # a name alone would not say which pages it is for
        return {**refined, "anyOf": [{"required": [field]} for field in ("layers", "head_groups")]}
    if key == "preset":  # the name alone will do, and stands for all that is required
        return {"anyOf": [names, refined]}
    return {**refined, "required": [field for field in required if field == "name"]}  # a base may give more


def _or_file(names: dict[str, Any]) -> dict[str, Any]:
    """The names, or the path of a model's file."""
    endings = "|".join(suffix.removeprefix(".") for suffix in MODEL_SUFFIXES)
    description = (
        f"{names['description']} Or the path of its config.json or GGUF file, relative to this file."
    )
    path = {"type": "string", "pattern": rf"\.({endings})$", "description": "Path of a model's file."}
    return {"description": description, "anyOf": [names, path]}


def _allow_empty(made: Any) -> Any:
    """Nothing is written as null: a key without a value has its default."""
    if isinstance(made, list):
        return [_allow_empty(item) for item in made if item != {"type": "null"}]
    if isinstance(made, dict):
        return {key: _allow_empty(value) for key, value in made.items() if (key, value) != ("default", None)}
    return made
