//! An engine over HTTP.
