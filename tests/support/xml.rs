//! A reader of XML that refuses what is not well-formed.

use std::collections::BTreeMap;

/// The content of `<text>` elements of a well-formed document, decoded; panics at what XML does not allow.
pub fn texts(xml: &str) -> Vec<String> {
    let (mut open, mut texts, mut roots) = (Vec::<String>::new(), Vec::new(), 0);
    let mut rest = xml.trim();
    while !rest.is_empty() {
        let (content, tag) = match rest.split_once('<') {
            Some((content, tag)) => (content, Some(tag)),
            None => (rest, None),
        };
        let decoded = decode(content);
        assert!(!open.is_empty() || decoded.trim().is_empty(), "text outside of the root: {decoded}");
        if open.last().is_some_and(|name| name == "text") && !decoded.trim().is_empty() {
            texts.push(decoded.trim().to_owned());
        }
        let Some(tag) = tag else { break };
        let (tag, after) = tag.split_once('>').expect("a tag that ends");
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "end tags match");
            continue;
        }
        let (tag, empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let (name, mut attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        assert!(!name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric()), "element `{name}`");
        let mut seen = BTreeMap::new();
        while !attributes.trim().is_empty() {
            let (key, value) = attributes.trim_start().split_once("=\"").expect("an attribute");
            let (value, more) = value.split_once('"').expect("a quoted value");
            assert!(key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "attribute `{key}`");
            assert!(more.is_empty() || more.starts_with(' '), "attributes are apart");
            assert_eq!(seen.insert(key, decode(value)), None, "`{key}` twice");
            attributes = more;
        }
        roots += usize::from(open.is_empty());
        if !empty {
            open.push(name.to_owned());
        }
    }
    assert!(open.is_empty() && roots == 1, "{open:?} open, {roots} roots");
    texts
}

fn decode(text: &str) -> String {
    let allowed = |c: char| !c.is_control() || c == '\n';
    assert!(text.chars().all(allowed) && !text.contains(['\u{fffe}', '\u{ffff}']), "{text:?}");
    let mut parts = text.split('&');
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        let (name, after) = part.split_once(';').expect("an entity that ends");
        let known = [("lt", '<'), ("gt", '>'), ("amp", '&'), ("quot", '"'), ("apos", '\'')];
        out.push(known.iter().find(|(entity, _)| *entity == name).expect("a known entity").1);
        out.push_str(after);
    }
    out
}
