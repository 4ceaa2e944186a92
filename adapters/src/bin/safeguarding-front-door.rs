//! A front door without a system: read the council's own queue, show what came, and answer as a named person.
//!
//! A delivery is settled only after it was saved and printed: a crash before that shows it again, marked as
//! seen before. It writes to no queue; its answers go over gRPC.

fn main() {}
