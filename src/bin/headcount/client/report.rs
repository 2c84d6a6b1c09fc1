//! `headcount client status`, and how a client is described.

use headcount::client::{ActivatedBy, Event, Licence, Step};
use headcount::daemon::{Clock, SystemClock, date, system_rng};
use headcount::time::Now;
use headcount::wire::LicenceStatus;
use serde_json::{Value, json};

use super::ConfigArgument;
use super::installed::{FindingClient, Installed};
use crate::output::{Exit, Output, Problem};

pub(super) fn status(config: &ConfigArgument, output: Output) -> Result<Exit, Problem> {
    let installed = Installed::read(config)?;
    let product = installed.product()?;
    let now = SystemClock::start().now();
    let mut rng = system_rng();
    let mut state = installed.open()?;
    let settings = installed.search.settings();
    let mut client = installed.client(&product, &settings, &state, now, &mut rng)?;
    let mut rejection = None;
    loop {
        match client.poll(now, &mut rng) {
            // A first look is a first start, too: the machine's id and grace begin here.
            Step::Save => state.save(&client.image(now))?,
            Step::Report(Event::StoredActivationRejected(why)) => rejection = Some(why.to_string()),
            Step::Report(_) => {}
            Step::Find(_) | Step::Send { .. } | Step::Wait { .. } => break,
        }
    }
    let mut document = document(&installed, &client, now);
    document["rejection"] = json!(rejection);
    output.document(&document);
    let product = &installed.product_file;
    let licence = client.licence(now);
    output.line(format_args!(
        "Product      {} (needs a count of {})",
        product.name, product.threshold
    ));
    output.line(format_args!("Status       {}", words(licence.status)));
    output.line(format_args!("Time left    {}", left(licence)));
    output.line(format_args!("Machine id   {}", client.cmid()));
    output.line(format_args!("Rearms left  {}", client.rearms_left()));
    if let Some(rejection) = rejection {
        output.line(format_args!("Rejected     the stored activation does not count: {rejection}"));
    }
    if let Some(activation) = client.activation() {
        let (who, on) = match activation.by {
            ActivatedBy::Count => ("Host     ", format!("at a count of {}", activation.count)),
            ActivatedBy::Key(key) => (
                "Authority",
                format!("by key {}, with {} activations left on it", key.0, activation.count),
            ),
            ActivatedBy::Phone(key) => ("Vendor   ", format!("by phone, with key {}", key.0)),
        };
        match activation.host_id {
            Some(host_id) => {
                output.line(format_args!("{who}    {host_id}"));
                let date = date(activation.host_time);
                output.line(format_args!("             activated {date}, {on}"));
            }
            None => output.line(format_args!("{who}    activated {on}")),
        }
    }
    if let Some(key) = &installed.key {
        output.line(format_args!(
            "Key          {} is installed: the authority is asked",
            key.key_id.0
        ));
    }
    Ok(Exit::Done)
}

/// The JSON document of every client verb.
pub(super) fn document(installed: &Installed, client: &FindingClient<'_>, now: Now) -> Value {
    let licence = client.licence(now);
    let activation = client.activation().map_or(Value::Null, |activation| {
        let (by, key_id) = match activation.by {
            ActivatedBy::Count => ("count", None),
            ActivatedBy::Key(key) => ("key", Some(key.0)),
            ActivatedBy::Phone(key) => ("phone", Some(key.0)),
        };
        let signed = activation.host_id;
        json!({
            "by": by,
            "key_id": key_id,
            "host_id": signed.map(|host_id| host_id.to_string()),
            "host_time": signed.map(|_| date(activation.host_time)),
            "count": activation.count,
            "validity_minutes": activation.validity.map(|validity| validity.as_secs() / 60),
            "renewal_interval_minutes": activation.renewal_interval.0,
        })
    });
    let expires = licence.left.zip(now.clock).map(|(left, clock)| date(clock.after(left)));
    json!({
        "product": installed.product_file.name,
        "threshold": installed.product_file.threshold,
        "status": licence.status.name(),
        "activated": licence.status == LicenceStatus::Licensed,
        "seconds_left": licence.left.map(|left| left.as_secs()),
        "until": expires,
        "cmid": client.cmid().to_string(),
        "rearms_left": client.rearms_left(),
        "installed_key": installed.key.as_ref().map(|key| key.key_id.0),
        "activation": activation,
    })
}

/// That it is activated now, by what and for how long.
pub(super) fn activated(client: &FindingClient<'_>, now: Now) -> String {
    let licence = client.licence(now);
    let time =
        if licence.left.is_some() { format!("for {}", left(licence)) } else { "for ever".into() };
    let by = client.activation().map(|activation| match activation.by {
        ActivatedBy::Count => format!("The host counts {}.", activation.count),
        ActivatedBy::Key(key) => {
            format!("{} activations are left on key {}.", activation.count, key.0)
        }
        ActivatedBy::Phone(key) => format!("It was by phone, with key {}.", key.0),
    });
    format!("Activated {time}. {}", by.unwrap_or_default())
}

/// The time left, in its largest unit.
pub(super) fn left(licence: Licence) -> String {
    let Some(left) = licence.left else { return "no limit".into() };
    match left.as_secs() {
        seconds @ 0..7_200 => format!("{} minutes", seconds.div_ceil(60)),
        seconds @ 7_200..172_800 => format!("{} hours", seconds / 3_600),
        // To the nearest, or every new activation would seem to lack a day.
        seconds => format!("{} days", seconds.saturating_add(43_200) / 86_400),
    }
}

const fn words(status: LicenceStatus) -> &'static str {
    match status {
        LicenceStatus::Unlicensed => "not licensed",
        LicenceStatus::Licensed => "activated",
        LicenceStatus::InitialGrace => "initial grace: not activated yet",
        LicenceStatus::OutOfToleranceGrace => "the hardware has changed: activate again",
        LicenceStatus::NonGenuineGrace => "non-genuine grace",
        LicenceStatus::Notification => {
            "not activated, grace is over: full function, with reminders"
        }
        LicenceStatus::ExtendedGrace => "extended grace",
    }
}
