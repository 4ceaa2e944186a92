//! A sender's command line: make a referral, send it once however often the line breaks, and watch it climb
//! its ladder.
//!
//! The key is on the disk before anything is sent, so an interrupted send is the same send again. What is
//! printed goes to the person who asked, and nowhere else.

fn main() {}
