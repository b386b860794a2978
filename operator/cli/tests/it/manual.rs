//! `docs/cli.md` is what the commands say of themselves. `UPDATE_DOCS=1 cargo test -p fulcrum` writes it.

use std::fmt::Write as _;
use std::path::Path;

use clap::{Command, CommandFactory as _};
use fulcrum::cli::Cli;
use fulcrum::exit::Exit;

const MANUAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.md");

#[test]
fn the_manual_says_what_the_program_says() {
    let now = render();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(MANUAL, &now).expect("the manual can be written");
    }
    let written = std::fs::read_to_string(Path::new(MANUAL)).unwrap_or_default();
    assert!(
        written == now,
        "docs/cli.md is out of date: UPDATE_DOCS=1 cargo test -p fulcrum the_manual"
    );
}

fn render() -> String {
    let mut root = Cli::command().term_width(100);
    root.build();
    let mut out = String::from(
        "<!-- Generated from the commands by operator/cli/tests/it/manual.rs. Do not edit. -->\n\n# The `fulcrum` command line\n\n",
    );
    let about = root
        .get_long_about()
        .map(ToString::to_string)
        .unwrap_or_default();
    writeln!(out, "{about}\n").expect("writing to a String cannot fail");
    out.push_str("## Exit codes\n\n| code | meaning |\n|---|---|\n");
    for exit in Exit::ALL {
        writeln!(out, "| {} | {} |", exit.code(), exit.meaning())
            .expect("writing to a String cannot fail");
    }
    out.push_str("\n## Options of every command\n\n| option | variable | |\n|---|---|---|\n");
    for arg in root.get_arguments().filter(|arg| arg.is_global_set()) {
        let short = arg
            .get_short()
            .map(|c| format!("`-{c}`, "))
            .unwrap_or_default();
        let long = arg.get_long().unwrap_or_default();
        let env = arg
            .get_env()
            .map(|name| format!("`{}`", name.to_string_lossy()))
            .unwrap_or_default();
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        writeln!(out, "| {short}`--{long}` | {env} | {help} |")
            .expect("writing to a String cannot fail");
    }
    out.push_str("\n`NO_COLOR` switches colours off; `FULCRUM_CONFIG_DIR` moves the contexts and identities from `~/.config/fulcrum`.\n");
    for command in root.get_subcommands() {
        section(&mut out, command, "fulcrum", 2);
    }
    out
}

fn section(out: &mut String, command: &Command, parent: &str, level: usize) {
    let name = format!("{parent} {}", command.get_name());
    let mut own = command.clone().term_width(100).bin_name(name.clone());
    // Global options have a table of their own.
    let globals: Vec<_> = own
        .get_arguments()
        .filter(|arg| arg.is_global_set())
        .map(|arg| arg.get_id().clone())
        .collect();
    for id in globals {
        own = own.mut_arg(id, |arg| arg.hide(true));
    }
    let help = own.render_long_help().to_string();
    let help: Vec<_> = help.lines().map(str::trim_end).collect();
    let help = help.join("\n").replace("\n\n\n", "\n\n");
    write!(
        out,
        "\n{} `{name}`\n\n```text\n{}\n```\n",
        "#".repeat(level),
        help.trim_end()
    )
    .expect("writing to a String cannot fail");
    for sub in command.get_subcommands() {
        section(out, sub, &name, level + 1);
    }
}
