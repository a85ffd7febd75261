//! The HTTP guard and client: every URL that comes from outside passes through here.
//!
//! [`check_url`] judges a URL by its text: scheme, user information, port, and the address if the
//! host is a literal one. [`Client`] applies it to each hop, resolves host names with a resolver
//! that refuses addresses which are not public, and connects to nothing else: the address that was
//! checked is the address that is connected. A fetch is bounded in bytes, time, speed and
//! redirects by its [`Limits`], and a body that stops early is an error, never a silent end.
//! [`HostGate`] bounds how many requests go to one host at once.

#![warn(missing_docs)]

mod address;
mod client;
mod error;
mod gate;
mod guard;
mod limits;
mod redact;
mod redirect;
mod request;
mod resolve;
mod response;
mod retry_after;
#[cfg(test)]
mod test_server;

pub use address::{is_public, may_be_allowed};
pub use client::{BuildError, Client, ClientOptions};
pub use error::{Cause, FetchError, FetchErrorKind, Phase};
pub use gate::{HostGate, Permit};
pub use guard::{GuardError, GuardPolicy, PortRule, check_parsed_url, check_url};
pub use ipnet::IpNet;
pub use limits::Limits;
pub use redact::redacted;
pub use request::Request;
pub use reqwest::StatusCode;
pub use resolve::{ResolveError, ResolveName, SystemResolver, resolve_allowed};
pub use response::{ContentRange, Response};
pub use retry_after::parse_retry_after;
pub use url::Url;
