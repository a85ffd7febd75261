use super::*;
use proptest::prelude::{Just, Strategy, any, prop_oneof};

/// One document, read in full.
fn one(text: &str) -> Json {
    let (mut documents, is_whole) = read(text);
    assert!(is_whole, "{text}");
    assert_eq!(documents.len(), 1, "{text}");
    documents.pop().unwrap()
}

fn from_serde(value: &serde_json::Value) -> Json {
    match value {
        serde_json::Value::Null => Json::Null,
        serde_json::Value::Bool(value) => Json::Bool(*value),
        serde_json::Value::Number(number) => Json::Number(number.to_string()),
        serde_json::Value::String(text) => Json::Text(text.clone()),
        serde_json::Value::Array(elements) => {
            Json::Array(elements.iter().map(from_serde).collect())
        }
        serde_json::Value::Object(members) => Json::Object(
            members.iter().map(|(name, value)| (name.clone(), from_serde(value))).collect(),
        ),
    }
}

/// Texts with all that has a meaning in JSON and to this reader.
fn texts() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![
            Just("\"".to_owned()),
            Just("\\".to_owned()),
            Just("\n".to_owned()),
            Just("//".to_owned()),
            Just("<!--".to_owned()),
            Just(", \"a\": ".to_owned()),
            Just("}".to_owned()),
            Just("&quot;".to_owned()),
            any::<String>(),
        ],
        0..4,
    )
    .prop_map(|pieces| pieces.concat())
}

fn values() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        texts().prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            proptest::collection::vec((texts(), inner), 0..4)
                .prop_map(|members| members.into_iter().collect::<serde_json::Value>()),
        ]
    })
}

proptest::proptest! {
    #[test]
    fn what_is_json_is_read_as_json(value in values(), is_pretty in any::<bool>()) {
        let text = if is_pretty {
            serde_json::to_string_pretty(&value).unwrap()
        } else {
            value.to_string()
        };
        proptest::prop_assert_eq!(read(&text), (vec![from_serde(&value)], true));
    }

    #[test]
    fn no_text_brings_it_down(text in "[\\[\\]{}\",:;'/*<!> \\\\\\-a1é\n]{0,60}") {
        read(&text);
    }
}

#[test]
fn what_pages_get_wrong_is_recovered() {
    let expected = one(r#"{"name": "Pan", "price": 12.50}"#);
    for text in [
        "{\"name\": \"Pan\", \"price\": 12.50,}",
        "{\"name\": \"Pan\",, \"price\": 12.50}",
        "{\"name\": \"Pan\"\n \"price\": 12.50}",
        "{\"name\": \"Pan\", \"price\": 12.50};",
        "{\"name\": \"Pan\", \"price\": 12.50}}",
        "{\"name\": \"Pan\", \"price\": 12.50 }]",
        "{'name': 'Pan', price: 12.50}",
        "// Pan\n{\"name\": \"Pan\", // its name\n/* its { price */ \"price\": 12.50\n//, \"x\": 1\n}",
        "<!-- the pan -->{\"name\": \"Pan\", \"price\": 12.50}",
        "<!--\n{\"name\": \"Pan\", \"price\": 12.50}\n//-->",
        "//<![CDATA[\n{\"name\": \"Pan\", \"price\": 12.50}\n//]]>",
        "/*<![CDATA[*/{\"name\": \"Pan\", \"price\": 12.50}/*]]>*/",
        "<![CDATA[{\"name\": \"Pan\", \"price\": 12.50}]]>",
        "\u{feff}\u{a0}{\"name\": \"Pan\", \"price\": 12.50}\u{0}",
        "{&quot;name&quot;: &quot;Pan&quot;, &quot;price&quot;: 12.50}",
        "{\"name\": \"Pan\", \"price\": 12.50 ",
    ] {
        assert_eq!(one(text), expected, "{text}");
    }
}

#[test]
fn texts_keep_what_is_in_them() {
    for (text, expected) in [
        (r#""a\"b\\c\/d\n\u00e9\ud83d\ude00""#, "a\"b\\c/d\né😀"),
        ("\"line 1\n\tline 2\"", "line 1\n\tline 2"),
        (
            r#""https://x.example/ <!-- b --> /* c */ &amp;""#,
            "https://x.example/ <!-- b --> /* c */ &amp;",
        ),
        (r#""C:\dir \d \ud800x""#, "C:\\dir \\d \u{fffd}x"),
    ] {
        assert_eq!(one(text), Json::Text(expected.to_owned()), "{text}");
    }
}

#[test]
fn unescaped_quotes_are_guessed() {
    let text = r#"{"name": "12" pan, 14", and "16" pans", "tags": ["a "b" c", "d"], "sku": "1"}"#;
    let tags = Json::Array(vec![Json::Text("a \"b\" c".into()), Json::Text("d".into())]);
    let expected = Json::Object(vec![
        ("name".into(), Json::Text("12\" pan, 14\", and \"16\" pans".into())),
        ("tags".into(), tags),
        ("sku".into(), Json::Text("1".into())),
    ]);
    assert_eq!(one(text), expected);
}

#[test]
fn numbers_stay_as_written() {
    let text = r#"[24.90, 0123456789012, 12345678901234567890123, -1e5]"#;
    let numbers = ["24.90", "0123456789012", "12345678901234567890123", "-1e5"];
    let expected = numbers.iter().map(|number| Json::Number((*number).to_owned())).collect();
    assert_eq!(one(text), Json::Array(expected));
}

#[test]
fn values_that_are_missing_are_null() {
    let expected = one(r#"{"price": null, "sku": null}"#);
    assert_eq!(one(r#"{"price": , "sku": }"#), expected);
    assert_eq!(one(r#"{"price": undefined, "sku": NaN}"#), expected);
}

#[test]
fn several_documents_are_read() {
    let (documents, is_whole) = read("{\"a\": 1}\n{\"b\": 2}, [3]");
    assert!(is_whole);
    assert_eq!(documents.len(), 3);
}

#[test]
fn what_is_not_json_is_broken() {
    for text in [
        "{{ product | json }}",
        "{\"price\": 12,50}",
        "{\"price\": 12.50 EUR}",
        "{\"price\": 12",
        "{\"name\": \"Pa",
        "<b>no</b>",
        "var a = 1",
    ] {
        assert!(!read(text).1, "{text}");
    }
    let (documents, is_whole) = read("{\"a\": 1} {\"b\" 2}");
    assert!(!is_whole);
    assert_eq!(documents.len(), 1);
}

#[test]
fn nesting_and_size_are_bounded() {
    assert!(!read(&"[".repeat(100_000)).1);
    assert!(!read(&"{\"a\":".repeat(100_000)).1);
    assert!(!read(&format!("\"{}\"", "a".repeat(MAX_BYTES))).1);
}
