//! Keys that are not read: what they ask for is so anyway, or cannot be had here.

use super::{Key, Use};

/// Nothing is lost without these.
pub const MOOT: &[Key] = &[
    moot("growpart", "the state partition grows to the end of the disk at every boot"),
    moot("resize_rootfs", "the state partition grows to the end of the disk at every boot"),
    moot("resize_rootfs_tmp", "the state partition grows to the end of the disk at every boot"),
    moot("manage_etc_hosts", "the own name is always in /etc/hosts, and other lines are kept"),
    moot("create_hostname_file", "/etc/hostname is always there"),
    moot("disable_root_opts", "root has no keys unless disable_root is false or users gives it some"),
    moot("ssh_quiet_keygen", NOT_PRINTED),
    moot("ssh_fp_console_blacklist", NOT_PRINTED),
    moot("ssh_key_console_blacklist", NOT_PRINTED),
    moot("no_ssh_fingerprints", NOT_PRINTED),
    moot("authkey_hash", NOT_PRINTED),
    moot("ssh", NOT_PRINTED),
    moot("ssh_publish_hostkeys", "no datasource here takes host keys"),
    moot("updates", "the network is configured at every boot"),
    moot("cloud_init_modules", NO_MODULES),
    moot("cloud_config_modules", NO_MODULES),
    moot("cloud_final_modules", NO_MODULES),
    moot("merge_how", "it says how this part joins those before it, and has been followed"),
    moot("merge_type", "it says how this part joins those before it, and has been followed"),
    moot("launch-index", "all parts are for this machine"),
    moot("version", NO_MEANING),
    moot("migrate", NO_MEANING),
    moot("def_log_file", NO_MEANING),
    moot("log_cfgs", NO_MEANING),
    moot("syslog_fix_perms", NO_MEANING),
    moot("datasource_list", "all datasources that are supported are looked for"),
    moot("byobu_by_default", "there is no byobu"),
    moot("grub_dpkg", "the boot loader belongs to the image"),
    moot("grub-dpkg", "the boot loader belongs to the image"),
    moot("apt_pipelining", "there is no apt"),
    moot("disable_piwiz", NO_BOARD),
];

/// These ask for something that is not there; the phrase says what is.
pub const REPORTED: &[Key] = &[
    reported("packages", PACKAGES),
    reported("package_update", PACKAGES),
    reported("package_upgrade", PACKAGES),
    reported("package_reboot_if_required", PACKAGES),
    reported("apt", PACKAGES),
    reported("apt_update", PACKAGES),
    reported("apt_upgrade", PACKAGES),
    reported("apt_sources", PACKAGES),
    reported("apt_mirror", PACKAGES),
    reported("apt_reboot_if_required", PACKAGES),
    reported("repo_update", PACKAGES),
    reported("repo_upgrade", PACKAGES),
    reported("apk_repos", PACKAGES),
    reported("yum_repos", PACKAGES),
    reported("yum_repo_dir", PACKAGES),
    reported("zypper", PACKAGES),
    reported("snap", PACKAGES),
    reported("ansible", MANAGED),
    reported("chef", MANAGED),
    reported("puppet", MANAGED),
    reported("salt_minion", MANAGED),
    reported("mcollective", MANAGED),
    reported("landscape", SUBSCRIBED),
    reported("rh_subscription", SUBSCRIBED),
    reported("spacewalk", SUBSCRIBED),
    reported("ubuntu_advantage", SUBSCRIBED),
    reported("ubuntu_pro", SUBSCRIBED),
    reported("drivers", "drivers are part of the kernel of the image"),
    reported("autoinstall", "the disk image is the installed system; write it to the disk"),
    reported("lxd", "there is no lxd; run containers with docker (see runcmd)"),
    reported("fan", "there is no fan networking; docker networks connect containers"),
    reported("wireguard", "run WireGuard in a container with --network host and NET_ADMIN (see runcmd)"),
    reported("locale", "the locale is C.UTF-8 everywhere; set another one in the container that needs it"),
    reported("locale_configfile", "the locale is C.UTF-8 everywhere"),
    reported("keyboard", "the screen has the US layout; ssh and serial lines use that of the other side"),
    reported("ssh_import_id", "no keys are fetched from the network; use ssh_authorized_keys"),
    reported("system_info", "it describes a distribution; user changes the default user"),
    reported("reporting", "events go to the log; hull: syslog sends it to a server, phone_home tells of the end"),
    reported("datasource", "datasources have no settings"),
    reported("enable_rpi_connect", NO_BOARD),
    reported("rpi_interfaces", NO_BOARD),
    reported("rpi_userconf", NO_BOARD),
    reported("network", "use hull: network, or the medium's network-config"),
    reported("docker", "use hull: engine"),
    reported("rancher", "RancherOS keys: use hull"),
    reported("coreos", "CoreOS keys: run units as containers"),
];

const fn moot(name: &'static str, phrase: &'static str) -> Key {
    Key { name, verdict: Use::Moot, phrase }
}

const fn reported(name: &'static str, phrase: &'static str) -> Key {
    Key { name, verdict: Use::Reported, phrase }
}

const PACKAGES: &str = "there is no package manager; run the program as a container (see runcmd)";
const MANAGED: &str = "the system is configured by this document alone; run an agent as a container (see runcmd)";
const SUBSCRIBED: &str = "it belongs to another distribution";
const NO_BOARD: &str = "it is for a Raspberry Pi";
const NO_MODULES: &str = "there are no modules to choose: every key that is given is looked at";
const NOT_PRINTED: &str = "keys and fingerprints are not printed on the console";
const NO_MEANING: &str = "it has no meaning here";
