//! A JVM and a statsd application in one Prometheus, while the JVM dies, an adapter is killed, and
//! a flood of names comes.
//!
//! Everything told is read from the running containers: what the applications count themselves,
//! what stands on the adapters' pages, what Prometheus has.

use std::time::Instant;

use anyhow::{Result, ensure};
use e2e::metrics::{Metrics, SEEN_WITHIN, Side, value_of};
use e2e::wait;

use super::{Args, hint, step};

/// Lines of one counter, sent as fast as the application can.
const BURST: u64 = 100_000;
/// Lines with names and tags that never were before.
const FLOOD: u64 = 1_000_000;
/// Mails through Prometheus, over restarts.
const SENT: &str = "sum(mailer_sent_total)";
/// When the JVM began.
const STARTED: &str = "jvm_start_time_seconds";

/// Tells the story.
pub(super) fn run(args: &Args) -> Result<()> {
    super::prepare("metrics-adapter", args)?;
    step(
        "Start a shop in a JVM and a mailer that speaks statsd, an adapter beside each, Prometheus",
    );
    println!("compose/metrics.yml, until all five containers are healthy …");
    let recipe = Metrics::start()?;
    println!("Look yourself:  {} ps", recipe.compose.hint());
    println!("Clean up, should this be interrupted:  {} down --volumes", recipe.compose.hint());
    if let Err(error) = story(&recipe) {
        println!("{}", recipe.compose.logs());
        return Err(error);
    }
    finish(&recipe, args.keep)
}

fn story(recipe: &Metrics) -> Result<()> {
    works(recipe)?;
    burst(recipe)?;
    crash(recipe)?;
    kill(recipe)?;
    flood(recipe)
}

fn works(recipe: &Metrics) -> Result<()> {
    step("Neither application knows Prometheus, and it has the metrics of both");
    println!("Beans of the shop, read over JMX by an adapter that is no JVM:");
    shown(recipe, &["shop_orders_placed_total", "shop_stock", "jvm_memory_used_bytes"])?;
    println!("Lines of the mailer, with labels from tags and from names:");
    shown(recipe, &["mailer_sent_total", "mailer_queue", "mailer_recipients"])?;
    let quantile = "histogram_quantile(0.9, sum(mailer_delivery_seconds))";
    let p90 = recipe.await_number("a native histogram", quantile, |it| it > 0.0)?;
    println!("Nine of ten mails are delivered within {:.0} ms:", p90 * 1e3);
    println!("  {quantile}: a native histogram, which travels in protobuf alone");
    hint(&format!("curl http://{}/metrics", recipe.page_address(Side::Shop)?));
    hint(&format!("curl http://{}/metrics", recipe.page_address(Side::Mailer)?));
    Ok(())
}

fn burst(recipe: &Metrics) -> Result<()> {
    step("The mailer sends 100,000 lines of one counter as fast as it can: each is counted");
    let start = Instant::now();
    let sent = recipe.burst(BURST)?.burst;
    let mut counted = 0.0;
    wait::until("all lines", SEEN_WITHIN, || {
        counted = recipe.on_page(Side::Mailer, "mailer_burst_total")?.unwrap_or_default();
        Ok((counted >= sent as f64).then_some(()))
    })?;
    println!("{sent} sent, {counted} counted, {:.1} s in all", start.elapsed().as_secs_f64());
    ensure!(counted == sent as f64, "more was counted than was sent");
    hint(&format!("curl -X POST 'http://{}/burst?count={BURST}'", recipe.app(Side::Mailer)?));
    Ok(())
}

fn crash(recipe: &Metrics) -> Result<()> {
    step("The JVM dies without a word; another starts in its place and is read like the first");
    let before = recipe.await_number("the start of the JVM", STARTED, |it| it > 0.0)?;
    let placed = "sum(shop_orders_placed_total)";
    println!("orders placed so far: {}", recipe.number(placed)?.unwrap_or_default());
    let start = Instant::now();
    recipe.crash_jvm()?;
    hint(&format!("curl -X POST http://{}/crash", recipe.app(Side::Shop)?));
    recipe.await_number("another JVM", STARTED, |it| it > before)?;
    println!("Prometheus has the new one after {:.1} s", start.elapsed().as_secs_f64());
    println!("orders placed, by the new one: {}", recipe.number(placed)?.unwrap_or_default());
    recipe.settle()
}

fn kill(recipe: &Metrics) -> Result<()> {
    step("Kill the mailer's adapter: the mailer goes on, and its counters begin again");
    println!("mails in Prometheus: {}", recipe.number(SENT)?.unwrap_or_default());
    recipe.tell("kill", Side::Mailer.adapter())?;
    hint(&format!("{} kill {}", recipe.compose.hint(), Side::Mailer.adapter()));
    recipe.await_number("a target that is down", "up{job=\"mailer\"}", |up| up == 0.0)?;
    let before = recipe.sent()?.sent;
    println!("the target is down; the mailer has sent {before} mails and sends on …");
    recipe.tell("start", Side::Mailer.adapter())?;
    recipe.await_number("a target that is up", "up{job=\"mailer\"}", |up| up == 1.0)?;
    recipe.settle()?;
    println!(
        "mails in Prometheus: {}, counted from zero; rate(mailer_sent_total[1m]) understands that",
        recipe.number(SENT)?.unwrap_or_default()
    );
    Ok(())
}

fn flood(recipe: &Metrics) -> Result<()> {
    step(
        "A million lines with names and tags that never were before, as by a user's number in a tag",
    );
    let adapter = Side::Mailer.adapter();
    let before = recipe.memory(adapter)?;
    recipe.flood(FLOOD)?;
    hint(&format!("curl -X POST 'http://{}/flood?count={FLOOD}'", recipe.app(Side::Mailer)?));
    let overflow = "mailer_opened_total{overflow=\"true\"}";
    let folded =
        wait::until("an overflow series", SEEN_WITHIN, || recipe.on_page(Side::Mailer, overflow))?;
    let page = recipe.page(Side::Mailer)?;
    let series = page.lines().filter(|line| !line.starts_with('#')).count();
    println!(
        "The page has {series} series, its own among them; the limit of the mailer's is 5,000"
    );
    println!("What is past the limit is counted together:");
    println!("  {overflow} {folded}");
    println!("So is what the kernel dropped, as the adapter may use half a core only:");
    for name in ["statsd_exporter_udp_packets_total", "statsd_exporter_udp_packet_drops_total"] {
        println!("  {name} {}", value_of(&page, name).unwrap_or_default());
    }
    let after = recipe.memory(adapter)?;
    println!(
        "Memory of the adapter: {:.1} MB before, {:.1} MB after, limit {:.0} MB",
        before.bytes as f64 / 1e6,
        after.bytes as f64 / 1e6,
        after.bytes_max as f64 / 1e6
    );
    let sent = recipe.await_number("mails", SENT, |it| it > 0.0)?;
    recipe.await_number("further mails", SENT, |it| it > sent)?;
    println!("What was counted before is counted on");
    hint(&format!("curl http://{}/metrics", recipe.probe(Side::Mailer)?));
    Ok(())
}

fn finish(recipe: &Metrics, keep: bool) -> Result<()> {
    if !keep {
        step("Done: the containers are removed (`--keep` leaves them up)");
        return Ok(());
    }
    recipe.compose.keep();
    recipe.compose.wait_healthy()?;
    step("Done: the containers are up");
    println!("Prometheus      http://{}/graph", recipe.prometheus()?);
    for side in [Side::Shop, Side::Mailer] {
        println!("{:<15} http://{}/", side.app(), recipe.app(side)?);
        println!("  metrics       http://{}/metrics", recipe.page_address(side)?);
        println!("  the adapter's http://{}/metrics", recipe.probe(side)?);
    }
    println!("remove          {} down --volumes", recipe.compose.hint());
    Ok(())
}

/// Series of some names as Prometheus has them.
fn shown(recipe: &Metrics, names: &[&str]) -> Result<()> {
    for name in names {
        recipe.await_number(name, &format!("count({name})"), |it| it > 0.0)?;
        for sample in recipe.query(name)? {
            let labels: Vec<String> = sample
                .labels
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(key, _)| !["__name__", "instance", "job"].contains(&key.as_str()))
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            let labels = match labels.as_slice() {
                [] => String::new(),
                some => format!("{{{}}}", some.join(",")),
            };
            println!("  {name}{labels} {}", sample.value);
        }
    }
    Ok(())
}
