//! `.network` files: what an interface is a part of, its addresses, routes and name servers.

use super::devices::match_section;
use super::{line, section, yes};
use crate::machine::network::parameters::{BRIDGE, Kind, PRIMARY, Parameter};
use crate::machine::network::{DhcpOverrides, Link, Network, Route};

/// The file of one interface; `card` is false for those that networkd makes.
pub(super) fn network_file(network: &Network, id: &str, link: &Link, card: bool) -> String {
    let mut text = if card { match_section(id, link, false) } else { format!("[Match]\nName={id}\n") };
    let mut lines = String::new();
    line(&mut lines, "MTUBytes", link.mtu);
    line(&mut lines, "MACAddress", link.macaddress.as_ref().filter(|_| card));
    line(&mut lines, "RequiredForOnline", link.optional.and_then(|on| on.then_some("no")));
    section(&mut text, "Link", &lines);
    text += "\n[Network]\n";
    let (member, port) = memberships(&mut text, network, id, link);
    addressing(&mut text, network, id, link, member);
    for server in link.nameservers.iter().flat_map(|servers| &servers.addresses) {
        line(&mut text, "DNS", Some(server));
    }
    let search = link.nameservers.as_ref().map(|servers| servers.search.join(" ")).filter(|text| !text.is_empty());
    line(&mut text, "Domains", search);
    section(&mut text, "Bridge", &port);
    routes(&mut text, link);
    rules(&mut text, link);
    dhcp_sections(&mut text, link);
    text
}

fn addressing(text: &mut String, network: &Network, id: &str, link: &Link, member: bool) {
    let dhcp = match (link.dhcp4.unwrap_or(false), link.dhcp6.unwrap_or(false)) {
        (true, true) => "yes",
        (true, false) => "ipv4",
        (false, true) => "ipv6",
        (false, false) => "no",
    };
    line(text, "DHCP", Some(dhcp));
    // A restart of the service leaves the machine reachable.
    line(text, "KeepConfiguration", (dhcp != "no").then_some("dhcp-on-stop"));
    let families = link.link_local.as_ref().map(|families| match families.as_slice() {
        [] => "no",
        [one] => one,
        _ => "yes",
    });
    line(text, "LinkLocalAddressing", families.or(member.then_some("no")));
    line(text, "IPv6AcceptRA", link.accept_ra.map(yes).or(member.then_some("no")));
    for address in &link.addresses {
        line(text, "Address", Some(address));
    }
    let is_virtual =
        network.bonds.contains_key(id) || network.bridges.contains_key(id) || network.vlans.contains_key(id);
    let bare = is_virtual && link.addresses.is_empty() && dhcp == "no" && !member;
    let alone = network.bridges.contains_key(id) && link.interfaces.is_empty();
    if bare || alone {
        // Without a lower layer's carrier a bare bridge would never be configured.
        text.push_str("ConfigureWithoutCarrier=yes\n");
    }
}

/// Bond, bridge and VLANs that stand on this interface: true when it is a member of one of the first two, and the
/// settings it has as a port of the bridge.
fn memberships(text: &mut String, network: &Network, id: &str, link: &Link) -> (bool, String) {
    let names = [Some(id), link.set_name.as_deref()];
    let is_me = |name: &String| names.contains(&Some(name.as_str()));
    let mut member = false;
    let mut port = String::new();
    for (key, masters) in [("Bond", &network.bonds), ("Bridge", &network.bridges)] {
        for (master, settings) in masters.iter().filter(|(_, settings)| settings.interfaces.iter().any(is_me)) {
            line(text, key, Some(master));
            member = true;
            if matches!(settings.parameters.get(PRIMARY), Some(Parameter::Word(name)) if is_me(name)) {
                text.push_str("PrimarySlave=yes\n");
            }
            for setting in BRIDGE.iter().filter(|setting| matches!(setting.kind, Kind::Ports(_))) {
                if let Some(Parameter::Ports(ports)) = settings.parameters.get(setting.name) {
                    let own = ports.iter().find(|(name, _)| is_me(name)).map(|(_, number)| number);
                    line(&mut port, setting.key, own);
                }
            }
        }
    }
    for (vlan, settings) in &network.vlans {
        if settings.link.as_ref().is_some_and(is_me) {
            line(text, "VLAN", Some(vlan));
        }
    }
    (member, port)
}

fn routes(text: &mut String, link: &Link) {
    for gateway in [&link.gateway4, &link.gateway6].into_iter().flatten() {
        let default = Route { to: "default".into(), via: Some(gateway.clone()), ..Route::default() };
        section(text, "Route", &route(link, &default));
    }
    for given in &link.routes {
        section(text, "Route", &route(link, given));
    }
}

fn route(link: &Link, route: &Route) -> String {
    let mut lines = String::new();
    // networkd takes the family of the gateway.
    line(&mut lines, "Destination", Some(&route.to).filter(|to| *to != "default"));
    line(&mut lines, "Gateway", route.via.as_ref());
    let gateway = route.via.as_ref().and_then(|via| via.parse().ok());
    let beyond = gateway.is_some_and(|gateway| link.is_beyond(gateway));
    line(&mut lines, "GatewayOnLink", route.on_link.or(beyond.then_some(true)).map(yes));
    line(&mut lines, "Metric", route.metric);
    line(&mut lines, "Table", route.table);
    line(&mut lines, "PreferredSource", route.from.as_ref());
    line(&mut lines, "Scope", route.scope.as_ref());
    line(&mut lines, "MTUBytes", route.mtu);
    line(&mut lines, "Type", route.kind.as_ref());
    lines
}

fn rules(text: &mut String, link: &Link) {
    for rule in &link.routing_policy {
        let mut lines = String::new();
        line(&mut lines, "From", rule.from.as_ref());
        line(&mut lines, "To", rule.to.as_ref());
        line(&mut lines, "Table", rule.table);
        line(&mut lines, "Priority", rule.priority);
        line(&mut lines, "FirewallMark", rule.mark);
        line(&mut lines, "TypeOfService", rule.type_of_service);
        section(text, "RoutingPolicyRule", &lines);
    }
}

fn dhcp_sections(text: &mut String, link: &Link) {
    let none = DhcpOverrides::default();
    let metric6 = link.dhcp6_overrides.as_ref().and_then(|overrides| overrides.route_metric);
    if link.dhcp4 == Some(true) {
        let overrides = link.dhcp4_overrides.as_ref().unwrap_or(&none);
        let mut lines = String::new();
        // The machine has one identity, with and without a configuration of its network.
        let identifier = link.dhcp_identifier.as_deref().unwrap_or("mac");
        line(&mut lines, "ClientIdentifier", Some(identifier));
        lease(&mut lines, overrides);
        line(&mut lines, "UseMTU", overrides.use_mtu.map(yes));
        line(&mut lines, "UseRoutes", overrides.use_routes.map(yes));
        line(&mut lines, "RouteMetric", overrides.route_metric);
        section(text, "DHCPv4", &lines);
    }
    if link.dhcp6 == Some(true) {
        let mut lines = String::new();
        lease(&mut lines, link.dhcp6_overrides.as_ref().unwrap_or(&none));
        // The client is started by router advertisements, else by nothing.
        line(&mut lines, "WithoutRA", (link.accept_ra == Some(false)).then_some("solicit"));
        section(text, "DHCPv6", &lines);
    }
    // Over IPv6 routes come with router advertisements, not with DHCP.
    let mut lines = String::new();
    line(&mut lines, "RouteMetric", metric6);
    section(text, "IPv6AcceptRA", &lines);
}

fn lease(lines: &mut String, overrides: &DhcpOverrides) {
    line(lines, "UseDNS", overrides.use_dns.map(yes));
    line(lines, "UseDomains", overrides.use_domains.map(yes));
    line(lines, "UseNTP", overrides.use_ntp.map(yes));
    // There is nobody to set it; the machine is named by its configuration.
    line(lines, "UseHostname", Some("no"));
    line(lines, "SendHostname", overrides.send_hostname.map(yes));
    line(lines, "Hostname", overrides.hostname.as_ref());
}
