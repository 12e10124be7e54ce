//! Whether the boot is done, from the states of all services. Pure.

use serde::Serialize;

/// State of the boot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Boot {
    /// Something required is not up yet.
    #[default]
    Starting,
    /// Every required service is ready and healthy, the user engine among them.
    Complete,
    /// Everything has been tried, and these services are not well.
    Degraded(Vec<String>),
}

/// Words of `GET /hull/status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    /// [`Boot::Starting`].
    Starting,
    /// [`Boot::Complete`].
    Complete,
    /// [`Boot::Degraded`].
    Degraded,
}

/// What the decision needs of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Name.
    pub name: String,
    /// Part of a complete boot.
    pub required: bool,
    /// Nobody waits for it any more.
    pub settled: bool,
    /// Ready or ended well, and not unhealthy; `None` while its first health check is out.
    pub well: Option<bool>,
}

impl Boot {
    /// The word of it.
    pub fn word(&self) -> Word {
        match self {
            Self::Starting => Word::Starting,
            Self::Complete => Word::Complete,
            Self::Degraded(_) => Word::Degraded,
        }
    }

    /// The next state. A complete boot stays complete: what fails later is the service's state, not the boot's.
    pub fn next(&self, services: &[Input]) -> Self {
        if *self == Self::Complete {
            return Self::Complete;
        }
        let mut required = services.iter().filter(|service| service.required);
        if required.all(|service| service.well == Some(true)) {
            return Self::Complete;
        }
        if services.iter().any(|service| !service.settled || (service.well.is_none() && service.required)) {
            return self.clone();
        }
        let bad = services.iter().filter(|service| service.required && service.well == Some(false));
        Self::Degraded(bad.map(|service| service.name.clone()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(name: &str, required: bool, settled: bool, well: Option<bool>) -> Input {
        Input { name: name.into(), required, settled, well }
    }

    #[test]
    fn decisions() {
        let up = input("up", true, true, Some(true));
        let bad = input("bad", true, true, Some(false));
        let extra = input("extra", false, false, Some(false));
        for (name, services, expected) in [
            ("all required up, an extra still starting", vec![up.clone(), extra.clone()], Boot::Complete),
            ("one bad, others still starting", vec![up.clone(), bad.clone(), extra], Boot::Starting),
            ("one bad", vec![up.clone(), bad.clone()], Boot::Degraded(vec!["bad".into()])),
            ("health unknown", vec![up, input("h", true, true, None)], Boot::Starting),
        ] {
            assert_eq!(Boot::Starting.next(&services), expected, "{name}");
        }
        assert_eq!(Boot::Complete.next(std::slice::from_ref(&bad)), Boot::Complete);
        assert_eq!(Boot::Degraded(vec!["bad".into()]).next(&[]), Boot::Complete);
    }
}
