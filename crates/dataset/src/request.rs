//! Whether a data set that exists is the one asked for: made with the same options from the same
//! files.

use std::path::Path;

use lexmax_corpus::prepared::{first_difference, name_of};
use lexmax_corpus::{Event, Observer};

use crate::info::{INFO_FILE, recipe};
use crate::rows::files_of;
use crate::{Dataset, DatasetError, DatasetInfo, DatasetOptions};

/// Opens what is at `out`, where it is the data set asked for.
pub(crate) fn open(
    options: &DatasetOptions,
    out: &Path,
    observer: &mut dyn Observer,
) -> Result<Dataset, DatasetError> {
    let exists = |found: String| DatasetError::Exists { path: out.to_path_buf(), found };
    if !out.join(INFO_FILE).is_file() {
        return Err(exists(String::new()));
    }
    let unreadable = |error: DatasetError| exists(format!(", a data set that cannot be opened ({error})"));
    let info = DatasetInfo::read(out).map_err(unreadable)?;
    if let Some(difference) = difference(options, out, &info)? {
        return Err(exists(format!(", a data set made with other options ({difference})")));
    }
    let dataset = Dataset::open(out).map_err(unreadable)?;
    observer.tell(Event::Found { out });
    Ok(dataset)
}

/// Name of the data set asked for.
pub(crate) fn name(options: &DatasetOptions, out: &Path) -> String {
    options.name.clone().unwrap_or_else(|| name_of(out))
}

/// First difference between a data set and the one asked for.
fn difference(
    options: &DatasetOptions,
    out: &Path,
    there: &DatasetInfo,
) -> Result<Option<String>, DatasetError> {
    let name = name(options, out);
    if there.name != name {
        return Ok(Some(format!("its name is {:?}, given {name:?}", there.name)));
    }
    let files = files_of(options);
    if there.files.len() != files.len() {
        return Ok(Some(format!("{} files, given {}", there.files.len(), files.len())));
    }
    for (source, (split, path)) in there.files.iter().zip(files) {
        if source.split != Some(split) || !source.is_still(path)? {
            return Ok(Some(format!("the contents of {} are others", path.display())));
        }
    }
    // Files of the same contents may have other names.
    let mut asked = recipe(options);
    asked.train.clone_from(&there.options.train);
    asked.test.clone_from(&there.options.test);
    if let (crate::Valid::Files(asked), crate::Valid::Files(there)) = (&mut asked.valid, &there.options.valid)
    {
        asked.clone_from(there);
    }
    Ok(first_difference(&there.options, &asked))
}
