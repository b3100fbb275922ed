"""The JSON Schema of etc/ and the program's own reader accept and refuse the same files."""

import json
import os
import pathlib
import subprocess

import pytest
from jsonschema import Draft202012Validator

ROOT = pathlib.Path(__file__).resolve().parents[2]
ETC = ROOT / "etc"
INIT = pathlib.Path(os.environ.get("MCP_INIT", ROOT / "target/release/mcp-init"))
PETS = str(ETC / "openapi/pets.json")

SERVER = {"port": 3001, "openApiData": PETS}


def command(**keys):
    return {"command": ["/bin/true"], **keys}


def server(**keys):
    return {"mcpConfig": {**SERVER, **keys}}


GOOD_SERVICES = [
    command(),
    {"command": "/bin/true"},
    {"command": "true", "args": ["a", "b"]},
    {"command": ["true", "a", ""]},
    command(serverId="a.b_c-1", serverName="A name", description="Words"),
    command(enabled=False, channel=True),
    command(env={"A": "b", "C": "${HOME}"}),
    command(workingDirectory="/"), command(cwd="/"),
    command(processTimeout=5000), command(processTimeout="5s"), command(timeout="1m30s"),
    command(readiness="started"), command(readiness="channel"),
    command(restart="always"), command(restart="on-failure"), command(restart="never"),
    command(restartPolicy={}),
    command(restartPolicy={
        "maxRetries": 3, "retryDelay": "1s", "backoffMultiplier": 1.5, "maxRetryDelay": 30000, "jitter": 0, "resetAfter": "1m",
    }),
    command(restartPolicy={"maxRetries": "unlimited"}),
    command(maxRetries=0), command(maxRestartAttempts=7), command(restartDelay="250ms"),
    command(stop={"signal": "SIGINT", "timeout": "2s"}), command(stop={"signal": 15}),
    command(healthCheck={"type": "none"}),
    command(healthCheck={"type": "channel", "interval": "1s", "timeout": 100, "retries": 1, "startPeriod": 0}),
    command(healthCheckEnabled=True, healthCheckInterval=1000, healthCheckTimeout="5s"),
    command(log={"mode": "file", "maxSize": "10M", "maxFiles": 3, "maxTotal": 1048576, "timestamps": False}),
    command(log={"mode": "null"}),
    server(),
    server(transport="streamable", host="127.0.0.1", endpoint="/pets/mcp"),
    server(host="::1"), server(host="localhost"),
    server(baseUrl="mock"), server(baseUrl="https://pets.example/v1"),
    server(debugHeaders=True, customHeaders={"X-Team": "tools"}),
    server(authConfig={"type": "bearer", "token": "t"}),
    server(authConfig={"type": "basic", "username": "u", "password": ""}),
    server(authConfig={"type": "apiKey", "in": "query", "name": "key", "value": "v"}),
    server(openApiData={"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": {}}),
    server(openApiData="https://pets.example/openapi.json"),
    {"mcpConfig": {"transport": "stdio", "openApiData": PETS}},
]

BAD_SERVICES = [
    {},
    [],
    "a service",
    {"serverName": "nothing to run"},
    command(mcpConfig=SERVER),
    command(scriptPath="/bin/true"),
    {"command": []},
    {"command": ""},
    {"command": 5},
    {"command": ["true"], "args": ["with a list"]},
    {**server(), "args": ["of nothing"]},
    command(comand="true"),
    command(serverId=""), command(serverId=".hidden"), command(serverId="a/b"), command(serverId="x" * 65), command(serverId=1),
    command(serverName=5), command(description=[]),
    command(enabled="yes"), command(channel=1),
    command(env={"A": 5}), command(env={"1A": "x"}), command(env=["A=b"]),
    command(workingDirectory=5),
    command(cwd="/", workingDirectory="/"),
    command(processTimeout=0), command(processTimeout=-1), command(processTimeout="5 s"), command(processTimeout="soon"),
    command(processTimeout="s5"), command(processTimeout="5s1m"), command(processTimeout=True), command(processTimeout=1.5),
    command(timeout="1s", processTimeout="1s"),
    command(readiness="tcp"), command(readiness="Started"),
    command(restart="sometimes"), command(restart=True),
    command(restartPolicy={"maxRetires": 3}), command(restartPolicy={"maxRetries": -1}), command(restartPolicy={"maxRetries": "many"}),
    command(restartPolicy={"backoffMultiplier": 0.5}), command(restartPolicy={"jitter": 2}), command(restartPolicy=[]),
    command(restartPolicy={"maxRetries": 1}, maxRetries=1), command(maxRetries=1, maxRestartAttempts=1),
    command(stop={"signal": "SIGNONE"}), command(stop={"signal": 0}), command(stop={"signal": 65}), command(stop={"command": ["x"]}),
    command(healthCheck={"type": "http"}), command(healthCheck={"interval": 0}), command(healthCheck={"retries": 0}),
    command(healthCheck={"every": "1s"}), command(healthCheck={"interval": "1s"}, healthCheckInterval=1000),
    command(log={"mode": "inherit"}), command(log={"maxSize": 0}), command(log={"maxSize": "10X"}), command(log={"maxFiles": -1}),
    command(log={"format": "json"}), command(log="file"),
    command(memoryLimit="512M"), command(dependsOn=["x"]), command(schedule=[]), command(user=1),
    {"mcpConfig": {}}, {"mcpConfig": {"port": 3001}}, {"mcpConfig": {"openApiData": PETS}}, {"mcpConfig": "pets"},
    server(port=0), server(port=65536), server(port="3001"), server(port=1.5),
    server(host="0.0.0.0"), server(host="192.168.0.1"), server(host="example.org"),
    server(endpoint="mcp"), server(endpoint="/m cp"),
    server(transport="sse"), server(transport="http"),
    server(baseUrl="ftp://x"), server(baseUrl=""), server(baseUrl=5),
    server(openApiData=5), server(openApiData=""), server(openApiData=[]),
    server(customHeaders={"X Team": "a"}), server(customHeaders={"X-Team": 5}), server(customHeaders={"X-Team": "a\nb"}),
    server(debugHeaders="yes"),
    server(authConfig={}), server(authConfig={"type": "bearer"}), server(authConfig={"type": "bearer", "token": ""}),
    server(authConfig={"type": "basic", "username": "u"}), server(authConfig={"type": "bearer", "token": "t", "username": "u"}),
    server(authConfig={"type": "apiKey", "in": "body", "name": "k", "value": "v"}), server(authConfig={"type": "oauth2"}),
    server(tools={"mode": "auto"}), server(command=["npx"]),
]

GOOD_SETTINGS = [
    {"runtimeDir": "run"},
    {"runtimeDir": "/run/x", "stateDir": "state", "logDir": "log", "runner": "/usr/bin/mcp-runner"},
    {"shutdownTimeout": "9s"}, {"shutdownTimeout": 9000},
    {"logLevel": "debug"},
    {"defaults": {}},
    {"defaults": {"restart": "never", "restartPolicy": {"maxRetries": 1}, "env": {"A": "b"}, "log": {"maxSize": "1M"}}},
    {"defaults": {"maxRetries": "unlimited", "healthCheckInterval": "10s"}},
]

BAD_SETTINGS = [
    {"runtimeDir": 5}, {"runtimedir": "x", "logDir": "x"}, {"stateDir": ""},
    {"shutdownTimeout": "soon"}, {"shutdownTimeout": -1},
    {"logLevel": "loud"}, {"logLevel": 3},
    {"defaults": []}, {"defaults": {"restart": "maybe"}}, {"defaults": {"serverId": "x"}}, {"defaults": {"command": ["x"]}},
    {"defaults": {"mcpConfig": SERVER}}, {"defaults": {"memoryLimit": "1M"}},
    {"control": {}, "logDir": "x"}, {"alertCommands": [], "logDir": "x"},
]


def examples():
    return [ETC / "mcp-init.json", *sorted((ETC / "services.d").glob("*.json"))]


def schema_of(example):
    """The schema that an example names."""
    named = json.loads(example.read_text())["$schema"]
    path = (example.parent / named).resolve()
    assert path.is_relative_to(ETC) and path.exists(), f"{example} names {named}"
    schema = json.loads(path.read_text())
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    return Draft202012Validator(schema)


@pytest.fixture(scope="module")
def schemas():
    return {"settings": schema_of(ETC / "mcp-init.json"), "service": schema_of(next((ETC / "services.d").glob("*.json")))}


def reader(path):
    """What the program says of a file: whether it is good, and its words."""
    done = subprocess.run([INIT, "check", path], capture_output=True, text=True, timeout=20)
    assert done.returncode in (0, 1, 2, 78), (done.returncode, done.stderr)
    return done.returncode == 0, done.stdout + done.stderr


def cases():
    lists = [("service", True, GOOD_SERVICES), ("service", False, BAD_SERVICES), ("settings", True, GOOD_SETTINGS), ("settings", False, BAD_SETTINGS)]
    for kind, good, files in lists:
        for file in files:
            name = f"{kind}-{'good' if good else 'bad'}-{json.dumps(file)[:60]}"
            yield pytest.param(kind, good, file, id=name)


@pytest.mark.parametrize(("kind", "good", "file"), cases())
def test_both_say_the_same(schemas, tmp_path, kind, good, file):
    path = tmp_path / ("mcp-init.json" if kind == "settings" else "service.json")
    path.write_text(json.dumps(file, indent=1))
    errors = [error.message for error in schemas[kind].iter_errors(file)]
    is_good, said = reader(path)
    assert (not errors, is_good) == (good, good), f"schema: {errors or 'good'}\nreader: {said or 'good'}"
    if not good:
        assert f"{path}:" in said, f"no place is named: {said}"


@pytest.mark.parametrize("example", examples(), ids=lambda path: path.name)
def test_examples_are_good(example):
    errors = [error.message for error in schema_of(example).iter_errors(json.loads(example.read_text()))]
    assert not errors
    is_good, said = reader(example)
    assert is_good, said


def test_the_whole_of_etc_is_good():
    done = subprocess.run([INIT, "-c", ETC, "check"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stdout + done.stderr
