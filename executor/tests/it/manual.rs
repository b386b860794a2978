//! The reference page says what the program does.

use std::fmt::Write as _;
use std::path::Path;

use clap::CommandFactory as _;
use fulcrum_adapters::secret::SecretSource;
use fulcrum_executor::executor::Cli;
use fulcrum_executor::{Config, build_with};

use crate::reference;

const EXAMPLE: &str = r#"endpoints:
  provider:
    base_url: https://api.provider.example/v1
    auth: { bearer: "secret://provider_key" }

models:
  default: { endpoint: provider, model: small-1, timeout: 60s, output_tokens_max: 2000 }
"#;

#[tokio::test]
async fn the_reference_is_made_of_what_the_program_reads_and_offers() {
    let command = Cli::command();
    let run = command.find_subcommand("run").expect("it runs");
    let elsewhere = [
        ("SecretsConfig", "connector.md#secrets"),
        ("EndpointConfig", "connector.md#endpoint"),
    ];
    let types = reference::types(&[include_str!("../../src/config.rs")], &elsewhere);
    let page = format!(
        "# The executor: command line and configuration

Made of the program's own types by a test; do not edit by hand.

The executor is a worker for what needs no access to your own systems: it fills templates, and calls models through any
OpenAI-compatible service.

## Command line

`fulcrum-executor run` serves a controller until SIGTERM or Ctrl-C. A controller that cannot be reached is waited for,
at the first start too. `fulcrum-executor check` takes `--config`, says everything that is wrong with the configuration,
and connects to nothing.

{}
`FULCRUM_LOG` filters the log (`info` by default; `info,fulcrum_sdk=debug`). It goes to standard error.

## Configuration

One YAML file, or none: then there are no models. Keys that are not listed here are refused.

```yaml
{EXAMPLE}```

{types}
## Capabilities

{}",
        reference::flags(run),
        capabilities(),
    );
    reference::holds("docs/executor.md", &page);
}

/// What the example's configuration offers.
fn capabilities() -> String {
    let config = Config::parse(EXAMPLE, Path::new("executor.yaml")).expect("the example is read");
    let secrets = SecretSource::given([("provider_key", "key-0123456789")]);
    let built = build_with(&config, secrets).expect("the example is well");
    let mut page = String::new();
    for capability in &built.capabilities {
        let contract = capability.contract();
        let (name, description) = (&contract.name, &contract.description);
        write!(page, "### {name}\n\n{description}\n\n").expect("a string");
        for (what, schema) in [
            ("input", &contract.input_schema),
            ("output", &contract.output_schema),
        ] {
            writeln!(page, "| {what} | meaning |\n|---|---|").expect("a string");
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            let members = schema["properties"].as_object().expect("an object");
            for (member, about) in members {
                let meaning = about["description"].as_str().unwrap_or_default();
                let meaning = meaning.replace('\n', " ");
                let must = match what == "input" && required.contains(&member.as_str().into()) {
                    true => ", required",
                    false => "",
                };
                writeln!(page, "| `{member}`{must} | {meaning} |").expect("a string");
            }
            page.push('\n');
        }
    }
    page.trim_end().to_owned() + "\n"
}
