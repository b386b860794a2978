//! Text from outside (titles, outputs, messages, names) made safe to show.
//!
//! A terminal obeys what it is shown: an escape sequence in a review's title could hide what is approved, retitle the
//! window or write the clipboard (OSC 52). Invisible characters (zero-width, bidirectional overrides, tags) can make one
//! text look like another. None of them survive here. Whole sequences go, not only their first byte.

use std::fmt::Write as _;

/// One line: control sequences and invisible characters removed, line breaks and tabs turned into spaces.
#[must_use]
pub fn line(text: &str) -> String {
    clean(text, |c| {
        if matches!(c, '\n' | '\t') {
            Some(' ')
        } else {
            None
        }
    })
}

/// Several lines: as [`line`], but line breaks and tabs stay.
#[must_use]
pub fn block(text: &str) -> String {
    clean(text, |c| {
        if matches!(c, '\n' | '\t') {
            Some(c)
        } else {
            None
        }
    })
}

/// Serialized JSON, safe and unchanged in meaning: what a terminal might obey becomes a `\u` escape. Such characters can
/// stand only inside strings, because JSON's own syntax is visible ASCII and white space.
#[must_use]
pub fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\n' || !(c.is_control() || is_invisible(c)) {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            write!(out, "\\u{unit:04x}").expect("writing to a String cannot fail");
        }
    }
    out
}

fn clean(text: &str, keep: impl Fn(char) -> Option<char>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => match chars.next() {
                Some('[') => skip_csi(&mut chars),
                Some(']' | 'P' | 'X' | '^' | '_') => skip_string(&mut chars),
                // Two-character sequences, some with one byte in between: `ESC ( B`.
                Some('\u{20}'..='\u{2f}') => drop(chars.next()),
                Some(_) | None => {}
            },
            '\u{9b}' => skip_csi(&mut chars),
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => skip_string(&mut chars),
            _ if c.is_control() => out.extend(keep(c)),
            _ if is_invisible(c) => {}
            _ => out.push(c),
        }
    }
    out
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// Parameters and intermediates up to the final byte.
fn skip_csi(chars: &mut Chars<'_>) {
    for c in chars.by_ref() {
        if matches!(c, '\u{40}'..='\u{7e}') {
            break;
        }
    }
}

/// Everything up to BEL or ST, or up to the end of a text that never closes it.
fn skip_string(chars: &mut Chars<'_>) {
    while let Some(c) = chars.next() {
        match c {
            '\u{07}' | '\u{9c}' => break,
            '\u{1b}' if chars.peek() == Some(&'\\') => {
                chars.next();
                break;
            }
            _ => {}
        }
    }
}

/// Characters that take no place or change the direction: zero-width, bidirectional controls, separators, tags.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_control_sequences_go() {
        assert_eq!(line("a\u{1b}[31mred\u{1b}[0m b"), "ared b");
        assert_eq!(line("x\u{1b}]52;c;aGk=\u{07}y"), "xy");
        assert_eq!(line("x\u{1b}]0;title\u{1b}\\y"), "xy");
        assert_eq!(line("x\u{9b}2Jy\u{9d}0;t\u{9c}z"), "xyz");
        assert_eq!(line("x\u{1b}(By\u{1b}7z"), "xyz");
        assert_eq!(line("never closed \u{1b}]8;;http://evil"), "never closed ");
    }

    #[test]
    fn invisible_characters_go() {
        assert_eq!(
            line("pay\u{200b}pal \u{202e}gnp.exe\u{e0041}\u{feff}"),
            "paypal gnp.exe"
        );
    }

    #[test]
    fn a_line_stays_one_line_and_a_block_keeps_its_lines() {
        assert_eq!(line("a\r\nb\tc"), "a b c");
        assert_eq!(block("a\r\nb\tc\u{08}"), "a\nb\tc");
    }

    #[test]
    fn ordinary_text_of_any_language_stays() {
        for text in ["Zoë Müller", "日本語", "naïve 👋 café", "עברית"] {
            assert_eq!(line(text), text);
        }
    }

    #[test]
    fn json_keeps_its_meaning() {
        let value = serde_json::json!({ "t": "a\u{1b}]0;x\u{07}\u{9b}2J\u{202e}\u{e0041}é\n" });
        let shown = json(&serde_json::to_string_pretty(&value).expect("serializes"));
        assert!(shown.chars().all(|c| c == '\n' || !c.is_control()));
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&shown).expect("parses"),
            value
        );
    }
}
