//! Which connection point a document that ION sends belongs to, or why none (design.md §9).
//!
//! Pure, and swapped as a whole whenever a database's settings were read: no request sees half of a change.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ids::DocumentType;
use super::incoming::{InboundPlan, InboundRules};

/// ION's word for "by the data flow": the connection point is told by the document.
const DEFAULT_RECEIVER: &str = "lid://default";

/// A connection point that receives.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// The number of its database.
    pub site: usize,
    pub plan: InboundPlan,
    /// Document names that it sends, for discovery.
    pub sends: Vec<String>,
    /// Why nothing may be stored now, though it is listed.
    pub blocked: Option<String>,
}

/// Every connection point that receives, by tenant.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Routes {
    /// Tenants compare without case (spec/ims.md §5.1): lower case here.
    by_tenant: BTreeMap<String, Vec<Arc<Route>>>,
    /// A database whose settings were never read: what is not listed may be listed there.
    unread: Option<String>,
}

/// Where a document goes.
#[derive(Debug, Clone, PartialEq)]
pub enum Routed {
    To(Arc<Route>, InboundRules),
    /// Nobody receives it here; the connection point, where one is meant.
    Unlisted {
        connection_point: Option<String>,
        reason: String,
    },
    /// Somebody will: it should come again.
    NotYet(String),
}

/// What a document is routed by.
#[derive(Debug, Clone, Copy)]
pub struct Addressed<'a> {
    pub tenant_id: &'a str,
    pub to_logical_id: &'a str,
    pub document_name: &'a str,
    /// Segments of the path before `service`: one of them may name the connection point.
    pub prefix: &'a [&'a str],
}

impl Routes {
    /// `unread`: the name of a database whose settings were never read.
    pub fn new(routes: impl IntoIterator<Item = Route>, unread: Option<String>) -> Self {
        let mut by_tenant: BTreeMap<String, Vec<Arc<Route>>> = BTreeMap::new();
        for route in routes {
            by_tenant.entry(route.plan.tenant_id.to_lowercase()).or_default().push(Arc::new(route));
        }
        Self { by_tenant, unread }
    }

    pub fn is_empty(&self) -> bool {
        self.by_tenant.is_empty()
    }

    /// Every connection point that receives.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.by_tenant.values().flatten()
    }

    /// The connection points of a tenant.
    pub fn of_tenant(&self, tenant_id: &str) -> &[Arc<Route>] {
        self.by_tenant.get(&tenant_id.to_lowercase()).map_or(&[], Vec::as_slice)
    }

    /// Finds the one connection point that lists the document.
    pub fn find(&self, addressed: &Addressed<'_>) -> Routed {
        let unlisted = match self.listed(addressed) {
            Ok((route, rules)) => {
                return match &route.blocked {
                    None => Routed::To(route, rules),
                    Some(reason) => Routed::NotYet(reason.clone()),
                };
            }
            Err(unlisted) => unlisted,
        };
        match &self.unread {
            None => unlisted,
            Some(database) => {
                Routed::NotYet(format!("the settings in database {database} were not read yet"))
            }
        }
    }

    fn listed(&self, addressed: &Addressed<'_>) -> Result<(Arc<Route>, InboundRules), Routed> {
        let Addressed { tenant_id, to_logical_id, document_name, .. } = addressed;
        let unlisted = |connection_point: Option<&str>, reason: String| Routed::Unlisted {
            connection_point: connection_point.map(str::to_owned),
            reason,
        };
        let points = self.of_tenant(tenant_id);
        if points.is_empty() {
            return Err(unlisted(None, format!("no connection point receives for the tenant {tenant_id}")));
        }
        let meant = meant(points, addressed);
        if meant.is_empty() {
            let reason = format!("{to_logical_id} is the logical id of no connection point that receives");
            return Err(unlisted(None, reason));
        }
        let listing: Vec<_> =
            meant.iter().filter_map(|route| Some((route, rules(&route.plan, document_name)?))).collect();
        match &listing[..] {
            [(route, rules)] => Ok((Arc::clone(route), rules.clone())),
            [] => {
                let only = match &meant[..] {
                    [only] => Some(only.plan.connection_point.as_str()),
                    _ => None,
                };
                Err(unlisted(only, format!("{document_name} is not listed for receiving")))
            }
            [(first, _), (second, _), ..] => Err(unlisted(
                None,
                format!(
                    "{document_name} is listed at more than one connection point ({}, {}), and toLogicalId is \
                     {to_logical_id}: call each at a path of its own, as in /{}/service",
                    first.plan.connection_point, second.plan.connection_point, first.plan.connection_point
                ),
            )),
        }
    }
}

/// The connection points that a caller can mean.
fn meant(points: &[Arc<Route>], addressed: &Addressed<'_>) -> Vec<Arc<Route>> {
    let logical_id = addressed.to_logical_id.trim();
    let chosen = |choose: &dyn Fn(&Route) -> bool| -> Vec<Arc<Route>> {
        points.iter().filter(|route| choose(route)).cloned().collect()
    };
    if logical_id.is_empty() || logical_id.eq_ignore_ascii_case(DEFAULT_RECEIVER) {
        let named = chosen(&|route| {
            addressed.prefix.iter().any(|it| it.eq_ignore_ascii_case(&route.plan.connection_point))
        });
        return if named.is_empty() { points.to_vec() } else { named };
    }
    let exactly = chosen(&|route| route.plan.logical_id == logical_id);
    if !exactly.is_empty() {
        return exactly;
    }
    chosen(&|route| route.plan.logical_id.eq_ignore_ascii_case(logical_id))
}

fn rules(plan: &InboundPlan, document_name: &str) -> Option<InboundRules> {
    plan.documents.get(&DocumentType::parse(document_name)?).cloned()
}

#[cfg(test)]
mod tests {
    use super::super::incoming::{DuplicateKey, OlderVariation};
    use super::*;

    fn route(site: usize, point: &str, tenant_id: &str, documents: &[&str]) -> Route {
        let rules = InboundRules {
            inbox_tenant_id: tenant_id.into(),
            inbox_logical_id: String::new(),
            duplicate_key: DuplicateKey::MessageId,
            older_variation: OlderVariation::Warn,
            log: true,
            max_document_bytes: 1,
            namespace: None,
        };
        let documents = documents.iter().map(|name| (DocumentType::parse(name).unwrap(), rules.clone()));
        let plan = InboundPlan {
            connection_point: point.into(),
            tenant_id: tenant_id.into(),
            logical_id: format!("lid://infor.ims.{point}"),
            max_document_bytes: 1,
            documents: documents.collect(),
            closed: None,
        };
        Route { site, plan, sends: Vec::new(), blocked: None }
    }

    fn routes(unread: Option<&str>) -> Routes {
        let all = [
            route(0, "a", "ACME", &["Sync.Item", "Sync.Order"]),
            route(1, "b", "acme", &["Sync.Item", "Show.Order"]),
            Route { blocked: Some("a copy".into()), ..route(1, "c", "OTHER", &["Sync.Item"]) },
        ];
        Routes::new(all, unread.map(str::to_owned))
    }

    fn find(routes: &Routes, tenant_id: &str, to: &str, document_name: &str, prefix: &[&str]) -> String {
        match routes.find(&Addressed { tenant_id, to_logical_id: to, document_name, prefix }) {
            Routed::To(route, _) => route.plan.connection_point.clone(),
            Routed::Unlisted { connection_point, reason } => format!("{connection_point:?} {reason}"),
            Routed::NotYet(reason) => format!("later: {reason}"),
        }
    }

    #[test]
    fn one_point_is_found_and_nothing_is_guessed() {
        let routes = routes(None);
        let to = |to: &str, name: &str, prefix: &[&str]| find(&routes, "Acme", to, name, prefix);
        assert_eq!(to("lid://infor.ims.a", "Sync.Item", &[]), "a");
        assert_eq!(to("LID://infor.ims.B", "Sync.Item", &[]), "b", "case alone does not lose a document");
        assert_eq!(to("lid://default", "Sync.Order", &[]), "a");
        assert_eq!(to("", "Show.Order", &[]), "b");
        assert_eq!(to("lid://default", "Sync.Item", &["ims", "B"]), "b", "the path may name it");
        assert!(to("lid://default", "Sync.Item", &["ims"]).contains("more than one connection point (a, b)"));
        assert!(
            to("lid://infor.ims.a", "Show.Order", &[]).starts_with("Some(\"a\") Show.Order is not listed")
        );
        assert!(
            to("lid://infor.ims.z", "Sync.Item", &[]).contains("lid://infor.ims.z is the logical id of no")
        );
        assert!(to("", "Item", &[]).contains("Item is not listed"));
        assert!(find(&routes, "NOBODY", "", "Sync.Item", &[]).contains("for the tenant NOBODY"));
    }

    #[test]
    fn what_may_be_listed_soon_comes_again() {
        assert_eq!(find(&routes(None), "OTHER", "", "Sync.Item", &[]), "later: a copy");
        let unread = routes(Some("erp"));
        assert!(
            find(&unread, "NOBODY", "", "Sync.Item", &[]).starts_with("later: the settings in database erp")
        );
        assert_eq!(
            find(&unread, "ACME", "", "Sync.Order", &[]),
            "a",
            "what is known needs no other database"
        );
    }
}
