//! A small MCP client over HTTP: one connection kept open, one request at a time, the stateless revision.

use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

/// The revision it speaks.
const REVISION: &str = "2026-07-28";

/// A client of one server.
pub struct Client {
    port: u16,
    stream: BufReader<TcpStream>,
    id: u64,
}

impl Client {
    pub fn connect(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_mins(1)))?;
        stream.set_write_timeout(Some(Duration::from_mins(1)))?;
        stream.set_nodelay(true)?;
        Ok(Self { port, stream: BufReader::new(stream), id: 0 })
    }

    /// Calls a tool; an answer that is not a result is an error.
    pub fn call(&mut self, tool: &str, arguments: &Value) -> Result<Value> {
        let answer =
            self.request("tools/call", Some(tool), json!({ "name": tool, "arguments": arguments }))?;
        if answer["result"].is_object() && answer["result"]["isError"] != true {
            return Ok(answer["result"].clone());
        }
        Err(Error::other(answer.to_string()))
    }

    pub fn request(&mut self, method: &str, name: Option<&str>, mut params: Value) -> Result<Value> {
        self.id += 1;
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": REVISION,
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        });
        let body = json!({ "jsonrpc": "2.0", "id": self.id, "method": method, "params": params }).to_string();
        let name = name.map(|name| format!("Mcp-Name: {name}\r\n")).unwrap_or_default();
        let request = format!(
            "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: {REVISION}\r\n\
             Mcp-Method: {method}\r\n{name}Content-Length: {}\r\n\r\n{body}",
            self.port,
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        let (status, body) = self.answer()?;
        let value = serde_json::from_slice(&body).unwrap_or_default();
        if status == 200 { Ok(value) } else { Err(Error::other(format!("{status}: {value}"))) }
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(Error::from(ErrorKind::UnexpectedEof));
        }
        Ok(line.trim_end().to_owned())
    }

    fn answer(&mut self) -> Result<(u16, Vec<u8>)> {
        let status = self.line()?;
        let status = status.split(' ').nth(1).and_then(|word| word.parse().ok());
        let (mut length, mut chunked, mut events) = (None, false, false);
        loop {
            let line = self.line()?.to_ascii_lowercase();
            match line.split_once(':').map(|(key, value)| (key, value.trim())) {
                Some(("content-length", value)) => length = value.parse().ok(),
                Some(("transfer-encoding", value)) => chunked = value == "chunked",
                Some(("content-type", value)) => events = value.starts_with("text/event-stream"),
                Some(_) => {}
                None => break,
            }
        }
        let body = if chunked { self.chunks()? } else { self.exactly(length.unwrap_or(0))? };
        let status = status.ok_or_else(|| Error::other("no status"))?;
        Ok((status, if events { last_event(&body) } else { body }))
    }

    fn exactly(&mut self, length: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            let line = self.line()?;
            let length = usize::from_str_radix(&line, 16).map_err(Error::other)?;
            all.extend(self.exactly(length)?);
            self.line()?;
            if length == 0 {
                return Ok(all);
            }
        }
    }
}

/// The data of the last event of a stream.
fn last_event(body: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(body);
    let last = text.lines().filter_map(|line| line.strip_prefix("data:")).next_back();
    last.unwrap_or_default().trim().as_bytes().to_vec()
}
