//! Spans of time on the command line: `30`, `30s`, `1.5s`, `500ms`, `5m`, `2h`.

use std::time::Duration;

/// The span that `text` says; seconds where it has no unit.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("{text:?} is no span of time: a number with ms, s, m or h, such as 30s or 5m");
    let digits = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let span = Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())?;
    if span.is_zero() {
        return Err("a span of zero ends before it begins".to_owned());
    }
    Ok(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (text, ms) in [
            ("30", 30_000),
            ("30s", 30_000),
            ("1.5s", 1500),
            ("500ms", 500),
            ("5m", 300_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in [
            "",
            "s",
            "0",
            "-1s",
            "5 minutes",
            "nan",
            "inf",
            "1e300h",
            "5d",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
