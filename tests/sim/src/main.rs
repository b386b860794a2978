//! `fulcrum-sim`: walks one seed and shows each step, or many seeds.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use fulcrum_sim::campaign::{self, walk_twice};
use fulcrum_sim::workflows::Table;

/// Simulates an installation under faults that follow from a seed.
#[derive(Debug, Parser)]
struct Arguments {
    /// Walk this seed and print every step.
    #[arg(long)]
    seed: Option<u64>,
    /// Walk so many seeds.
    #[arg(long, default_value_t = 5_000)]
    seeds: u64,
    /// Begin with this one.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Where failed seeds are written down.
    #[arg(long, default_value = "target/sim")]
    folder: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.seed {
        Some(seed) => show(seed),
        None => many(&arguments),
    }
}

fn show(seed: u64) -> ExitCode {
    let walk = walk_twice(seed, &Table::new());
    for line in &walk.lines {
        println!("{line}");
    }
    println!("\n{}\ntrace {}", walk.tally, walk.digest);
    if walk.problems.is_empty() {
        println!("seed {seed} holds");
        return ExitCode::SUCCESS;
    }
    for problem in &walk.problems {
        println!("PROBLEM {problem}");
    }
    ExitCode::FAILURE
}

fn many(arguments: &Arguments) -> ExitCode {
    let seeds = arguments.from..arguments.from.saturating_add(arguments.seeds);
    let verdict = campaign::run(seeds, &arguments.folder);
    println!("{}\n{verdict}", verdict.tally);
    let never = verdict.never();
    if !never.is_empty() {
        println!("never met: {never:?}");
    }
    if verdict.held() && never.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
