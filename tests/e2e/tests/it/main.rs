//! Scenarios on real processes. Each starts what it needs, and nothing is shared between them.

mod audit;
mod bad_input;
mod crash;
mod crew;
mod dev;
mod ending;
mod journal;
mod keys;
mod kinds;
mod onboarding;
mod payloads;
mod pooler;
mod python;
mod stage;
mod story;
mod traces;
mod two_controllers;
