//! The recipe `metrics`: what the adapters promise, seen from a real Prometheus.

use anyhow::{Context, Result, ensure};
use e2e::docker::inspect;
use e2e::http;
use e2e::metrics::{Memory, Metrics, SEEN_WITHIN, Side, value_of};
use e2e::wait;

/// Lines of a burst, each of which must be counted.
const BURST: u64 = 20_000;
/// Lines with names and tags that never were before; past every limit many times over.
const FLOOD: u64 = 400_000;
/// The recipe's limits of series, in all and of one metric.
const SERIES_MAX: usize = 5_000;
const FAMILY_SERIES_MAX: usize = 1_000;

#[test]
fn prometheus_has_what_both_applications_say() {
    on_a_copy(|recipe| {
        runs_with_least_privileges(recipe)?;
        beans_became_series(recipe)?;
        lines_became_series(recipe)?;
        native_histograms_arrive(recipe)?;

        let burst = recipe.burst(BURST)?.burst;
        wait::until("every line of a burst", SEEN_WITHIN, || {
            let counted = recipe.on_page(Side::Mailer, "mailer_burst_total")?;
            Ok((counted == Some(burst as f64)).then_some(()))
        })?;
        recipe.await_number("the burst in Prometheus", "mailer_burst_total", |it| {
            it == burst as f64
        })?;
        [Side::Shop, Side::Mailer].into_iter().try_for_each(|side| stops_cleanly(recipe, side))
    });
}

#[test]
fn a_jvm_that_died_or_froze_is_read_again() {
    on_a_copy(|recipe| {
        const STARTED: &str = "jvm_start_time_seconds";
        let before = recipe.await_number("the start of the JVM", STARTED, |it| it > 0.0)?;
        recipe.crash_jvm()?;
        recipe.await_number("another JVM", STARTED, |it| it > before)?;
        recipe.settle()?;
        is_read(recipe)?;

        // The connections stay; nobody answers on them. What was read last is shown meanwhile.
        const TIMEOUTS: &str = "jmx_scrape_timeout_total";
        let before = recipe.await_number("timeouts so far", TIMEOUTS, |it| it >= 0.0)?;
        recipe.tell("pause", Side::Shop.app())?;
        let noticed = recipe.await_number("a scrape in vain", TIMEOUTS, |it| it > before);
        let shown = recipe.number("up{job=\"shop\"} * on() group_left count(shop_stock)");
        let served = http::get(recipe.probe(Side::Shop)?, "/livez");
        recipe.tell("unpause", Side::Shop.app())?;
        noticed?;
        ensure!(shown? == Some(3.0), "the last answer is not shown");
        ensure!(served?.status == 200, "the adapter waits for its JVM");
        recipe.settle()?;
        is_read(recipe)
    });
}

#[test]
fn killed_adapters_come_back_and_their_applications_notice_nothing() {
    on_a_copy(|recipe| {
        for side in [Side::Mailer, Side::Shop] {
            let up = format!("up{{job=\"{}\"}}", side.app());
            recipe.tell("kill", side.adapter())?;
            recipe.await_number("a target that is down", &up, |it| it == 0.0)?;
            if side == Side::Mailer {
                let before = recipe.sent()?.sent;
                wait::until("mails without an adapter", SEEN_WITHIN, || {
                    Ok((recipe.sent()?.sent > before).then_some(()))
                })?;
            }
            recipe.tell("start", side.adapter())?;
            recipe.await_number("a target that is up", &up, |it| it == 1.0)?;
        }
        recipe.settle()?;
        is_read(recipe)?;
        // It began again at zero, so it has less than was sent; Prometheus knows that from a reset.
        let counted = recipe.await_number("mails", "sum(mailer_sent_total)", |it| it > 0.0)?;
        ensure!(counted < recipe.sent()?.sent as f64, "{counted} mails counted after a restart");
        recipe
            .await_number("a rate across it", "sum(rate(mailer_sent_total[1m]))", |it| it > 0.0)?;
        Ok(())
    });
}

#[test]
fn a_flood_of_names_stays_within_the_limits_and_costs_nobody_else() {
    on_a_copy(|recipe| {
        let idle = recipe.memory(Side::Mailer.adapter())?;
        let unaccounted = recipe.unaccounted()?;
        recipe.flood(FLOOD)?;
        const OVERFLOW: &str = "mailer_opened_total{overflow=\"true\"}";
        wait::until("a series that takes what is too much", SEEN_WITHIN, || {
            recipe.on_page(Side::Mailer, OVERFLOW)
        })?;

        let page = recipe.page(Side::Mailer)?;
        let series = |prefix: &str| page.lines().filter(|line| line.starts_with(prefix)).count();
        let opened = series("mailer_opened_total{");
        ensure!(
            opened <= FAMILY_SERIES_MAX + 1,
            "{opened} series of one metric, {FAMILY_SERIES_MAX} are allowed"
        );
        let users = series("mailer_user_");
        ensure!(users <= SERIES_MAX + 1, "{users} series, {SERIES_MAX} are allowed");
        let folded = value_of(&page, OVERFLOW).unwrap_or_default();
        ensure!(folded > 0.0, "nothing was folded");

        let Memory { bytes, bytes_max } = recipe.memory(Side::Mailer.adapter())?;
        ensure!(bytes < bytes_max / 2, "{bytes} bytes of {bytes_max} after a flood: {idle:?}");
        // What was too much for the socket is known to the datagram, as soon as another one comes.
        let mut last = 0;
        wait::until("an account of every datagram", SEEN_WITHIN, || {
            last = recipe.unaccounted()?;
            Ok((last == unaccounted).then_some(()))
        })
        .with_context(|| format!("{last} datagrams unaccounted for, {unaccounted} before"))?;
        // Those that were there before go on.
        let before = recipe.await_number("mails", "sum(mailer_sent_total)", |it| it > 0.0)?;
        recipe.await_number("more mails", "sum(mailer_sent_total)", |it| it > before)?;
        Ok(())
    });
}

/// Starts the recipe for one test; a failure ends the test while the recipe is up, so that its
/// logs are shown.
fn on_a_copy(test: impl FnOnce(&Metrics) -> Result<()>) {
    let recipe = Metrics::start().unwrap_or_else(|error| panic!("{error:#}"));
    test(&recipe).unwrap_or_else(|error| panic!("{error:#}"));
}

fn beans_became_series(recipe: &Metrics) -> Result<()> {
    for (what, query) in [
        ("an attribute", "shop_orders_placed_total{region=\"eu\"}"),
        ("a composite value", "shop_handling_seconds_total{region=\"us\"}"),
        ("a row of a table", "shop_stock{good=\"tea\"}"),
        ("a text as a label", "shop_state{state=\"open\"}"),
        ("a bean of the JVM", "jvm_memory_used_bytes{area=\"Heap\"}"),
    ] {
        recipe.await_number(what, query, |it| it > 0.0)?;
    }
    is_read(recipe)
}

/// What the shop does next arrives.
fn is_read(recipe: &Metrics) -> Result<()> {
    const PLACED: &str = "shop_orders_placed_total{region=\"eu\"}";
    let before = recipe.await_number("orders", PLACED, |it| it > 0.0)?;
    recipe.order(1_000)?;
    recipe.await_number("further orders", PLACED, |it| it >= before + 900.0)?;
    Ok(())
}

fn lines_became_series(recipe: &Metrics) -> Result<()> {
    for (what, query) in [
        ("a counter with tags", "mailer_sent_total{template=\"welcome\",region=\"eu\"}"),
        ("a gauge", "mailer_queue >= bool 0"),
        ("the members of a set", "mailer_recipients"),
    ] {
        recipe.await_number(what, query, |it| it > 0.0)?;
    }
    let dropped = recipe.query("{__name__=~\"mailer_debug.*|dropped.*\"}")?;
    ensure!(dropped.is_empty(), "the mapping drops these: {dropped:?}");
    Ok(())
}

/// They have no buckets of their own name, but a count that only a native histogram gives.
fn native_histograms_arrive(recipe: &Metrics) -> Result<()> {
    let count = "histogram_count(mailer_delivery_seconds{region=\"eu\"})";
    recipe.await_number("a native histogram", count, |it| it > 0.0)?;
    let median = "histogram_quantile(0.5, sum(mailer_delivery_seconds))";
    // Half the mails take exp(4) = 55 ms at most.
    recipe.await_number("a median near 0.055 s", median, |it| (0.01..0.3).contains(&it))?;
    // Who asks for text gets the buckets of the mapping.
    let page = recipe.page(Side::Mailer)?;
    ensure!(page.contains("mailer_delivery_seconds_bucket{"), "no classic buckets:\n{page}");
    Ok(())
}

fn runs_with_least_privileges(recipe: &Metrics) -> Result<()> {
    for side in [Side::Shop, Side::Mailer] {
        let container = recipe.compose.container(side.adapter())?;
        crate::has_least_privileges(&container)?;
        assert_eq!(http::get(recipe.probe(side)?, "/readyz")?.status, 200);
        assert!(recipe.own_metrics(side)?.contains("metrics_adapter_"));
    }
    Ok(())
}

fn stops_cleanly(recipe: &Metrics, side: Side) -> Result<()> {
    recipe.tell("stop", side.adapter())?;
    let code = inspect(&recipe.compose.container(side.adapter())?, "{{.State.ExitCode}}")?;
    // After ten seconds the engine would have killed it, and the code would be 137.
    assert_eq!(code, "0", "{side:?}");
    Ok(())
}
