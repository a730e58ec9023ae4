//! Names: the forms that names, labels and keys may have, and what is said of others.

/// The longest name of an object.
const SUBDOMAIN_MAX: usize = 253;
/// The longest label of a domain, and the longest value of a label.
const LABEL_MAX: usize = 63;

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
    characters, '-' or '.', and must start and end with an alphanumeric character (e.g. \
    'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters \
    or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', \
    regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const NAME_PART: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and \
    must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or \
    '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const QUALIFIED: &str = "a valid label key must consist of alphanumeric characters, '-', '_' or \
    '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or \
    '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an \
    optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric \
    characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. \
    'MyValue',  or 'my_value',  or '12345', regex used for validation is \
    '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const DATA_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or \
    '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is \
    '[-._a-zA-Z0-9]+')";

/// Tells what is wrong with the name of an object.
pub fn subdomain(text: &str) -> Vec<String> {
    let form = text.split('.').all(is_label);
    complaints(text, SUBDOMAIN_MAX, "", (!form).then_some(SUBDOMAIN))
}

/// Tells what is wrong with the label of a domain: the name of a container.
pub fn label(text: &str) -> Vec<String> {
    complaints(text, LABEL_MAX, "", (!is_label(text)).then_some(LABEL))
}

/// Tells what is wrong with the key of a label or an annotation.
pub fn qualified(text: &str) -> Vec<String> {
    let mut parts = text.split('/');
    let (first, second, more) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    let mut all = Vec::new();
    let name = match (second, more) {
        (None, _) => first,
        (Some(name), None) => {
            if first.is_empty() {
                all.push("prefix part must be non-empty".to_owned());
            } else {
                all.extend(subdomain(first).into_iter().map(|text| format!("prefix part {text}")));
            }
            name
        }
        (Some(_), Some(_)) => return vec![QUALIFIED.to_owned()],
    };
    if name.is_empty() {
        all.push("name part must be non-empty".to_owned());
    }
    all.extend(complaints(name, LABEL_MAX, "name part ", (!is_name(name)).then_some(NAME_PART)));
    all
}

/// Tells what is wrong with the value of a label.
pub fn label_value(text: &str) -> Vec<String> {
    let form = text.is_empty() || is_name(text);
    complaints(text, LABEL_MAX, "", (!form).then_some(LABEL_VALUE))
}

/// Tells what is wrong with a key of the data of a ConfigMap.
pub fn data_key(text: &str) -> Vec<String> {
    let form = !text.is_empty() && text.bytes().all(|byte| is_inner(byte) || byte == b'-');
    complaints(text, SUBDOMAIN_MAX, "", (!form).then_some(DATA_KEY))
}

fn complaints(text: &str, max: usize, part: &str, form: Option<&str>) -> Vec<String> {
    let long = (max < text.len()).then(|| format!("{part}must be no more than {max} bytes"));
    long.into_iter().chain(form.map(str::to_owned)).collect()
}

fn is_label(text: &str) -> bool {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends = bytes.first().is_some_and(plain) && bytes.last().is_some_and(plain);
    ends && bytes.iter().all(|byte| plain(byte) || *byte == b'-')
}

fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let plain = u8::is_ascii_alphanumeric;
    let ends = bytes.first().is_some_and(plain) && bytes.last().is_some_and(plain);
    ends && bytes.iter().all(|byte| is_inner(*byte) || *byte == b'-')
}

fn is_inner(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.'
}
