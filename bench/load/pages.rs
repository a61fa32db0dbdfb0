//! The measured parts of the documentation, which this program writes itself.

use std::fs;
use std::path::PathBuf;

use crate::report::Section;
use metahub_testkit::{Failure, Result};

/// Where the sections stand.
const PAGES: [&str; 2] = ["docs/performance.md", "docs/scaling.md"];

/// Writes a section's plot, and puts its text between its markers, `<!-- measured: name -->` and `<!-- end -->`, after
/// what was measured where.
pub(crate) fn write(section: &Section, circumstances: &str) -> Result<()> {
    if let Some((name, svg)) = &section.plot {
        fs::write(path("docs").join(name), svg)?;
    }
    let begin = format!("<!-- measured: {} -->\n", section.name);
    for page in PAGES.map(path) {
        let text = fs::read_to_string(&page)?;
        let Some(start) = text.find(&begin).map(|position| position + begin.len()) else { continue };
        let end = text[start..].find("<!-- end -->").map(|length| start + length);
        let end = end.ok_or_else(|| Failure::new(format!("{}: no end of {}", page.display(), section.name)))?;
        let new = format!("{}\n{circumstances}\n\n{}\n{}", &text[..start], section.text, &text[end..]);
        return Ok(fs::write(&page, new)?);
    }
    Err(Failure::new(format!("no page has the marker {begin:?}")))
}

fn path(name: &str) -> PathBuf {
    metahub_testkit::root().join(name)
}
