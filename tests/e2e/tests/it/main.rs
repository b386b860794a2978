//! Scenarios on real processes. Each starts what it needs, and nothing is shared between them.

mod crash;
mod ending;
mod onboarding;
