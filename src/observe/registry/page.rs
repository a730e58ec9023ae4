//! Page: one part of a list of tags, kept so that a registry need not send it again. Only what the
//! registry gave a validator for is kept.
//!
//! Source: RFC 9110, 13.1.2 (If-None-Match).

use std::collections::BTreeMap;
use std::sync::Arc;

/// One part of a list of tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The registry's word for this very content.
    pub etag: Option<String>,
    /// The tags.
    pub tags: Vec<String>,
    /// Where the next part is.
    pub next: Option<String>,
}

/// The parts of a list by their addresses; cheap to copy.
pub type Pages = Arc<BTreeMap<String, Page>>;
