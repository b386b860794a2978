//! The smallest worker: `cargo run --example hello -- https://controller:7444 v1.…` once to join and work,
//! without arguments from then on.

use fulcrum_sdk::{
    Context, Contract, EffectClass, Enrolment, Failure, IdentityDir, Worker, capability, enrol,
    shutdown,
};

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Greet {
    name: String,
}

async fn greet(_ctx: Context, input: Greet) -> Result<String, Failure> {
    Ok(format!("Hello, {}!", input.name))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let identity = IdentityDir::at("hello-identity");
    if let [endpoint, token] = &std::env::args().skip(1).collect::<Vec<_>>()[..] {
        let enrolment = Enrolment {
            endpoint: endpoint.clone(),
            token: token.parse()?,
            name: None,
            version: "hello".into(),
        };
        enrol(&enrolment, &identity).await?;
    }
    let contract = Contract::new("hello.greet", EffectClass::Read);
    Worker::new(identity)
        .capability(capability(contract, greet))
        .run(shutdown::on_signal())
        .await?;
    Ok(())
}
