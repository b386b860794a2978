//! The workflows that are measured. All call `bench.echo`, the one capability of the [worker](crate::worker).

/// A workflow under load.
#[derive(Clone, Copy)]
pub(crate) enum Workflow {
    /// So many steps one after the other: the first takes the input apart and puts it together again, each further one
    /// is handed what the one before gave.
    Steps(u32),
    /// One step for each of `input.items`.
    FanOut,
    /// Sleeps for a day.
    Sleeper,
}

impl Workflow {
    /// Its name.
    pub(crate) fn name(self) -> String {
        match self {
            Workflow::Steps(steps) => format!("bench-{steps}"),
            Workflow::FanOut => "bench-fan-out".to_owned(),
            Workflow::Sleeper => "bench-sleeper".to_owned(),
        }
    }

    /// Its text.
    pub(crate) fn source(self) -> String {
        let name = self.name();
        match self {
            Workflow::Steps(steps) => sequence(&name, steps),
            Workflow::FanOut => format!(
                "workflow: {name}\nsteps:\n  - id: each\n    foreach: \"${{input.items}}\"\n    do:\n      - {{ id: \
                 echo, call: bench.echo, with: {{ n: \"${{item}}\", text: \"${{input.text}}\" }} }}\n    output: \
                 \"${{steps.echo.output.n}}\"\n"
            ),
            Workflow::Sleeper => {
                format!("workflow: {name}\nsteps:\n  - {{ id: nap, sleep: 1d }}\n")
            }
        }
    }
}

fn sequence(name: &str, steps: u32) -> String {
    let mut text = format!("workflow: {name}\nsteps:\n");
    let mut with = "{ n: \"${input.n}\", text: \"${input.text}\" }".to_owned();
    for step in 0..steps {
        text += &format!("  - {{ id: s{step}, call: bench.echo, with: {with} }}\n");
        with = format!("\"${{steps.s{step}.output}}\"");
    }
    text + &format!("output: {with}\n")
}
