//! What a step expects, against what came.

use serde_json::{Map, Number, Value};

/// Where the two differ, and how; `None` if they do not. Of objects only the expected members count, and `{"above": n}`
/// is any number above `n`.
pub fn difference(expected: &Value, found: &Value) -> Option<String> {
    at("the result", expected, found)
}

fn at(place: &str, expected: &Value, found: &Value) -> Option<String> {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => expected.iter().find_map(|(name, expected)| {
            let place = format!("{place}.{name}");
            match found.get(name) {
                Some(found) => at(&place, expected, found),
                None => Some(format!("{place} is not there")),
            }
        }),
        (Value::Array(expected), Value::Array(found)) if expected.len() != found.len() => {
            Some(format!("{place} has {} items, not {}", found.len(), expected.len()))
        }
        (Value::Array(expected), Value::Array(found)) => {
            let mut pairs = expected.iter().zip(found).enumerate();
            pairs.find_map(|(index, (expected, found))| at(&format!("{place}[{index}]"), expected, found))
        }
        (Value::Number(expected), Value::Number(found)) if is_close(expected, found) => None,
        (Value::Object(expected), Value::Number(found)) if is_above(expected, found) => None,
        (expected, found) if expected == found => None,
        _ => Some(format!("{place} is {found}, not {expected}")),
    }
}

fn is_above(expected: &Map<String, Value>, found: &Number) -> bool {
    let least = expected.get("above").filter(|_| expected.len() == 1).and_then(Value::as_f64);
    least.is_some_and(|least| found.as_f64().is_some_and(|found| found > least))
}

/// Integers are equal; numbers with a point may be a little off.
fn is_close(expected: &Number, found: &Number) -> bool {
    const TOLERANCE: f64 = 1e-4;
    match (expected.as_f64(), found.as_f64()) {
        (Some(wanted), Some(found)) if expected.is_f64() => (found - wanted).abs() <= TOLERANCE * wanted.abs().max(1.0),
        _ => expected == found,
    }
}
