//! A machine type in a request's path (`machine_type_from.path`), for runtimes that can say it nowhere else.

use super::BASE;

/// A path that says a machine type, such as `/v2/machines/gpu1/app/tags/list` or `/machines/gpu1/v2/app/tags/list`.
/// Which of the two a runtime sends depends on how it adds a registry's path to its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said<'p> {
    /// The machine type, as it is written.
    pub machine_type: &'p str,
    /// The path up to where the repository begins.
    pub lead: &'p str,
    rest: &'p str,
    query: &'p str,
}

impl<'p> Said<'p> {
    /// Reads a path, if it says a machine type behind `word`.
    #[must_use]
    pub fn of(path: &'p str, word: &str) -> Option<Self> {
        let (whole, query) = path.split_at(path.find('?').unwrap_or(path.len()));
        let behind = |text: &'p str| text.strip_prefix(word)?.strip_prefix('/');
        let (machine_type, rest) = match whole.strip_prefix(BASE).and_then(behind) {
            Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
            None => {
                let (machine_type, rest) = behind(whole.strip_prefix('/')?)?.split_once('/')?;
                let rest = rest.strip_prefix("v2")?;
                (machine_type, if rest.is_empty() { rest } else { rest.strip_prefix('/')? })
            }
        };
        Some(Self { machine_type, lead: whole.strip_suffix(rest)?, rest, query })
    }

    /// The path without the machine type.
    #[must_use]
    pub fn path(&self) -> String {
        [BASE, self.rest, self.query].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_says_a_machine_type_in_either_form() {
        let rows = [
            ("/v2/machines/gpu1/app/tags/list?n=1", Some(("gpu1", "/v2/machines/gpu1/", "/v2/app/tags/list?n=1"))),
            ("/machines/gpu1/v2/app/tags/list?n=1", Some(("gpu1", "/machines/gpu1/v2/", "/v2/app/tags/list?n=1"))),
            ("/v2/machines/gpu1/", Some(("gpu1", "/v2/machines/gpu1/", "/v2/"))),
            ("/v2/machines/gpu1", Some(("gpu1", "/v2/machines/gpu1", "/v2/"))),
            ("/v2/machines/gpu1?ns=a/b", Some(("gpu1", "/v2/machines/gpu1", "/v2/?ns=a/b"))),
            ("/machines/gpu1/v2/", Some(("gpu1", "/machines/gpu1/v2/", "/v2/"))),
            ("/machines/gpu1/v2?ns=a/b", Some(("gpu1", "/machines/gpu1/v2", "/v2/?ns=a/b"))),
            (
                "/v2/machines/cpu__icelake--ib/a/b/blobs/x",
                Some(("cpu__icelake--ib", "/v2/machines/cpu__icelake--ib/", "/v2/a/b/blobs/x")),
            ),
            // Anything is handed over, and refused by those who read machine types.
            ("/v2/machines//app/tags/list", Some(("", "/v2/machines//", "/v2/app/tags/list"))),
            ("/machines/G%20/v2/app/tags/list", Some(("G%20", "/machines/G%20/v2/", "/v2/app/tags/list"))),
            // A machine type behind another one is a repository's.
            ("/machines/a/v2/machines/b/tags/list", Some(("a", "/machines/a/v2/", "/v2/machines/b/tags/list"))),
            ("/v2/machines", None),
            ("/v2/app/machines/gpu1/tags/list", None),
            ("/v2/machines1/gpu1/tags/list", None),
            ("/machines/gpu1/v21/app", None),
            ("/machines/gpu1/v1/app", None),
            ("/machines/gpu1", None),
            ("/machines/gpu1/metahub/v1/explain?image=a", None),
            ("/v2/?x=/v2/machines/gpu1/a", None),
            ("/metahub/v1/token", None),
            ("", None),
        ];
        for (path, expected) in rows {
            let said = Said::of(path, "machines");
            let read = said.map(|said| (said.machine_type, said.lead, said.path()));
            assert_eq!(read, expected.map(|(name, lead, path)| (name, lead, path.to_owned())), "{path}");
        }
    }
}
