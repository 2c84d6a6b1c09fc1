//! Everything that `headcount explain` knows, as data.

use super::entry::{Entry, exit, licence, silence, status};

pub(super) const ENTRIES: &[Entry] = &[
    status(
        0,
        "success",
        "The request was granted.",
        &["Of a host: it has counted the machine. Whether that activates it the client decides, \
             by comparing the count with its product's threshold."],
        &["Counted but not activated? Then the count is below the threshold: see exit:3."],
    ),
    status(
        1,
        "unknown_product",
        "The host has no pool for this product.",
        &[
            "The product's file is not listed in the host's host.toml, or the host was not \
             restarted since.",
            "Host and client have product files with different ids, for instance of two editions.",
            "The client asks a host that was set up for other products.",
        ],
        &[
            "Add the product file to 'products' in host.toml and restart the host.",
            "Compare application_id, activation_id and counted_id in the two product files.",
        ],
    ),
    status(
        2,
        "not_covered",
        "The host's certificate or the key does not cover this product, or the method is not this \
         service's.",
        &[
            "The product is newer (generation) or of a higher group (rank) than the host key that \
             the host was enrolled with.",
            "The host's platform_rank in host.toml lowered the rank when it was enrolled.",
            "The product is of another family.",
            "A request by count went to the authority, or one by key to a host.",
            "A client's multiple activation key is of another product, or of an older generation.",
            "The authority's folder has no file of the product any more.",
        ],
        &[
            "Of a client with a key: 'headcount client status' shows which one is installed. Ask the \
             vendor for one that covers the product.",
            "See what the certificate covers: 'headcount host status'.",
            "Get a host key from the vendor that covers the product, and enrol the host with it.",
        ],
    ),
    status(
        3,
        "clock_skew",
        "The clocks of the two sides are more than 240 minutes apart.",
        &[
            "The clock shows the right local time in the wrong time zone: UTC is compared.",
            "The client's clock is wrong: an empty battery, or a virtual machine that was resumed \
             or restored from a snapshot.",
            "The host's clock is wrong; then all clients are refused.",
        ],
        &[
            "Compare 'date -u' on both machines, set the wrong clock, and activate again.",
            "Let a time server keep both clocks.",
        ],
    ),
    status(
        4,
        "not_enrolled",
        "The host's certificate is not valid now.",
        &[
            "The certificate has expired.",
            "The host's clock is wrong, so that a good certificate looks expired or not yet valid.",
            "Of the authority: its own certificate for the product has ended.",
        ],
        &[
            "Compare the certificate's dates with 'date -u' on the host: 'headcount host status'.",
            "Enrol the host again; with the same folder it counts as the same host.",
            "Of the authority: tell the vendor.",
        ],
    ),
    status(
        5,
        "unknown_key",
        "The authority has not issued this product key.",
        &[
            "The key is of another authority, for instance of a test one.",
            "The authority's database was put back to an older copy.",
        ],
        &[
            "On a client: 'headcount client status' shows the number of the installed key, and \
             'headcount client install-key' installs another one. What is activated stays so.",
            "The vendor: compare the key id in the request ('headcount inspect') with 'headcount \
             authority key list'.",
        ],
    ),
    status(
        6,
        "key_exhausted",
        "No activations or hosts are left on the key.",
        &[
            "Hosts were set up anew instead of restored: a new host.key is a new host, and each \
             takes one of the key's places (6 by default).",
            "One host was enrolled again and again (10 times by default), perhaps by a script.",
            "More hosts, or more machines with a MAK, than were agreed on.",
            "Machines were rearmed or their hardware changed: each is another machine to a MAK then.",
        ],
        &[
            "A machine whose disk was made anew needs no new activation: give it the old request and \
             answer with 'headcount client apply'.",
            "Restore the old host's folder, host.key above all, instead of making a new one.",
            "Ask the vendor for a higher limit or another key; the vendor sees the use in \
             'headcount authority key list', 'hosts' and 'activations', and raises the limit with \
             'headcount authority key limit'.",
        ],
    ),
    status(
        7,
        "key_blocked",
        "The vendor has blocked the key.",
        &["It leaked, was replaced by another one, or the contract has ended."],
        &[
            "A client that was activated with it before stays activated. For others install another \
             key: 'headcount client install-key'.",
            "Ask the vendor for another key. The vendor can lift it: 'headcount authority key unblock'.",
        ],
    ),
    status(
        8,
        "busy",
        "The authority limits how often it is asked.",
        &["Too many requests came at once."],
        &["Wait for the activation interval (2 hours by default); a client that runs does so by \
             itself, and 'headcount client activate' may be run again then. Nothing was used up."],
    ),
    exit(0, "done", "Done, or activated.", &[], &[]),
    exit(
        1,
        "failed",
        "A file, a socket or the system failed, or what was to be inspected is malformed.",
        &[
            "A file is missing or belongs to another user: secrets can only be read by their owner.",
            "The port is taken, or below 1024 and not allowed.",
            "The disk is full or read only.",
            "With 'authority': another command has the folder, or a service that does not answer.",
        ],
        &["The message names the file or address and the system's reason."],
    ),
    exit(
        2,
        "usage",
        "Wrong arguments or configuration.",
        &[
            "An argument is missing or mistyped.",
            "A configuration file has an unknown or wrong field.",
        ],
        &["'--help' after any verb shows its arguments and an example."],
    ),
    exit(
        3,
        "below_threshold",
        "The host counts fewer machines than the product needs.",
        &[
            "There are not enough machines yet, or they have not all asked yet.",
            "Machines were cloned from one image and share one CMID, so they count as one. A host \
             that sees this tells them, and they rearm by themselves with their next try.",
            "There are several hosts, and each counts only its own clients.",
            "Machines that have not asked for 30 days are no longer counted.",
        ],
        &[
            "Compare count and required count: 'headcount host status'.",
            "Point all machines at one host.",
            "Nothing else: machines ask again by themselves, every two hours unless the host says \
             otherwise.",
        ],
    ),
    exit(
        4,
        "refused",
        "The host or the authority answered with a refusal.",
        &[
            "The message names the status code.",
            "The clocks are more than 240 minutes apart (status 3): the client says by how much, and \
             does not believe the answer for anything else.",
            "Without a status code: the product cannot be rearmed by hand any more, or a name server \
             does not permit what 'host dns' asks of it.",
        ],
        &["'headcount explain status:CODE' tells more of it."],
    ),
    exit(
        5,
        "nobody_answered",
        "No host answered.",
        &[
            "The host is not running, or its name or port is wrong (1688 unless set otherwise).",
            "A firewall drops the traffic; UDP more often than TCP.",
            "The host is silent on purpose: not enrolled, or it does not know the product's setup \
             key.",
            "No host is set by hand, and none has published itself in the domains that were asked, \
             or the name servers do not answer.",
            "With 'host dns': the name server is down, or its address is wrong.",
        ],
        &[
            "Look at the host: 'headcount host status' counts the frames it did not answer, by \
             reason. Does no count rise, the request never arrived.",
            "Try the other transport: '--transport tcp' or '--transport udp'.",
            "See what DNS says: 'headcount client discover --check'.",
        ],
    ),
    exit(
        6,
        "not_trusted",
        "The answer or request is not to be trusted.",
        &[
            "It is of another vendor or another authority: the product's root key did not sign it.",
            "It answers another request.",
            "It was changed on the way.",
            "With 'authority answer' or 'phone': it was made with a key of another authority.",
            "The host's clock is far behind what a host has said before.",
            "With 'host dns': the name server did not sign its answer, or it is no name server.",
        ],
        &[
            "The message names the check that failed.",
            "'headcount inspect --product FILE' checks a stored frame.",
        ],
    ),
    exit(
        7,
        "damaged_state",
        "Local state is damaged: neither of its two copies can be used.",
        &[
            "The disk or its file system is damaged.",
            "The files were edited, or copied while they were written.",
            "A newer version of headcount has written them.",
        ],
        &[
            "See what is wrong: 'headcount inspect' on the files that end in .a and .b.",
            "Restore them from a backup, or move both away and start anew: a host counts its \
             clients again as they ask; a client starts as a new machine.",
        ],
    ),
    exit(130, "interrupted", "Stopped by Ctrl-C or a signal.", &[], &[]),
    licence(
        0,
        "unlicensed",
        "Not licensed, and no grace runs.",
        &["The product has not been started yet."],
        &["Activate it: 'headcount client activate'."],
    ),
    licence(1, "licensed", "Activated.", &[], &["Nothing: it is renewed by itself, every 7 days."]),
    licence(
        2,
        "initial_grace",
        "Never activated yet, within the time after installation (30 days by default).",
        &["A new machine, or one that was rearmed by hand."],
        &["Activate it before the grace ends; see exit:3 or exit:5 if that fails."],
    ),
    licence(
        3,
        "out_of_tolerance_grace",
        "The hardware has changed more than the product tolerates.",
        &[
            "A virtual machine or a disk was moved to other hardware.",
            "Board, disk or network card were replaced.",
            "The machine's identity can no longer be read, as in some containers.",
        ],
        &["Activate again; that takes one exchange, and the machine is not counted twice."],
    ),
    licence(
        4,
        "non_genuine_grace",
        "Grace of a copy that is not genuine.",
        &["Only a product that sets it itself; no part of headcount does."],
        &["Ask the product's vendor."],
    ),
    licence(
        5,
        "notification",
        "Grace or validity is over: the product reminds, and works in full.",
        &[
            "The host has not been reached for the validity of the activation (180 days by \
             default), as with laptops that are away.",
            "The count never reached the threshold within the initial grace.",
            "The stored activation was rejected: copied from another machine, or edited.",
        ],
        &["Bring the machine into the network of its host, or point it to one that it reaches: \
             'headcount client activate --host NAME:PORT'."],
    ),
    licence(
        6,
        "extended_grace",
        "Grace that the vendor has extended.",
        &["Only a product that sets it itself; no part of headcount does."],
        &["Activate before it ends."],
    ),
    silence(
        "malformed",
        "The frame breaks the rules of the protocol.",
        &[
            "Something else than headcount sent it: a port scanner, or a client of another vendor's \
             activation service, which uses the same port by default.",
            "A product speaks a newer version of the protocol.",
        ],
        &["Capture the 250 bytes and look: 'headcount inspect' names the byte."],
    ),
    silence(
        "rate_limited",
        "The sender asks too often.",
        &[
            "Many machines come through one address (NAT, a proxy) at the same time.",
            "A machine asks in a loop.",
        ],
        &[
            "Raise request_burst under [limits] in host.toml if the address stands for many machines.",
        ],
    ),
    silence(
        "no_certificate",
        "The host is not enrolled.",
        &["The host was never enrolled.", "The enrolment's response was not applied yet."],
        &["Enrol it: 'headcount host enrol'."],
    ),
    silence(
        "no_clock",
        "The host does not know what time it is, so its answer could not be believed.",
        &["A device without a battery-backed clock that has not reached a time server yet."],
        &["Set the clock."],
    ),
    silence(
        "unknown_key",
        "The request names a setup key that the host does not know.",
        &[
            "The product's file is not listed in host.toml.",
            "The product was shipped with another setup key than the host's product file has.",
            "The client is another vendor's.",
        ],
        &["Compare the key id of the request ('headcount inspect') with the product file's \
             setup_key ('headcount inspect' on the key)."],
    ),
    silence(
        "bad_tag",
        "The sender does not hold the product's setup key.",
        &[
            "Client and host have setup keys of two authorities, for instance a test and a real one.",
            "The frame was changed on the way.",
            "Somebody tries.",
        ],
        &["Give client and host the same product file."],
    ),
    silence(
        "signer_failed",
        "The host could not sign its answer.",
        &["The secure element or HSM that holds the host's key failed."],
        &["See the host's log for its reason."],
    ),
];
