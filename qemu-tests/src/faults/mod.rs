//! Releases that do not work, made of one that does, and a server that lies.
//!
//! | module | what |
//! |---|---|
//! | [`erofs`] | files of a finished image exchanged where they lie |
//! | [`program`] | the smallest programs that fail |
//! | [`release`] | a bad release, signed by the good one's keys |
//! | [`server`] | hands releases out, or lies |
//! | [`table`] | how long each recovery took |
//!
//! Nothing is built: a copy of the good image is changed in a few blocks, hashed and signed, which takes a second or two. The
//! machine has nearly all blocks of it already, so it is fetched as fast.

pub mod erofs;
pub mod program;
pub mod release;
pub mod server;
pub mod table;
