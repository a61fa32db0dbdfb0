//! JSON Schema (draft 2020-12), the part of it that the schemas under `docs/` use. A keyword or pattern that is not
//! known here is an error, so that a schema cannot promise something that is not checked.

use serde_json::{Map, Value};

/// A schema file of `docs/`.
pub struct Schema(Value);

impl Schema {
    /// `docs/<name>.schema.json`.
    pub fn of(name: &str) -> Self {
        let path = format!("{}/docs/{name}.schema.json", crate::root().display());
        let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        Self(serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{path}: {error}")))
    }

    pub const fn new(schema: Value) -> Self {
        Self(schema)
    }

    /// The problems of `value`, one line each; empty when it is valid.
    pub fn problems(&self, value: &Value) -> Vec<String> {
        let mut problems = Vec::new();
        self.check(&self.0, value, "$", &mut problems);
        problems
    }

    /// Fails unless `value` is valid.
    pub fn require(&self, value: &Value) {
        let problems = self.problems(value);
        assert!(problems.is_empty(), "{}\nin {value:#}", problems.join("\n"));
    }

    fn check(&self, schema: &Value, value: &Value, at: &str, problems: &mut Vec<String>) {
        let keywords = schema.as_object().unwrap_or_else(|| panic!("a schema that is not an object: {schema}"));
        for (keyword, operand) in keywords {
            match keyword.as_str() {
                "$schema" | "title" | "description" | "$defs" => {}
                "$ref" => {
                    let pointer = operand.as_str().and_then(|target| target.strip_prefix('#')).expect("a local $ref");
                    self.check(self.0.pointer(pointer).expect("the target of a $ref"), value, at, problems);
                }
                "anyOf" => {
                    let valid = |schema: &Value| {
                        let mut problems = Vec::new();
                        self.check(schema, value, at, &mut problems);
                        problems.is_empty()
                    };
                    if !operand.as_array().unwrap().iter().any(valid) {
                        problems.push(format!("{at}: {value} is none of {operand}"));
                    }
                }
                // The keywords below apply to values of one type and not to others.
                "properties" => {
                    for (name, schema) in operand.as_object().unwrap() {
                        if let Some(member) = value.get(name) {
                            self.check(schema, member, &format!("{at}.{name}"), problems);
                        }
                    }
                }
                "items" => {
                    for (position, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(operand, item, &format!("{at}[{position}]"), problems);
                    }
                }
                _ => problems.extend(
                    simple(keyword, operand, keywords, value).map(|problem| format!("{at}: {value} {problem}")),
                ),
            }
        }
    }
}

/// Keywords without schemas in them.
fn simple(keyword: &str, operand: &Value, schema: &Map<String, Value>, value: &Value) -> Option<String> {
    let missing = |names: &Value, object: &Map<String, Value>| {
        let names = names.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
        names.filter(|name| !object.contains_key(*name)).map(str::to_owned).collect::<Vec<_>>()
    };
    let object = value.as_object();
    let problem = match keyword {
        "type" => {
            let types = operand.as_array().cloned().unwrap_or_else(|| vec![operand.clone()]);
            !types.iter().any(|name| is_a(name.as_str().unwrap(), value))
        }
        "enum" => !operand.as_array().unwrap().contains(value),
        "minimum" => value.is_number() && value.as_f64() < operand.as_f64(),
        "minItems" => value.as_array().is_some_and(|items| (items.len() as u64) < operand.as_u64().unwrap()),
        "pattern" => value.as_str().is_some_and(|text| !matches(operand.as_str().unwrap(), text)),
        "required" => object.is_some_and(|object| !missing(operand, object).is_empty()),
        "dependentRequired" => object.is_some_and(|object| {
            let mut rules = operand.as_object().unwrap().iter();
            rules.any(|(name, others)| object.contains_key(name) && !missing(others, object).is_empty())
        }),
        "additionalProperties" => {
            assert_eq!(operand, &Value::Bool(false), "additionalProperties that is not false");
            let known = schema["properties"].as_object().unwrap();
            object.is_some_and(|object| object.keys().any(|name| !known.contains_key(name)))
        }
        _ => panic!("a schema with the keyword {keyword}, which is not checked here"),
    };
    problem.then(|| format!("breaks {keyword} {operand}"))
}

fn is_a(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => panic!("a schema with the type {name}"),
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    assert_eq!(pattern, "^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$", "another pattern than that of digests");
    let hex = |digits: &str| digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    [("sha256:", 64), ("sha512:", 128)]
        .iter()
        .any(|(prefix, length)| text.strip_prefix(prefix).is_some_and(|rest| rest.len() == *length && hex(rest)))
}
