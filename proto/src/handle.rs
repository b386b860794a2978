//! Payloads that carry a handle in place of a value: encoding "handle", and a `PayloadHandle` for data.

use prost::Message as _;

use crate::common::v1::{Payload, PayloadHandle};

/// The encoding of a payload whose data is a [`PayloadHandle`].
pub const ENCODING: &str = "handle";

impl Payload {
    /// Whether it carries a handle in place of a value.
    pub fn is_handle(&self) -> bool {
        self.encoding == ENCODING
    }

    /// The handle that it carries, if it does.
    ///
    /// # Errors
    /// When it says so and does not.
    pub fn handle(&self) -> Result<Option<PayloadHandle>, prost::DecodeError> {
        if !self.is_handle() {
            return Ok(None);
        }
        PayloadHandle::decode(self.data.clone()).map(Some)
    }
}

impl From<PayloadHandle> for Payload {
    fn from(handle: PayloadHandle) -> Self {
        Self {
            encoding: ENCODING.to_owned(),
            data: handle.encode_to_vec().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_survives_the_way_through_a_payload() {
        let handle = PayloadHandle {
            handle: vec![1, 2, 3].into(),
            encoding: "json".to_owned(),
            size_bytes: 7,
            sha256: vec![0; 32].into(),
        };
        let payload = Payload::from(handle.clone());
        assert_eq!(payload.handle(), Ok(Some(handle)));
        let value = Payload {
            encoding: "json".to_owned(),
            data: payload.data.clone(),
        };
        assert_eq!(value.handle(), Ok(None));
        let spoiled = Payload {
            data: vec![0xff].into(),
            ..payload
        };
        assert!(spoiled.handle().is_err());
    }
}
