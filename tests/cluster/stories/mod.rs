//! The stories, a file for each subject.

mod blind;
mod canary;
mod change;
mod command;
mod cost;
mod crash;
mod delivery;
mod digest;
mod experiment;
mod failure;
mod fault;
mod flux;
mod gates;
mod health;
mod inventory;
mod kubectl;
mod leader;
mod loss;
mod ownership;
mod registry;
mod replicas;
mod route;
mod schema;
mod sides;
mod source;
mod traffic;
