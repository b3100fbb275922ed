"""Arguments that fit a tool's input schema: the least that is allowed, or all there is. The same every time."""

import re
import re._constants as sre_constants
import re._parser as sre_parse

DEPTH_MAX = 6

TEXTS = {
    "date": "2026-01-31", "date-time": "2026-01-31T12:00:00Z", "time": "12:00:00Z", "duration": "PT1H",
    "email": "someone@example.com", "idn-email": "someone@example.com", "hostname": "example.com",
    "ipv4": "192.0.2.1", "ipv6": "2001:db8::1", "ip": "192.0.2.1", "uri": "https://example.com/", "url": "https://example.com/",
    "uri-reference": "https://example.com/", "uri-template": "https://example.com/{a}", "iri": "https://example.com/",
    "uuid": "123e4567-e89b-42d3-a456-426614174000", "byte": "bW9jaw==", "json-pointer": "/a", "regex": "a+",
    "relative-json-pointer": "0/a", "byte64": "bW9jaw==",
}


class Generator:
    """Makes values for one schema; `everything` adds all that may be left out."""

    def __init__(self, root, everything):
        self.root, self.everything = root, everything

    def arguments(self):
        return self.make_object(self.root, 0)

    def resolve(self, schema):
        for _ in range(20):
            if not isinstance(schema, dict) or "$ref" not in schema:
                break
            target = self.root
            for part in schema["$ref"].removeprefix("#/").split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")]
            schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
        return schema if isinstance(schema, dict) else {}

    def value(self, schema, depth):
        schema = self.resolve(schema)
        if depth > 12:
            return {}
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return next((one for one in schema["enum"] if one is not None), None)
        schema = self.flat(schema)
        for either in ("oneOf", "anyOf"):
            choices = [one for one in schema.get(either, []) if self.resolve(one).get("type") != "null"]
            if choices:
                # The shallowest choice first: a cycle must end.
                choices = [self.flat(self.resolve(one)) for one in choices[:8]]
                choice = min(choices, key=lambda one: "properties" in one) if depth > 3 else choices[0]
                # On the wire a number is a text as well, and would be both.
                choice = next((one for one in choices if depth == 1 and one.get("type") == "string"), choice)
                rest = {key: value for key, value in schema.items() if key != either}
                # Nor may an object be what another choice asks for.
                others = {name for one in choices for name in one.get("required", [])} - set(choice.get("required", []))
                others -= {*choice.get("properties", {}), *rest.get("required", [])}
                if either == "oneOf" and "properties" in rest:
                    rest["properties"] = {name: one for name, one in rest["properties"].items() if name not in others}
                return self.value(merged(rest, choice), depth + 1)
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = next((one for one in kind if one != "null"), "null")
        if kind is None:
            kind = "object" if "properties" in schema else "array" if "items" in schema else "string"
        return getattr(self, f"make_{kind}")(schema, depth)

    def flat(self, schema, depth=0):
        """A schema without `allOf`."""
        parts = schema.get("allOf", [])
        if not parts or depth > 20:
            return schema
        schema = {key: value for key, value in schema.items() if key != "allOf"}
        for part in parts:
            schema = merged(schema, self.flat(self.resolve(part), depth + 1))
        return schema

    def make_null(self, *_):
        return None

    def make_boolean(self, *_):
        return True

    def make_integer(self, schema, _):
        least = schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1 if "exclusiveMinimum" in schema else None)
        most = schema.get("maximum", schema.get("exclusiveMaximum", 1) - 1 if "exclusiveMaximum" in schema else None)
        value = 1 if least is None else int(-(-least // 1))
        value = value if most is None or value <= most else int(most // 1)
        step = schema.get("multipleOf")
        return int(-(-value // step) * step) if step and step >= 1 else value

    def make_number(self, schema, depth):
        if schema.get("exclusiveMinimum") == 0:
            return min(0.5, schema.get("maximum", 0.5))
        return self.make_integer(schema, depth)

    def make_string(self, schema, _):
        if schema.get("pattern"):
            try:
                text = matching(schema["pattern"])
                if re.search(schema["pattern"], text):
                    return text
            except (re.error, NotImplementedError, RecursionError, OverflowError):
                pass
        text = TEXTS.get(schema.get("format"), "text")
        least, most = schema.get("minLength", 0), schema.get("maxLength", 1 << 20)
        return (text * (least // len(text) + 1))[:max(least, len(text))][:most] or ("" if most == 0 else text[:most])

    def make_array(self, schema, depth):
        # An empty list leaves nothing of a path.
        least = max(schema.get("minItems", 0), 1 if depth == 1 else 0)
        count = max(least, 1 if depth < DEPTH_MAX and self.everything and schema.get("maxItems", 1) > 0 else least)
        item = self.value(schema.get("items", {}), depth + 1) if count else None
        if count > 1 and schema.get("uniqueItems"):
            values = self.resolve(schema.get("items", {})).get("enum")
            return values[:count] if values else [f"{item}{n}" if isinstance(item, str) else n for n in range(count)]
        return [item] * count

    def make_object(self, schema, depth):
        required = set(schema.get("required", []))
        made = {}
        for name, member in schema.get("properties", {}).items():
            if name in required or (self.everything and depth < DEPTH_MAX):
                value = self.value(member, depth + 1)
                if value is not None:
                    made[name] = value
        for name in required - set(made):
            extra = schema.get("additionalProperties")
            made[name] = self.value(extra if isinstance(extra, dict) else {}, depth + 1)
        # Nor does an empty object.
        least = max(schema.get("minProperties", 0), 1 if depth == 1 else 0)
        while len(made) < least:
            missing = [name for name in schema.get("properties", {}) if name not in made]
            extra = schema.get("additionalProperties")
            if missing:
                made[missing[0]] = self.value(schema["properties"][missing[0]], depth + 1)
            elif extra is False:
                break
            else:
                made[f"extra{len(made)}"] = self.value(extra if isinstance(extra, dict) else {}, depth + 1)
        return made


def merged(one, other):
    """Two schemas that both hold, nearly."""
    both = {**one, **other}
    both["properties"] = {**one.get("properties", {}), **other.get("properties", {})}
    for either in ("oneOf", "anyOf"):
        # Of two choices one must do: the second says more of the whole.
        if either in one and either in other:
            both[either] = [merged(a, b) for a in one[either][:1] for b in other[either][:1]]
    both["required"] = [*one.get("required", []), *other.get("required", [])]
    for key in ("properties", "required"):
        if not both[key]:
            del both[key]
    return both


def matching(pattern):
    """A text that a regular expression matches: the first of every choice, the least of every count."""
    return "".join(map(piece, sre_parse.parse(pattern)))


def piece(node):
    kind, value = node
    if kind is sre_constants.LITERAL:
        return chr(value)
    if kind is sre_constants.NOT_LITERAL:
        return "a" if value != ord("a") else "b"
    if kind is sre_constants.ANY:
        return "a"
    if kind is sre_constants.IN:
        return one_of(value)
    if kind in (sre_constants.MAX_REPEAT, sre_constants.MIN_REPEAT):
        least, most, inner = value
        count = least if least or most == 0 else 1
        return "".join(map(piece, inner)) * count
    if kind is sre_constants.SUBPATTERN:
        return "".join(map(piece, value[-1]))
    if kind is sre_constants.BRANCH:
        return "".join(map(piece, value[1][0]))
    if kind in (sre_constants.AT, sre_constants.ASSERT, sre_constants.ASSERT_NOT):
        return ""
    raise NotImplementedError(kind)


def one_of(items):
    """A letter of a set."""
    letters = "aA0_-b1z9.: /" + "".join(map(chr, range(33, 127)))
    test = re.compile("[" + "".join(map(written, items)) + "]")
    return next(letter for letter in letters if test.match(letter))


def written(item):
    kind, value = item
    if kind is sre_constants.NEGATE:
        return "^"
    if kind is sre_constants.LITERAL:
        return re.escape(chr(value))
    if kind is sre_constants.RANGE:
        return f"{re.escape(chr(value[0]))}-{re.escape(chr(value[1]))}"
    categories = {"CATEGORY_DIGIT": r"\d", "CATEGORY_WORD": r"\w", "CATEGORY_SPACE": r"\s", "CATEGORY_NOT_DIGIT": r"\D",
                  "CATEGORY_NOT_WORD": r"\W", "CATEGORY_NOT_SPACE": r"\S"}
    return categories[str(value)]
