//! What the program needs to run at all: settings, clock, client, leadership, metrics, health,
//! logs, shutdown. Knows nothing about Rollouts and imports no other module of ours.

pub mod client;
pub mod clock;
pub mod fence;
pub mod health;
pub mod leader;
pub mod lease;
pub mod metrics;
pub mod names;
pub mod pace;
pub mod settings;
pub mod shutdown;
pub mod telemetry;
