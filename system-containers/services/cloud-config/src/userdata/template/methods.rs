//! Methods of Python's texts and mappings that templates call, since jinja hands them through: `{{ a.split('.')[0] }}`.

use minijinja::value::from_args;
use minijinja::{Error, ErrorKind, Value};

/// Calls `value.method(arguments)`.
pub fn call(value: &Value, method: &str, arguments: &[Value]) -> Result<Value, Error> {
    let unknown = || Error::from(ErrorKind::UnknownMethod);
    if let ("get", Some(_)) = (method, value.as_object()) {
        let (key, default): (&Value, Option<Value>) = from_args(arguments)?;
        let found = value.get_item(key)?;
        return Ok(if found.is_undefined() { default.unwrap_or(Value::from(())) } else { found });
    }
    let text = value.as_str().ok_or_else(unknown)?;
    let pieces = |pieces: Vec<&str>| Value::from(pieces.into_iter().map(Value::from).collect::<Vec<_>>());
    Ok(match method {
        "lower" => Value::from(text.to_lowercase()),
        "upper" => Value::from(text.to_uppercase()),
        "strip" => Value::from(text.trim()),
        "startswith" => Value::from(text.starts_with(from_args::<(&str,)>(arguments)?.0)),
        "endswith" => Value::from(text.ends_with(from_args::<(&str,)>(arguments)?.0)),
        "replace" => {
            let (from, to): (&str, &str) = from_args(arguments)?;
            Value::from(text.replace(from, to))
        }
        "split" => match from_args::<(Option<&str>,)>(arguments)?.0 {
            None => pieces(text.split_whitespace().collect()),
            Some("") => return Err(ErrorKind::InvalidOperation.into()),
            Some(separator) => pieces(text.split(separator).collect()),
        },
        _ => return Err(unknown()),
    })
}
