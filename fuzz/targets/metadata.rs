//! What metadata services and servers of include lists answer: the same bytes to every request.
#![no_main]

use hull_cloud_config::fetch::transport::{Answer, Request, Transport};
use hull_cloud_config::attempts::Patience;
use hull_cloud_config::fetch::all;
use hull_cloud_config::report::Messages;
use hull_cloud_config::seed::base::{Location, Name};
use hull_cloud_config::seed::exchange::Wanted;
use hull_cloud_config::seed::meta;
use hull_cloud_config::seed::platform::Origin;
use libfuzzer_sys::fuzz_target;
use std::time::Duration;

/// One attempt.
const ONCE: Patience = Patience { whole: Duration::ZERO, first: Duration::ZERO, longest: Duration::ZERO };

#[derive(Debug)]
struct Server<'b>(&'b [u8]);

impl Transport for Server<'_> {
    fn send(&self, _: &Request) -> anyhow::Result<Answer> {
        Ok(Answer { status: 200, location: None, body: self.0.to_vec() })
    }
}

fuzz_target!(|data: &[u8]| {
    let clouds = Origin::PLATFORMS.into_iter().chain([Origin::NoCloud("http://seed/".into())]);
    for origin in clouds {
        let is_cloud = !matches!(origin, Origin::NoCloud(_) | Origin::OpenStack);
        let base = Some(Location { name: Name::CloudConfigUrl, url: "http://base/".into() });
        let wanted = Wanted { origin: Some(origin), include: vec!["http://list/".into()], base };
        let Some(medium) = all(wanted, &Server(data), ONCE).medium else { continue };
        // Whatever else a document holds, it does not cost the identity.
        let meta = meta::parse(medium.meta_data.as_deref().unwrap_or_default(), &mut Messages::new("meta-data"));
        assert!(!is_cloud || meta.instance_id.is_some());
    }
});
