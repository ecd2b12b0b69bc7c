//! `hook`: what Athena does at the events of an agent's session.

mod event;

pub(crate) use event::Event;
