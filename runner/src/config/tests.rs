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
    assert_eq!(config.listen, Listen::Tcp("127.0.0.1:0".parse().unwrap()));
    assert_eq!((config.transport, &*config.endpoint), (Transport::Streamable, "/mcp"));
    assert_eq!(config.document.origin, Origin("/etc/x".into()));
}

#[test]
fn flags_beat_the_file_and_their_paths_start_here() {
    let file = json!({"serverId": "a", "mcpConfig": {"port": 1, "openApiData": "pets.json"}});
    let config = config(file, json!({"port": 2, "openApiData": "other.json"})).unwrap();
    assert_eq!(config.listen, Listen::Tcp("127.0.0.1:2".parse().unwrap()));
    assert_eq!((&config.document.source, config.document.origin), (&json!("other.json"), Origin("".into())));
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
        "cannot read the command line: --host is reached by other machines: say who may connect with \
         clients.token or clients.tls.ca"
    );
    assert!(refused(json!({"port": 1})).contains("mcpConfig.openApiData is missing"));
}

#[test]
fn loopback_has_several_names_and_other_addresses_need_a_guard() {
    for host in ["localhost", "127.0.0.1", "127.8.9.1", "::1", "[::1]", "LOCALHOST"] {
        config(json!({"mcpConfig": {"openApiData": "x", "host": host}}), json!({})).unwrap();
    }
    for host in ["example.com", "", "1.2.3"] {
        assert!(refused(json!({"openApiData": "x", "host": host})).contains("must be an address"), "{host}");
    }
    for host in ["0.0.0.0", "::", "10.0.0.1"] {
        let with = |clients: Value| {
            let mcp = json!({"openApiData": "x", "host": host, "clients": clients});
            config(json!({"mcpConfig": mcp}), json!({})).map(|_| ())
        };
        let tls = json!({"certificate": "c.pem", "key": "k.pem"});
        assert!(with(json!({})).unwrap_err().contains("say who may connect"), "{host}");
        assert!(with(json!({"tls": tls})).is_err());
        let tls = json!({"certificate": "c.pem", "key": "k.pem", "ca": "a.pem"});
        with(json!({"tls": tls})).unwrap();
        with(json!({"token": "0123456789abcdef"})).unwrap();
    }
}

#[test]
fn a_socket_takes_the_place_of_a_port() {
    let socket = config(json!({"mcpConfig": {"openApiData": "x", "socket": "s.sock"}}), json!({})).unwrap();
    assert_eq!(socket.listen, Listen::Unix("/etc/x/s.sock".into()));
    assert!(refused(json!({"openApiData": "x", "socket": "s", "port": 1})).contains("takes the place"));
}

#[test]
fn what_is_nested_is_checked_as_well() {
    for (key, value, problem) in [
        ("clients", json!({"tokn": "x"}), "mcpConfig.clients.tokn is no key, did you mean token"),
        ("clients", json!({"token": "short"}), "clients.token must be 16 or more"),
        ("clients", json!({"tls": {"key": "k"}}), "clients.tls needs a certificate"),
        ("clients", json!({"origins": ["https://a.example/x"]}), "clients.origins must be a list"),
        ("upstream", json!({"retries": 11}), "upstream.retries must be a whole number from 0 to 10"),
        ("upstream", json!({"timeout": "0s"}), "upstream.timeout must be a time"),
        ("upstream", json!({"rate": "10"}), "upstream.rate must be calls in a time"),
        ("upstream", json!({"proxy": "socks5://u:s3cret@x"}), "upstream.proxy must be none, or a URL"),
        ("upstream", json!({"redirects": "all"}), "upstream.redirects must be none, same or any"),
        ("upstream", json!({"key": "k"}), "upstream.key needs its certificate"),
        ("forwardHeaders", json!(["a b"]), "forwardHeaders must be a list of headers' names"),
        ("forwardHeaders", json!(["Host"]), "belongs to one connection"),
        ("authConfig", json!({"type": "oauth2", "clientId": "x"}), "of type oauth2 has"),
        ("authConfig", json!({"a": {"type": "basic"}}), "authConfig.a of type basic has exactly"),
    ] {
        let said = refused(json!({"openApiData": "x", key: value}));
        assert!(said.contains(problem) && !said.contains("s3cret"), "{said}");
    }
    let both = json!({"openApiData": "x", "forwardHeaders": ["Authorization"], "clients": {"token": "0123456789abcdef"}});
    assert!(refused(both).contains("would learn the token"));
}

#[test]
fn everything_can_be_said() {
    let mcp = json!({"openApiData": "x", "forwardHeaders": ["X-Tenant"],
        "authConfig": {"a": {"type": "bearer", "token": "t"}, "b": {"type": "oauth2", "clientId": "i",
            "tokenUrl": "https://id.example/token", "clientSecret": "s", "scopes": ["r"], "clientAuth": "post"}},
        "upstream": {"ca": "ca.pem", "certificate": "c", "key": "k", "proxy": "http://p:3128", "socket": "u.sock",
            "connectTimeout": "2s", "timeout": 1500, "retries": "3", "concurrency": 4, "rate": "10/1s",
            "redirects": "any"}});
    let config = config(json!({"mcpConfig": mcp}), json!({})).unwrap();
    assert_eq!(config.auth.all().count(), 2);
    let upstream = config.upstream;
    assert_eq!(upstream.ca.as_deref(), Some(Path::new("/etc/x/ca.pem")));
    assert_eq!((upstream.timeout.as_millis(), upstream.connect_timeout.as_secs()), (1500, 2));
    assert_eq!((upstream.retries, upstream.concurrency, upstream.redirects), (3, 4, Redirects::Any));
    assert_eq!(upstream.rate.map(|rate| (rate.calls, rate.per.as_secs())), Some((10, 1)));
}

#[test]
fn references_are_filled_in_but_not_within_a_document() {
    let name = format!("mcp-runner-{}-secret", std::process::id());
    std::fs::write(std::env::temp_dir().join(&name), "s3cret\n").unwrap();
    let file = std::env::temp_dir().join("c.json");
    let top = json!({"serverId": "$${PATH}", "mcpConfig": {"openApiData": {"info": "${NO_SUCH_NAME}"},
        "authConfig": {"type": "bearer", "token": format!("${{file:{name}}}")}}});
    let Value::Object(top) = top else { panic!() };
    let flags = Flags { file: Some(file), ..Flags::default() };
    let (top, flags) = references::fill(top, flags).unwrap();
    assert_eq!(top["serverId"], "${PATH}");
    assert_eq!(top["mcpConfig"]["authConfig"]["token"], "s3cret");
    assert_eq!(top["mcpConfig"]["openApiData"]["info"], "${NO_SUCH_NAME}");
    let bad = json!({"mcpConfig": {"customHeaders": {"a": "${NO_SUCH_NAME}"}}});
    let Value::Object(bad) = bad else { panic!() };
    let said = references::fill(bad, flags).unwrap_err().to_string();
    assert!(
        said.ends_with("mcpConfig.customHeaders.a the environment variable NO_SUCH_NAME is not set"),
        "{said}"
    );
    std::fs::remove_file(std::env::temp_dir().join(name)).unwrap();
}

#[test]
fn a_transport_it_lacks_is_no_slip_of_the_pen() {
    let top = json!({"mcpConfig": {"openApiData": "x", "transport": "grpc"}});
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
