//! The bytes behind a printed id: `run_` and 26 digits of Crockford's base 32.

use uuid::Uuid;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const DIGITS: usize = 26;

/// The UUID of a TypeID with this prefix; `None` if the text is not one.
#[must_use]
pub fn decode(prefix: &str, text: &str) -> Option<Uuid> {
    let digits = text.strip_prefix(prefix)?.strip_prefix('_')?;
    // 26 digits hold 130 bits; the first may use three.
    if digits.len() != DIGITS || !matches!(digits.as_bytes()[0], b'0'..=b'7') {
        return None;
    }
    digits
        .bytes()
        .try_fold(0u128, |value, byte| {
            let digit = ALPHABET.iter().position(|candidate| *candidate == byte)?;
            Some((value << 5) | u128::try_from(digit).ok()?)
        })
        .map(Uuid::from_u128)
}

/// The TypeID of a UUID with this prefix.
#[must_use]
pub fn encode(prefix: &str, id: Uuid) -> String {
    let digits = (0..DIGITS).rev().map(|place| {
        let digit = id.as_u128() >> (5 * place) & 31;
        char::from(ALPHABET[usize::try_from(digit).unwrap_or_default()])
    });
    format!("{prefix}_{}", digits.collect::<String>())
}

#[cfg(test)]
mod tests {
    use fulcrum_core::ids::RunId;

    use super::*;

    #[test]
    fn an_id_is_read_as_the_core_prints_it() {
        let id = RunId(Uuid::from_u128(0x0193_4d2e_8f00_7abc_8123_4567_89ab_cdef));
        assert_eq!(decode("run", &id.to_string()), Some(id.0));
        assert_eq!(encode("run", id.0), id.to_string());
        assert_eq!(decode("rev", &id.to_string()), None);
        assert_eq!(decode("run", "run_zzzzzzzzzzzzzzzzzzzzzzzzzz"), None);
    }
}
