//! Keys that are read, with their readers. What stands below a key and is not supported is reported by the module that
//! reads it.

use super::{Key, Reader, Use};
use crate::document::Fields;
use crate::machine;
use crate::report::Messages;
use crate::userdata::CloudConfig;
use crate::userdata::login::{self, Secret};
use crate::userdata::{
    commands, containers, disks, distribution, entropy, files, host_keys, mounts, names, output, phone, power,
    services, swap, users,
};

const NAMES: &str = "the machine's name is the short one, and the full one is in /etc/hosts";
const HOST: &str = "a host name: letters, digits, hyphens and dots";

/// In the order in which they are read.
pub const KEYS: &[Key] = &[
    applied("hull", "settings of the OS, services of your own, containers", |fields, key, config, messages| {
        if let Some(node) = fields.take(key) {
            config.machine =
                machine::schema::read_but(node, key, &["services", "containers"], messages).unwrap_or_default();
            config.services = node.get("services").map(|node| services::read(node, "hull.services", messages));
            config.containers = node.get("containers").map(|node| containers::read(node, "hull.containers", messages));
        }
    }),
    applied("hostname", "name of the machine", |fields, key, config, messages| {
        let name = fields.checked(key, names::is_host, HOST, messages);
        config.machine.hostname = name.or(config.machine.hostname.take());
    }),
    applied("fqdn", "full name of the machine, in /etc/hosts", |fields, key, config, messages| {
        let name = fields.checked(key, names::is_host, HOST, messages);
        config.machine.fqdn = name.or(config.machine.fqdn.take());
    }),
    applied("preserve_hostname", "true: no name of document or datasource is used", |fields, key, config, messages| {
        config.preserve_hostname = fields.boolean(key, messages);
    }),
    applied("timezone", "time zone of the console; logs stay in UTC", |fields, key, config, messages| {
        let zone = fields.checked(key, names::is_timezone, "a name such as Europe/Vienna", messages);
        config.machine.timezone = zone.or(config.machine.timezone.take());
    }),
    partial("prefer_fqdn_over_hostname", NAMES, |fields, key, _, messages| {
        let place = fields.place_of(key);
        if fields.boolean(key, messages) == Some(true) {
            messages.warning(place, key, format!("ignored: {NAMES}"));
        }
    }),
    partial("vendor_data", "enabled: false leaves vendor data out; no prefix", |fields, key, config, messages| {
        config.vendor_data = fields.take(key).and_then(|node| login::vendor_data(node, key, messages));
    }),
    partial("vendor_data2", "as vendor_data, for the second vendor data", |fields, key, config, messages| {
        config.vendor_data2 = fields.take(key).and_then(|node| login::vendor_data(node, key, messages));
    }),
    partial("users", "accounts with keys, groups, sudo rules, passwords", |fields, key, config, messages| {
        config.users = fields.take(key).map(|node| users::read(node, messages));
    }),
    partial("user", "name of the default user, or what is different about it", |fields, key, config, messages| {
        config.default_user = fields.take(key).and_then(|node| login::default_user(node, messages));
    }),
    applied("ssh_authorized_keys", "keys of the default user", |fields, key, config, messages| {
        let keys = users::keys(fields, key, messages);
        config.keys = (!keys.is_empty()).then_some(keys);
    }),
    applied("password", "of the default user, plain or as hash", |fields, key, config, messages| {
        let text = fields.checked(key, login::is_password, "a password", messages);
        config.password = text.map(|text| if login::is_hash(&text) { Secret::Hash(text) } else { Secret::Plain(text) });
    }),
    partial("chpasswd", "passwords of users; none is made up, none expires", |fields, key, config, messages| {
        config.passwords = fields.take(key).map(|node| login::chpasswd(node, messages));
    }),
    applied("ssh_pwauth", "true: SSH takes passwords", |fields, key, config, messages| {
        config.ssh_passwords = fields.take(key).and_then(|node| login::ssh_passwords(node, messages));
    }),
    applied("groups", "groups and their members", |fields, key, config, messages| {
        config.groups = fields.take(key).map(|node| login::groups(node, messages));
    }),
    applied("disable_root", "false: root gets the keys of the default user", |fields, key, config, messages| {
        config.disable_root = fields.boolean(key, messages);
    }),
    applied("allow_public_ssh_keys", "false: keys of the datasource are not used", |fields, key, config, messages| {
        config.datasource_keys = fields.boolean(key, messages);
    }),
    applied("ssh_deletekeys", "true: a new instance makes host keys anew", |fields, key, config, messages| {
        config.renew_host_keys = fields.boolean(key, messages);
    }),
    partial("ssh_genkeytypes", "rsa is made besides ed25519 and ecdsa", |fields, key, config, messages| {
        config.host_key_types = host_keys::types(fields, key, messages);
    }),
    partial("ssh_keys", "host keys: ed25519, ecdsa, rsa; no certificates", |fields, key, config, messages| {
        config.host_keys = fields.take(key).map(|node| host_keys::read(node, messages));
    }),
    partial("ntp", "servers and pools; no client to choose", |fields, key, config, messages| {
        if let Some(time) = fields.take(key).and_then(|node| distribution::ntp(node, messages)) {
            config.machine.time.servers = config.machine.time.servers.take().or(time.servers);
        }
    }),
    partial("rsyslog", "the first remote server", |fields, key, config, messages| {
        if let Some(syslog) = fields.take(key).and_then(|node| distribution::rsyslog(node, messages)) {
            config.machine.syslog.remote = config.machine.syslog.remote.take().or(syslog.remote);
        }
    }),
    applied("ca_certs", "authorities that console and engine believe", ca_certs),
    applied("ca-certs", "as ca_certs; the older name", ca_certs),
    partial("resolv_conf", "servers and domains, with manage_resolv_conf", |fields, key, config, messages| {
        let managed = fields.boolean("manage_resolv_conf", messages) == Some(true);
        if let Some(dns) = fields.take(key).and_then(|node| distribution::resolv_conf(node, managed, messages)) {
            config.machine.dns = dns.overlaid_with(std::mem::take(&mut config.machine.dns));
        }
    }),
    applied("manage_resolv_conf", "true: resolv_conf counts", |fields, key, _, messages| {
        // Without resolv_conf, which took it.
        fields.boolean(key, messages);
    }),
    applied("bootcmd", "commands at every boot, before mounts and users", |fields, key, config, messages| {
        config.bootcmd = fields.take(key).map(|node| commands::read(node, key, messages));
    }),
    applied("device_aliases", "other names for devices", |fields, key, config, messages| {
        config.aliases = fields.take(key).map(|node| disks::aliases(node, messages));
    }),
    partial(
        "disk_setup",
        "partitions of data disks; nothing is overwritten unasked",
        |fields, key, config, messages| {
            config.disks = fields.take(key).map(|node| disks::disks(node, messages));
        },
    ),
    partial("fs_setup", "ext2, ext3, ext4, vfat, swap on data disks; no cmd", |fields, key, config, messages| {
        config.file_systems = fields.take(key).map(|node| disks::file_systems(node, messages));
    }),
    applied("swap", "a swap file on the state partition", |fields, key, config, messages| {
        config.swap = fields.take(key).and_then(|node| swap::read(node, messages));
    }),
    partial("mounts", "disks and network file systems, by the system daemon", |fields, key, config, messages| {
        let defaults = fields.take("mount_default_fields").and_then(|node| mounts::defaults(node, messages));
        let defaults = defaults.unwrap_or_default();
        config.mounts = fields.take(key).map(|node| mounts::read(node, &defaults, messages));
    }),
    applied("mount_default_fields", "type and options of mounts without them", |fields, key, _, messages| {
        // Without mounts, which took it.
        if let Some(node) = fields.take(key) {
            mounts::defaults(node, messages);
        }
    }),
    partial("write_files", "files; none is fetched", |fields, key, config, messages| {
        config.files = fields.take(key).map(|node| files::read(node, messages));
    }),
    applied("output", "where commands and scripts print to, instead of the log", |fields, key, config, messages| {
        config.output = fields.take(key).and_then(|node| output::read(node, messages));
    }),
    applied("runcmd", "commands once per instance, when the engine answers", |fields, key, config, messages| {
        config.runcmd = fields.take(key).map(|node| commands::read(node, key, messages));
    }),
    partial("random_seed", "bytes for the kernel's random numbers; no command", |fields, key, config, messages| {
        config.seed = fields.take(key).and_then(|node| entropy::read(node, messages));
    }),
    applied("manual_cache_clean", "true: later media and clouds are not looked at", |fields, key, config, messages| {
        config.trust_kept = fields.boolean(key, messages);
    }),
    applied("disable_ec2_metadata", "true: no way to 169.254.169.254 after boot", |fields, key, config, messages| {
        config.disable_metadata = fields.boolean(key, messages);
    }),
    applied("phone_home", "a POST with host keys and names when all is done", |fields, key, config, messages| {
        config.phone = fields.take(key).and_then(|node| phone::read(node, messages));
    }),
    partial("final_message", "on the console, with its variables; no template", |fields, key, config, messages| {
        config.final_message = fields.text(key, messages);
    }),
    applied("power_state", "the end of the machine when all else is done", |fields, key, config, messages| {
        config.power = fields.take(key).and_then(|node| power::read(node, messages));
    }),
];

fn ca_certs(fields: &mut Fields<'_>, key: &str, config: &mut CloudConfig, messages: &mut Messages) {
    if let Some(trust) = fields.take(key).and_then(|node| distribution::ca_certs(node, key, messages)) {
        config.machine.trust = trust.overlaid_with(std::mem::take(&mut config.machine.trust));
    }
}

const fn applied(name: &'static str, phrase: &'static str, reader: Reader) -> Key {
    Key { name, verdict: Use::Applied(reader), phrase }
}

const fn partial(name: &'static str, phrase: &'static str, reader: Reader) -> Key {
    Key { name, verdict: Use::Partial(reader), phrase }
}
