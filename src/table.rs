//! The table of client machine ids.
