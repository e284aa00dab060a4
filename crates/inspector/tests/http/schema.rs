//! Whether a value is what a schema of the description says. It knows what that one uses of JSON Schema.

use serde_json::Value;

/// What of a value is not as the schema says, and where.
pub(crate) fn wrong(description: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    if let Some(name) = schema["$ref"].as_str() {
        let pointer = name.strip_prefix('#').unwrap();
        let schema = description.pointer(pointer).unwrap_or_else(|| panic!("{name} is nowhere"));
        return wrong(description, schema, value, at);
    }
    if let Some(schemas) = schema["oneOf"].as_array() {
        let all: Vec<_> =
            schemas.iter().map(|schema| wrong(description, schema, value, at)).collect();
        let fitting = all.iter().filter(|wrong| wrong.is_empty()).count();
        return if fitting == 1 { Vec::new() } else { all.concat() };
    }
    let mut found = Vec::new();
    // An object of which nothing more is said may have anything.
    if schema.get("type").is_some_and(|types| !is_type(types, value)) {
        found.push(format!("{at} is no {}: {value}", schema["type"]));
    }
    if schema["enum"].as_array().is_some_and(|values| !values.contains(value)) {
        found.push(format!("{at} is none of {}: {value}", schema["enum"]));
    }
    for (number, item) in value.as_array().into_iter().flatten().enumerate() {
        found.extend(wrong(description, &schema["items"], item, &format!("{at}[{number}]")));
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        let schema = match &schema["properties"][name] {
            Value::Null => &schema["additionalProperties"],
            schema => schema,
        };
        match schema {
            Value::Bool(false) => found.push(format!("{at}.{name} is not described")),
            schema => found.extend(wrong(description, schema, member, &format!("{at}.{name}"))),
        }
    }
    if value.is_object() {
        let required = schema["required"].as_array().into_iter().flatten();
        let missing = required.filter(|name| value.get(name.as_str().unwrap()).is_none());
        found.extend(missing.map(|name| format!("{at} has no {name}")));
    }
    found
}

fn is_type(types: &Value, value: &Value) -> bool {
    let is = |name: &Value| match name.as_str().unwrap() {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => false,
    };
    types.as_array().map_or_else(|| is(types), |types| types.iter().any(is))
}
