//! Enrolment where nothing but a voice gets through (PROTOCOL 14).

use headcount::daemon::{Clock, EnrolmentKey, SystemClock};
use headcount::phone::{HostConfirmation, HostInstallationId, InvalidNumber};
use headcount::trust;
use serde_json::json;

use super::report;
use crate::host::Installed;
use crate::output::{Exit, Output, Problem};
use crate::spoken;

/// Shows the installation id, to be read to the vendor.
pub(super) fn ask(host: &Installed, key: &EnrolmentKey, output: Output) -> Result<Exit, Problem> {
    let applicant = host.applicant()?;
    let (rank, public_key) = (applicant.platform_rank(), applicant.public_key());
    let id = HostInstallationId::for_host(key.key_id, rank, &public_key, &key.tag_key);
    let groups = id.groups();
    output.document(&json!({
        "installation_id": id.to_string(),
        "groups": groups.map(|group| group.to_string()),
        "host_id": trust::host_id(&public_key).to_string(),
        "key_id": key.key_id.0,
    }));
    output.line("Read this installation id to the vendor:\n");
    spoken::show(&groups, output);
    output.line(
        "\nThen type what the vendor reads back: headcount host enrol --phone --confirm --config DIR",
    );
    Ok(Exit::Done)
}

/// Takes the confirmation id that the vendor reads back.
pub(super) fn confirm(
    host: &Installed,
    groups: &[String],
    output: Output,
) -> Result<Exit, Problem> {
    // A host without products knows no root key, and would believe nothing.
    host.products()?;
    let applicant = host.applicant()?;
    let groups = spoken::read(groups)?;
    let confirmation = HostConfirmation::from_groups(&groups).map_err(unreadable)?;
    let confirmed = confirmation.verify(&applicant.public_key(), applicant.roots());
    let certificate = confirmed.map_err(|untrusted| {
        Problem::new(Exit::NotTrusted, format!("this does not enrol this host: {untrusted}"))
            .advise("Was it read out for another host's id, or by another vendor?")
    })?;
    let clock = SystemClock::start().now().clock;
    host.files.write_certificate(&certificate)?;
    report(&certificate, output);
    if clock.is_some_and(|clock| !certificate.claims.valid_at(clock)) {
        output.line("It is not valid by this machine's clock: compare that with 'date -u'.");
    }
    Ok(Exit::Done)
}

fn unreadable(invalid: InvalidNumber) -> Problem {
    Problem::new(Exit::Usage, invalid).advise("Is it the number that the vendor read out?")
}
