"""The JSON Schemas and `mcp-init check` accept and refuse the same files.

`accept/` and `refuse/` hold one file for each key and each bound; a name that begins with `settings-` is one
of `mcp-init.json`. What only a reading program can know (a variable that is not set, a file that is not
there, an address that is taken, a key that is written twice) is not in them.
"""

import json
import os
import pathlib
import subprocess

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
PROGRAM = pathlib.Path(os.environ.get("MCP_INIT", ROOT / "target/release/mcp-init"))
VALID, INVALID = 0, 78

SCHEMAS = {name: json.loads((ROOT / "etc" / name).read_text()) for name in ("service.schema.json", "mcp-init.schema.json")}
REGISTRY = Registry().with_resources((name, Resource.from_contents(schema)) for name, schema in SCHEMAS.items())
SERVICE, SETTINGS = (Draft202012Validator(schema, registry=REGISTRY) for schema in SCHEMAS.values())

CORPUS = sorted(HERE.glob("accept/*.json")) + sorted(HERE.glob("refuse/*.json"))
EXAMPLES = [ROOT / "etc/mcp-init.json", *sorted((ROOT / "etc/alerts").glob("*.json")), *sorted((ROOT / "etc/services.d").glob("*.json"))]


def validator(path):
    settings = path.name.startswith(("settings-", "mcp-init")) or path.parent.name == "alerts"
    return SETTINGS if settings else SERVICE


def name(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_the_schema_is_one(schema):
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("path", CORPUS, ids=name)
def test_the_schema_decides_as_the_folder_says(path):
    errors = [error.message for error in validator(path).iter_errors(json.loads(path.read_text()))]
    assert (not errors) == (path.parent.name == "accept"), errors


@pytest.mark.parametrize("path", CORPUS, ids=name)
def test_check_decides_as_the_folder_says(path):
    done = subprocess.run([PROGRAM, "check", path], capture_output=True, text=True, timeout=30)
    wanted = VALID if path.parent.name == "accept" else INVALID
    assert done.returncode == wanted, done.stdout + done.stderr


@pytest.mark.parametrize("path", EXAMPLES, ids=name)
def test_an_example_is_valid_and_names_its_schema(path):
    example = json.loads(path.read_text())
    assert not list(validator(path).iter_errors(example))
    assert (path.parent / example["$schema"]).resolve().parent == ROOT / "etc"
