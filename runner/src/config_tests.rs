//! What the configuration accepts, refuses, and says about it.

use serde_json::json;

use super::*;

/// The config of a file `/etc/x/c.json` that holds `file`, with `flags` laid over its `mcpConfig`.
fn config(file: Value, flags: Value) -> Result<RunnerConfig, String> {
    let (Value::Object(top), Value::Object(mcp)) = (file, flags) else { panic!("two objects") };
    let flags = Flags { file: Some("/etc/x/c.json".into()), top: Map::new(), mcp };
    resolve(top, flags).map_err(|failure| failure.to_string())
}

#[expect(clippy::needless_pass_by_value, reason = "reads better at every call")]
/// What is said about a file with this `mcpConfig`.
fn refused(mcp: Value) -> String {
    config(json!({"mcpConfig": mcp}), json!({})).unwrap_err()
}

#[test]
fn defaults_are_loopback_and_a_free_port() {
    let config = config(json!({"mcpConfig": {"openApiData": "pets.json"}}), json!({})).unwrap();
    assert_eq!((config.host.to_string().as_str(), config.port), ("127.0.0.1", 0));
    assert_eq!((config.transport, &*config.endpoint), (Transport::Streamable, "/mcp"));
    assert_eq!(config.origin, Origin("/etc/x".into()));
}

#[test]
fn flags_beat_the_file_and_their_paths_start_here() {
    let file = json!({"serverId": "a", "mcpConfig": {"port": 1, "openApiData": "pets.json"}});
    let config = config(file, json!({"port": 2, "openApiData": "other.json"})).unwrap();
    assert_eq!((config.port, &config.document, config.origin), (2, &json!("other.json"), Origin("".into())));
}

#[test]
fn a_mistake_is_named_with_its_place_and_the_nearest_key() {
    assert_eq!(
        refused(json!({"openApiData": "x", "tranport": "stdio"})),
        "cannot read /etc/x/c.json: mcpConfig.tranport is no key, did you mean transport"
    );
    assert_eq!(
        refused(json!({"port": 70000})),
        "cannot read /etc/x/c.json: mcpConfig.port must be a whole number from 0 to 65535"
    );
    assert_eq!(
        config(json!({"mcpConfig": {"openApiData": "x"}}), json!({"host": "0.0.0.0"})).unwrap_err(),
        "cannot read the command line: --host must be a loopback address (127.0.0.1, ::1 or localhost)"
    );
    assert!(refused(json!({"port": 1})).contains("mcpConfig.openApiData is missing"));
}

#[test]
fn loopback_has_several_names() {
    for host in ["localhost", "127.0.0.1", "127.8.9.1", "::1", "[::1]", "LOCALHOST"] {
        config(json!({"mcpConfig": {"openApiData": "x", "host": host}}), json!({})).unwrap();
    }
    for host in ["0.0.0.0", "::", "example.com", "10.0.0.1", ""] {
        assert!(refused(json!({"openApiData": "x", "host": host})).contains("loopback"), "{host}");
    }
}

#[test]
fn a_transport_it_lacks_is_no_slip_of_the_pen() {
    let top = json!({"mcpConfig": {"openApiData": "x", "transport": "sse"}});
    let Value::Object(top) = top else { panic!() };
    let failure = resolve(top, Flags::default()).unwrap_err();
    assert_eq!(failure.code(), 1);
    assert!(failure.to_string().contains("unsupported transport"));
}

#[test]
fn secrets_are_never_said() {
    for auth in [json!("s3cret"), json!({"type": "bearer", "token": ["s3cret"]}), json!({"type": "s3cret"})] {
        assert!(!refused(json!({"openApiData": "x", "authConfig": auth})).contains("s3cret"));
    }
    assert!(!refused(json!({"openApiData": "x", "customHeaders": {"k": ["s3cret"]}})).contains("s3cret"));
    let auth = json!({"type": "basic", "username": "u", "password": "s3cret"});
    let config = config(json!({"mcpConfig": {"openApiData": "x", "authConfig": auth}}), json!({})).unwrap();
    assert!(!format!("{config:?}").contains("s3cret"));
}
