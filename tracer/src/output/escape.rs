//! What was written by others, made harmless: for a terminal by
//! [`printable`], for JSON here.

use std::borrow::Cow;

use crate::event::printable;

/// JSON that shows nothing to a terminal but itself. serde escapes C0; DEL, C1
/// and the characters that reorder or break a line stay valid JSON when they
/// are escaped too, and they occur inside strings alone.
pub(crate) fn json(text: &str) -> Cow<'_, str> {
    const DEL: u8 = 0x7f;
    let ours = |c: char| c.is_ascii() && c != char::from(DEL);
    // Nearly all lines are; whole words at a time, which looking at characters is not.
    if text.is_ascii() && !text.as_bytes().contains(&DEL) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut units = [0; 2];
    let mut rest = text;
    while let Some(at) = rest.find(|c| !ours(c)) {
        out.push_str(&rest[..at]);
        let mut chars = rest[at..].chars();
        let next = chars.next().unwrap_or_default();
        let one = &rest[at..at + next.len_utf8()];
        if printable(one) == *one {
            out.push_str(one);
        } else {
            for unit in next.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Bytes as JSON text: invalid UTF-8 becomes U+FFFD, and then the second value
/// holds the bytes in hexadecimal, so that nothing is lost.
pub(crate) fn lossy(bytes: &[u8]) -> (String, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), None),
        Err(_) => (
            String::from_utf8_lossy(bytes).into_owned(),
            Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_stays_json() {
        let hostile = "a\u{9b}31m\u{7f}\u{202e}\u{1b}é";
        let text = serde_json::to_string(hostile).unwrap();
        let line = json(&text);
        assert_eq!(line, r#""a\u009b31m\u007f\u202e\u001bé""#);
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), hostile);
        assert_eq!(json("\"a\u{7f}\""), r#""a\u007f""#);
        assert!(matches!(json("\"a\""), Cow::Borrowed(_)));
    }

    #[test]
    fn bytes_that_are_no_text_are_kept() {
        assert_eq!(lossy(b"sh"), ("sh".to_owned(), None));
        assert_eq!(
            lossy(b"s\xff"),
            ("s\u{fffd}".to_owned(), Some("73ff".to_owned()))
        );
    }
}
