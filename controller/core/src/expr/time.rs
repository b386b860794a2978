//! Functions on timestamps and durations. All of them are in UTC; nothing here knows what time it is.

use jiff::civil::DateTime;
use jiff::tz::Offset;

use crate::expr::budget::Fault;
use crate::expr::eval::Evaluated;
use crate::expr::function::Function;
use crate::expr::operator;
use crate::expr::value::Val;

/// Nothing if the function is not about time.
pub(super) fn call<'a>(function: Function, args: &[Val<'a>]) -> Option<Evaluated<'a>> {
    match (function, args) {
        (Function::Timestamp, [value]) => Some(timestamp(value)),
        (Function::Duration, [value]) => Some(duration(value)),
        (
            Function::GetFullYear
            | Function::GetMonth
            | Function::GetDate
            | Function::GetDayOfMonth
            | Function::GetDayOfWeek
            | Function::GetDayOfYear
            | Function::GetHours
            | Function::GetMinutes
            | Function::GetSeconds,
            [value],
        ) => Some(part(function, value)),
        _ => None,
    }
}

/// RFC 3339, or seconds since the epoch.
fn timestamp<'a>(value: &Val<'a>) -> Evaluated<'a> {
    match value {
        Val::Time(_) => Ok(value.clone()),
        Val::Text(text) => text.as_str().parse().map(Val::Time).map_err(|_| {
            Fault::data(format!(
                "`{}` is not a timestamp such as 2026-01-31T08:00:00Z",
                cut(text.as_str())
            ))
        }),
        other => operator::integer(other)
            .and_then(|s| i64::try_from(s).ok())
            .and_then(|s| jiff::Timestamp::from_second(s).ok())
            .map(Val::Time)
            .ok_or_else(|| {
                Fault::data(format!(
                    "{} cannot be turned into a timestamp",
                    other.kind()
                ))
            }),
    }
}

fn duration<'a>(value: &Val<'a>) -> Evaluated<'a> {
    match value {
        Val::Span(_) => Ok(value.clone()),
        Val::Text(text) => parse_span(text.as_str()).map(Val::Span).ok_or_else(|| {
            Fault::data(format!(
                "`{}` is not a duration such as 90s, 1h30m or 2d",
                cut(text.as_str())
            ))
        }),
        other => operator::integer(other)
            .and_then(|s| i64::try_from(s).ok())
            .map(|s| Val::Span(jiff::SignedDuration::from_secs(s)))
            .ok_or_else(|| {
                Fault::data(format!("{} cannot be turned into a duration", other.kind()))
            }),
    }
}

fn cut(text: &str) -> String {
    text.chars().take(40).collect()
}

/// `90s`, `1h 30m`, `2d`: a day is 24 hours, a week seven of them; months and years have no fixed length.
pub(crate) fn parse_span(text: &str) -> Option<jiff::SignedDuration> {
    static PARSER: jiff::fmt::friendly::SpanParser = jiff::fmt::friendly::SpanParser::new();
    if text.len() > 128 {
        return None;
    }
    let span = PARSER.parse_span(text.trim()).ok()?;
    if span.get_months() != 0 || span.get_years() != 0 {
        return None;
    }
    span.to_duration(jiff::SpanRelativeTo::days_are_24_hours())
        .ok()
}

fn part<'a>(function: Function, value: &Val<'a>) -> Evaluated<'a> {
    match value {
        Val::Time(at) => of_time(function, Offset::UTC.to_datetime(*at)),
        Val::Span(span) => of_span(function, *span),
        other => Err(Fault::data(format!(
            "{function}() is for a timestamp, not {}",
            other.kind()
        ))),
    }
}

/// As CEL counts: months, `getDayOfMonth` and `getDayOfYear` from 0, `getDate` from 1, Sunday is 0.
fn of_time<'a>(function: Function, at: DateTime) -> Evaluated<'a> {
    let n = match function {
        Function::GetFullYear => i64::from(at.year()),
        Function::GetMonth => i64::from(at.month()) - 1,
        Function::GetDate => i64::from(at.day()),
        Function::GetDayOfMonth => i64::from(at.day()) - 1,
        Function::GetDayOfWeek => i64::from(at.weekday().to_sunday_zero_offset()),
        Function::GetDayOfYear => i64::from(at.day_of_year()) - 1,
        Function::GetHours => i64::from(at.hour()),
        Function::GetMinutes => i64::from(at.minute()),
        Function::GetSeconds => i64::from(at.second()),
        other => return Err(Fault::data(format!("{other}() is not about time"))),
    };
    Ok(Val::Int(n))
}

fn of_span<'a>(function: Function, span: jiff::SignedDuration) -> Evaluated<'a> {
    match function {
        Function::GetHours => Ok(Val::Int(span.as_hours())),
        Function::GetMinutes => Ok(Val::Int(span.as_mins())),
        Function::GetSeconds => Ok(Val::Int(span.as_secs())),
        other => Err(Fault::data(format!(
            "{other}() is not defined for a duration"
        ))),
    }
}
