//! What the stories stand on: the rig, the controller as a process, the proxy that it speaks
//! through, watches of our own, and the objects of an ordinary shop.

pub mod backstage;
pub mod clock;
pub mod cluster;
pub mod controller;
pub mod cosign;
pub mod flux;
pub mod front;
pub mod guard;
pub mod health;
pub mod history;
pub mod install;
pub mod json;
pub mod judge;
pub mod kuberik;
pub mod ladder;
pub mod process;
pub mod proxy;
pub mod rig;
pub mod shop;
pub mod story;
pub mod tunnel;
pub mod watch;
