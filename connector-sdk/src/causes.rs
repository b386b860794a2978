//! Errors with everything that caused them.

use std::{error::Error, io, iter};

/// The error and what caused it, outermost first. What an `io::Error` carries, which `source` passes over, is
/// among them.
pub(crate) fn chain<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |&error| {
        let carried = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        match carried {
            Some(carried) => Some(carried as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}

/// The error and its causes in one line, each said once.
pub(crate) fn line(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for cause in chain(error) {
        let words = cause.to_string();
        if text.ends_with(&words) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&words);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_io_error_carries_is_seen_and_said_once() {
        let inner = rustls::Error::DecryptError;
        let error = io::Error::new(io::ErrorKind::InvalidData, inner.clone());
        assert!(chain(&error).any(|cause| cause.downcast_ref() == Some(&inner)));
        assert_eq!(line(&error), inner.to_string());
    }
}
