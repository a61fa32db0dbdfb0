//! The one integration test binary: behaviour through the public interface.

mod native;
