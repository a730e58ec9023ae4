mod errors;
mod foreign;
mod scene;
mod workloads;
