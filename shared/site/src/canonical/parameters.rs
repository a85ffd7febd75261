//! Query parameters that say how a visitor came, or who the visitor is, and not which page it is.

/// Parameters that campaigns, advertisers and statistics add.
const TRACKING: [&str; 41] = [
    "_branch_match_id",
    "_ga",
    "_gl",
    "_hsenc",
    "_hsmi",
    "_openstat",
    "dclid",
    "epik",
    "fbclid",
    "gad_source",
    "gad_campaignid",
    "gbraid",
    "gclid",
    "gclsrc",
    "igsh",
    "igshid",
    "irclickid",
    "li_fat_id",
    "mc_cid",
    "mc_eid",
    "mkt_tok",
    "msclkid",
    "n_ad",
    "n_ad_group",
    "n_campaign_type",
    "n_keyword",
    "n_keyword_id",
    "n_media",
    "n_query",
    "n_rank",
    "napm",
    "oly_anon_id",
    "oly_enc_id",
    "rb_clickid",
    "s_cid",
    "srsltid",
    "ttclid",
    "twclid",
    "vero_id",
    "wbraid",
    "yclid",
];
const TRACKING_PREFIXES: [&str; 5] = ["hsa_", "mtm_", "piwik_", "pk_", "utm_"];
/// Sessions, whatever their value.
const SESSION: [&str; 9] = [
    "cfid",
    "cftoken",
    "jsessionid",
    "oscsid",
    "phpsessid",
    "session_id",
    "sessionid",
    "sessid",
    "zenid",
];
const SESSION_PREFIXES: [&str; 1] = ["aspsessionid"];
/// Short names that are sessions in some shops and anything else in others: their value decides.
const MAYBE_SESSION: [&str; 4] = ["s_id", "sess", "session", "sid"];
/// A session's value is at least so long.
const SESSION_BYTES: usize = 16;

/// Whether a parameter does not belong to the page's address. `name` is in lower case.
pub(super) fn is_noise(name: &str, value: &str) -> bool {
    TRACKING.contains(&name)
        || SESSION.contains(&name)
        || TRACKING_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || SESSION_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || (MAYBE_SESSION.contains(&name) && is_session(value))
}

/// A long word of letters and digits, with both in it.
fn is_session(value: &str) -> bool {
    value.len() >= SESSION_BYTES
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && value.bytes().any(|byte| byte.is_ascii_digit())
}

/// A path without session ids in its segments' parameters (`/a;jsessionid=1F`).
pub(super) fn without_sessions(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for (place, segment) in path.split('/').enumerate() {
        if place > 0 {
            out.push('/');
        }
        for (place, part) in segment.split(';').enumerate() {
            let name = part.split('=').next().unwrap_or_default();
            if place > 0 && is_session_name(name) && name.len() < part.len() {
                continue;
            }
            if place > 0 {
                out.push(';');
            }
            out.push_str(part);
        }
    }
    out
}

fn is_session_name(name: &str) -> bool {
    name.eq_ignore_ascii_case("jsessionid") || name.eq_ignore_ascii_case("phpsessid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_told_from_numbers_of_shops() {
        assert!(is_noise("utm_source", "x"));
        assert!(is_noise("phpsessid", "1"));
        assert!(is_noise("sid", "9f86d081884c7d659a2feaa0c55ad015"));
        assert!(!is_noise("sid", "1042"));
        assert!(!is_noise("size", "9f86d081884c7d659a2feaa0c55ad015"));
    }

    #[test]
    fn sessions_are_taken_out_of_paths() {
        assert_eq!(without_sessions("/a;JSESSIONID=1F;v=2/b;c"), "/a;v=2/b;c");
        assert_eq!(without_sessions("/jsessionid=1"), "/jsessionid=1");
    }
}
