//! `timestamptz` and the core's [`Timestamp`]: both count microseconds, from different epochs.

use fulcrum_core::time::Timestamp;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::{Decode, Encode, Postgres, Type};

const TIMESTAMPTZ: PgTypeInfo = PgTypeInfo::with_oid(Oid(1184));
const TIMESTAMPTZ_ARRAY: PgTypeInfo = PgTypeInfo::with_oid(Oid(1185));

/// 2000-01-01 in Unix microseconds: Postgres counts from there.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;
/// The first instant that Postgres can hold (4714-11-24 BC) on its own scale. Its last one lies beyond the core's.
const FIRST: i64 = -211_813_488_000_000_000;

/// An instant in a column. What lies before Postgres's range becomes its first instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct At(pub(crate) Timestamp);

impl From<Timestamp> for At {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

impl From<At> for Timestamp {
    fn from(at: At) -> Self {
        at.0
    }
}

fn to_column(at: Timestamp) -> i64 {
    at.0.saturating_sub(POSTGRES_EPOCH).max(FIRST)
}

fn from_column(value: i64) -> Timestamp {
    Timestamp(value.saturating_add(POSTGRES_EPOCH))
}

impl Type<Postgres> for At {
    fn type_info() -> PgTypeInfo {
        TIMESTAMPTZ
    }
}

impl PgHasArrayType for At {
    fn array_type_info() -> PgTypeInfo {
        TIMESTAMPTZ_ARRAY
    }
}

impl Encode<'_, Postgres> for At {
    fn encode_by_ref(&self, buf: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buf.extend_from_slice(&to_column(self.0).to_be_bytes());
        Ok(IsNull::No)
    }
}

impl Decode<'_, Postgres> for At {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        match value.format() {
            PgValueFormat::Binary => Ok(Self(from_column(i64::from_be_bytes(
                value.as_bytes()?.try_into()?,
            )))),
            PgValueFormat::Text => {
                Err("a timestamp is read in binary; this statement was not prepared".into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_survives_the_column() {
        for at in [0, 1, -1, 1_700_000_000_123_456, i64::MAX] {
            assert_eq!(from_column(to_column(Timestamp(at))), Timestamp(at));
        }
        assert_eq!(to_column(Timestamp(i64::MIN)), FIRST);
    }
}
