//! Postgres's binary forms of numbers and times, as text that loses nothing.
//!
//! Layouts are those of `numeric_send`, `timestamp_send` and `date_send` in the Postgres sources; the epoch is
//! 2000-01-01.

use jiff::civil::{Date, DateTime};
use jiff::{Span, Timestamp};
use sqlx::error::BoxDynError;

const DIGITS_IN_GROUP: usize = 4;
const NEGATIVE: u16 = 0x4000;

/// A `numeric` in plain decimal notation, with as many decimals as it is displayed with; `NaN` and infinities by name.
pub(super) fn decimal(bytes: &[u8]) -> Result<String, BoxDynError> {
    let mut words = bytes
        .chunks_exact(2)
        .map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    let mut next = || words.next().ok_or("a numeric that ends too early");
    let (groups, weight, sign, scale) = (next()?, next()? as i16, next()?, usize::from(next()?));
    match sign {
        0xC000 => return Ok("NaN".to_owned()),
        0xD000 => return Ok("Infinity".to_owned()),
        0xF000 => return Ok("-Infinity".to_owned()),
        _ => {}
    }
    let groups: Vec<u16> = (0..groups).map(|_| next()).collect::<Result<_, _>>()?;
    // Group `i` counts 10000^(weight - i).
    let group = |power: i32| -> u16 {
        usize::try_from(i32::from(weight) - power)
            .ok()
            .and_then(|index| groups.get(index).copied())
            .unwrap_or(0)
    };
    let mut whole = String::new();
    for power in (0..=i32::from(weight).max(0)).rev() {
        whole.push_str(&format!("{:04}", group(power)));
    }
    let whole = whole.trim_start_matches('0');
    let mut fraction = String::new();
    for power in 1..=scale.div_ceil(DIGITS_IN_GROUP) {
        fraction.push_str(&format!("{:04}", group(-(power as i32))));
    }
    fraction.truncate(scale);
    let minus = if sign == NEGATIVE { "-" } else { "" };
    let whole = if whole.is_empty() { "0" } else { whole };
    Ok(match fraction.is_empty() {
        true => format!("{minus}{whole}"),
        false => format!("{minus}{whole}.{fraction}"),
    })
}

/// A `timestamptz`.
pub(super) fn timestamp(bytes: &[u8]) -> Result<Timestamp, BoxDynError> {
    let civil = civil_time(bytes)?;
    Ok(civil.to_zoned(jiff::tz::TimeZone::UTC)?.timestamp())
}

/// A `timestamp` without a zone.
pub(super) fn civil_time(bytes: &[u8]) -> Result<DateTime, BoxDynError> {
    let micros = i64::from_be_bytes(bytes.try_into()?);
    let epoch = Date::constant(2000, 1, 1).to_datetime(jiff::civil::Time::midnight());
    Ok(epoch.checked_add(Span::new().try_microseconds(micros)?)?)
}

/// A `date`.
pub(super) fn date(bytes: &[u8]) -> Result<Date, BoxDynError> {
    let days = i32::from_be_bytes(bytes.try_into()?);
    Ok(Date::constant(2000, 1, 1).checked_add(Span::new().try_days(days)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numeric(weight: i16, sign: u16, scale: u16, groups: &[u16]) -> String {
        let mut words = vec![groups.len() as u16, weight as u16, sign, scale];
        words.extend(groups);
        let bytes: Vec<u8> = words.into_iter().flat_map(u16::to_be_bytes).collect();
        decimal(&bytes).expect("a numeric")
    }

    #[test]
    fn numerics_keep_every_digit() {
        assert_eq!(numeric(0, 0, 2, &[19, 9000]), "19.90");
        assert_eq!(numeric(1, 0, 0, &[1, 2345]), "12345");
        assert_eq!(numeric(2, 0x4000, 0, &[1]), "-100000000");
        assert_eq!(numeric(-1, 0, 4, &[12]), "0.0012");
        assert_eq!(numeric(-2, 0, 6, &[1200]), "0.000012");
        assert_eq!(numeric(0, 0, 0, &[]), "0");
        assert_eq!(numeric(0, 0xC000, 0, &[]), "NaN");
    }

    #[test]
    fn a_numeric_cut_short_is_an_error() {
        assert!(decimal(&[0, 1, 0]).is_err());
    }

    #[test]
    fn times_count_from_the_year_2000() {
        assert_eq!(
            civil_time(&0_i64.to_be_bytes()).expect("time").to_string(),
            "2000-01-01T00:00:00"
        );
        let day = 86_400_000_000_i64;
        assert_eq!(
            timestamp(&(-day).to_be_bytes()).expect("time").to_string(),
            "1999-12-31T00:00:00Z"
        );
        assert_eq!(
            date(&366_i32.to_be_bytes()).expect("date").to_string(),
            "2001-01-01"
        );
    }
}
