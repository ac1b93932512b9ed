//! The scheduler under test: a world of fake workers, seeded random runs in it, and a test for
//! every bug that was found.

mod awaiting;
mod calls;
mod constraints;
mod deep;
mod growth;
mod order;
mod promises;
mod regressions;
mod reviving;
mod swarm;
mod waking;
mod world;
