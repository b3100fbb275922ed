"""The runner's own check of arguments beside one that knows all of JSON Schema: what the document's schema refuses never
reaches the upstream, and what it allows is never refused. `ORACLE_SCHEMAS` says how many schemas are tried."""

import json
import os
import random

from conftest import runner
from jsonschema import Draft202012Validator
from test_hostile import Caller

SCHEMAS = int(os.environ.get("ORACLE_SCHEMAS", "150"))
VALUES = 12
NAMES = ["a", "b", "c", "$ref", "a/b"]
TEXTS = ["", "a", "ab", "abc", "漢字", "a" * 20, "1"]


def some_schema(dice, depth=0):
    """A schema of the keywords that are checked, often of several."""
    kind = dice.choice(["string", "integer", "number", "boolean", "null", "array", "object", "object", "array"] if depth < 3 else [
        "string", "integer", "number", "boolean", "null"])
    schema = {"type": kind}
    below = lambda: some_schema(dice, depth + 1)
    maybe = lambda chance=0.3: dice.random() < chance
    if kind == "string":
        schema |= {"minLength": dice.randrange(4)} if maybe() else {}
        schema |= {"maxLength": dice.randrange(1, 6)} if maybe() else {}
        schema |= {"enum": dice.sample(TEXTS, 3)} if maybe() else {}
    elif kind in ("integer", "number"):
        schema |= {"minimum": dice.randrange(-3, 3)} if maybe() else {}
        schema |= {"exclusiveMaximum": dice.randrange(1, 9)} if maybe() else {}
        schema |= {"multipleOf": dice.choice([1, 2, 5, 0.5])} if maybe() else {}
    elif kind == "array":
        schema |= {"items": below()} if maybe(0.8) else {}
        schema |= {"prefixItems": [below()]} if maybe(0.2) else {}
        schema |= {"minItems": dice.randrange(3)} if maybe() else {}
        schema |= {"maxItems": dice.randrange(1, 4)} if maybe() else {}
        schema |= {"uniqueItems": True} if maybe() else {}
    elif kind == "object":
        names = dice.sample(NAMES, dice.randrange(1, 4))
        schema["properties"] = {name: below() for name in names}
        schema |= {"required": dice.sample(NAMES, 1)} if maybe() else {}
        schema |= {"additionalProperties": dice.choice([False, below()])} if maybe() else {}
        schema |= {"minProperties": dice.randrange(3)} if maybe(0.15) else {}
        schema |= {"maxProperties": dice.randrange(1, 4)} if maybe(0.15) else {}
    if depth < 3 and maybe(0.15):
        return {"anyOf": [schema, below()]}
    if depth < 3 and maybe(0.1):
        return {"allOf": [schema, {"type": kind}]}
    if maybe(0.1):
        schema["type"] = [kind, dice.choice([other for other in ("string", "null", "boolean") if other != kind])]
    return schema


def some_value(dice, schema, depth=0):
    """A value that the schema may allow; now and then any other."""
    if dice.random() < 0.12 or depth > 5:
        return dice.choice([None, True, 0, 1, -1, 2.5, "", "a", "abcdef", [], [1, 1], ["a"], {}, {"a": 1}])
    for either in ("anyOf", "allOf"):
        if either in schema:
            return some_value(dice, dice.choice(schema[either]), depth + 1)
    kind = schema["type"] if isinstance(schema["type"], str) else dice.choice(schema["type"])
    if kind == "string":
        return dice.choice(schema.get("enum", TEXTS))
    if kind in ("integer", "number"):
        return dice.choice([-3, -1, 0, 1, 2, 3, 5, 10, 2.0] + ([0.5, 1.25] if kind == "number" else []))
    if kind == "array":
        items = schema.get("items", {"type": "integer"})
        return [some_value(dice, items, depth + 1) for _ in range(dice.randrange(4))]
    if kind == "object":
        known = schema.get("properties", {})
        names = [name for name in NAMES if dice.random() < (0.7 if name in known or name in schema.get("required", []) else 0.1)]
        return {name: some_value(dice, known.get(name, {"type": "integer"}), depth + 1) for name in names}
    return {"boolean": True, "null": None}[kind]


def test_arguments_are_judged_as_json_schema_judges_them(tmp_path):
    dice = random.Random(20261121)
    schemas = [some_schema(dice) for _ in range(SCHEMAS)]
    body = lambda schema: {"required": True, "content": {"application/json": {"schema": {
        "type": "object", "required": ["value"], "properties": {"value": schema}, "minProperties": 1}}}}
    paths = {f"/{number}": {"post": {"operationId": f"op{number}", "requestBody": body(schema)}} for number, schema in enumerate(schemas)}
    document = {"openapi": "3.1.0", "info": {"title": "Schemas", "version": "1"}, "paths": paths}
    wrong, counts = [], {True: 0, False: 0}
    with runner(tmp_path, {"openApiData": document, "baseUrl": "mock", "tools": {"mode": "all"}}) as running:
        caller = Caller(running.port)
        for number, schema in enumerate(schemas):
            judge = Draft202012Validator(schema)
            for _ in range(VALUES):
                value = some_value(dice, schema)
                allowed = judge.is_valid(value)
                result = caller.call(f"op{number}", {"body": {"value": value}})["result"]
                counts[allowed] += 1
                if allowed == result.get("isError", False):
                    wrong.append((schema, value, allowed, result["content"][0]["text"][:300]))
    assert not wrong, json.dumps(wrong[:5], indent=1, ensure_ascii=False)
    # What is only ever allowed, or refused, shows nothing.
    assert min(counts.values()) > SCHEMAS, counts
