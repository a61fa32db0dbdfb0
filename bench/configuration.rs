//! Reading a configuration of 10,000 machine types, timed: `cargo bench -p metahub-bench --bench configuration`.
//!
//! Prints the fastest of many runs, from a binary `google.protobuf.Struct` (what Envoy makes of YAML) and from JSON
//! text. Target: 40 ms in the VM; `cargo bench -p metahub-bench --bench load -- vm` has the figure in there.

use std::hint::black_box;
use std::time::{Duration, Instant};

use metahub::config::Config;
use prost::Message as _;
use prost_types::value::Kind;
use serde_json::{Value, json};

fn main() {
    let once = std::env::args().any(|argument| argument == "--once");
    for types in [1, 10_000] {
        let document = configuration(types);
        let binary = object(&document).encode_to_vec();
        let text = document.to_string().into_bytes();
        for (form, bytes) in [("Struct", &binary), ("JSON", &text)] {
            if once {
                if types > 1 && form == "Struct" {
                    black_box(Config::parse(bytes, &|_| None).is_ok());
                }
                continue;
            }
            let time = fastest(|| Config::parse(black_box(bytes), &|_| None).map(|config| config.hash().len()));
            println!("{types:>6} machine types, {form:<6} {:>9} bytes {time:>12.1?}", bytes.len());
        }
    }
}

/// Machine types of 3 features, as many as are asked for.
fn configuration(types: usize) -> Value {
    let describe = |number: usize| {
        let features = ["cpu:skylake".to_owned(), format!("nvcap:8.{}", number % 10), format!("rack:{}", number % 100)];
        (format!("t{number}"), json!({ "features": features }))
    };
    let machine_types: serde_json::Map<String, Value> = (0..types).map(describe).collect();
    json!({
        "machine_types": machine_types,
        "registries": { "registry": { "host": "registry.example", "authentication": "none" } },
    })
}

fn object(document: &Value) -> prost_types::Struct {
    let fields = document.as_object().into_iter().flatten();
    prost_types::Struct { fields: fields.map(|(key, value)| (key.clone(), message(value))).collect() }
}

fn message(value: &Value) -> prost_types::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(truth) => Kind::BoolValue(*truth),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(list) => Kind::ListValue(prost_types::ListValue { values: list.iter().map(message).collect() }),
        Value::Object(_) => Kind::StructValue(object(value)),
    };
    prost_types::Value { kind: Some(kind) }
}

/// The fastest of many runs, at least 11 and for a second: what else the machine does only ever adds time.
fn fastest<T>(mut run: impl FnMut() -> T) -> Duration {
    let start = Instant::now();
    let mut times = Vec::new();
    while times.len() < 11 || start.elapsed() < Duration::from_secs(1) {
        let start = Instant::now();
        black_box(run());
        times.push(start.elapsed());
    }
    times.sort();
    times.first().copied().unwrap_or_default()
}
