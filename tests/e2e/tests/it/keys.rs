//! A key-encryption key is replaced as the guide says, by another from another source.

use fulcrum_e2e::controller::Controller;
use fulcrum_e2e::stack::Stack;
use fulcrum_e2e::wait;

/// What `keys status` prints: how many keys rest under which key.
fn resting(controller: &Controller) -> anyhow::Result<Vec<(String, String)>> {
    let mut command = controller.program.command();
    let output = command.args(["keys", "status"]).output()?;
    let said = String::from_utf8(output.stderr)?;
    anyhow::ensure!(output.status.success(), "{said}");
    let lines = String::from_utf8(output.stdout)?;
    let lines = lines.lines().filter_map(|line| line.split_once("  "));
    Ok(lines
        .map(|(id, what)| (id.to_owned(), what.to_owned()))
        .collect())
}

/// The key that seals, and those that keys rest under.
fn ids(controller: &Controller) -> anyhow::Result<(String, Vec<String>)> {
    let (configured, resting): (Vec<_>, Vec<_>) = resting(controller)?
        .into_iter()
        .partition(|(_, what)| what.starts_with("configured"));
    let (seals, does) = configured.into_iter().next().expect("a key is configured");
    assert_eq!(does, "configured, seals and opens");
    Ok((seals, resting.into_iter().map(|(id, _)| id).collect()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_encryption_key_is_replaced_and_the_old_one_taken_out() -> anyhow::Result<()> {
    let mut stack = Stack::with(1, &[]).await?;
    let (dir, url) = (stack.dir().to_owned(), stack.postgres.url());
    let (old, under) = ids(&stack.controllers[0])?;
    assert_eq!(under, [old.as_str(); 4]);

    let made = stack.controllers[0]
        .program
        .command()
        .args(["keys", "generate"])
        .arg(dir.join("new"))
        .output()?;
    assert!(made.status.success(), "{made:?}");
    let old_source = format!("{{ file = {:?} }}", dir.join("kek"));
    let new_source = format!("{{ command = [\"cat\", {:?}] }}", dir.join("new"));
    let ended = stack.controllers[0].program.terminate().await?;
    assert!(ended.success());

    let both = format!("[{new_source}, {old_source}]");
    let mut second = Controller::new("second", &dir, &url, &[("keys.sources", &both)])?;
    second.up().await?;
    wait::until("all keys rest under the new one", || async {
        let (new, under) = ids(&second)?;
        anyhow::ensure!(new != old && under == [new.as_str(); 4], "{new}: {under:?}");
        Ok(())
    })
    .await;
    assert!(second.program.terminate().await?.success());

    let new = format!("[{new_source}]");
    let mut third = Controller::new("third", &dir, &url, &[("keys.sources", &new)])?;
    third.up().await?;
    third.invite("another", "operator")?;

    let refused = stack.controllers[0].invite("late", "operator");
    let said = refused.expect_err("it has the old key only").to_string();
    assert!(
        said.contains("keys.sources") && said.contains(&old),
        "{said}"
    );
    Ok(())
}
