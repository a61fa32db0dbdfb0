//! The rows: the Envoys that each compares, and its limit.

use crate::content::manifest;
use crate::floor::{Floor, Known, Served};
use crate::generated::{Document, Generated};
use crate::machine::Cores;
use crate::nginx::{Item, Nginx, TOKEN};
use crate::report::{Limit, Row};
use crate::requests::Kind;
use crate::rounds::{Effort, Side, compare};
use crate::subject::{Authentication, Cache, Setup, Subject};
use metahub_testkit::{Failure, Result};

/// Connections that ask at once; large blobs need no more than two to keep Envoy busy.
pub(crate) const CONNECTIONS: usize = 16;

/// Measures all rows and tells `show` of each when it is there.
pub(crate) struct Table<'a> {
    pub(crate) cores: &'a Cores,
    pub(crate) effort: Effort,
    pub(crate) show: &'a dyn Fn(&Row),
    /// Only rows whose name contains one of these.
    pub(crate) parts: Option<Vec<&'a str>>,
    /// Whether a difference between two bare Envoys ends the run: its other rows would not count.
    pub(crate) strict: bool,
    pub(crate) rows: Vec<Row>,
}

impl Table<'_> {
    /// The whole table. The first row compares bare with bare, the second shows the cost of any filter.
    pub(crate) fn measure(&mut self) -> Result<()> {
        let nginx = Nginx::start()?;
        let bare = Subject::bare(nginx.port, self.cores)?;
        self.bare(&nginx, &bare)?;
        self.passing(&nginx, &bare)?;
        self.without_cache(&nginx, &bare)?;
        self.with_cache(&nginx, &bare)?;
        self.cold()?;
        self.authentications(&nginx, &bare)?;
        self.machine_types(&nginx)
    }

    fn bare(&mut self, nginx: &Nginx, bare: &Subject) -> Result<()> {
        let other = Subject::bare(nginx.port, self.cores)?;
        let kind = || by_digest("GET", &nginx.image);
        self.row(case("bare Envoy against bare Envoy", Limit::Same(1.03)), (bare, kind()), (&other, kind()))?;
        let nothing = Subject::floor(nginx.port, &Floor::Nothing, self.cores)?;
        self.row(case("a filter that does nothing", Limit::None), (bare, kind()), (&nothing, kind()))
    }

    /// The rows in which the cache has no part.
    fn passing(&mut self, nginx: &Nginx, bare: &Subject) -> Result<()> {
        let metahub = Subject::metahub(nginx.port, Setup::new(Cache::Shipped), self.cores)?;
        let ping = || Kind::same("GET", "/v2/").expecting_length(2);
        self.row(
            case("ping, remembered login", Limit::AtMost(0.50)).floor(Floor::Ping),
            (bare, ping()),
            (&metahub, ping()),
        )?;
        for (name, length, limit, connections) in [
            ("blob of 1 KiB", 1 << 10, 1.22, CONNECTIONS),
            ("blob of 1 MiB", 1 << 20, 1.05, 4),
            ("blob of 64 MiB", 64 << 20, 1.05, 2),
        ] {
            let blob = nginx.blob(length)?;
            let kind = || {
                let path = format!("/v2/bench/app/blobs/sha256:{}", blob.hex);
                Kind::same("GET", &path).expecting_length(blob.length)
            };
            let case = case(name, Limit::AtMost(limit)).connections(connections).floor(Floor::Passing);
            self.row(case, (bare, kind()), (&metahub, kind()))?;
        }
        Ok(())
    }

    fn without_cache(&mut self, nginx: &Nginx, bare: &Subject) -> Result<()> {
        let metahub = Subject::metahub(nginx.port, Setup::new(Cache::Off), self.cores)?;
        let image = || by_digest("GET", &nginx.image);
        let name = "manifest by digest, passed through";
        self.row(case(name, Limit::AtMost(1.22)).floor(Floor::Passing), (bare, image()), (&metahub, image()))?;
        let four = nginx.index(4)?;
        let tag = || by_tag("GET", &four, &nginx.image);
        self.row(case("manifest by tag, no cache", Limit::None), (bare, image()), (&metahub, tag()))?;
        let bare_head = by_digest("HEAD", &nginx.image).expecting_length(0);
        let our_head = by_tag("HEAD", &four, &nginx.image).expecting_length(0);
        self.row(case("HEAD by tag, no cache", Limit::None), (bare, bare_head), (&metahub, our_head))?;
        self.index_sizes(nginx, bare, &metahub, "no cache")
    }

    fn with_cache(&mut self, nginx: &Nginx, bare: &Subject) -> Result<()> {
        let metahub = Subject::metahub(nginx.port, Setup::new(Cache::REVALIDATED), self.cores)?;
        let four = nginx.index(4)?;
        let image = || by_digest("GET", &nginx.image);
        let tag = || by_tag("GET", &four, &nginx.image);
        let served = Served { digest: format!("sha256:{}", nginx.image.hex), body: manifest(0) };
        let revalidated = |request| Floor::Revalidated { request, served: served.clone() };
        let name = "manifest by tag, revalidated";
        self.row(case(name, Limit::AtMost(1.35)).floor(revalidated(Known::Tag)), (bare, image()), (&metahub, tag()))?;
        let name = "manifest by digest, known content revalidated";
        self.row(
            case(name, Limit::AtMost(1.35)).floor(revalidated(Known::Digest)),
            (bare, image()),
            (&metahub, image()),
        )?;
        let bare_head = by_digest("HEAD", &nginx.image).expecting_length(0);
        let our_head = by_tag("HEAD", &four, &nginx.image).expecting_length(0);
        let name = "HEAD by tag, revalidated";
        self.row(
            case(name, Limit::AtMost(1.35)).floor(revalidated(Known::TagByHead)),
            (bare, bare_head),
            (&metahub, our_head),
        )?;
        self.index_sizes(nginx, bare, &metahub, "revalidated")?;
        drop(metahub);
        let lasting = Cache::On { tag_ttl: 3600, stale: 0 };
        let metahub = Subject::metahub(nginx.port, Setup::new(lasting), self.cores)?;
        let name = "manifest by tag, within its ttl";
        self.row(case(name, Limit::AtMost(0.60)).floor(Floor::WithinTtl(served)), (bare, image()), (&metahub, tag()))
    }

    /// Indexes of other sizes; the client gets the same image of each.
    fn index_sizes(&mut self, nginx: &Nginx, bare: &Subject, metahub: &Subject, how: &str) -> Result<()> {
        for (name, index, connections) in [
            ("of 100 entries", nginx.index(100)?, CONNECTIONS),
            ("of 1,000 entries", nginx.index(1_000)?, 4),
            ("of 10,000 entries, 4 MiB", nginx.largest_index(10_000)?, 2),
        ] {
            let name = format!("index {name}, {how}");
            let (base, ours) = (by_digest("GET", &nginx.image), by_tag("GET", &index, &nginx.image));
            self.row(case(&name, Limit::None).connections(connections), (bare, base), (metahub, ours))?;
        }
        Ok(())
    }

    /// Each request asks for an image that was never asked for before.
    fn cold(&mut self) -> Result<()> {
        let upstream = Generated::start(4)?;
        let bare = Subject::bare(upstream.port, self.cores)?;
        let metahub = Subject::metahub(upstream.port, Setup::new(Cache::REVALIDATED), self.cores)?;
        let image = upstream.image(0);
        let Document { digest, text, .. } = &image.children[0];
        // The answer that the client receives has this length in all cases.
        let length = text.len() as u64;
        let paths = ["latest", digest].map(|reference| format!("/v2/bench/0/manifests/{reference}"));
        let base = Kind::same("GET", &paths[1]).expecting_length(length);
        let ours = Kind::numbered("GET", |number| format!("/v2/bench/{number}/manifests/latest"));
        let ours = ours.expecting_length(length);
        let name = "manifest by tag, cold: each another image";
        let served = Served { digest: digest.clone(), body: text.clone() };
        let floor = Floor::Cold { paths, host: format!("127.0.0.1:{}", upstream.port), served };
        self.row(case(name, Limit::AtMost(2.50)).floor(floor), (&bare, base), (&metahub, ours))
    }

    /// Other kinds of authentication. Only their cost beside `accounts` matters, so they have no limit.
    fn authentications(&mut self, nginx: &Nginx, bare: &Subject) -> Result<()> {
        let four = nginx.index(4)?;
        let setup = |authentication| Setup { authentication, ..Setup::new(Cache::REVALIDATED) };
        let metahub = Subject::metahub(nginx.port, setup(Authentication::Upstream), self.cores)?;
        let (base, ours) = (by_digest("GET", &nginx.image), by_tag("GET", &four, &nginx.image));
        let name = "manifest by tag, passwords checked upstream";
        self.row(case(name, Limit::None), (bare, base), (&metahub, ours))?;
        drop(metahub);
        let bare = Subject::bare(nginx.guarded, self.cores)?;
        let metahub = Subject::metahub(nginx.guarded, setup(Authentication::Token(nginx.tokens)), self.cores)?;
        let bearer = format!("Bearer {TOKEN}");
        for (name, ours) in [
            ("manifest by tag, upstream token kept", by_tag("GET", &four, &nginx.image)),
            ("manifest by digest, upstream token kept", by_digest("GET", &nginx.image)),
        ] {
            let base = by_digest("GET", &nginx.image).authorized(&bearer);
            self.row(case(name, Limit::None), (&bare, base), (&metahub, ours))?;
        }
        Ok(())
    }

    fn machine_types(&mut self, nginx: &Nginx) -> Result<()> {
        let four = nginx.index(4)?;
        let few = Subject::metahub(nginx.port, Setup::new(Cache::REVALIDATED), self.cores)?;
        let setup = Setup { machine_types: 10_000, ..Setup::new(Cache::REVALIDATED) };
        let many = Subject::metahub(nginx.port, setup, self.cores)?;
        let kind = || by_tag("GET", &four, &nginx.image);
        let name = "10,000 machine types against few";
        self.row(case(name, Limit::Close(1.03)), (&few, kind()), (&many, kind()))
    }

    /// Measures a row: the base with its requests, and MetaHub with its own.
    fn row(&mut self, case: Case<'_>, base: (&Subject, Kind), measured: (&Subject, Kind)) -> Result<()> {
        let Case { name, limit, connections, floor } = case;
        if self.parts.as_ref().is_some_and(|parts| !parts.iter().any(|part| name.contains(part))) {
            return Ok(());
        }
        let side = |(subject, kind)| Side { subject, kind };
        let (base, measured) = (side((base.0, &base.1)), side((measured.0, &measured.1)));
        let floor = match std::env::var("AGAINST") {
            Ok(filter) => measured.subject.with_filter(&filter, self.cores)?,
            Err(_) => floor.map(|floor| Subject::floor(base.subject.upstream, &floor, self.cores)).transpose()?,
        };
        let floor = floor.as_ref().map(|subject| side((subject, measured.kind)));
        let comparison = compare(&base, &measured, floor.as_ref(), connections, self.effort)?;
        let row = Row { name: name.to_owned(), limit, comparison };
        (self.show)(&row);
        if self.strict && matches!(limit, Limit::Same(_)) && !row.holds() {
            return Err(Failure::new(
                "this run does not count: two Envoys without the filter differ; is the machine idle?",
            ));
        }
        self.rows.push(row);
        Ok(())
    }
}

/// A row's name and limit, and how it is measured.
struct Case<'a> {
    name: &'a str,
    limit: Limit,
    connections: usize,
    /// The filter that makes the same host calls and nothing else.
    floor: Option<Floor>,
}

/// A row with as many connections as most have.
const fn case(name: &str, limit: Limit) -> Case<'_> {
    Case { name, limit, connections: CONNECTIONS, floor: None }
}

impl Case<'_> {
    const fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    fn floor(mut self, floor: Floor) -> Self {
        self.floor = Some(floor);
        self
    }
}

fn by_digest(method: &'static str, item: &Item) -> Kind {
    Kind::same(method, &format!("/v2/bench/app/manifests/sha256:{}", item.hex)).expecting_digest(&item.hex)
}

/// The tag of an index; what must come is the image to which it leads.
pub(crate) fn by_tag(method: &'static str, index: &Item, image: &Item) -> Kind {
    Kind::same(method, &format!("/v2/bench/app/manifests/at-{}", index.hex)).expecting_digest(&image.hex)
}
