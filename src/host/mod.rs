//! What a host needs beside the flow: callouts under way, and who waits for them.

pub mod flights;
