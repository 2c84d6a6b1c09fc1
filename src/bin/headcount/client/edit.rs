//! Lists in a text of TOML, changed so that all the rest stays as it is, comments included.

use toml_edit::{Array, Document, DocumentMut, TomlError, Value, value};

/// The text with this list. One that is there already keeps its form and its comments, which stand
/// where they stood.
pub(super) fn with_list(text: &str, key: &str, list: &[String]) -> Result<String, TomlError> {
    let mut document: DocumentMut = text.parse()?;
    if let Some(array) = document.get_mut(key).and_then(|item| item.as_array_mut()) {
        fill(array, list);
    } else {
        document.insert(key, value(list.iter().collect::<Array>()));
    }
    Ok(document.to_string())
}

/// The text without this key. Comments above, in and behind its value stay, each on a line of its own.
pub(super) fn without(text: &str, key: &str) -> Result<String, TomlError> {
    let document = Document::parse(text)?;
    let spans = document.get_key_value(key).map(|(key, item)| (key.span(), item.span()));
    let Some((Some(key), Some(item))) = spans else { return Ok(text.to_owned()) };
    let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default();
    let (before, mut after) = (part(0..key.start), part(item.end..text.len()));
    let comments =
        part(item).lines().filter_map(|line| line.find('#').and_then(|at| line.get(at..)));
    let comments: String = comments.flat_map(|comment| [comment, "\n"]).collect();
    after = after.trim_start_matches([' ', '\t']);
    after = after.strip_prefix("\r\n").or_else(|| after.strip_prefix('\n')).unwrap_or(after);
    Ok(format!("{before}{comments}{after}"))
}

/// Puts these values into an array, in the place of those that it has.
fn fill(array: &mut Array, list: &[String]) {
    while array.len() > list.len() {
        let removed = array.remove(array.len().saturating_sub(1));
        let kept = [prefix(&removed), suffix(&removed), array.trailing().as_str().unwrap_or("")];
        // White space alone would only pile up.
        let kept = kept.into_iter().enumerate().filter(|(at, text)| *at == 2 || text.contains('#'));
        array.set_trailing(kept.map(|(_, text)| text).collect::<String>());
    }
    for (index, text) in list.iter().enumerate() {
        if index < array.len() {
            array.replace(index, text);
        } else {
            append(array, text);
        }
    }
}

/// Adds a value, on a line of its own where the one before is on one.
fn append(array: &mut Array, text: &str) {
    let last = array.len().checked_sub(1).and_then(|last| array.get_mut(last));
    let Some(last) = last else { return array.push(text) };
    let indent = prefix(last).rfind('\n').and_then(|at| prefix(last).get(at..));
    let mut added = Value::from(text);
    added.decor_mut().set_prefix(indent.unwrap_or(" "));
    if !suffix(last).contains('#') {
        let end = suffix(last).to_owned();
        last.decor_mut().set_suffix("");
        added.decor_mut().set_suffix(end);
    }
    array.push_formatted(added);
}

fn prefix(value: &Value) -> &str {
    value.decor().prefix().and_then(|text| text.as_str()).unwrap_or("")
}

fn suffix(value: &Value) -> &str {
    value.decor().suffix().and_then(|text| text.as_str()).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Ours.\nproduct = \"p\"\n\n# Ask Ann.\nhosts = [\n  \"a\", # first\n  \
                        \"b\", # second\n] # both\n\n[machine]\n";

    fn list(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_list_keeps_its_form_and_its_comments() {
        let comments = ["# Ours.", "# Ask Ann.", "# first", "# second", "# both"];
        for hosts in [&["c"][..], &["c", "d"], &["c", "d", "e", "f"]] {
            let text = with_list(TEXT, "hosts", &list(hosts)).unwrap();
            assert!(comments.iter().all(|comment| text.contains(comment)), "{text}");
            let read: DocumentMut = text.parse().unwrap_or_else(|error| panic!("{error}: {text}"));
            let read = read["hosts"].as_array().unwrap().iter().map(|host| host.as_str().unwrap());
            assert_eq!(read.collect::<Vec<_>>(), hosts, "{text}");
        }
        let text = with_list(TEXT, "hosts", &list(&["c", "d"])).unwrap();
        assert_eq!(text, TEXT.replace("\"a\"", "\"c\"").replace("\"b\"", "\"d\""));
        let text = with_list("hosts = [ \"a\" ]\n", "hosts", &list(&["a", "b"])).unwrap();
        assert_eq!(text, "hosts = [ \"a\", \"b\" ]\n");
        let text = with_list("hosts = []\n", "hosts", &list(&["a", "b"])).unwrap();
        assert_eq!(text, "hosts = [\"a\", \"b\"]\n");
    }

    #[test]
    fn comments_stay_when_the_key_goes() {
        let rest =
            "# Ours.\nproduct = \"p\"\n\n# Ask Ann.\n# first\n# second\n# both\n\n[machine]\n";
        assert_eq!(without(TEXT, "hosts").unwrap(), rest);
        assert_eq!(without(rest, "hosts").unwrap(), rest);
        assert_eq!(without("a = 1\nhosts = []", "hosts").unwrap(), "a = 1\n");
    }
}
