#[cfg(test)]
mod errors;
#[cfg(test)]
mod foreign;
#[cfg(test)]
mod scene;
#[cfg(test)]
mod workloads;
